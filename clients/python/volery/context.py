"""This module tells a running task where it runs."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from volery._secrets import Secrets
    from volery.remote import Remote
    from volery.resources import Secret


@dataclass(frozen=True, slots=True)
class TaskContext:
    """Where a task runs.

    Attributes:
        execution: `project/domain/name` of the execution; empty in a plain Python call.
        path: the node's path in it.
        attempt: counts from 1.
        storage_prefix: a URI of a prefix that belongs to this attempt alone.
        inline_limit: outputs of more bytes than this are put below the prefix.
        working_dir: a directory of this attempt alone, empty at the start.
        traceparent: the W3C trace context of this attempt, to be passed on to services that are called;
            empty when it is not traced.
        access: how the attempt reaches its servers, each a line: the server's address, the file of
            authorities by which servers are known, a token, the data server's URL; lines may be empty, the
            last one may be missing. Empty where there are none. Holds a token, and is not said by `repr`.
    """

    execution: str = ""
    path: str = ""
    attempt: int = 1
    storage_prefix: str = ""
    inline_limit: int = 16384
    working_dir: str = ""
    traceparent: str = ""
    access: str = field(default="", repr=False)

    @property
    def is_local(self) -> bool:
        """Whether this is a plain Python call, outside any execution."""
        return not self.execution

    @property
    def idempotency_key(self) -> str:
        """Names the node for services that are called: the same in every attempt."""
        return f"{self.execution}/{self.path}"

    @property
    def secrets(self) -> Secrets:
        """The secrets that the task asked for: `current_context().secrets.get("database", "password")`."""
        from volery._secrets import Secrets

        return Secrets(_requested.get(), is_local=self.is_local)

    @property
    def directory(self) -> Path:
        """The working directory as a path."""
        return Path(self.working_dir or ".")

    def remote(self) -> Remote:
        """The server that this attempt runs for, opened with a token of this attempt alone.

        It reads this execution, this node and its data, and uploads data; everything else is refused, and
        everything once the attempt is over. Close it, or use it as a context manager.

        Raises:
            ConfigurationError: in a plain Python call, and where the server has not said how it is reached.
        """
        from volery.credentials import Credentials
        from volery.errors import ConfigurationError
        from volery.remote import Remote

        server, _, rest = self.access.partition("\n")
        if not server:
            raise ConfigurationError(
                "a plain Python call has no server"
                if self.is_local
                else "the server has not said where its tasks reach it; its option --public-address does"
            )
        tls_ca, token = rest.split("\n")[:2]
        project, domain, _ = self.execution.split("/")
        shown = Credentials(token=token, tls_ca=tls_ca)
        return Remote(server, project=project, domain=domain, credentials=shown)


_LOCAL: Final = TaskContext()
_requested: ContextVar[tuple[Secret, ...]] = ContextVar("volery_requested_secrets", default=())
_current: ContextVar[TaskContext] = ContextVar("volery_task_context", default=_LOCAL)


def current_context() -> TaskContext:
    """Where the calling task runs; a local context in a plain Python call."""
    return _current.get()
