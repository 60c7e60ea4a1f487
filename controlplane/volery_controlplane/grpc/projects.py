"""Serves `ProjectService`: convert, call, convert."""

from __future__ import annotations

from typing import Any

import grpc
from voleryidl.project.v1 import project_service_pb2 as wire
from voleryidl.project.v1 import project_service_pb2_grpc

from volery_controlplane.grpc import caller
from volery_controlplane.grpc.convert.projects import draft_from_wire, project_to_wire
from volery_controlplane.services.pages import PageRequest
from volery_controlplane.services.projects import Projects

Context = grpc.aio.ServicerContext[Any, Any]


class ProjectServicer(project_service_pb2_grpc.ProjectServiceServicer):
    """Serves `ProjectService`.

    Args:
        projects: the use cases.
        info: what the server tells about itself; the same for its whole life.
    """

    def __init__(self, projects: Projects, info: wire.GetServerInfoResponse) -> None:
        self._projects = projects
        self._info = info

    async def CreateProject(
        self, request: wire.CreateProjectRequest, context: Context
    ) -> wire.CreateProjectResponse:
        """Makes a project."""
        record = await self._projects.create(draft_from_wire(request.project), request.request_id)
        return wire.CreateProjectResponse(project=project_to_wire(record))

    async def GetProject(self, request: wire.GetProjectRequest, context: Context) -> wire.GetProjectResponse:
        """Reads one project."""
        record = await self._projects.get(request.project_id)
        return wire.GetProjectResponse(project=project_to_wire(record))

    async def ListProjects(
        self, request: wire.ListProjectsRequest, context: Context
    ) -> wire.ListProjectsResponse:
        """Reads a page of projects."""
        asked = PageRequest(request.page_size, request.page_token, request.filter)
        page = await self._projects.page(asked)
        identity = caller.current().identity
        seen = [item for item in page.items if identity.sees_project(item.project_id)]
        return wire.ListProjectsResponse(projects=map(project_to_wire, seen), next_page_token=page.next_token)

    async def UpdateProject(
        self, request: wire.UpdateProjectRequest, context: Context
    ) -> wire.UpdateProjectResponse:
        """Replaces what may change."""
        record = await self._projects.update(draft_from_wire(request.project), request.request_id)
        return wire.UpdateProjectResponse(project=project_to_wire(record))

    async def ListDomains(
        self, request: wire.ListDomainsRequest, context: Context
    ) -> wire.ListDomainsResponse:
        """Reads the domains that every project has."""
        return wire.ListDomainsResponse(domains=self._projects.domains)

    async def GetServerInfo(
        self, request: wire.GetServerInfoRequest, context: Context
    ) -> wire.GetServerInfoResponse:
        """Tells the server's version and limits."""
        return self._info
