"""Catalog: the part of `Remote` that reads and manages what is registered, and projects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from volery._idl.voleryidl.core import v1 as core
from volery._idl.voleryidl.project import v1 as projects
from volery._idl.voleryidl.registry import v1 as registry
from volery._loop_thread import LoopThread
from volery.client import Client, new_request_id
from volery.config import Config
from volery.entities import (
    KINDS,
    Activation,
    EntityFacts,
    EntityLine,
    ProjectLine,
    activation_from_wire,
    launch_plan_from_wire,
    line_from_wire,
    project_from_wire,
    task_from_wire,
    workflow_from_wire,
)
from volery.errors import NotFoundError

T = TypeVar("T")

LARGEST_PAGE = 1000


class Catalog:
    """What is registered on a server, in one project and domain."""

    config: Config
    _loop: LoopThread

    @property
    def client(self) -> Client:
        """The asynchronous client."""
        raise NotImplementedError

    def entities(
        self,
        kind: str,
        *,
        name: str = "",
        newest_only: bool = False,
        filter: str = "",
        order_by: str = "",
        limit: int | None = None,
    ) -> Iterator[EntityLine]:
        """Versions of `task`s, `workflow`s or `launch_plan`s, newest first unless ordered otherwise."""

        def page(size: int, token: str) -> tuple[Sequence[registry.EntitySummary], str]:
            request = registry.ListEntitiesRequest(
                kind=KINDS[kind],
                project=self.config.project,
                domain=self.config.domain,
                name=name,
                newest_only=newest_only,
                page_size=size,
                page_token=token,
                filter=filter,
                order_by=order_by,
            )
            answer = self._loop.call(self.client.list_entities(request))
            return answer.entities, answer.next_page_token

        return (line_from_wire(kind, each) for each in paged(page, limit))

    def entity(self, name: str, *, version: str = "", kind: str = "") -> EntityFacts:
        """One version of an entity by its name.

        Args:
            name: its registered name.
            version: empty means the active one of a launch plan, the newest of anything else.
            kind: `task`, `workflow` or `launch_plan`. By default an active launch plan is preferred to a
                workflow, that to a task, and that to a launch plan that is not active.
        """
        if kind:
            return self._facts(kind, name, version)
        inactive: EntityFacts | None = None
        for each in ("launch_plan", "workflow", "task"):
            try:
                facts = self._facts(each, name, version)
            except NotFoundError:
                continue
            if each == "launch_plan" and not facts.active and not version:
                inactive = facts
            else:
                return facts
        if inactive is not None:
            return inactive
        told = f"{name}:{version}" if version else name
        message = (
            f"there is no launch plan, workflow or task {told} in {self.config.project}/{self.config.domain}"
        )
        raise NotFoundError(message, code="NOT_FOUND", reason="NOT_FOUND")

    def activate(self, name: str, version: str) -> Activation:
        """Make a version of a launch plan the active one; an older one rolls back."""
        request = registry.ActivateLaunchPlanRequest(
            id=self._identifier(core.EntityKind.LAUNCH_PLAN, name, version), request_id=new_request_id()
        )
        answer = self._loop.call(self.client.activate_launch_plan(request))
        assert answer.activation is not None
        return activation_from_wire(answer.activation)

    def deactivate(self, name: str) -> Activation | None:
        """Leave a launch plan without an active version; None where it had none."""
        request = registry.DeactivateLaunchPlanRequest(
            id=self._identifier(core.EntityKind.LAUNCH_PLAN, name, ""), request_id=new_request_id()
        )
        answer = self._loop.call(self.client.deactivate_launch_plan(request))
        return activation_from_wire(answer.activation) if answer.activation is not None else None

    def activations(self, name: str, *, limit: int | None = None) -> Iterator[Activation]:
        """Which version of a launch plan was active when, newest first."""
        id_ = self._identifier(core.EntityKind.LAUNCH_PLAN, name, "")

        def page(size: int, token: str) -> tuple[Sequence[registry.Activation], str]:
            request = registry.ListActivationsRequest(id=id_, page_size=size, page_token=token)
            answer = self._loop.call(self.client.list_activations(request))
            return answer.activations, answer.next_page_token

        return map(activation_from_wire, paged(page, limit))

    def projects(self, *, filter: str = "", limit: int | None = None) -> Iterator[ProjectLine]:
        """Projects, ordered by id."""

        def page(size: int, token: str) -> tuple[Sequence[projects.Project], str]:
            request = projects.ListProjectsRequest(page_size=size, page_token=token, filter=filter)
            answer = self._loop.call(self.client.list_projects(request))
            return answer.projects, answer.next_page_token

        return map(project_from_wire, paged(page, limit))

    def create_project(self, project: str, *, display_name: str = "", description: str = "") -> ProjectLine:
        """Make a project; the same again is a no-op."""
        wanted = projects.Project(project_id=project, display_name=display_name, description=description)
        request = projects.CreateProjectRequest(project=wanted, request_id=new_request_id())
        answer = self._loop.call(self.client.create_project(request))
        assert answer.project is not None
        return project_from_wire(answer.project)

    def server_version(self) -> str:
        """The release of the server."""
        return self._loop.call(self.client.get_server_info(projects.GetServerInfoRequest())).version

    def _facts(self, kind: str, name: str, version: str) -> EntityFacts:
        id_ = self._identifier(KINDS[kind], name, version)
        if kind == "task":
            return task_from_wire(self._loop.call(self.client.get_task(registry.GetTaskRequest(id=id_))))
        if kind == "workflow":
            request = registry.GetWorkflowRequest(id=id_)
            return workflow_from_wire(self._loop.call(self.client.get_workflow(request)))
        asked = registry.GetLaunchPlanRequest(id=id_)
        return launch_plan_from_wire(self._loop.call(self.client.get_launch_plan(asked)))

    def _identifier(self, kind: core.EntityKind, name: str, version: str) -> core.Identifier:
        return core.Identifier(
            kind=kind, project=self.config.project, domain=self.config.domain, name=name, version=version
        )


def paged(page: Callable[[int, str], tuple[Sequence[T], str]], limit: int | None) -> Iterator[T]:
    """Read a list page by page, up to a limit."""
    token, left = "", limit
    while left is None or left > 0:
        rows, token = page(LARGEST_PAGE if left is None else min(left, LARGEST_PAGE), token)
        yield from rows
        left = None if left is None else left - len(rows)
        if not token:
            return
