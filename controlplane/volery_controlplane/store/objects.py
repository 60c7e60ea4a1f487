"""Who refers to which object of the store, and what is still to be removed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, literal, select
from sqlalchemy.sql import Executable

from volery_controlplane.domain.retention import HolderKind, TombstoneKind
from volery_controlplane.store.links import Link
from volery_controlplane.store.statements import (
    Statement,
    insert_into,
    key_in,
    parameters,
    text_in,
)
from volery_controlplane.store.tables import ObjectUse, Tombstone, table_of

_U = table_of(ObjectUse)
_T = table_of(Tombstone)
_USE = ("target", "holder_kind", "holder")


def _use(dialect: str) -> Executable:
    return insert_into(_U, dialect).values(**parameters(_USE)).on_conflict_do_nothing()


def _share(dialect: str) -> Executable:
    source = select(_U.c.target, bindparam("kind", type_=_U.c.holder_kind.type), bindparam("to")).where(
        _U.c.holder_kind == literal(HolderKind.CACHE_ENTRY.value), _U.c.holder == bindparam("of")
    )
    # SQLite takes ON CONFLICT after a SELECT for a join's condition unless the SELECT has a WHERE.
    return insert_into(_U, dialect).from_select(list(_USE), source).on_conflict_do_nothing()


def _drop(dialect: str) -> Executable:
    return (
        delete(_U)
        .where(_U.c.holder_kind == bindparam("kind"), text_in(_U.c.holder, "holders", dialect))
        .returning(_U.c.target)
    )


def _at(dialect: str) -> Executable:
    return select(_U.c.target).where(text_in(_U.c.target, "targets", dialect)).distinct()


def _by(dialect: str) -> Executable:
    return select(_U.c.target).where(
        text_in(_U.c.target, "targets", dialect),
        _U.c.holder_kind == bindparam("kind"),
        _U.c.holder == bindparam("holder"),
    )


def _below(dialect: str) -> Executable:
    return (
        select(_U.c.target).where(_U.c.target > bindparam("low"), _U.c.target < bindparam("high")).distinct()
    )


def _tombstones(dialect: str) -> Executable:
    return (
        select(_T.c.id, _T.c.target)
        .where(_T.c.kind == bindparam("kind"), _T.c.id > bindparam("after"))
        .order_by(_T.c.id)
        .limit(bindparam("limit"))
    )


_USE_ONE = Statement(_use, *_USE)
_SHARE = Statement(_share, "kind", "to", "of")
_DROP = Statement(_drop, "kind", "holders")
_AT = Statement(_at, "targets")
_BY = Statement(_by, "targets", "kind", "holder")
_BELOW = Statement(_below, "low", "high")
_TOMBSTONES = Statement(_tombstones, "kind", "after", "limit")
_BURY = Statement(
    lambda dialect: insert_into(_T, dialect).values(**parameters(("kind", "target"))), "kind", "target"
)
_FORGET = Statement(lambda dialect: delete(_T).where(key_in(_T.c.id, "ids", dialect)), "ids")


class SqlObjectStore:
    """The `ObjectStore` port."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def use(self, kind: HolderKind, uses: Sequence[tuple[str, str]]) -> None:
        """Records that holders refer to targets, as (holder, target); a repeat is a no-op."""
        self._link.change_many(_USE_ONE, [(target, kind.value, holder) for holder, target in uses])

    def share(self, shares: Sequence[tuple[str, str]]) -> None:
        """Gives executions what cache entries refer to, as (cache key, execution key)."""
        self._link.change_many(
            _SHARE, [(HolderKind.EXECUTION.value, holder, entry) for entry, holder in shares]
        )

    def release(self, kind: HolderKind, holders: Sequence[str]) -> Sequence[str]:
        """Forgets what holders refer to; gives the targets."""
        rows = self._link.rows(_DROP, kind.value, self._link.set_of(holders)) if holders else []
        return list(dict.fromkeys(row[0] for row in rows))

    def used_at(self, targets: Sequence[str]) -> Sequence[str]:
        """Those of the targets that somebody refers to, exactly as they are."""
        rows = self._link.rows(_AT, self._link.set_of(targets)) if targets else []
        return [row[0] for row in rows]

    def is_used_by(self, kind: HolderKind, holder: str, targets: Sequence[str]) -> bool:
        """Whether a holder refers to one of the targets, exactly as it is."""
        return bool(self._link.rows(_BY, self._link.set_of(targets), kind.value, holder))

    def used_below(self, target: str) -> Sequence[str]:
        """The targets somebody refers to that lie below one."""
        # "0" comes after "/"
        return [row[0] for row in self._link.rows(_BELOW, f"{target}/", f"{target}0")]

    def bury(self, kind: TombstoneKind, targets: Sequence[str]) -> None:
        """Notes what is to be removed."""
        self._link.change_many(_BURY, [(kind.value, target) for target in targets])

    def buried(self, kind: TombstoneKind, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """(id, target) of what is to be removed, oldest first."""
        return [(row[0], row[1]) for row in self._link.rows(_TOMBSTONES, kind.value, after, limit)]

    def forget(self, ids: Sequence[int]) -> None:
        """Tombstones whose work is done."""
        if ids:
            self._link.change(_FORGET, self._link.set_of(ids))
