"""The registry: versions, closures, activations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Select, and_, bindparam, func, select, update
from sqlalchemy.sql import Executable

from volery_controlplane.domain.errors import AlreadyExists, NotFound
from volery_controlplane.domain.filters import Order, Query
from volery_controlplane.domain.page_tokens import Cursor
from volery_controlplane.domain.records import ActivationRecord, EntityName, EntityRecord, Micros
from volery_controlplane.store.links import Link
from volery_controlplane.store.pages import Listing, number, text
from volery_controlplane.store.statements import Row, Statement, insert_into, parameters
from volery_controlplane.store.tables import Activation, Closure, Entity, EntityHead, table_of

_T = table_of(Entity)
_H = table_of(EntityHead)
_C = table_of(Closure)
_A = table_of(Activation)

_NAME = ("kind", "project", "domain", "name")
_COLUMNS = (*_NAME, "version", "digest", "content", "closure_digest", "summary", "create_time")
_ACTIVATION = (*_NAME, "version", "activate_time", "deactivate_time", "principal")

_IS_ACTIVE = and_(
    *(_A.c[column] == _T.c[column] for column in (*_NAME, "version")), _A.c.deactivate_time.is_(None)
)

_VERSIONS = Listing(
    fields={
        "name": text(_T.c.name),
        "version": text(_T.c.version),
        "create_time": number(_T.c.create_time),
    },
    labelled={},
    orders={"create_time": _T.c.create_time, "name": _T.c.name},
    key=(_T.c.name, _T.c.version),
    default=("create_time", True),
)

_ACTIVATIONS = Listing(
    fields={"version": text(_A.c.version), "activate_time": number(_A.c.activate_time)},
    labelled={},
    orders={},
    key=(_A.c.activate_time,),
    default=("", True),
)


def _select() -> Select[tuple[object, ...]]:
    columns = [_T.c[name] for name in _COLUMNS]
    return select(*columns, _A.c.version.is_not(None)).select_from(_T.outerjoin(_A, _IS_ACTIVE))


def _get(dialect: str) -> Executable:
    return _select().where(*(_T.c[column] == bindparam(column) for column in (*_NAME, "version")))


def _newest(dialect: str) -> Executable:
    heads = select(_H.c.newest_id).where(*(_H.c[column] == bindparam(column) for column in _NAME))
    return _select().where(_T.c.id == heads.scalar_subquery())


def _active(dialect: str) -> Executable:
    return _select().where(
        *(_T.c[column] == bindparam(column) for column in _NAME), _A.c.version.is_not(None)
    )


def _insert(dialect: str) -> Executable:
    values = parameters(_COLUMNS)
    return insert_into(_T, dialect).values(**values).on_conflict_do_nothing().returning(_T.c.id)


def _set_newest(dialect: str) -> Executable:
    statement = insert_into(_H, dialect).values(**parameters((*_NAME, "newest_id")))
    return statement.on_conflict_do_update(
        index_elements=list(_NAME),
        set_={"newest_id": statement.excluded.newest_id},
        where=_H.c.newest_id < statement.excluded.newest_id,
    )


def _insert_closure(dialect: str) -> Executable:
    statement = insert_into(_C, dialect).values(digest=bindparam("digest"), content=bindparam("content"))
    return statement.on_conflict_do_nothing()


def _lock_name(dialect: str) -> Executable:
    return select(_H.c.newest_id).where(*(_H.c[name] == bindparam(name) for name in _NAME)).with_for_update()


def _standing(dialect: str) -> Executable:
    return select(*(_A.c[name] for name in _ACTIVATION)).where(
        *(_A.c[name] == bindparam(name) for name in _NAME), _A.c.deactivate_time.is_(None)
    )


def _last_activation(dialect: str) -> Executable:
    return select(func.max(_A.c.activate_time)).where(*(_A.c[name] == bindparam(name) for name in _NAME))


def _activate(dialect: str) -> Executable:
    return insert_into(_A, dialect).values(**parameters(_ACTIVATION))


def _deactivate(dialect: str) -> Executable:
    return (
        update(_A)
        .values(deactivate_time=bindparam("now"))
        .where(*(_A.c[name] == bindparam(name) for name in _NAME), _A.c.deactivate_time.is_(None))
    )


_GET = Statement(_get, *_NAME, "version")
_NEWEST = Statement(_newest, *_NAME)
_ACTIVE = Statement(_active, *_NAME)
_INSERT = Statement(_insert, *_COLUMNS)
_SET_NEWEST = Statement(_set_newest, *_NAME, "newest_id")
_INSERT_CLOSURE = Statement(_insert_closure, "digest", "content")
_GET_CLOSURE = Statement(lambda dialect: select(_C.c.content).where(_C.c.digest == bindparam("d")), "d")
_LOCK_NAME = Statement(_lock_name, *_NAME)
_STANDING = Statement(_standing, *_NAME)
_LAST_ACTIVATION = Statement(_last_activation, *_NAME)
_ACTIVATE = Statement(_activate, *_ACTIVATION)
_DEACTIVATE = Statement(_deactivate, "now", *_NAME)


class SqlEntityStore:
    """The `EntityStore` port."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def get(self, names: Sequence[tuple[EntityName, str]]) -> Mapping[tuple[EntityName, str], EntityRecord]:
        """Those of the versions that exist."""
        found = {}
        for name, version in dict.fromkeys(names):
            row = self._link.row(_GET, *_values(name), version)
            if row is not None:
                found[name, version] = _from_row(row)
        return found

    def newest(self, name: EntityName) -> EntityRecord | None:
        """The version registered last."""
        row = self._link.row(_NEWEST, *_values(name))
        return None if row is None else _from_row(row)

    def active(self, name: EntityName) -> EntityRecord | None:
        """The active version of a launch plan."""
        row = self._link.row(_ACTIVE, *_values(name))
        return None if row is None else _from_row(row)

    def insert(self, entities: Sequence[EntityRecord], closures: Mapping[str, bytes]) -> Sequence[int]:
        """Adds versions and closures (by digest; known ones are skipped); raises AlreadyExists.

        Gives ids of the versions, in the order given.

        In the order of names, so that two registrations of the same ones never wait for each other.
        """
        self._link.change_many(_INSERT_CLOSURE, sorted(closures.items()))
        ids: dict[int, int] = {}
        for entity in sorted(entities, key=lambda e: (*_values(e.name), e.version)):
            name = _values(entity.name)
            inserted = self._link.row(
                _INSERT,
                *name,
                entity.version,
                entity.digest,
                entity.content,
                entity.closure_digest,
                entity.summary,
                entity.create_time,
            )
            if inserted is None:
                resource = f"{'/'.join(map(str, name[1:]))}@{entity.version}"
                raise AlreadyExists(
                    f"{resource} is registered already",
                    {"resource_type": "entity", "resource_name": resource},
                )
            ids[id(entity)] = inserted[0]
            self._link.change(_SET_NEWEST, *name, inserted[0])
        return [ids[id(entity)] for entity in entities]

    def closure(self, digest: str) -> bytes | None:
        """A serialised WorkflowClosure."""
        row = self._link.row(_GET_CLOSURE, digest)
        return None if row is None else row[0]

    def page(
        self, kind: int, project: str, domain: str, name: str, newest_only: bool, query: Query
    ) -> Sequence[EntityRecord]:
        """A page of versions; of all names where `name` is empty."""
        base = _select().where(_T.c.kind == kind, _T.c.project == project, _T.c.domain == domain)
        if name:
            base = base.where(_T.c.name == name)
        if newest_only:
            base = base.join(_H, _H.c.newest_id == _T.c.id)
        return [_from_row(row) for row in self._link.select(_VERSIONS.page(base, query, self._link.dialect))]

    def cursor_of(self, row: EntityRecord, order: Order | None) -> Cursor:
        """Where the page after this row begins."""
        by_name = order is not None and order.field == "name"
        return (row.name.name if by_name else row.create_time, row.name.name, row.version)

    def activate(self, name: EntityName, version: str, principal: str, now: Micros) -> ActivationRecord:
        """Makes a version the active one; the standing activation where it already is.

        Times of one name's activations rise strictly, whatever the clock does: they order the history.
        """
        values = _values(name)
        self._link.row(_LOCK_NAME, *values)
        if self._link.row(_GET, *values, version) is None:
            raise NotFound(
                f"{name.name} has no version {version}",
                {"resource_type": "entity", "resource_name": f"{name.name}@{version}"},
            )
        standing = self._link.row(_STANDING, *values)
        if standing is not None and standing[4] == version:
            return _to_activation(standing)
        last = self._link.row(_LAST_ACTIVATION, *values)
        time = now if last is None or last[0] is None else Micros(max(now, last[0] + 1))
        if standing is not None:
            self._link.change(_DEACTIVATE, time, *values)
        self._link.change(_ACTIVATE, *values, version, time, None, principal)
        return ActivationRecord(name, version, time, None, principal)

    def deactivate(self, name: EntityName, now: Micros) -> ActivationRecord | None:
        """Ends the standing activation and gives it."""
        values = _values(name)
        self._link.row(_LOCK_NAME, *values)
        standing = self._link.row(_STANDING, *values)
        if standing is None:
            return None
        time = max(now, standing[5])
        self._link.change(_DEACTIVATE, time, *values)
        return _to_activation((*standing[:6], time, standing[7]))

    def activations(self, name: EntityName, query: Query) -> Sequence[ActivationRecord]:
        """A page of history, newest first."""
        base = select(*(_A.c[column] for column in _ACTIVATION)).where(
            *(_A.c[column] == value for column, value in zip(_NAME, _values(name), strict=True))
        )
        page = _ACTIVATIONS.page(base, query, self._link.dialect)
        return [_to_activation(row) for row in self._link.select(page)]

    def activation_cursor_of(self, row: ActivationRecord) -> Cursor:
        """Where the page after this row begins."""
        return (row.activate_time,)


def _values(name: EntityName) -> tuple[int, str, str, str]:
    return (name.kind, name.project, name.domain, name.name)


def _from_row(row: Row) -> EntityRecord:
    return EntityRecord(
        name=EntityName(*row[:4]),
        version=row[4],
        digest=row[5],
        content=row[6],
        closure_digest=row[7],
        summary=row[8],
        create_time=row[9],
        active=bool(row[10]),
    )


def _to_activation(row: Row) -> ActivationRecord:
    return ActivationRecord(
        name=EntityName(*row[:4]),
        version=row[4],
        activate_time=row[5],
        deactivate_time=row[6],
        principal=row[7],
    )
