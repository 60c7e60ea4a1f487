"""Errors: everything that Volery raises in a user's program, as one tree.

    VoleryError
    ├── DeclarationError          a task or workflow cannot be declared like this; says where
    │   ├── UnsupportedTypeError      an annotation that cannot travel between tasks
    │   ├── TypeMismatchError         a value or promise of another type than declared
    │   ├── PromiseError              a promise used as if it were a value
    │   └── OptionError               an option that makes no sense
    ├── TaskError                 an attempt cannot go on, though the user's code raised nothing
    │   ├── CodeNotLoadable           the task's module or function cannot be imported
    │   ├── InputInvalid              an input is not what the task declares
    │   ├── OutputInvalid             the task returned something else than it declares
    │   └── OutputMissing             the task returned less than it declares
    ├── StorageError              something cannot be put into, or read from, the object store
    ├── ConfigurationError        a setting is missing or makes no sense
    ├── BundleError               the user's source cannot be packed
    ├── EngineError               the embedded engine did not start, or went away
    ├── ExecutionError            an execution did not end well; `failure` says why
    │   ├── ExecutionFailedError
    │   ├── ExecutionAbortedError
    │   └── ExecutionTimedOutError
    ├── WaitTimeoutError          an execution goes on, but the time given to wait is over
    └── RpcError                  the server said no: `code`, `reason`, `metadata`, `violations`
        ├── InvalidError              malformed; every complaint is listed
        │   └── CompilationError          a package does not compile
        ├── NotFoundError
        ├── AlreadyExistsError        the name is taken by something else
        │   ├── VersionConflictError      a version is registered with other content
        │   └── RequestIdReusedError
        ├── WrongPhaseError           not in the phase it is in
        │   └── ProjectArchivedError
        ├── StaleError                somebody else was faster; read again
        ├── BusyError                 goes away when tried again
        ├── GoneError                 what was asked for is no longer kept
        ├── TooLargeError             a size limit or quota was exceeded
        ├── OverloadedError           too many requests at a time
        ├── UnauthenticatedError
        ├── DeniedError
        ├── UnavailableError          the server cannot be reached, or is shutting down
        ├── DeadlineError             no answer in time
        ├── UnimplementedError        the server does not offer this
        └── ServerError               something is wrong with the server

`NonRecoverable` stands apart: users raise it. What the server refuses is an `RpcError`. What went wrong
while running is an `ExecutionError`: the request was fine, the work was not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from volery.executions import Execution, Failure


class VoleryError(Exception):
    """The root of everything that Volery raises."""


class DeclarationError(VoleryError):
    """A task, workflow or launch plan cannot be declared like this.

    Attributes:
        file: the user's file; empty where there is none.
        line: the line in it.
        problem: what is wrong.
        hint: what to write instead, or "".
    """

    def __init__(self, problem: str, *, file: str = "", line: int = 0, hint: str = "") -> None:
        place = f"{file}:{line}: " if file else ""
        super().__init__(f"{place}{problem}" + (f"\n  {hint}" if hint else ""))
        self.file = file
        self.line = line
        self.problem = problem
        self.hint = hint


class UnsupportedTypeError(DeclarationError):
    """An annotation that cannot travel between tasks."""


class TypeMismatchError(DeclarationError):
    """A value or promise of another type than declared."""


class PromiseError(DeclarationError):
    """A promise used as if it were a value."""


class OptionError(DeclarationError):
    """An option that makes no sense."""


class NonRecoverable(Exception):
    """Raised by a task: the attempt failed, and another one would not help."""

    volery_recoverable: ClassVar[bool] = False


class TaskError(VoleryError):
    """An attempt cannot go on, though the user's code raised nothing. Another one would not help."""

    volery_recoverable: ClassVar[bool] = False


class CodeNotLoadable(TaskError):
    """The task's module or function cannot be imported."""


class InputInvalid(TaskError):
    """An input is not what the task declares."""


class OutputInvalid(TaskError):
    """The task returned something else than it declares."""


class OutputMissing(TaskError):
    """The task returned less than it declares."""


class StorageError(VoleryError):
    """Something cannot be put into, or read from, the object store."""


class ConfigurationError(VoleryError):
    """A setting is missing or makes no sense."""


class BundleError(VoleryError):
    """The user's source cannot be packed."""


class EngineError(VoleryError):
    """The embedded engine did not start, or went away."""


class ExecutionError(VoleryError):
    """An execution did not end well.

    Attributes:
        execution: the execution as it ended.
    """

    def __init__(self, message: str, execution: Execution) -> None:
        super().__init__(message)
        self.execution = execution

    @property
    def failure(self) -> Failure | None:
        """Why it did not end well; None where nobody knows."""
        return self.execution.failure


class ExecutionFailedError(ExecutionError):
    """An execution failed."""


class ExecutionAbortedError(ExecutionError):
    """Somebody asked for the end of an execution."""


class ExecutionTimedOutError(ExecutionError):
    """An execution took longer than it may."""


class WaitTimeoutError(VoleryError):
    """An execution goes on, but the time given to wait is over.

    Attributes:
        execution: the execution as it stands.
    """

    def __init__(self, message: str, execution: Execution) -> None:
        super().__init__(message)
        self.execution = execution


@dataclass(frozen=True, slots=True)
class Violation:
    """One complaint about a request.

    Attributes:
        field: the path of the field, for example `workflows[0].nodes[2].inputs[x]`.
        message: what is wrong.
        code: a stable name, for example `MISMATCHING_TYPES`.
        node: the id of the workflow node concerned, or "".
        hint: what to do about it, or "".
    """

    field: str
    message: str
    code: str = ""
    node: str = ""
    hint: str = ""

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.field}: {self.message}{hint}" if self.field else f"{self.message}{hint}"


class RpcError(VoleryError):
    """The server said no.

    Attributes:
        message: what it said, for people.
        code: the gRPC status, for example `NOT_FOUND`.
        reason: the stable name of the refusal, for example `VERSION_CONFLICT`; "" where none came.
        metadata: facts about the refusal by name.
        violations: every complaint about the request.
        retry_after: seconds after which the server would like another try; None where it said nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "UNKNOWN",
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.metadata: Mapping[str, str] = MappingProxyType(dict(metadata or {}))
        self.violations = tuple(violations)
        self.retry_after = retry_after

    def __str__(self) -> str:
        lines = [self.message]
        lines += [f"  - {violation}" for violation in self.violations]
        return "\n".join(lines)


class InvalidError(RpcError):
    """A request is malformed; every complaint is listed."""


class CompilationError(InvalidError):
    """A package does not compile; every complaint is listed with its place."""


class NotFoundError(RpcError):
    """The thing named does not exist."""


class AlreadyExistsError(RpcError):
    """The name is taken by something else."""


class VersionConflictError(AlreadyExistsError):
    """A version is registered with other content; the message shows the difference."""


class RequestIdReusedError(AlreadyExistsError):
    """A request id was used for another intention."""


class WrongPhaseError(RpcError):
    """The thing is in a phase that does not allow this."""


class ProjectArchivedError(WrongPhaseError):
    """The project takes nothing new."""


class StaleError(RpcError):
    """Somebody else was faster; read again."""


class BusyError(RpcError):
    """A conflict that goes away when tried again; it was tried again, for as long as allowed."""


class GoneError(RpcError):
    """What was asked for is no longer kept."""


class TooLargeError(RpcError):
    """A size limit or quota was exceeded."""


class OverloadedError(RpcError):
    """Too many requests at a time."""


class UnauthenticatedError(RpcError):
    """No caller identity, or a bad one."""


class DeniedError(RpcError):
    """The caller may not do this."""


class UnavailableError(RpcError):
    """The server cannot be reached, or is shutting down."""


class DeadlineError(RpcError):
    """No answer in time."""


class UnimplementedError(RpcError):
    """The server does not offer this."""


class ServerError(RpcError):
    """Something is wrong with the server; the message carries an id to report."""


BY_REASON: Mapping[str, type[RpcError]] = MappingProxyType(
    {
        "INVALID_ARGUMENT": InvalidError,
        "COMPILATION_FAILED": CompilationError,
        "NOT_FOUND": NotFoundError,
        "ALREADY_EXISTS": AlreadyExistsError,
        "VERSION_CONFLICT": VersionConflictError,
        "WRONG_PHASE": WrongPhaseError,
        "STALE": StaleError,
        "BUSY": BusyError,
        "GONE": GoneError,
        "TOO_LARGE": TooLargeError,
        "OVERLOADED": OverloadedError,
        "UNAVAILABLE": UnavailableError,
        "UNAUTHENTICATED": UnauthenticatedError,
        "PERMISSION_DENIED": DeniedError,
        "INTERNAL": ServerError,
        "DEADLINE_EXCEEDED": DeadlineError,
        "REQUEST_ID_REUSED": RequestIdReusedError,
        "PROJECT_ARCHIVED": ProjectArchivedError,
        "UNIMPLEMENTED": UnimplementedError,
    }
)
"""Every reason of the contract and what it becomes here; a test holds the two equal."""

BY_CODE: Mapping[str, type[RpcError]] = MappingProxyType(
    {
        "INVALID_ARGUMENT": InvalidError,
        "NOT_FOUND": NotFoundError,
        "ALREADY_EXISTS": AlreadyExistsError,
        "FAILED_PRECONDITION": WrongPhaseError,
        "ABORTED": StaleError,
        "OUT_OF_RANGE": GoneError,
        "RESOURCE_EXHAUSTED": OverloadedError,
        "UNAVAILABLE": UnavailableError,
        "UNAUTHENTICATED": UnauthenticatedError,
        "PERMISSION_DENIED": DeniedError,
        "DEADLINE_EXCEEDED": DeadlineError,
        "UNIMPLEMENTED": UnimplementedError,
        "INTERNAL": ServerError,
        "UNKNOWN": ServerError,
        "DATA_LOSS": ServerError,
    }
)
"""What a bare status becomes, for refusals that come from something other than our server."""
