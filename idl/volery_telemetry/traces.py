"""Traces: W3C trace contexts as text and values, and the port through which planes tell of their spans.

A span is told when it is over, with its own context, so that its identity can be known, passed on and even be
derived long before: the span of an execution has an id that follows from the execution's uid, so whoever sees
its end can tell of it, after any number of restarts and takeovers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")

Attributes = Mapping[str, str | int]


class SpanKind(Enum):
    """What a span is about."""

    INTERNAL = "internal"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class SpanContext:
    """A span's identity."""

    trace_id: int
    span_id: int
    sampled: bool

    @property
    def traceparent(self) -> str:
        """As the header of W3C Trace Context."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.sampled:02x}"

    @property
    def trace(self) -> str:
        """The trace's id as people search for it."""
        return f"{self.trace_id:032x}"


def parse(traceparent: str) -> SpanContext | None:
    """Reads a header; None where there is none, or it says nothing."""
    found = _TRACEPARENT.fullmatch(traceparent) if len(traceparent) < 256 else None
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5]):
        return None
    trace_id, span_id = int(found[2], 16), int(found[3], 16)
    if not trace_id or not span_id:
        return None
    return SpanContext(trace_id, span_id, bool(int(found[4], 16) & 1))


def of_execution(traceparent: str, uid: str) -> SpanContext | None:
    """The context of an execution's own span, from the one it was created in; None when it is not traced."""
    parent = parse(traceparent)
    if parent is None:
        return None
    span_id = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8])
    return SpanContext(parent.trace_id, span_id or 1, parent.sampled)


class Tracing(Protocol):
    """Where spans go."""

    def child(self, parent: SpanContext | None, name: str) -> SpanContext:
        """A context for a span below another one, or for the first one of a new trace."""

    def tell(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        begin: int,
        end: int,
        attributes: Attributes,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        error: str = "",
    ) -> None:
        """Tells of a span that is over; times are microseconds since the epoch. Never blocks."""

    def close(self) -> None:
        """Sends what is left, for a few seconds at most."""
