"""A small world: a control plane, some workers, the network between, and time, all in one event loop.

The parts are the real ones, from the servicer of the `Work` stream down to the statements of the store, and
from a worker's stream down to its walks. Only what lies around them is played: the network (`network`), the
threads of the database (`inline_database`), the launchers, and time.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from model.graphs import CLUMSY, FATAL, FLAKY, STUBBORN, Fates, Graph, Model, Translation
from model.hands import Cluster, Hands, NoBlobs
from model.inline_database import InlineDatabase, Virtual, change, look
from model.network import Stream, Told, Wire
from support.closures import encoded, integer
from support.virtual_time import VirtualLoop
from support.walks import T0, total
from volery_controlplane.domain.errors import Refusal
from volery_controlplane.domain.records import (
    EntityName,
    EntityRecord,
    ExecutionKey,
    ExecutionName,
    ExecutionRecord,
    Micros,
    ProjectRecord,
)
from volery_controlplane.domain.references import References
from volery_controlplane.grpc.workers import WorkerServicer
from volery_controlplane.loops.leases import expire_leases, wake_parked
from volery_controlplane.services.dispatch import Dispatcher
from volery_controlplane.services.executions import ExecutionIntention, Executions
from volery_controlplane.services.listening import Listening
from volery_controlplane.services.projects import Tenancy
from volery_controlplane.services.streams import WorkStreams
from volery_controlplane.services.wakeups import LocalWakeups
from volery_controlplane.services.work import WorkService, WorkSettings
from volery_controlplane.services.worker_sessions import WorkerSession
from volery_dataplane.worker.logs import LogShipper
from volery_dataplane.worker.ports import (
    AttemptKey,
    AttemptOrder,
    Cancelled,
    Failed,
    Observation,
    Succeeded,
)
from volery_dataplane.worker.taking import Taking
from volery_dataplane.worker.worker import Worker
from volery_dataplane.worker.worker_settings import WorkerSettings
from volery_rules.phases import TERMINAL_EXECUTION_PHASES, TERMINAL_NODE_PHASES
from voleryidl.core.v1 import phase_pb2 as pb
from voleryidl.core.v1.closure_pb2 import WorkflowClosure
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_SYSTEM, FAILURE_KIND_USER, Failure
from voleryidl.core.v1.identifier_pb2 import ENTITY_KIND_WORKFLOW, Identifier
from voleryidl.core.v1.literals_pb2 import LiteralMap

T = TypeVar("T")

LEASE = timedelta(seconds=15)
PROJECT, DOMAIN = "demo", "development"
GIVEN = 5  # what each execution is given


class Loop(VirtualLoop):
    """A loop that also says when nothing more happens without time or a message."""

    def do(self, act: Callable[[], T]) -> T:
        """Does something, and lets what follows at once happen."""
        return self.run_until_complete(self._do(act))

    async def _do(self, act: Callable[[], T]) -> T:
        found = act()
        await asyncio.sleep(0)
        while self._ready:  # type: ignore[attr-defined]  # noqa: ASYNC110  # what is due; nothing public tells
            await asyncio.sleep(0)
        return found


def _nothing() -> None:
    """For when only what follows is meant."""


@dataclass
class Execution:
    """An execution as the machine means it."""

    name: str
    graph: Graph
    fates: Fates
    closure: bytes
    key: ExecutionKey | None = None  # None until its creation is known to be committed
    asked_to_abort: bool = False
    is_certain: bool = True

    @property
    def id(self) -> ExecutionName:
        return ExecutionName(PROJECT, DOMAIN, self.name)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.closure).hexdigest()


class PlaneProcess:
    """A control plane, from its start until it is killed."""

    def __init__(self, world: World) -> None:
        self._problems = world.problems
        self.death = asyncio.Event()
        self.database = InlineDatabase(world.link, self.kill)
        self.wakeups = LocalWakeups()
        settings = WorkSettings(lease=LEASE, storage_uri="file:///nowhere")
        self.work = WorkService(self.database, self.wakeups, settings)
        self.dispatcher = Dispatcher(self.work, self.wakeups)
        self.servicer = WorkerServicer(self.work, WorkStreams(self.work, self.dispatcher))
        self.executions = Executions(
            self.database,
            self.wakeups,
            Tenancy((DOMAIN,)),
            world,
            timedelta(minutes=1),
            self.dispatcher,
            Listening(asyncio.Event()),
            References(settings.storage_uri),
        )
        self.streams: list[Stream] = []
        self.sessions: dict[str, WorkerSession] = {}
        self._tasks = [
            asyncio.create_task(work)
            for work in (
                self.dispatcher.run(),
                expire_leases(self.work, LEASE / 4),
                wake_parked(self.work, self.wakeups, timedelta(minutes=1)),
            )
        ]
        self.waiting: dict[ExecutionKey, asyncio.Task[None]] = {}  # for ends
        self.seen: dict[ExecutionKey, int] = {}  # how far watchers have followed

    @property
    def is_alive(self) -> bool:
        return not self.database.is_dead

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.append(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A call that fails would else only be waited for in vain."""
        if not task.cancelled() and (problem := task.exception()):
            self._problems.append(f"a call failed: {problem!r}")

    def kill(self) -> None:
        """Nothing of it happens any more."""
        self.database.is_dead = True
        self.database.outcomes.set()
        self.death.set()
        for task in (*self._tasks, *(stream.task for stream in self.streams)):
            task.cancel()

    def expect_end(self, key: ExecutionKey) -> None:
        """Waits for an execution's end, and watches it, as callers do."""
        if key not in self.waiting:
            self.waiting[key] = self.spawn(self._end(key))
            self.spawn(self._follow(key))

    async def _follow(self, key: ExecutionKey) -> None:
        async with self.wakeups.watch_execution(key) as wakeup:
            while True:
                found = await self.database.read(lambda tx: tx.executions.by_key([key])[key])
                self.seen[key] = found.last_sequence
                await wakeup.wait()

    async def _end(self, key: ExecutionKey) -> None:
        async with self.wakeups.watch_end(key) as wakeup:
            while True:
                found = await self.database.read(lambda tx: tx.executions.by_key([key])[key])
                if found.phase in TERMINAL_EXECUTION_PHASES:
                    return
                await wakeup.wait()


class WorkerProcess:
    """A worker, from its start until it is killed."""

    def __init__(self, world: World, name: str, places: int, executions: int) -> None:
        self.world = world
        self.name = name
        self.sessions = 0
        self.drained: asyncio.Task[None] | None = None
        self.wire = Wire(lambda: world.plane)
        self.hands = Hands(world.judge_launch, places, world.cluster)
        self.taking = Taking(self.wire, NoBlobs(), world, adopts=self.hands.adopts)
        self.worker = Worker(
            WorkerSettings(name, self._session(), executions),
            self.hands,
            self.taking,
            LogShipper(NoBlobs(), self.taking.log_place),
            self.wire,
            world,
            self._session,
        )
        self.hands.observed = self.worker.observed
        self.wire.listener = self.worker

    def _session(self) -> str:
        self.sessions += 1
        self.world.serial += 1
        return f"{self.name}-{self.world.serial}"

    def described(self) -> str:
        """What it is about to do; its insides, since that is what a failure is about."""
        inner = self.worker
        lines = [
            f"{self.name}: runs {sorted(self.hands.running)}; {self.wire}; in flight: {inner._in_flight}"
        ]
        for walking in inner._walkings.values():
            walk = walking.walk
            lines.append(
                f"  {walking.execution}: token {walking.token}, report {walking.number}, live {walking.live},"
                f" fetching {walking.fetching}, ready {walk.ready}, outstanding {walk.outstanding},"
                f" news {walk.has_news}, timer {walk.next_timer}, queued {walking.queued},"
                f" sent {walking.sent is not None}, waiting for {list(walk._tree.wants.waiting)}"
            )
        return "\n".join([*lines, *map(str, self.taking._tasks)])

    def kill(self) -> None:
        """Its processes die with it; what it said is still on its way."""
        self.wire.listener = None
        if self.wire.stream is not None and self.wire.stream.is_heard:
            self.wire.forsaken.append(self.wire.stream)
        self.wire.stream = None
        self.hands.observed = lambda observations: None
        self.hands.running.clear()
        self.hands.launch = lambda order: None  # type: ignore[method-assign]  # it is dead
        self.closing = asyncio.ensure_future(self.taking.close())
        if self.drained is not None:
            self.drained.cancel()


@dataclass
class World:
    """Everything there is. As the `Clock` of the workers it also tells the time."""

    fresh: Virtual
    loop: Loop = field(default_factory=Loop)
    plane: PlaneProcess | None = None
    workers: dict[str, WorkerProcess] = field(default_factory=dict)
    executions: dict[str, Execution] = field(default_factory=dict)
    zombies: list[Stream] = field(default_factory=list)  # streams of workers that are gone
    told: Told = field(default_factory=Told)
    over: set[ExecutionKey] = field(default_factory=set)  # in which nothing may begin
    planes: list[PlaneProcess] = field(default_factory=list)  # the dead ones too
    problems: list[str] = field(default_factory=list)
    serial: int = 0
    cluster: Cluster | None = None  # where attempts outlive workers

    def __post_init__(self) -> None:
        self.link = self.fresh(self.now)
        project = ProjectRecord(PROJECT, "", "", {}, False, Micros(self.now()))
        change(self.link, lambda tx: tx.projects.insert(project))
        self.loop.set_exception_handler(self._unhandled)
        structlog.configure(
            processors=[self._logged],
            wrapper_class=structlog.make_filtering_bound_logger(40),
            cache_logger_on_first_use=False,
        )

    # --- time ---

    def now(self) -> int:
        return T0 + int(self.loop.time() * 1_000_000)

    def monotonic(self) -> float:
        return self.loop.time()

    def pass_time(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))
        self.loop.do(_nothing)

    def do(self, act: Callable[[], T]) -> T:
        """Does something inside the loop, and lets what follows at once happen."""
        return self.loop.do(act)

    # --- ids, as a port ---

    def uid(self) -> str:
        self.serial += 1
        return f"{self.serial:032}"

    def execution_name(self) -> str:
        return f"x{self.serial:019}"

    # --- what must not happen anywhere ---

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        problem = context.get("exception")
        if isinstance(problem, Refusal):
            return  # a stream that was refused: nobody but the worker need know
        self.problems.append(f"{context['message']}: {problem!r}")

    def _logged(self, logger: Any, method: str, entry: Any) -> Any:
        self.problems.append(f"{method}: {dict(entry)!r}")
        raise structlog.DropEvent

    def judge_launch(self, order: AttemptOrder) -> None:
        """What is launched is committed, and so is everything before it; its inputs are what they must be."""
        key, path = ExecutionKey(order.key.execution_key), order.key.path
        execution = self.execution(key)
        if key in self.over and not order.ending:
            self.problems.append(f"{path} of {execution.name} is launched though it was aborted")
        model = self.model(execution)
        paths = [path, *model.before.get(path, ())]
        rows = {row.path: row for row in look(self.link, lambda tx: tx.executions.nodes_by_path(key, paths))}
        problems = []
        if path not in rows or rows[path].attempt < order.key.attempt:
            problems.append(f"attempt {order.key} is launched and not committed")
        for before in model.before.get(path, ()):
            if before not in rows or rows[before].phase != pb.NODE_PHASE_SUCCEEDED:
                problems.append(f"{path} is launched before {before} has succeeded")
        if not order.ending and total(order.inputs) != model.inputs[path]:
            problems.append(f"{path} is given {total(order.inputs)} and not {model.inputs[path]}")
        self.problems += problems

    def model(self, execution: Execution) -> Model:
        """What must come of an execution, seen from how those ended of which chance decides."""
        model = Model(execution.fates, self._ended(execution))
        model.given = model.workflow(execution.graph, GIVEN)
        return model

    def _ended(self, execution: Execution) -> Callable[[str], int | None]:
        if execution.graph.certain or execution.key is None:
            return lambda path: None
        key = execution.key
        nodes = look(self.link, lambda tx: tx.executions.nodes(key, "", 10_000))
        phases = {node.path: node.phase for node in nodes if node.phase in TERMINAL_NODE_PHASES}
        return phases.get

    # --- processes ---

    def start_plane(self) -> None:
        self.plane = self.do(lambda: PlaneProcess(self))
        self.planes.append(self.plane)
        for execution in self.executions.values():
            if execution.key is not None:
                self.do(lambda key=execution.key: self.plane.expect_end(key))  # type: ignore[misc, union-attr]  # the default binds; a plane is there

    def lose_plane(self) -> None:
        """After its death, however it came about."""
        self.plane = None
        self.loop.do(_nothing)
        for worker in self.workers.values():
            self.do(worker.wire.break_off)
            worker.wire.forsaken.clear()
        self.zombies.clear()

    def start_worker(self, name: str, places: int, executions: int) -> None:
        """A new process; one of the same name may still be there."""
        self.serial += 1
        process = self.do(lambda: WorkerProcess(self, name, places, executions))
        self.workers[f"{name}#{self.serial}"] = process

    def worker(self, name: str) -> WorkerProcess:
        """The only one of that name."""
        (found,) = [worker for worker in self.workers.values() if worker.name == name]
        return found

    def kill_worker(self, name: str) -> None:
        worker = self.workers.pop(name)
        self.do(worker.kill)
        self.zombies += worker.wire.forsaken

    def drain(self, name: str) -> None:
        """A worker gives back what it holds, and leaves."""
        worker = self.workers[name]
        if worker.drained is None:

            async def drain() -> None:
                await worker.worker.drain(3.0)
                await worker.worker.leave()

            def begin() -> None:
                worker.drained = asyncio.ensure_future(drain())

            self.do(begin)

    def heal(self) -> None:
        """Everybody is there, everything arrives; who is draining is gone."""
        if self.plane is None:
            self.start_plane()
        assert self.plane is not None
        self.plane.database.fuse = None
        self.settle_old_streams()
        for name, worker in list(self.workers.items()):
            self.do(worker.wire.answers.set)
            later = list(self.workers).index(name) + 1
            # Two of the same name end each other's sessions, for as long as both live.
            is_old = any(other.name == worker.name for other in list(self.workers.values())[later:])
            if is_old or worker.drained is not None:
                self.kill_worker(name)
        self.settle_old_streams()
        if not self.workers:
            self.start_worker("anna", 2, 3)

    def is_aborting(self, execution: Execution) -> bool:
        record = self.record(execution)
        return record is not None and record.phase == pb.EXECUTION_PHASE_ABORTING

    def ended(self, execution: Execution) -> bool:
        record = self.record(execution)
        return record is None or record.phase in TERMINAL_EXECUTION_PHASES

    def described(self) -> str:
        """Where everything stands, for whoever reads of a failure."""
        lines = []
        for execution in self.executions.values():
            record = self.record(execution)
            if record is None or execution.key is None:
                continue
            key = execution.key
            head = look(self.link, lambda tx, key=key: tx.executions.heads([key])[key])  # type: ignore[misc]  # defaults bind
            nodes = look(self.link, lambda tx, key=key: tx.executions.nodes(key, "", 100))  # type: ignore[misc]  # defaults bind
            lines.append(f"{head}")
            lines += [f"  {node.path}: phase {node.phase}, attempt {node.attempt}" for node in nodes]
        lines += [worker.described() for worker in self.workers.values()]
        return "\n".join(lines)

    # --- executions ---

    def create(self, graph: Graph, seed: int) -> None:
        """A caller creates an execution; it learns of that if the control plane lives long enough."""
        plane = self.plane
        assert plane is not None, "somebody listens"
        closure = Translation().closure(graph).SerializeToString(deterministic=True)
        name = f"e{len(self.executions) + 1}"
        execution = Execution(name, graph, Fates(seed), closure)
        self.executions[name] = execution
        self._register(execution)
        self.do(lambda: plane.spawn(self._create(plane, execution)))

    def _register(self, execution: Execution) -> None:
        """As if its workflow had been compiled."""
        closure = WorkflowClosure.FromString(execution.closure)
        (template,) = [w.template for w in closure.workflows if w.template.id == closure.primary]
        name = EntityName(ENTITY_KIND_WORKFLOW, PROJECT, DOMAIN, execution.name)
        entity = EntityRecord(
            name,
            "1",
            execution.digest,
            template.SerializeToString(),
            execution.digest,
            "",
            Micros(self.now()),
        )
        change(self.link, lambda tx: tx.entities.insert([entity], {execution.digest: execution.closure}))

    async def _create(self, plane: PlaneProcess, execution: Execution) -> None:
        target = Identifier(
            kind=ENTITY_KIND_WORKFLOW, project=PROJECT, domain=DOMAIN, name=execution.name, version="1"
        )
        inputs = LiteralMap(literals={"x": integer(GIVEN)})
        record, _ = await plane.executions.create(
            ExecutionIntention(execution.id, target, "ada", inputs=inputs)
        )
        plane.expect_end(record.key)

    def abort(self, execution: Execution) -> None:
        plane = self.plane
        assert plane is not None, "somebody listens"
        execution.asked_to_abort = True

        async def act() -> None:
            await plane.executions.abort(execution.id, "enough", "ada", "")

        self.do(lambda: plane.spawn(act()))

    def record(self, execution: Execution) -> ExecutionRecord | None:
        """What is committed of it; nothing, where its creation is not."""
        found = look(self.link, lambda tx: tx.executions.get(execution.id))
        if found is not None:
            execution.key = found.key
        return found

    def execution(self, key: int) -> Execution:
        """The one of a key."""
        for execution in self.executions.values():
            if execution.key is None:
                self.record(execution)
            if execution.key == key:
                return execution
        raise KeyError(key)

    # --- messages ---

    def connect(self, worker: WorkerProcess) -> None:
        if self.plane is not None and worker.wire.stream is None:
            self.plane.streams.append(worker.wire.connect(self.told))

    def flow(self, rounds: int = 1_000) -> None:
        """Messages arrive until there are none, or for so many rounds."""
        self.loop.do(_nothing)
        connected: set[WorkerProcess] = set()
        for _ in range(rounds):
            if not self.do(lambda: self._carry(connected)):
                return

    def _carry(self, connected: set[WorkerProcess]) -> bool:
        """One message each way; who has no stream opens one, but not again and again in no time."""
        moved = False
        for worker in list(self.workers.values()):
            wire = worker.wire
            wire.notice()
            if wire.stream is None and worker.drained is None and worker not in connected:
                connected.add(worker)
                self.connect(worker)
            stream = wire.stream
            if stream is None:
                continue
            if stream.up and stream.is_heard:
                stream.arrive()
                moved = True
            if stream.down:
                wire.hear()
                moved = True
            wire.notice()
        return moved

    def settle_old_streams(self) -> None:
        """What was said on streams that are over arrives, or not, and their ends are noticed."""
        for stream in (*self.zombies, *(old for w in self.workers.values() for old in w.wire.forsaken)):
            self.do(stream.end)
        self.zombies.clear()
        for worker in self.workers.values():
            worker.wire.forsaken.clear()

    # --- attempts ---

    def outcome(self, order: AttemptOrder) -> Observation:
        """How an attempt ends, by its fate and by what is committed of it."""
        key = ExecutionKey(order.key.execution_key)
        execution = self.execution(key)
        node = look(self.link, lambda tx: tx.executions.node(key, order.key.path))
        assert node is not None, "it was launched"
        model = Model(execution.fates)
        model.workflow(execution.graph, GIVEN)
        fate, now = model.fate(order.key.path), self.now()
        if fate in (FATAL, STUBBORN) or (fate == FLAKY and node.user_failures < 2):
            failure = Failure(kind=FAILURE_KIND_USER, code="ValueError", recoverable=fate != FATAL)
            return Failed(order.key, now, now, failure)
        if fate == CLUMSY and node.infrastructure_failures < 2:
            failure = Failure(kind=FAILURE_KIND_SYSTEM, code="ProcessLost", recoverable=True)
            return Failed(order.key, now, now, failure, infrastructure=True)
        return Succeeded(order.key, now, now, {"o0": encoded(total(order.inputs) + 1)})

    def end_attempts(self, worker: WorkerProcess, keys: Sequence[AttemptKey]) -> None:
        hands = worker.hands
        observations = [
            Cancelled(key, None, self.now()) if key in hands.cancelled else self.outcome(hands.running[key])
            for key in keys
        ]
        if self.cluster is not None:
            observations = [self.cluster.end(observation) for observation in observations]
        self.do(lambda: hands.say(observations))

    def close(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(_gone(self.loop))
        self.loop.close()
        structlog.reset_defaults()


async def _gone(loop: Loop) -> None:
    others = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
