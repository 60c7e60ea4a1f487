"""The caller of the RPC being served: who, for how long, under which request id.

Set once by the edge's interceptor, read by servicers, which hand on what a service needs as ordinary
arguments. Nothing below the edge reads it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from volery_telemetry.traces import SpanContext, parse

from volery_controlplane.domain.principals import ANONYMOUS, Principal
from volery_controlplane.grpc.errors import STATUS_LIMIT_KEY
from volery_controlplane.services.authentication import UNREADABLE, Credentials

TOKEN_KEY = "authorization"  # noqa: S105  # a name, no password
_BEARER = re.compile(r"bearer +(\S+)", re.IGNORECASE)
REQUEST_ID_KEY = "x-request-id"
CLIENT_KEY = "volery-client"
TRACEPARENT_KEY = "traceparent"
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_LARGEST_STATUS_LIMIT = 256 * 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        identity: who, and what it may do.
        trace_id: correlates log lines; the caller's `x-request-id`, or made here.
        status_limit: how many bytes of error details it can take.
        client: what the client calls itself, once per process; tells anonymous callers apart.
        span: the W3C trace context of the call: the caller's, or that of its span here; None when it is not
            traced.
    """

    identity: Principal
    trace_id: str
    status_limit: int
    client: str = ""
    span: SpanContext | None = None

    def key_of(self, peer: str) -> str:
        """Whose share of the server a call counts to.

        Those who proved who they are have one share, wherever they call from. Others have one for each
        process: a Unix socket tells nobody apart, so what the client says of itself is taken for it.
        """
        return f"{peer} {self.client}" if self.identity == ANONYMOUS else self.principal

    @property
    def principal(self) -> str:
        """Who, for the records."""
        return self.identity.name


_current: ContextVar[Caller] = ContextVar("caller")


def current() -> Caller:
    """The caller of the RPC being served."""
    return _current.get()


def principal() -> str:
    """Who calls, for the records."""
    return _current.get().principal


def traceparent() -> str:
    """The trace context that what the call brings about belongs to; empty when it is not traced."""
    span = _current.get().span
    return span.traceparent if span is not None else ""


def enter(caller: Caller) -> None:
    """Says who calls, for the rest of the RPC; each one is served in a context of its own."""
    _current.set(caller)


def identify(metadata: Iterable[tuple[str, str | bytes]] | None, status_limit: int) -> Caller:
    """Reads the caller from an RPC's metadata.

    Args:
        metadata: keys and values, as gRPC gives them.
        status_limit: for callers that do not announce theirs.

    Returns:
        The caller, anonymous until it is authenticated.
    """
    found = {key: value for key, value in metadata or () if isinstance(value, str)}
    trace_id = found.get(REQUEST_ID_KEY, "")
    client = found.get(CLIENT_KEY, "")
    announced = found.get(STATUS_LIMIT_KEY, "")
    if announced.isascii() and announced.isdigit() and len(announced) < 10:
        status_limit = min(int(announced), _LARGEST_STATUS_LIMIT)
    return Caller(
        identity=ANONYMOUS,
        trace_id=trace_id if _REQUEST_ID.fullmatch(trace_id) else uuid.uuid4().hex,
        status_limit=status_limit,
        client=client if _REQUEST_ID.fullmatch(client) else "",
        span=parse(found[TRACEPARENT_KEY]) if TRACEPARENT_KEY in found else None,
    )


def credentials(
    metadata: Iterable[tuple[str, str | bytes]] | None, peer: Mapping[str, Iterable[bytes]]
) -> Credentials:
    """Reads what a caller shows of itself.

    Args:
        metadata: keys and values, as gRPC gives them.
        peer: what TLS verified of the other side; empty where it verified nothing.

    Returns:
        The token, where a bearer token is among the metadata, and the names in the verified certificate.
    """
    token = ""
    for key, value in metadata or ():
        if key == TOKEN_KEY:
            found = _BEARER.fullmatch(value.strip()) if isinstance(value, str) else None
            token = found[1] if found else UNREADABLE
    names = (*peer.get("x509_common_name", ()), *peer.get("x509_subject_alternative_name", ()))
    return Credentials(token, tuple(dict.fromkeys(name.decode(errors="replace") for name in names if name)))
