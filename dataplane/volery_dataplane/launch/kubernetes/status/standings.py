"""Standings: how the pod of an attempt stands, as its launcher acts on it. Times are microseconds."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_SYSTEM, Failure
from voleryidl.core.v1.literals_pb2 import LiteralMap
from voleryidl.core.v1.reason_pb2 import WaitingReason
from voleryidl.worker.v1.verdict_pb2 import AttemptVerdict

SCHEDULER = "scheduler"
PREPARING = "preparing"
"""What every pod waits for, one after the other."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """User code does not run yet.

    Attributes:
        reason: for programs.
        message: for people: what it waits for, and whose words say so.
        since: since when it waits for this.
        initializing: whether the pod has its node, and is being made there.
        until: when to look again though nothing has changed, since patience ends; None for never.
        trouble: names what it waits for, so that `since` outlives changes of words.
    """

    reason: WaitingReason
    message: str
    since: int
    initializing: bool
    until: int | None = None
    trouble: str = ""

    @property
    def is_ordinary(self) -> bool:
        """Whether every pod waits for this, so that it is worth telling only where it takes long."""
        return self.trouble in (SCHEDULER, PREPARING)


@dataclass(frozen=True, slots=True)
class Running:
    """User code runs since `start`."""

    start: int


@dataclass(frozen=True, slots=True)
class Lingering:
    """User code has ended, and its outputs come once everything else in the pod is told to end.

    A container task's sidecar is told so by the cluster when all other containers have ended. Where more
    containers than the user's are in the pod, somebody has to end those: delete the pod, gracefully.
    """

    start: int | None
    end: int


@dataclass(frozen=True, slots=True)
class Leaving:
    """Somebody has deleted the pod, and its containers may run still.

    Attributes:
        start: when user code began; None where it had not.
        until: when to look again though nothing has changed: then its node is given up.
        end: when user code ended, where that was before the pod was deleted; None where it was not.
    """

    start: int | None
    until: int
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing of it runs, or nothing that counts.

    Attributes:
        start: when user code began; None where it did not, or nobody knows.
        end: when it was over.
        failure: what became of the attempt where there is no verdict.
        infrastructure: whether the infrastructure is to blame for `failure`.
        message: where a verdict of this attempt may stand: a container's termination message.
        overrules: `failure` counts more than a verdict that says the attempt succeeded, or only what became
            of its files.
    """

    start: int | None
    end: int
    failure: Failure
    infrastructure: bool
    message: str = ""
    overrules: bool = False


_OF_FILES = frozenset({"OutputMissing", "OutputInvalid", "OutputsNotStored"})

Standing = Waiting | Running | Lingering | Leaving | Ended


@dataclass(frozen=True, slots=True)
class Result:
    """What an attempt came to.

    Attributes:
        start: when user code began; None where it did not.
        end: when it was over.
        code: when the task's code was loaded; 0 is not known.
        outputs: what it gave; None where it failed.
        failure: why it failed; None where it did not.
        infrastructure: whether the infrastructure is to blame.
    """

    start: int | None
    end: int
    code: int = 0
    outputs: LiteralMap | None = None
    failure: Failure | None = None
    infrastructure: bool = False


def result(ended: Ended, verdict: AttemptVerdict | None) -> Result:
    """Joins how a pod ended with the verdict that was found where it said, if one was."""
    if verdict is None or (ended.overrules and _is_about_files(verdict)):
        return Result(ended.start, ended.end, failure=ended.failure, infrastructure=ended.infrastructure)
    start = _micros(verdict.start_time) or ended.start
    end = _micros(verdict.end_time) or ended.end
    code = _micros(verdict.code_time)
    if verdict.WhichOneof("verdict") == "failure":
        failure = verdict.failure
        blamed = failure.kind == FAILURE_KIND_SYSTEM
        return Result(start, end, code, failure=failure, infrastructure=blamed)
    return Result(start, end, code, outputs=verdict.outputs)


def _micros(time: Timestamp) -> int:
    """A time that a program in a pod wrote, which may write anything; 0 where it is none."""
    try:
        return max(0, time.ToMicroseconds())
    except ValueError:
        return 0


def _is_about_files(verdict: AttemptVerdict) -> bool:
    """Whether a verdict says what there is of a program's outputs, and nothing of how the program ended."""
    return verdict.WhichOneof("verdict") == "outputs" or verdict.failure.code in _OF_FILES
