"""The ports of the data plane: what the worker needs from the outside.

A `Launcher` runs attempts. It is told what to start and what to cancel, never blocks, and answers
with observations through the callback it was built with; the worker folds those into its walks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, NamedTuple, Protocol

from voleryidl.core.v1.closure_pb2 import WorkflowClosure
from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions
from voleryidl.core.v1.reason_pb2 import WaitingReason
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.worker.v1.worker_service_pb2 import (
    AttemptName,
    GetValuesResponse,
    ValueRef,
    Welcome,
    WorkRequest,
)

from volery_dataplane.domain.runs import NOT_LAUNCHED, Launched


class AttemptKey(NamedTuple):
    """Names one attempt for as long as the worker lives."""

    execution_key: int
    path: str
    attempt: int
    fencing_token: int


@dataclass(frozen=True, slots=True)
class AttemptOrder:
    """Everything a launcher needs to run one attempt.

    Attributes:
        key: names the attempt.
        task: what to run; the same object for every attempt of a task, so that launchers can keep
            what they derive from it.
        inputs: a serialised LiteralMap.
        execution: `project/domain/name`, for the task's context and log lines.
        project_domain: `project/domain`; processes are never shared across it.
        environment: variables of the execution, laid over the task's.
        storage_prefix: a URI of a prefix that belongs to this attempt alone.
        inline_limit: outputs of more bytes than this are put below the prefix.
        access: how the attempt reaches its servers, each a line: the control plane's address, the file of
            authorities by which servers are known, a token, the data server's URL; lines may be empty. ""
            where it reaches none.
        running_timeout: seconds of running after which the launcher ends the attempt; None for never.
        queued_timeout: seconds of waiting for a place after which it ends it; None for never.
        traceparent: the W3C trace context of the attempt; empty when it is not traced.
        uid: the execution's.
        options: the execution's; the same object for all of its attempts.
        data_server: where the attempt reads and writes large values over HTTP; "" where it cannot.
        ending: nothing is to be started: what there is of the attempt is ended, and answered by Cancelled
            or by what it ended with before. Only for launchers that adopt.
        infrastructure_failures: how many earlier attempts failed by the infrastructure's fault.
    """

    key: AttemptKey
    task: TaskTemplate
    inputs: bytes
    execution: str
    project_domain: str
    environment: Mapping[str, str]
    storage_prefix: str
    inline_limit: int
    access: str = field(default="", repr=False)
    running_timeout: float | None = None
    queued_timeout: float | None = None
    traceparent: str = ""
    uid: str = ""
    options: ExecutionOptions = field(default_factory=ExecutionOptions)
    data_server: str = ""
    ending: bool = False
    infrastructure_failures: int = 0


class Stream(IntEnum):
    """The streams of an attempt; numbers as in LogStream."""

    STDOUT = 1
    STDERR = 2
    PLATFORM = 3


@dataclass(frozen=True, slots=True)
class LogPiece:
    """A piece of what an attempt wrote: bytes, or a file that holds the whole stream.

    With a `path`, `size` is the file's, the pieces before are part of it, and whoever receives the piece
    owns the file and removes it.
    """

    key: AttemptKey
    stream: Stream
    offset: int
    data: bytes
    path: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """An attempt was launched and does not run yet, for this reason; none and no message: that is over."""

    key: AttemptKey
    reason: WaitingReason
    message: str
    is_end: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Started:
    """User code of an attempt runs since `time` (microseconds since the epoch)."""

    key: AttemptKey
    time: int
    launched: Launched = NOT_LAUNCHED
    is_end: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Succeeded:
    """An attempt ended well. `outputs` maps names to serialised Literals."""

    key: AttemptKey
    start_time: int
    end_time: int
    outputs: Mapping[str, bytes]
    launched: Launched = NOT_LAUNCHED
    is_end: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt did not end well. An infrastructure failure is not the task's fault."""

    key: AttemptKey
    start_time: int | None
    end_time: int
    failure: Failure
    infrastructure: bool = False
    launched: Launched = NOT_LAUNCHED
    is_end: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Cancelled:
    """An attempt that was to be cancelled is gone."""

    key: AttemptKey
    start_time: int | None
    end_time: int
    is_end: ClassVar[bool] = True


Observation = Waiting | Started | Succeeded | Failed | Cancelled


@dataclass(frozen=True, slots=True)
class LauncherEvents:
    """Where a launcher puts what it sees. Called on the event loop; must not block.

    `observed` gets everything seen in one turn of the loop together.
    """

    observed: Callable[[Sequence[Observation]], None]
    logged: Callable[[Sequence[LogPiece]], None] = field(default=lambda pieces: None)


@dataclass(frozen=True, slots=True)
class Load:
    """What a launcher is busy with.

    Attributes:
        busy: slots that run an attempt.
        waiting: attempts that wait for a slot.
        processes: task processes that live.
        forked: processes that were forked since the start.
        spawned: processes that were started afresh since then.
    """

    busy: int = 0
    waiting: int = 0
    processes: int = 0
    forked: int = 0
    spawned: int = 0


class Launcher(Protocol):
    """A way to run attempts. All calls are on the event loop.

    One suite holds for all of them (`tests/support/launching`). They may differ in what `adopts` says, and in
    how closely they look:

    - an attempt that ends soon need not be Started before, and one whose times a cluster tells is Started by
      the second, while its end tells the attempt's own clock;
    - one that cannot tell an attempt's streams apart gives all as STDOUT, the platform's words on it too;
    - failures have the same kind and are repeated or not alike; their codes are the same but where there is
      a word of the cluster's own, as for a secret that is not there.
    """

    @property
    def adopts(self) -> bool:
        """Whether what it has launched outlives the worker.

        Then an attempt of an earlier holder is launched again under the same number, and found where it
        runs, instead of being counted lost; `settled` has a meaning; and the rest of an attempt's output may
        come after its end, until it is settled.
        """

    @property
    def capacity(self) -> int:
        """How many attempts may be ordered and not yet ended; more would only wait. It may change."""

    def load(self) -> Load:
        """What it is busy with. May be called on any thread."""

    async def start(self) -> None:
        """Makes it ready."""

    def welcomed(self, welcome: Welcome) -> None:
        """What the control plane says of the installation: before any order, and at each reconnection."""

    def launch(self, order: AttemptOrder) -> None:
        """Starts an attempt, or queues it for a place. A repeat of a key is a no-op.

        After `stop` it is answered by Cancelled, or by one that adopts left to the next holder.
        """

    def cancel(self, keys: Sequence[AttemptKey]) -> None:
        """Ends attempts; each is answered by Cancelled, or by what it ended with before."""

    def let_go(self, keys: Sequence[AttemptKey]) -> None:
        """Attempts are somebody else's now. One that adopts leaves them alone; any other cancels them."""

    def settled(self, keys: Sequence[AttemptKey]) -> None:
        """The results of these attempts are committed: what was kept of them can go."""

    async def stop(self, grace: float) -> None:
        """Ends everything that still runs after `grace` seconds, and all processes, and returns.

        One that adopts leaves running what runs.
        """


class Unreachable(Exception):
    """The other side is away, or busy; asking again later may help.

    Attributes:
        after: seconds after which the other side would like to be asked again; 0 where it said nothing.
    """

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class BundleRefused(Exception):
    """A code bundle must not be used: it is damaged, not safe to unpack, or too large."""


class Unanswered(Exception):
    """The other side is there, and cannot answer; asking again seldom helps."""


class ControlPlane(Protocol):
    """What a worker says and reads.

    Reads raise Unreachable when asking again may help, Unanswered when it seldom does, and LookupError when
    what is asked for does not exist or is not the worker's to read.
    """

    def send(self, message: WorkRequest) -> None:
        """Puts a message on the stream, after those put before; lost if the stream breaks first."""

    def restart(self) -> None:
        """Ends the stream; the next one begins with a new Hello."""

    async def closure(self, digest: str) -> WorkflowClosure:
        """A closure by digest."""

    async def values(
        self, execution_key: int, fencing_token: int, refs: Sequence[ValueRef]
    ) -> Sequence[GetValuesResponse]:
        """Values of an execution that the worker holds, as they came."""


class Registrar(Protocol):
    """Who knows which attempts there are, of any execution."""

    async def live_attempts(self, names: Sequence[AttemptName]) -> Sequence[bool]:
        """Which of some attempts, at most 1,000, have begun and not ended, in their order.

        Raises Unreachable or Unanswered.
        """


class Blobs(Protocol):
    """The object store, as a worker needs it."""

    async def get(self, uri: str) -> bytes:
        """The content at a URI; raises Unreachable or LookupError."""

    async def put(self, uri: str, data: bytes) -> None:
        """Puts content at a URI, all of it or nothing; raises as `get`."""

    async def put_file(self, path: str, uri: str) -> None:
        """Puts a file's content at a URI; the file may be gone afterwards; raises as `get`."""


class Clock(Protocol):
    """Time, for those who act on it."""

    def now(self) -> int:
        """Microseconds since the epoch, for records."""

    def monotonic(self) -> float:
        """Seconds, never going back, for leases and timers."""
