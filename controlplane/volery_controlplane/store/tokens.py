"""The tokens of callers, and the installation's secret."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import bindparam, select, update
from sqlalchemy.sql import Executable

from volery_controlplane.domain.errors import AlreadyExists
from volery_controlplane.domain.principals import Role
from volery_controlplane.domain.records import Micros
from volery_controlplane.domain.tokens import TokenRecord
from volery_controlplane.store.links import Link
from volery_controlplane.store.statements import Row, Statement, insert_into, parameters
from volery_controlplane.store.tables import Token, table_of

_T = table_of(Token)
_COLUMNS = (
    "token_id",
    "name",
    "role",
    "projects",
    "digest",
    "create_time",
    "expire_time",
    "revoke_time",
)


def _insert(dialect: str) -> Executable:
    return insert_into(_T, dialect).values(**parameters(_COLUMNS)).on_conflict_do_nothing()


def _all(dialect: str) -> Executable:
    return select(*(_T.c[name] for name in _COLUMNS)).order_by(_T.c.create_time, _T.c.token_id)


def _revoke(dialect: str) -> Executable:
    return (
        update(_T)
        .values(revoke_time=bindparam("now"))
        .where(_T.c.token_id == bindparam("id"), _T.c.revoke_time.is_(None))
    )


_INSERT = Statement(_insert, *_COLUMNS)
_ALL = Statement(_all)
_REVOKE = Statement(_revoke, "now", "id")


class SqlTokenStore:
    """The `TokenStore` port."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def insert(self, token: TokenRecord) -> None:
        """Adds a token; raises AlreadyExists where the id is taken."""
        if not self._link.change(
            _INSERT,
            token.token_id,
            token.name,
            str(token.role),
            json.dumps(list(token.projects)),
            token.digest,
            token.create_time,
            token.expire_time,
            token.revoke_time,
        ):
            raise AlreadyExists(
                f"there is a token {token.token_id}",
                {"resource_type": "token", "resource_name": token.token_id},
            )

    def all(self) -> Sequence[TokenRecord]:
        """Every token, oldest first."""
        return [_to_record(row) for row in self._link.rows(_ALL)]

    def revoke(self, token_id: str, now: Micros) -> bool:
        """Revokes a token; False when there is none that is not revoked."""
        return self._link.change(_REVOKE, now, token_id) == 1


def _to_record(row: Row) -> TokenRecord:
    return TokenRecord(
        token_id=row[0],
        name=row[1],
        role=Role(row[2]),
        projects=tuple(json.loads(row[3])),
        digest=bytes(row[4]),
        create_time=Micros(row[5]),
        expire_time=None if row[6] is None else Micros(row[6]),
        revoke_time=None if row[7] is None else Micros(row[7]),
    )
