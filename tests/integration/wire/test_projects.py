from __future__ import annotations

import grpc
import pytest
from support.wire import Wire, refused, request_id
from voleryidl.project.v1.project_service_pb2 import (
    CreateProjectRequest,
    GetProjectRequest,
    GetServerInfoRequest,
    ListDomainsRequest,
    ListProjectsRequest,
    Project,
    ProjectState,
    UpdateProjectRequest,
)

CODES = grpc.StatusCode


async def test_the_first_start_makes_the_projects_of_the_settings(wire: Wire) -> None:
    answer = await wire.projects.ListProjects(ListProjectsRequest())
    assert [project.project_id for project in answer.projects] == ["demo"]
    assert answer.projects[0].state == ProjectState.PROJECT_STATE_ACTIVE
    assert answer.projects[0].create_time.seconds > 0


async def test_the_domains_are_those_of_the_settings(wire: Wire) -> None:
    answer = await wire.projects.ListDomains(ListDomainsRequest())
    assert list(answer.domains) == ["development", "staging", "production"]


async def test_a_project_is_made_once_however_often_it_is_asked_for(wire: Wire) -> None:
    wanted = Project(project_id="birds", display_name="Birds", labels={"team": "core"})
    first = await wire.projects.CreateProject(CreateProjectRequest(project=wanted, request_id=request_id()))
    again = await wire.projects.CreateProject(CreateProjectRequest(project=wanted))
    assert again.project == first.project
    assert dict(first.project.labels) == {"team": "core"}
    read = await wire.projects.GetProject(GetProjectRequest(project_id="birds"))
    assert read.project == first.project


async def test_the_same_id_with_other_content_is_refused(wire: Wire) -> None:
    await wire.projects.CreateProject(CreateProjectRequest(project=Project(project_id="birds")))
    other = Project(project_id="birds", description="other")
    async with refused(CODES.ALREADY_EXISTS, "ALREADY_EXISTS") as refusal:
        await wire.projects.CreateProject(CreateProjectRequest(project=other))
    assert refusal.resource == ("project", "birds")


async def test_a_request_id_answers_one_intention_only(wire: Wire) -> None:
    id = request_id()
    one, other = Project(project_id="birds"), Project(project_id="fish")
    await wire.projects.CreateProject(CreateProjectRequest(project=one, request_id=id))
    async with refused(CODES.ALREADY_EXISTS, "REQUEST_ID_REUSED") as refusal:
        await wire.projects.CreateProject(CreateProjectRequest(project=other, request_id=id))
    assert refusal.metadata["request_id"] == id


async def test_a_request_id_that_is_no_uuid_is_refused(wire: Wire) -> None:
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT") as refusal:
        await wire.projects.CreateProject(
            CreateProjectRequest(project=Project(project_id="birds"), request_id="today")
        )
    (violation,) = refusal.violations
    assert (violation.field, violation.reason) == ("request_id", "BAD_REQUEST_ID")
    assert "hint: " in violation.description


@pytest.mark.parametrize("name", ["", "Birds", "-birds", "b" * 64, "a/b"])
async def test_an_illegal_id_is_refused(wire: Wire, name: str) -> None:
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT") as refusal:
        await wire.projects.CreateProject(CreateProjectRequest(project=Project(project_id=name)))
    assert [violation.field for violation in refusal.violations] == ["project.project_id"]


async def test_a_project_that_nobody_made_is_not_found(wire: Wire) -> None:
    async with refused(CODES.NOT_FOUND, "NOT_FOUND") as refusal:
        await wire.projects.GetProject(GetProjectRequest(project_id="nobody"))
    assert refusal.resource == ("project", "nobody")
    async with refused(CODES.NOT_FOUND, "NOT_FOUND"):
        await wire.projects.UpdateProject(UpdateProjectRequest(project=Project(project_id="nobody")))


async def test_an_update_replaces_what_may_change(wire: Wire) -> None:
    made = await wire.projects.CreateProject(
        CreateProjectRequest(project=Project(project_id="birds", labels={"a": "1"}))
    )
    changed = Project(
        project_id="birds", description="all of them", state=ProjectState.PROJECT_STATE_ARCHIVED
    )
    answer = await wire.projects.UpdateProject(UpdateProjectRequest(project=changed))
    assert answer.project.description == "all of them"
    assert dict(answer.project.labels) == {}
    assert answer.project.create_time == made.project.create_time


async def test_projects_are_listed_in_pages_by_id_and_filtered(wire: Wire) -> None:
    for name in ("a1", "a2", "b1"):
        project = Project(project_id=name, labels={"letter": name[0]})
        await wire.projects.CreateProject(CreateProjectRequest(project=project))
    archived = Project(project_id="a2", labels={"letter": "a"}, state=ProjectState.PROJECT_STATE_ARCHIVED)
    await wire.projects.UpdateProject(UpdateProjectRequest(project=archived))

    async def ids(**asked: object) -> list[str]:
        answer = await wire.projects.ListProjects(ListProjectsRequest(**asked))  # type: ignore[arg-type]  # fields
        return [project.project_id for project in answer.projects]

    first = await wire.projects.ListProjects(ListProjectsRequest(page_size=3))
    assert [project.project_id for project in first.projects] == ["a1", "a2", "b1"]
    assert await ids(page_size=3, page_token=first.next_page_token) == ["demo"]
    assert await ids(filter="labels.letter = a") == ["a1", "a2"]
    assert await ids(filter="state = ARCHIVED") == ["a2"]
    assert await ids(filter="labels.letter:* AND NOT state = ARCHIVED") == ["a1", "b1"]
    assert await ids(filter="project_id:1") == ["a1", "b1"]


async def test_a_token_of_another_filter_is_refused(wire: Wire) -> None:
    await wire.projects.CreateProject(CreateProjectRequest(project=Project(project_id="birds")))
    first = await wire.projects.ListProjects(ListProjectsRequest(page_size=1))
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT") as refusal:
        await wire.projects.ListProjects(
            ListProjectsRequest(page_size=1, page_token=first.next_page_token, filter="state = ACTIVE")
        )
    assert refusal.violations[0].reason == "BAD_PAGE_TOKEN"


async def test_the_server_tells_its_version_and_limits(wire: Wire) -> None:
    info = await wire.projects.GetServerInfo(GetServerInfoRequest())
    assert info.version
    assert info.installation_id
    assert (info.inline_value_limit, info.message_size_limit) == (16 * 1024, 16 * 1024 * 1024)
    assert info.storage_uri.startswith("file:///")
