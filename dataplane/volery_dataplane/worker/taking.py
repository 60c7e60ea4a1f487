"""Takes over executions: gathers the pages of an assignment, its closure and its values.

Closures are compiled to plans once and kept by digest, so a thousand runs of one workflow parse it once.
What can fail here (the control plane is away, the store is slow) is tried again for as long as the
execution is held; what cannot be mended ends the execution with a failure that says so.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, TypeVar

import structlog
from voleryidl.core.v1.phase_pb2 import ExecutionPhase
from voleryidl.worker.v1.worker_service_pb2 import (
    Assignment,
    ExecutionInbox,
    InboxEntry,
    NodeSnapshot,
    ValueRef,
    Welcome,
)

from volery_dataplane.domain.plan import Plan, Unwalkable
from volery_dataplane.domain.standing import Settled
from volery_dataplane.domain.walk import NodeStanding, Walk, WalkStart
from volery_dataplane.domain.waves import BlobFetch, Fetch, Wave
from volery_dataplane.worker.ports import Blobs, Clock, ControlPlane, LogPiece, Unanswered, Unreachable
from volery_dataplane.worker.walking import Surroundings, Walking, micros

log = structlog.get_logger(__name__)

T = TypeVar("T")

PLANS = 256
"""Plans kept; the least recently used one goes first."""

RETRY_DELAYS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between tries of a read; the last one is repeated."""


class Taker(Protocol):
    """Who gets what was taken; all calls on the event loop."""

    def took(self, walking: Walking) -> None:
        """An execution is ready to be walked."""

    def unwalkable(self, assignment: Assignment, message: str) -> None:
        """An execution cannot be walked by this worker, or any of its release."""

    def fetched(self, walking: Walking) -> None:
        """Values a walk asked for have arrived in it."""

    def defective(self, walking: Walking, defect: Exception) -> None:
        """A walk cannot go on, by a fault of ours."""


@dataclass(slots=True)
class _Arriving:
    first: Assignment
    nodes: list[NodeSnapshot] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    inbox: list[InboxEntry] = field(default_factory=list)


class Taking:
    """Makes walks of assignments, and reads what walks ask for."""

    def __init__(
        self,
        control_plane: ControlPlane,
        blobs: Blobs,
        clock: Clock,
        *,
        tls_ca: str = "",
        adopts: bool = False,
    ) -> None:
        self._control_plane = control_plane
        self._blobs = blobs
        self._clock = clock
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        self._arriving: dict[tuple[int, int], _Arriving] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._storage_uri = ""
        self._inline_limit = 16 * 1024
        self._task_server = ""
        self._data_server = ""
        self._tls_ca = tls_ca
        self._adopts = adopts

    def welcomed(self, welcome: Welcome) -> None:
        """The control plane says where large values lie and what large is."""
        self._storage_uri = welcome.storage_uri.rstrip("/")
        self._inline_limit = welcome.inline_value_limit or self._inline_limit
        self._task_server = welcome.task_server
        self._data_server = welcome.data_server
        self._arriving.clear()

    def page(self, assignment: Assignment, taker: Taker) -> None:
        """A page of an assignment came; with the last one the execution is taken."""
        name = (assignment.execution_key, assignment.fencing_token)
        arriving = self._arriving.setdefault(name, _Arriving(assignment))
        arriving.nodes.extend(assignment.nodes)
        arriving.settled.extend(Settled(run.path, run.first, run.count) for run in assignment.settled)
        arriving.inbox.extend(assignment.inbox)
        if not assignment.complete:
            return
        plan = self._plans.get(arriving.first.closure_digest)
        if plan is not None:
            self._plans.move_to_end(arriving.first.closure_digest)
            self._take(arriving, plan, taker)
        else:
            self._spawn(self._compile_and_take(arriving, taker))

    def inbox(self, inbox: ExecutionInbox) -> None:
        """Entries came for an execution that is not walked yet: perhaps it is being taken."""
        arriving = self._arriving.get((inbox.execution_key, inbox.fencing_token))
        if arriving is not None:
            arriving.inbox.extend(inbox.entries)

    def fetch(
        self, walking: Walking, fetches: Sequence[Fetch], blobs: Sequence[BlobFetch], taker: Taker
    ) -> None:
        """Reads what a walk asked for and puts it in."""
        walking.fetching += 1
        self._spawn(self._fetch(walking, fetches, blobs, taker))

    def log_place(self, piece: LogPiece) -> str:
        """Where a whole log lies in the object store."""
        key = piece.key
        stream = piece.stream.name.lower()
        return f"{self._storage_uri}/logs/{key.execution_key}/{key.path}/{key.attempt}/{stream}"

    async def close(self) -> None:
        """Ends what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            log.error("something under way was lost", exc_info=problem)

    async def _compile_and_take(self, arriving: _Arriving, taker: Taker) -> None:
        digest = arriving.first.closure_digest
        try:
            closure = await patiently(lambda: self._control_plane.closure(digest), "a closure")
            plan = self._plans.get(digest) or Plan.compile(closure)
        except Exception as problem:
            if not isinstance(problem, Unwalkable | LookupError):
                log.exception("a closure could not be compiled", digest=digest)
            self._forget(arriving)
            taker.unwalkable(arriving.first, str(problem) or repr(problem))
            return
        self._plans[digest] = plan
        if len(self._plans) > PLANS:
            self._plans.popitem(last=False)
        self._take(arriving, plan, taker)

    def _forget(self, arriving: _Arriving) -> None:
        self._arriving.pop((arriving.first.execution_key, arriving.first.fencing_token), None)

    def _take(self, arriving: _Arriving, plan: Plan, taker: Taker) -> None:
        self._forget(arriving)
        try:
            walking = self._walking(arriving, plan)
        except Exception as defect:
            # A snapshot we wrote and cannot read is a defect of ours. It must end this execution with a
            # failure that says so; it must neither be lost in silence nor take the worker down.
            log.exception("an execution could not be taken over", execution=arriving.first.id.name)
            taker.unwalkable(arriving.first, f"its state could not be restored: {defect!r}")
            return
        taker.took(walking)

    def _walking(self, arriving: _Arriving, plan: Plan) -> Walking:
        first = arriving.first
        now = self._clock.now()
        id = first.id
        project_domain = f"{id.project}/{id.domain}"
        inputs = {name: value.SerializeToString() for name, value in first.inputs.literals.items()}
        start = WalkStart(
            uid=first.uid,
            project_domain=project_domain,
            create_time=micros(first.create_time),
            phase=first.phase,
            options=first.options,
            inputs=inputs if first.inputs_complete else None,
            nodes=[_standing(node) for node in arriving.nodes],
            settled=arriving.settled,
            failure=first.failure if first.HasField("failure") else None,
            adopts=self._adopts,
        )
        begun = _begun(plan, start, now) if first.starts_committed else None
        walk = Walk(plan, start, now) if begun is None else begun[0]
        walking = Walking(
            key=first.execution_key,
            token=first.fencing_token,
            walk=walk,
            surroundings=Surroundings(
                execution=f"{project_domain}/{id.name}",
                project_domain=project_domain,
                storage_prefix=f"{self._storage_uri}/executions/{project_domain}/{id.name}/{first.uid[:8]}",
                inline_limit=self._inline_limit,
                traceparent=first.traceparent,
                uid=first.uid,
                attempt_key=first.attempt_key,
                task_server=self._task_server,
                data_server=self._data_server,
                tls_ca=self._tls_ca,
                options=first.options,
            ),
            number=first.last_report_number,
        )
        if begun is not None:
            walking.begun = begun[1]
            return walking
        for path, attempt in list(walk.in_flight):
            # Nothing is adopted, so what was under way died with its worker.
            walk.lost(path, attempt, now)
        walking.read_inbox(arriving.inbox, now)
        return walking

    async def _fetch(
        self, walking: Walking, fetches: Sequence[Fetch], blobs: Sequence[BlobFetch], taker: Taker
    ) -> None:
        try:
            await self._read(walking, fetches, blobs)
        except Exception as defect:
            taker.defective(walking, defect)
        else:
            taker.fetched(walking)
        finally:
            walking.fetching -= 1

    async def _read(self, walking: Walking, fetches: Sequence[Fetch], blobs: Sequence[BlobFetch]) -> None:
        if fetches:
            refs = [ValueRef(path=fetch.path, items=fetch.items) for fetch in fetches]
            try:
                answers = await patiently(
                    lambda: self._control_plane.values(walking.key, walking.token, refs), "values"
                )
            except LookupError as problem:
                # The fence has moved on; the next report will be told so.
                log.info("values are not ours to read", execution=walking.execution, why=str(problem))
                answers = ()
            walking.values_arrived(fetches, answers, self._clock.now())
        for blob in blobs:
            try:
                content = await patiently(partial(self._blobs.get, blob.uri), "a value")
            except LookupError:
                content = None
            walking.walk.blob_arrived(blob.uri, content, self._clock.now())


async def patiently(read: Callable[[], Coroutine[None, None, T]], what: str) -> T:
    """Reads, and again after a while for as long as the other side is away.

    Raises:
        LookupError: what is read does not exist, or is not ours to read.
        Unanswered: the other side is there and did not answer, however often it was asked.
    """
    delays = iter(RETRY_DELAYS)
    delay = RETRY_DELAYS[0]
    patience = len(RETRY_DELAYS)
    while True:
        try:
            return await read()
        except Unreachable as problem:
            log.info("a read is tried again", what=what, why=str(problem))
            after = problem.after
        except Unanswered as problem:
            log.warning("a read was not answered", what=what, why=str(problem))
            after = 0.0
            patience -= 1
            if not patience:
                raise
        delay = next(delays, delay)
        # Workers that were turned away together must not come back together.
        await asyncio.sleep(max(delay, after * random.uniform(1.0, 1.5)))  # noqa: S311  # spreads load


def _begun(plan: Plan, start: WalkStart, now: int) -> tuple[Walk, Wave] | None:
    """A walk whose first wave is committed already, and that wave; None where it would begin otherwise.

    Then somebody decided for us what we would not: such an execution is taken over like one whose worker
    was lost, which mends everything.
    """
    began = min(now, *(node.queue_time for node in start.nodes))
    walk = Walk(plan, replace(start, phase=ExecutionPhase.EXECUTION_PHASE_QUEUED, nodes=()), began)
    walk.admit(len(start.nodes), began)
    wave = walk.take(began)
    if wave.only_starts([node.path for node in start.nodes]):
        return walk, wave
    log.error("an execution was begun otherwise than it begins", uid=start.uid)
    return None


def _standing(node: NodeSnapshot) -> NodeStanding:
    return NodeStanding(
        path=node.path,
        phase=node.phase,
        attempt=node.attempt,
        queue_time=micros(node.queue_time) if node.HasField("queue_time") else 0,
        user_failures=node.user_failures,
        infrastructure_failures=node.infrastructure_failures,
        wake_time=micros(node.wake_time) if node.HasField("wake_time") else 0,
        item_count=node.item_count,
        failure=node.failure if node.HasField("failure") else None,
    )
