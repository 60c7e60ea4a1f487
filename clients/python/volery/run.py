"""Run: one execution on a server, as something to wait for, watch, read and abort.

Made by `Remote`; knows how to turn the outputs into Python values, by the annotations of the entity where
that is at hand, else as plain values.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from volery._idl.voleryidl.core import v1 as core
from volery._idl.voleryidl.event import v1 as event
from volery._idl.voleryidl.execution import v1 as wire
from volery._raw_values import glance
from volery.client import new_request_id
from volery.errors import (
    ExecutionAbortedError,
    ExecutionError,
    ExecutionFailedError,
    ExecutionTimedOutError,
    WaitTimeoutError,
)
from volery.executions import (
    Attempt,
    Execution,
    ExecutionPhase,
    LogPiece,
    Node,
    attempt_from_wire,
    execution_from_wire,
    log_pieces_from_wire,
    node_from_wire,
)

if TYPE_CHECKING:
    from volery._values import Reader
    from volery.entities import EntityFacts
    from volery.remote import Remote

_ENDED_WELL = frozenset({core.NodePhase.SUCCEEDED, core.NodePhase.RECOVERED})

LONGEST_WAIT = timedelta(minutes=5)
PAGE = 1000

_ENDINGS: dict[ExecutionPhase, type[ExecutionError]] = {
    ExecutionPhase.FAILED: ExecutionFailedError,
    ExecutionPhase.ABORTED: ExecutionAbortedError,
    ExecutionPhase.TIMED_OUT: ExecutionTimedOutError,
}


@dataclass(frozen=True, slots=True)
class Change:
    """What a watch tells at a time.

    Attributes:
        execution: as it stands.
        nodes: those that changed; of very many the newest.
        changed: how many changed that the server told of.
        history_cut: some of what happened before is no longer kept; `nodes` are those there are, as they
            stand, the first thousand.
    """

    execution: Execution
    nodes: tuple[Node, ...]
    changed: int = 0
    history_cut: bool = False


class Run:
    """One execution on a server."""

    def __init__(
        self, remote: Remote, execution: Execution, reader: Reader, outputs: bytes | None = None
    ) -> None:
        self._remote = remote
        self._execution = execution
        self._reader = reader
        self._outputs = outputs

    def __repr__(self) -> str:
        return f"<Run {self.name} of {self._execution.target}: {self._execution.phase}>"

    @property
    def name(self) -> str:
        """Its name, unique in project and domain."""
        return self._execution.name

    @property
    def execution(self) -> Execution:
        """The execution as it stood when it was last read; see `refresh`."""
        return self._execution

    @property
    def phase(self) -> ExecutionPhase:
        """Where it stood when it was last read."""
        return self._execution.phase

    def refresh(self) -> Execution:
        """Read the execution again."""
        answer = self._call(self._client.get_execution(wire.GetExecutionRequest(id=self._id)))
        return self._keep(answer.execution)

    def wait(self, timeout: float | timedelta | None = None, *, check: bool = True) -> Run:
        """Return when the execution is over.

        Args:
            timeout: the longest wait, in seconds; None waits for ever.
            check: whether to raise when it did not end well.

        Raises:
            WaitTimeoutError: when the time is over and the execution goes on.
            ExecutionError: when it did not end well.
        """
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self.phase.is_terminal:
            left = None if deadline is None else timedelta(seconds=deadline - time.monotonic())
            if left is not None and left <= timedelta():
                message = f"{self.name} is {self.phase} after {seconds:g} s of waiting"
                raise WaitTimeoutError(message, self._execution)
            span = LONGEST_WAIT if left is None else min(left, LONGEST_WAIT)
            answer = self._call(
                self._client.wait_execution(wire.WaitExecutionRequest(id=self._id, timeout=span))
            )
            self._keep(answer.execution)
            self._outputs = answer.outputs if answer.outputs is not None else self._outputs
        if check:
            self.raise_for_failure()
        return self

    def raise_for_failure(self) -> None:
        """Raise when the execution is over and did not end well."""
        ending = _ENDINGS.get(self.phase)
        if ending is None:
            return
        told = f": {self._execution.failure}" if self._execution.failure else ""
        if self.phase is ExecutionPhase.ABORTED and self._execution.abort:
            told = f": {self._execution.abort.cause}"
        verb = self.phase.value.lower().replace("_", " ")
        raise ending(f"{self.name} {verb}{told}", self._execution)

    @property
    def outputs(self) -> Any:
        """What came out, as the function would have returned it; waits for the end.

        Raises:
            ExecutionError: when it did not end well.
        """
        self.wait()
        return self._reader.result(self._output_bytes())

    @property
    def outputs_by_name(self) -> dict[str, Any]:
        """What came out, by name, as plain values; waits for the end."""
        self.wait()
        return self._reader.plain(self._output_bytes())

    @property
    def inputs(self) -> dict[str, Any]:
        """What went in, defaults and fixed inputs included, as plain values."""
        answer = self._call(self._client.get_execution_data(wire.GetExecutionDataRequest(id=self._id)))
        return self._reader.plain(answer.inputs)

    def target(self) -> EntityFacts:
        """What it runs, as it is registered: its interface tells the order of inputs and outputs."""
        target = self._execution.target
        return self._remote.entity(target.name, version=target.version, kind=target.kind.lower())

    def abort(self, cause: str = "") -> bool:
        """Ask for the end; the first cause stays. Whether this call was the one that counted."""
        request = wire.AbortExecutionRequest(id=self._id, cause=cause, request_id=new_request_id())
        answer = self._call(self._client.abort_execution(request))
        self._keep(answer.execution)
        return bool(answer.accepted)

    def delete(self) -> None:
        """Remove it, with everything that belongs to it; only when it is over."""
        request = wire.DeleteExecutionRequest(id=self._id, request_id=new_request_id())
        self._call(self._client.delete_execution(request))

    def watch(self, *, items: bool = True) -> Iterator[Change]:
        """Follow it to its end: first as it stands, then what changes, a few times a second.

        Args:
            items: whether to tell of items of maps that ended well; the counts of their map tell too.
        """
        request = wire.WatchExecutionRequest(id=self._id, view=wire.WatchView.SUMMARY)
        for message in self._remote._loop.iterate(lambda: self._client.watch_execution(request)):
            if message.execution is not None:
                self._keep(message.execution)
            if message.history_cut:
                standing = tuple(islice(self.nodes(), PAGE))
                yield Change(self._execution, standing, len(standing), history_cut=True)
            elif message.execution is not None or message.node_executions:
                nodes = (data for data in message.node_executions if items or not _is_done_item(data))
                read = (node_from_wire(wire.NodeExecution.parse(data)) for data in nodes)
                yield Change(self._execution, tuple(read), len(message.node_executions))

    def nodes(
        self, *, below: str = "", recursive: bool = True, filter: str = ""
    ) -> Iterator[Node]:  # the contract's word
        """Its nodes in the order of their paths, read page by page.

        Args:
            below: only those below this node.
            recursive: all levels, or direct children only.
            filter: for example `phase = FAILED`.
        """
        token = ""
        while True:
            request = wire.ListNodeExecutionsRequest(
                execution_id=self._id,
                parent_path=below,
                recursive=recursive,
                page_size=PAGE,
                page_token=token,
                filter=filter,
            )
            answer = self._call(self._client.list_node_executions(request))
            yield from map(node_from_wire, answer.node_executions)
            token = answer.next_page_token
            if not token:
                return

    def node(self, path: str) -> tuple[Node, list[Attempt]]:
        """One node with its attempts, first to last."""
        request = wire.GetNodeExecutionRequest(execution_id=self._id, path=path)
        answer = self._call(self._client.get_node_execution(request))
        assert answer.node_execution is not None
        return node_from_wire(answer.node_execution), [attempt_from_wire(each) for each in answer.attempts]

    def attempts(self) -> Iterator[Attempt]:
        """The attempts of all its nodes that began to run, in the order of their paths, read page by page."""
        token = ""
        while True:
            request = wire.ListAttemptsRequest(execution_id=self._id, page_size=PAGE, page_token=token)
            answer = self._call(self._client.list_attempts(request))
            yield from map(attempt_from_wire, answer.attempts)
            token = answer.next_page_token
            if not token:
                return

    def node_outputs(self, path: str) -> dict[str, Any]:
        """What came out of a node, by name, as plain values."""
        request = wire.GetNodeExecutionDataRequest(execution_id=self._id, path=path)
        answer = self._call(self._client.get_node_execution_data(request))
        return self._reader.plain(answer.outputs or b"")

    def logs(self, path: str = "", *, attempt: int = 0, follow: bool = False) -> Iterator[LogPiece]:
        """What its attempts wrote.

        Args:
            path: only this node and what is below it.
            attempt: only this attempt; 0 means all.
            follow: go on until the execution, or the attempt named, is over.
        """
        request = wire.TailLogsRequest(execution_id=self._id, path=path, attempt=attempt, follow=follow)
        for message in self._remote._loop.iterate(lambda: self._client.tail_logs(request)):
            yield from log_pieces_from_wire(message.chunks)

    @property
    def _id(self) -> event.ExecutionId:
        return event.ExecutionId(
            project=self._execution.project, domain=self._execution.domain, name=self._execution.name
        )

    @property
    def _client(self) -> Any:
        return self._remote.client

    def _call(self, work: Any) -> Any:
        return self._remote._loop.call(work)

    def _keep(self, message: wire.Execution | None) -> Execution:
        assert message is not None
        self._execution = execution_from_wire(message)
        return self._execution

    def _output_bytes(self) -> bytes:
        if self._outputs is None:
            answer = self._call(self._client.get_execution_data(wire.GetExecutionDataRequest(id=self._id)))
            self._outputs = answer.outputs or b""
        return self._outputs


def _is_done_item(node: bytes) -> bool:
    """Whether a serialised node is an item of a map that ended well."""
    path, phase = glance(node)
    return phase in _ENDED_WELL and path.rpartition("/")[2].isdigit()
