"""Principals: who calls, and what each role may do to what.

A principal comes out of a verified token or certificate. Its role says what kinds of calls it may make
(which call needs what is a table at the edge); its projects, where there are any, say in which projects.
An attempt's token makes a principal too: one that may read its own execution and carry its data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from volery_controlplane.domain.errors import Denied
from volery_controlplane.domain.records import ExecutionName
from volery_controlplane.domain.references import EXECUTIONS, LOGS, UPLOADS, execution_objects


class Role(StrEnum):
    """What a principal is."""

    VIEWER = "viewer"
    USER = "user"
    WORKER = "worker"
    ADMINISTRATOR = "administrator"
    ATTEMPT = "attempt"


GRANTABLE = (Role.VIEWER, Role.USER, Role.WORKER, Role.ADMINISTRATOR)
"""Roles that a token or certificate can be given; an attempt's comes from running."""

LIMITABLE = frozenset({Role.VIEWER, Role.USER})
"""Roles that can be limited to projects; the others act for all."""

READERS = frozenset({Role.VIEWER, Role.USER, Role.ADMINISTRATOR})
WRITERS = frozenset({Role.USER, Role.ADMINISTRATOR})
WORKERS = frozenset({Role.WORKER, Role.ADMINISTRATOR})
ADMINISTRATORS = frozenset({Role.ADMINISTRATOR})
ANYBODY = frozenset(Role)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls.

    Attributes:
        name: for the records.
        role: what it is.
        projects: the projects it is limited to; empty means all.
        execution: an attempt's own execution.
        path: an attempt's own node.
        place: where an attempt puts what it makes, below the root of the object store.
    """

    name: str
    role: Role
    projects: frozenset[str] = frozenset()
    execution: ExecutionName | None = None
    path: str = ""
    place: str = ""

    def require_role(self, allowed: frozenset[Role], what: str) -> None:
        """Raises Denied unless the role is one of those allowed."""
        if self.role not in allowed:
            roles = " or ".join(role for role in Role if role in allowed and role in GRANTABLE)
            raise Denied(
                f"{self.name} is {_a(self.role)} and may not call {what}; that takes the role {roles}",
                self._facts(method=what),
            )

    def require_project(self, project: str) -> None:
        """Raises Denied unless it may act in a project."""
        if self.projects and project not in self.projects:
            mine = ", ".join(sorted(self.projects))
            raise Denied(
                f"{self.name} is limited to the projects {mine}; ask for a token that includes {project!r}",
                self._facts(project=project),
            )

    def require_own(self, execution: ExecutionName, path: str | None = None) -> None:
        """Raises Denied unless an attempt asks about its own execution, and node where one is named."""
        if execution != self.execution or (path is not None and path != self.path):
            raise Denied(
                f"{self.name} may read its own execution and node only; a task that needs more brings a token"
                " of its own",
                self._facts(),
            )

    def sees_project(self, project: str) -> bool:
        """Whether a project is one it may know of."""
        return not self.projects or project in self.projects

    def may_read(self, place: str) -> bool:
        """Whether it may read content of the object store by its place below the root.

        What was uploaded lies under its hash, and who knows the hash may read it.
        """
        if not self.projects and self.execution is None:
            return True
        match place.split("/"):
            case ["blobs", *_]:
                return True
            case ["executions", project, domain, name, *_]:
                if self.execution is not None:
                    return ExecutionName(project, domain, name) == self.execution
                return project in self.projects
        return False

    def may_write(self, place: str) -> bool:
        """Whether it may put content at a place below the root of the object store.

        An attempt puts what it makes below a place of its own. Users upload under the content's hash, which
        is verified; so do workers, who also put what attempts made, wrote and are given.
        """
        top, _, rest = place.partition("/")
        if self.role is Role.ATTEMPT:
            return bool(self.place) and place.startswith(f"{self.place}/")
        if top == UPLOADS:
            return self.role in WRITERS | WORKERS
        return bool(rest) and top in (EXECUTIONS, LOGS) and self.role in WORKERS

    def _facts(self, **more: str) -> Mapping[str, str]:
        return {"principal": self.name, "role": str(self.role), **more}


ANONYMOUS = Principal("anonymous", Role.ADMINISTRATOR)
"""Everybody, where callers are not asked who they are."""


def attempt_principal(execution: ExecutionName, path: str, attempt: int, uid: str) -> Principal:
    """Who an attempt is."""
    name = f"attempt:{execution.project}/{execution.domain}/{execution.name}/{path}#{attempt}"
    objects = execution_objects(execution.project, execution.domain, execution.name, uid)
    place = f"{objects}/{path}/{attempt}"
    return Principal(name, Role.ATTEMPT, execution=execution, path=path, place=place)


def _a(role: Role) -> str:
    return f"{'an' if role[0] == 'a' else 'a'} {role}"
