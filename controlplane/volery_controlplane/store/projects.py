"""The tenants."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, case, delete, select, update
from sqlalchemy.sql import Executable
from voleryidl.project.v1.project_service_pb2 import ProjectState

from volery_controlplane.domain.errors import AlreadyExists, NotFound
from volery_controlplane.domain.filters import Order, Query
from volery_controlplane.domain.page_tokens import Cursor
from volery_controlplane.domain.records import Micros, ProjectRecord
from volery_controlplane.store.links import Link
from volery_controlplane.store.pages import Listing, labels_of, number, text
from volery_controlplane.store.statements import Row, Statement, insert_into, parameters
from volery_controlplane.store.tables import Project, ProjectLabel, table_of

_T = table_of(Project)
_L = table_of(ProjectLabel)
_COLUMNS = ("project_id", "display_name", "description", "labels", "archived", "create_time")
_STATE = case((_T.c.archived, ProjectState.PROJECT_STATE_ARCHIVED), else_=ProjectState.PROJECT_STATE_ACTIVE)
_LABELS = labels_of(_L, _L.c.project_id == _T.c.project_id)

_LISTING = Listing(
    fields={"project_id": text(_T.c.project_id), "state": number(_STATE)},
    labelled={"labels": _LABELS},
    orders={"project_id": _T.c.project_id, "create_time": _T.c.create_time},
    key=(_T.c.project_id,),
    default=("", False),
)


def _get(dialect: str) -> Executable:
    return select(*(_T.c[name] for name in _COLUMNS)).where(_T.c.project_id == bindparam("id"))


def _insert(dialect: str) -> Executable:
    values = parameters(_COLUMNS)
    return insert_into(_T, dialect).values(**values).on_conflict_do_nothing()


def _update(dialect: str) -> Executable:
    values: dict[str, object] = {name: bindparam(f"new_{name}") for name in _COLUMNS[1:-1]}
    return update(_T).values(**values).where(_T.c.project_id == bindparam("id"))


def _insert_label(dialect: str) -> Executable:
    return insert_into(_L, dialect).values(
        project_id=bindparam("id"), name=bindparam("name"), value=bindparam("value")
    )


_GET = Statement(_get, "id")
_INSERT = Statement(_insert, *_COLUMNS)
_UPDATE = Statement(_update, *(f"new_{name}" for name in _COLUMNS[1:-1]), "id")
_INSERT_LABEL = Statement(_insert_label, "id", "name", "value")
_DELETE_LABELS = Statement(lambda dialect: delete(_L).where(_L.c.project_id == bindparam("id")), "id")


class SqlProjectStore:
    """The `ProjectStore` port."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def insert(self, project: ProjectRecord) -> None:
        """Adds a project; raises AlreadyExists."""
        labels = _to_json(project.labels)
        if not self._link.change(
            _INSERT,
            project.project_id,
            project.display_name,
            project.description,
            labels,
            project.archived,
            project.create_time,
        ):
            raise AlreadyExists(
                f"there is a project {project.project_id} already",
                {"resource_type": "project", "resource_name": project.project_id},
            )
        self._insert_labels(project)

    def update(self, project: ProjectRecord) -> None:
        """Replaces all but id and create_time; raises NotFound."""
        if not self._link.change(
            _UPDATE,
            project.display_name,
            project.description,
            _to_json(project.labels),
            project.archived,
            project.project_id,
        ):
            raise NotFound(
                f"there is no project {project.project_id}",
                {"resource_type": "project", "resource_name": project.project_id},
            )
        self._link.change(_DELETE_LABELS, project.project_id)
        self._insert_labels(project)

    def get(self, project_id: str) -> ProjectRecord | None:
        """One project."""
        row = self._link.row(_GET, project_id)
        return None if row is None else _from_row(row)

    def page(self, query: Query) -> Sequence[ProjectRecord]:
        """A page of projects."""
        base = select(*(_T.c[name] for name in _COLUMNS))
        return [_from_row(row) for row in self._link.select(_LISTING.page(base, query, self._link.dialect))]

    def cursor_of(self, row: ProjectRecord, order: Order | None) -> Cursor:
        """Where the page after this row begins."""
        if order is None:
            return (row.project_id,)
        first = row.create_time if order.field == "create_time" else row.project_id
        return (first, row.project_id)

    def _insert_labels(self, project: ProjectRecord) -> None:
        self._link.change_many(
            _INSERT_LABEL, [(project.project_id, name, value) for name, value in project.labels.items()]
        )


def _to_json(labels: Mapping[str, str]) -> str:
    return json.dumps(dict(labels), sort_keys=True)


def _from_row(row: Row) -> ProjectRecord:
    return ProjectRecord(row[0], row[1], row[2], json.loads(row[3]), bool(row[4]), Micros(row[5]))
