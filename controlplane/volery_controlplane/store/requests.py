"""Answers by request id."""

from __future__ import annotations

from sqlalchemy import bindparam, select
from sqlalchemy.sql import Executable

from volery_controlplane.domain.errors import Busy, RequestIdReused
from volery_controlplane.domain.records import Micros, StoredRequest
from volery_controlplane.store.links import Link
from volery_controlplane.store.statements import Statement, insert_into, parameters
from volery_controlplane.store.tables import Request, table_of

_T = table_of(Request)
_COLUMNS = ("request_id", "method", "fingerprint", "response", "create_time")


def _get(dialect: str) -> Executable:
    return select(*(_T.c[name] for name in _COLUMNS)).where(_T.c.request_id == bindparam("id"))


def _put(dialect: str) -> Executable:
    values = parameters(_COLUMNS)
    return insert_into(_T, dialect).values(**values).on_conflict_do_nothing()


_GET = Statement(_get, "id")
_PUT = Statement(_put, *_COLUMNS)


class SqlRequestStore:
    """The `RequestStore` port."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def get(self, request_id: str) -> StoredRequest | None:
        """The answer given before."""
        row = self._link.row(_GET, request_id)
        return None if row is None else StoredRequest(row[0], row[1], row[2], row[3], Micros(row[4]))

    def put(self, request: StoredRequest) -> None:
        """Keeps an answer; raises Busy when the same request was answered meanwhile."""
        if self._link.change(
            _PUT,
            request.request_id,
            request.method,
            request.fingerprint,
            request.response,
            request.create_time,
        ):
            return
        standing = self.get(request.request_id)
        same = standing is not None and (
            (standing.method, standing.fingerprint) == (request.method, request.fingerprint)
        )
        if same:
            raise Busy("the same request is being answered; a repeat gets its answer")
        raise RequestIdReused(
            "the request id was used for another intention", {"request_id": request.request_id}
        )
