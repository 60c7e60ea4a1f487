"""Executions: created, read, waited for, listed, ended.

What a caller gave and what the execution runs with are kept apart: the first is what a repeat is compared
by, the second has defaults and fixed inputs added and is cast to the interface.

It is long since creating, waiting and ending are told of through the same wake-ups, and are read together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from volery_rules.phases import TERMINAL_EXECUTION_PHASES
from voleryidl.core.v1.identifier_pb2 import EntityKind, Identifier
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions
from voleryidl.core.v1.literals_pb2 import LiteralMap
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase
from voleryidl.event.v1.event_pb2 import NodeKind
from voleryidl.worker.v1.worker_service_pb2 import PlatformResources

from volery_controlplane.domain import page_tokens
from volery_controlplane.domain.errors import AlreadyExists, NotFound, Refusal, Uncertain, WrongPhase
from volery_controlplane.domain.filter_text import Labels, Text, Time, Words, choice_of
from volery_controlplane.domain.records import (
    AttemptRow,
    ExecutionKey,
    ExecutionName,
    ExecutionRecord,
    FirstHold,
    NewExecution,
    NodeRow,
    OverExecution,
    ProjectRecord,
)
from volery_controlplane.domain.references import References
from volery_controlplane.services.aborts import record_abort
from volery_controlplane.services.assignments import Claim, claim_of_created
from volery_controlplane.services.listening import SLOW_SCAN, Listening
from volery_controlplane.services.measures import Measures
from volery_controlplane.services.pages import Listing, Page, PageRequest
from volery_controlplane.services.placement import Beginnings, Place, Placement, Warnings
from volery_controlplane.services.ports import Database, Ids, Transaction, Wakeups
from volery_controlplane.services.projects import Tenancy
from volery_controlplane.services.removal import remove_executions
from volery_controlplane.services.requests import checked_request_id, fingerprint_of, once
from volery_controlplane.services.spans import ExecutionSpans
from volery_controlplane.services.targets import Target, check_intention, resolve
from volery_controlplane.services.uses import note_inputs
from volery_controlplane.services.values import GIVEN, INPUTS, joined, outputs_of, rows_of

EXECUTIONS = Listing(
    "executions",
    {
        "phase": choice_of(ExecutionPhase.DESCRIPTOR),
        "name": Text(),
        "target.kind": choice_of(EntityKind.DESCRIPTOR),
        "target.name": Text(),
        "target.version": Text(),
        "principal": Text(),
        "create_time": Time(),
        "end_time": Time(),
        "tags": Words(),
        "labels": Labels(),
    },
    ("create_time", "end_time", "name"),
)

_LARGE_INPUTS = 64 * 1024
"""Bytes of inputs from which on casting them takes noticeable time."""

_Ready = tuple[Target, LiteralMap]
"""A target, and the inputs cast to its interface."""

ATTEMPTS = Listing("attempts")
_MOST_ATTEMPTS = 1 << 32  # their number on the wire has 32 bits

NODE_EXECUTIONS = Listing(
    "node_executions",
    {
        "phase": choice_of(NodePhase.DESCRIPTOR),
        "path": Text(),
        "kind": choice_of(NodeKind.DESCRIPTOR),
        "target_name": Text(),
    },
)


@dataclass(frozen=True, slots=True)
class ExecutionIntention:
    """What a caller wants to run. An empty name lets the server make one."""

    id: ExecutionName
    target: Identifier
    principal: str
    traceparent: str = ""
    inputs: LiteralMap = field(default_factory=LiteralMap)
    options: ExecutionOptions = field(default_factory=ExecutionOptions)
    request_id: str = ""

    def fingerprint(self) -> str:
        """Digests the intention, without what tells repeats apart."""
        return fingerprint_of(self.target, self.inputs, self.options)


@dataclass(frozen=True, slots=True)
class ExecutionData:
    """What went in and what came out; outputs of what has not ended well are None."""

    given_inputs: LiteralMap
    inputs: LiteralMap
    outputs: LiteralMap | None


class Executions:
    """Use cases of executions.

    Args:
        database: the truth.
        wakeups: told after each commit.
        tenancy: says whether a project takes something new.
        ids: makes uids and names.
        wait_limit: the longest wait of one call.
        placement: keeps room for a new execution, so that it is given to a worker in the transaction
            that creates it.
        listening: how it is waited.
        references: finds which objects inputs refer to.
        measures: what is counted.
        spans: told of what happens, where executions are traced.
        platform: the most that attempts get; who asks for more is warned.
        slow_scan: how often a waiter looks though it was given no hint.
    """

    def __init__(
        self,
        database: Database,
        wakeups: Wakeups,
        tenancy: Tenancy,
        ids: Ids,
        wait_limit: timedelta,
        placement: Placement,
        listening: Listening,
        references: References,
        measures: Measures | None = None,
        spans: ExecutionSpans | None = None,
        platform: PlatformResources | None = None,
        slow_scan: timedelta = SLOW_SCAN,
    ) -> None:
        self._slow_scan = slow_scan.total_seconds()
        self._spans = spans
        self._measures = measures or Measures()
        self._database = database
        self._wakeups = wakeups
        self._tenancy = tenancy
        self._ids = ids
        self._wait_limit = wait_limit
        self._placement = placement
        self._listening = listening
        self._references = references
        self._beginnings = Beginnings()
        self._warnings = Warnings(platform or PlatformResources())
        self._committing: set[asyncio.Task[tuple[ExecutionRecord, bool]]] = set()

    async def create(self, intention: ExecutionIntention) -> tuple[ExecutionRecord, bool]:
        """Starts an execution; gives it, and whether it was there already."""
        request = checked_request_id(intention.request_id)
        check_intention(intention.id, intention.target, intention.options)
        fingerprint = intention.fingerprint()
        wanted = fingerprint_of(fingerprint, intention.id.project, intention.id.domain, intention.id.name)
        chosen = intention.id.name or self._ids.execution_name()
        name = ExecutionName(intention.id.project, intention.id.domain, chosen)
        uid = self._ids.uid()
        ready = await self._ready(intention)

        def act(
            tx: Transaction, place: Place | None
        ) -> tuple[ExecutionRecord | None, Claim | None, ExecutionRecord | None]:
            """Gives what is made, with its claim where it is placed; or what was there before."""
            made: list[tuple[ExecutionRecord, Claim | None]] = []

            def create() -> dict[str, str]:
                standing = tx.executions.get(name) if intention.id.name else None
                if standing is None:
                    made.append(self._insert(tx, intention, name, uid, fingerprint, place, ready))
                elif standing.fingerprint != fingerprint:
                    raise AlreadyExists(
                        f"execution {name.name} exists, with another target, inputs or options",
                        {"resource_type": "execution", "resource_name": name.name},
                    )
                return {"name": name.name}

            answer, _ = once(tx, request, "CreateExecution", wanted, create)
            if made:
                return *made[0], None
            return None, None, required(tx, ExecutionName(name.project, name.domain, answer["name"]))

        async def commit() -> tuple[ExecutionRecord, bool]:
            place, claim = self._placement.reserve(""), None
            begin = time.time()
            try:
                made, claim, standing = await self._database.transact(lambda tx: act(tx, place))
            except Uncertain:
                self._placement.doubt()
                raise
            finally:
                if place is not None and claim is None:
                    place.give_back()
            if self._spans is not None:
                self._spans.committed(intention.traceparent, begin)
            if made is None:
                assert standing is not None, "either it was there or it was made"
                return standing, True
            if place is not None and claim is not None:
                place.fill(claim)
            else:
                self._wakeups.notify_work()
            self._measures.created += 1
            self._wakeups.notify_project(made.id.project, made.id.domain)
            return made, False

        # What is committed must be delivered, though the caller may have gone meanwhile.
        committing = asyncio.create_task(commit())
        self._committing.add(committing)
        committing.add_done_callback(self._committing.discard)
        return await asyncio.shield(committing)

    async def _ready(self, intention: ExecutionIntention) -> _Ready | None:
        """Large inputs as the execution gets them, made where nobody waits for it: others need the writer."""
        if intention.inputs.ByteSize() <= _LARGE_INPUTS:
            return None
        try:
            target = await self._database.read(lambda tx: resolve(tx, intention.target))
        except Refusal:
            return None  # the transaction says it, unless this is the repeat of something that was accepted
        return target, await asyncio.to_thread(target.effective_inputs, intention.inputs)

    async def get(self, id: ExecutionName) -> ExecutionRecord:
        """One execution; raises NotFound."""
        return await self._database.read(lambda tx: required(tx, id))

    async def wait(self, id: ExecutionName, longest: timedelta) -> tuple[ExecutionRecord, LiteralMap | None]:
        """The execution when it has ended or the time is over, with the outputs where it ended well."""
        record = await self.get(id)
        if record.phase not in TERMINAL_EXECUTION_PHASES:
            return await self.wait_for(record, longest)
        return await self._database.read(lambda tx: _with_outputs(tx, record.key))

    async def wait_for(
        self, record: ExecutionRecord, longest: timedelta, *, is_fresh: bool = False
    ) -> tuple[ExecutionRecord, LiteralMap | None]:
        """As `wait`, for an execution just read or, where it is fresh, just created.

        The end of a fresh one lies before us: it need not be read before it is waited for.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + max(timedelta(0), min(longest, self._wait_limit)).total_seconds()
        async with self._wakeups.watch_end(record.key) as wakeup:
            is_hinted = True
            if is_fresh:
                is_hinted = await self._listening.news(wakeup, min(deadline - loop.time(), self._slow_scan))
            while True:
                found = await self._database.read(lambda tx: _with_outputs(tx, record.key))
                left = deadline - loop.time()
                if found[0].phase in TERMINAL_EXECUTION_PHASES:
                    self._measures.late["end"] += not is_hinted
                    return found
                if left <= 0:
                    return found
                is_hinted = await self._listening.news(wakeup, min(left, self._slow_scan))

    async def page(self, project: str, domain: str, request: PageRequest) -> Page[ExecutionRecord]:
        """A page of executions, newest first unless asked otherwise."""
        plan = EXECUTIONS.plan(request, project, domain)

        def query(tx: Transaction) -> Page[ExecutionRecord]:
            self._tenancy.check_exists(tx, project, domain)
            store = tx.executions
            rows = store.page(project, domain, plan.query)
            return plan.page(rows, lambda row: store.cursor_of(row, plan.order))

        return await self._database.read(query)

    async def abort(
        self, id: ExecutionName, cause: str, principal: str, request_id: str
    ) -> tuple[ExecutionRecord, bool]:
        """Asks for the end; gives the execution, and whether this call was the one that counted."""
        request = checked_request_id(request_id)
        fingerprint = fingerprint_of(id.project, id.domain, id.name, cause)

        def act(tx: Transaction) -> tuple[ExecutionRecord, bool]:
            key = required(tx, id).key
            answer, _ = once(
                tx,
                request,
                "AbortExecution",
                fingerprint,
                lambda: {"accepted": record_abort(tx, key, cause, principal)},
            )
            return required(tx, id), answer["accepted"]

        record, accepted = await self._database.transact(act)
        if accepted:
            self._wakeups.notify_execution(record.key)
            if record.phase in TERMINAL_EXECUTION_PHASES:
                self._measures.ended[record.phase] += 1
                if self._spans is not None:
                    self._spans.ended([record.key])
                self._wakeups.notify_ended(record.key)
            self._wakeups.notify_project(record.id.project, record.id.domain)
            self._wakeups.notify_work()
            self._wakeups.notify_inbox()
        return record, accepted

    async def delete(self, id: ExecutionName, request_id: str) -> ExecutionRecord | None:
        """Removes an execution that is over; gives it as it stood, or None for a repeat.

        Raises:
            NotFound: there is no such execution.
            WrongPhase: it is not over.
        """
        request = checked_request_id(request_id)
        fingerprint = fingerprint_of(id.project, id.domain, id.name)

        def act(tx: Transaction) -> ExecutionRecord | None:
            removed: list[ExecutionRecord] = []

            def remove() -> dict[str, str]:
                key = required(tx, id).key
                tx.executions.heads([key])  # it stays as it is from here on
                record = still(tx, key)
                if record.phase not in TERMINAL_EXECUTION_PHASES:
                    raise WrongPhase(
                        f"execution {id.name} is not over; abort it before it is deleted",
                        {"resource_type": "execution", "resource_name": id.name},
                    )
                remove_executions(tx, [OverExecution(record.key, record.id, record.uid)])
                removed.append(record)
                return {}

            once(tx, request, "DeleteExecution", fingerprint, remove)
            return removed[0] if removed else None

        return await self._database.transact(act)

    async def data(self, id: ExecutionName) -> ExecutionData:
        """The inputs and outputs of an execution."""

        def query(tx: Transaction) -> ExecutionData:
            record = required(tx, id)
            given = joined(tx.executions.values(record.key, "", GIVEN))
            inputs = joined(tx.executions.values(record.key, "", INPUTS))
            return ExecutionData(given, inputs, _outputs(tx, record))

        return await self._database.read(query)

    async def node_page(
        self, id: ExecutionName, parent: str, recursive: bool, request: PageRequest
    ) -> Page[NodeRow]:
        """A page of the children, or of all descendants, of a node."""
        scope = "recursive" if recursive else "children"
        plan = NODE_EXECUTIONS.plan(request, id.project, id.domain, id.name, parent, scope)

        def query(tx: Transaction) -> Page[NodeRow]:
            store, key = tx.executions, required(tx, id).key
            if parent:
                _required_node(tx, key, id, parent)
            return plan.page(store.node_page(key, parent, recursive, plan.query), store.node_cursor_of)

        return await self._database.read(query)

    async def node(self, id: ExecutionName, path: str) -> tuple[NodeRow, Sequence[AttemptRow]]:
        """One node execution with its attempts, first to last."""

        def query(tx: Transaction) -> tuple[NodeRow, Sequence[AttemptRow]]:
            key = required(tx, id).key
            return _required_node(tx, key, id, path), tx.executions.attempts(key, path)

        return await self._database.read(query)

    async def attempt_page(self, id: ExecutionName, request: PageRequest) -> Page[AttemptRow]:
        """A page of the attempts of all nodes, in the order of their paths."""
        plan = ATTEMPTS.plan(request, id.project, id.domain, id.name)
        match plan.query.after:
            case None:
                after = ("", 0)
            case (str(path), int(attempt)) if "\0" not in path and 0 < attempt < _MOST_ATTEMPTS:
                after = (path, attempt)
            case _:
                raise page_tokens.not_issued_here()

        def query(tx: Transaction) -> Page[AttemptRow]:
            rows = tx.executions.all_attempts(required(tx, id).key, after, plan.query.limit)
            return plan.page(rows, tx.executions.attempt_cursor_of)

        return await self._database.read(query)

    async def node_outputs(self, id: ExecutionName, path: str) -> LiteralMap | None:
        """What came out of a node; None when it has not ended well."""

        def query(tx: Transaction) -> LiteralMap | None:
            key = required(tx, id).key
            node = _required_node(tx, key, id, path)
            if node.phase not in (NodePhase.NODE_PHASE_SUCCEEDED, NodePhase.NODE_PHASE_RECOVERED):
                return None
            return outputs_of(tx, key, path, node.item_count)

        return await self._database.read(query)

    def _insert(
        self,
        tx: Transaction,
        intention: ExecutionIntention,
        name: ExecutionName,
        uid: str,
        fingerprint: str,
        place: Place | None,
        ready: _Ready | None,
    ) -> tuple[ExecutionRecord, Claim | None]:
        project = self._tenancy.check_open(tx, name.project, name.domain)
        target = resolve(tx, intention.target)
        if ready is not None and ready[0] == target:
            inputs = ready[1]
        else:
            inputs = target.effective_inputs(intention.inputs)
        options = _merged(project, target, intention.options)
        new = NewExecution(
            id=name,
            uid=uid,
            fingerprint=fingerprint,
            target_kind=target.id.kind,
            target_project=target.id.project,
            target_domain=target.id.domain,
            target_name=target.id.name,
            target_version=target.id.version,
            closure_digest=target.closure_digest,
            options=options.SerializeToString(deterministic=True),
            labels=dict(options.labels),
            tags=tuple(options.tags),
            principal=intention.principal,
            create_time=tx.now,
            warnings=self._warnings.of(tx, target.closure_digest),
            traceparent=intention.traceparent,
        )
        hold = self._hold(tx, target.closure_digest, options, place)
        effective = rows_of(INPUTS, inputs)
        rows = [*rows_of(GIVEN, intention.inputs), *effective]
        key = tx.executions.insert(new, rows, hold)
        note_inputs(tx, self._references, key, rows)
        record = _as_created(new, key, hold)
        if hold is None:
            return record, None
        return record, claim_of_created(record, effective, hold, self._database.installation_secret())

    def _hold(
        self, tx: Transaction, closure_digest: str, options: ExecutionOptions, place: Place | None
    ) -> FirstHold | None:
        """The hold of who has room, with the first steps where they can be told."""
        if place is None or not tx.sessions.is_open(place.session_id):
            return None
        beginning = self._beginnings.of(tx, closure_digest)
        report = (
            beginning.report(place.session_id, place.worker_id, tx.now)
            if place.is_idle and beginning is not None and beginning.suits(options)
            else None
        )
        return FirstHold(place.session_id, place.worker_id, report)


def required(tx: Transaction, id: ExecutionName) -> ExecutionRecord:
    """One execution; raises NotFound."""
    record = tx.executions.get(id)
    if record is None:
        raise NotFound(
            f"there is no execution {id.name!r} in {id.project}/{id.domain}",
            {"resource_type": "execution", "resource_name": id.name},
        )
    return record


def still(tx: Transaction, key: ExecutionKey) -> ExecutionRecord:
    """An execution found before; raises NotFound when it was removed meanwhile."""
    record = tx.executions.by_key([key]).get(key)
    if record is None:
        raise NotFound("the execution is no longer kept", {"resource_type": "execution"})
    return record


def _required_node(tx: Transaction, key: ExecutionKey, id: ExecutionName, path: str) -> NodeRow:
    node = tx.executions.node(key, path)
    if node is None:
        raise NotFound(
            f"execution {id.name} has no node execution {path!r}; nodes appear when they are reached",
            {"resource_type": "node_execution", "resource_name": path},
        )
    return node


def _outputs(tx: Transaction, record: ExecutionRecord) -> LiteralMap | None:
    if record.phase != ExecutionPhase.EXECUTION_PHASE_SUCCEEDED:
        return None
    return outputs_of(tx, record.key, "")


def _with_outputs(tx: Transaction, key: ExecutionKey) -> tuple[ExecutionRecord, LiteralMap | None]:
    record = still(tx, key)
    return record, _outputs(tx, record)


def _as_created(new: NewExecution, key: ExecutionKey, hold: FirstHold | None) -> ExecutionRecord:
    """The record of an execution in the transaction that made it, without reading it back."""
    report = None if hold is None else hold.report
    return ExecutionRecord(
        key=key,
        id=new.id,
        uid=new.uid,
        fingerprint=new.fingerprint,
        target_kind=new.target_kind,
        target_project=new.target_project,
        target_domain=new.target_domain,
        target_name=new.target_name,
        target_version=new.target_version,
        closure_digest=new.closure_digest,
        options=new.options,
        principal=new.principal,
        phase=ExecutionPhase.EXECUTION_PHASE_QUEUED if report is None else report.phase,
        create_time=new.create_time,
        start_time=None if report is None else report.start_time,
        end_time=None,
        failure=b"",
        abort=b"",
        counts=b"" if report is None else report.counts or b"",
        last_sequence=0 if report is None else report.last_sequence,
        warnings=new.warnings,
        worker_id="" if hold is None else hold.worker_id,
        traceparent=new.traceparent,
    )


def _merged(project: ProjectRecord, target: Target, given: ExecutionOptions) -> ExecutionOptions:
    """Options laid over each other: the project's labels, the launch plan's options, the request's."""
    merged = ExecutionOptions(labels=dict(project.labels))
    for layer in (target.options, given):
        merged.MergeFrom(layer)
        if layer.HasField("timeout"):
            # merging would add one layer's nanoseconds to the other's seconds
            merged.timeout.CopyFrom(layer.timeout)
    tags = dict.fromkeys(merged.tags)
    del merged.tags[:]
    merged.tags.extend(tags)
    return merged
