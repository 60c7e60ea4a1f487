"""Projects: the tenants, and whether they take something new."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from voleryidl.project.v1.project_service_pb2 import ProjectState

from volery_controlplane.domain.errors import (
    AlreadyExists,
    Invalid,
    NotFound,
    ProjectArchived,
    Violation,
)
from volery_controlplane.domain.filter_text import Labels, Text, choice_of
from volery_controlplane.domain.names import check_project_id
from volery_controlplane.domain.records import ProjectRecord
from volery_controlplane.services.pages import Listing, Page, PageRequest
from volery_controlplane.services.ports import Database, Transaction
from volery_controlplane.services.requests import checked_request_id, fingerprint_of, once

PROJECTS = Listing(
    "projects",
    {
        "state": choice_of(ProjectState.DESCRIPTOR),
        "labels": Labels(),
        "project_id": Text(),
    },
)


@dataclass(frozen=True, slots=True)
class ProjectDraft:
    """A project as somebody wants it."""

    project_id: str
    display_name: str = ""
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    archived: bool = False

    def fingerprint(self) -> str:
        """Digests the draft."""
        rest = [self.display_name, self.description, sorted(self.labels.items()), self.archived]
        return fingerprint_of(self.project_id, json.dumps(rest))


class Tenancy:
    """Says whether a project and domain exist and take something new; shared by the services that ask.

    Args:
        domains: the domains that every project has.
    """

    def __init__(self, domains: Sequence[str]) -> None:
        self.domains = tuple(domains)

    def check_exists(self, tx: Transaction, project: str, domain: str) -> ProjectRecord:
        """Gives the project.

        Raises:
            NotFound: when there is no such project or domain.
        """
        record = required(tx, project)
        if domain not in self.domains:
            raise NotFound(
                f"there is no domain {domain!r}; the domains are {', '.join(self.domains)}",
                {"resource_type": "domain", "resource_name": domain},
            )
        return record

    def check_open(self, tx: Transaction, project: str, domain: str) -> ProjectRecord:
        """Gives the project.

        Raises:
            NotFound: when there is no such project or domain.
            ProjectArchived: when it takes nothing new.
        """
        record = self.check_exists(tx, project, domain)
        if record.archived:
            raise ProjectArchived(
                f"project {project} is archived; make it active again to add to it",
                {"resource_type": "project", "resource_name": project},
            )
        return record


class Projects:
    """Use cases of projects."""

    def __init__(self, database: Database, tenancy: Tenancy) -> None:
        self._database = database
        self._tenancy = tenancy

    @property
    def domains(self) -> Sequence[str]:
        """The domains that every project has."""
        return self._tenancy.domains

    async def create(self, draft: ProjectDraft, request_id: str) -> ProjectRecord:
        """Makes a project; a repeat with the same content is answered with the existing one."""
        request = checked_request_id(request_id)
        _check(draft)

        def intention(tx: Transaction) -> ProjectRecord:
            def act() -> dict[str, str]:
                standing = tx.projects.get(draft.project_id)
                if standing is None:
                    tx.projects.insert(_record(draft, tx))
                elif _record(draft, tx) != replace(standing, create_time=tx.now):
                    raise AlreadyExists(
                        f"there is a project {draft.project_id} with other content",
                        {"resource_type": "project", "resource_name": draft.project_id},
                    )
                return {"project_id": draft.project_id}

            once(tx, request, "CreateProject", draft.fingerprint(), act)
            return required(tx, draft.project_id)

        return await self._database.transact(intention)

    async def update(self, draft: ProjectDraft, request_id: str) -> ProjectRecord:
        """Replaces the description, labels and state of a project."""
        request = checked_request_id(request_id)
        _check(draft)

        def intention(tx: Transaction) -> ProjectRecord:
            def act() -> dict[str, str]:
                standing = required(tx, draft.project_id)
                tx.projects.update(replace(_record(draft, tx), create_time=standing.create_time))
                return {"project_id": draft.project_id}

            once(tx, request, "UpdateProject", draft.fingerprint(), act)
            return required(tx, draft.project_id)

        return await self._database.transact(intention)

    async def get(self, project_id: str) -> ProjectRecord:
        """One project; raises NotFound."""
        return await self._database.read(lambda tx: required(tx, project_id))

    async def page(self, request: PageRequest) -> Page[ProjectRecord]:
        """A page of projects, ordered by id."""
        plan = PROJECTS.plan(request)

        def query(tx: Transaction) -> Page[ProjectRecord]:
            store = tx.projects
            return plan.page(store.page(plan.query), lambda row: store.cursor_of(row, plan.order))

        return await self._database.read(query)

    async def establish(self, project_ids: Sequence[str]) -> None:
        """Makes those of the projects that are missing; other control planes may do so at the same moment."""
        drafts = [ProjectDraft(project_id, display_name=project_id) for project_id in project_ids]
        for draft in drafts:
            _check(draft)

        def intention(tx: Transaction) -> None:
            for draft in drafts:
                if tx.projects.get(draft.project_id) is None:
                    tx.projects.insert(_record(draft, tx))

        for _ in drafts:
            try:
                return await self._database.transact(intention)
            except AlreadyExists:
                continue  # what another has just made can be seen by now
        await self._database.transact(intention)


def required(tx: Transaction, project_id: str) -> ProjectRecord:
    """One project; raises NotFound."""
    record = tx.projects.get(project_id)
    if record is None:
        raise NotFound(
            f"there is no project {project_id!r}", {"resource_type": "project", "resource_name": project_id}
        )
    return record


def _check(draft: ProjectDraft) -> None:
    complaint = check_project_id(draft.project_id)
    if complaint:
        message = f"project.project_id {complaint}"
        raise Invalid(message, [Violation("project.project_id", complaint, "BAD_NAME")])


def _record(draft: ProjectDraft, tx: Transaction) -> ProjectRecord:
    return ProjectRecord(
        project_id=draft.project_id,
        display_name=draft.display_name,
        description=draft.description,
        labels=dict(draft.labels),
        archived=draft.archived,
        create_time=tx.now,
    )
