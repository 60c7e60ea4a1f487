"""This module writes verdicts: what an attempt says of its own end, as the line that a worker reads.

The rules for reading are the worker's (`volery_rules.verdicts`); vectors hold the two equal. The bytes are
those of `voleryidl.worker.v1.AttemptVerdict`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from volery._literals.encoding import varint

FORMAT: Final = "volery/1"

USER: Final = 1
SYSTEM: Final = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an attempt ended. Times are microseconds since 1970; 0 for what did not happen.

    Attributes:
        uid: of the execution.
        path: of the node.
        attempt: counts from 1.
        start: when user code began, or its loading.
        code: when it was loaded and about to be called.
        end: when it was over.
        outputs: the serialised literals by name; None where it failed.
        failure: what `volery._process.failures` describes; and `kind`, where it is not the user's;
            and `trace_uri`, where the whole of a text that was cut lies.
    """

    uid: str
    path: str
    attempt: int
    start: int = 0
    code: int = 0
    end: int = 0
    outputs: Mapping[str, bytes] | None = None
    failure: Mapping[str, Any] = field(default_factory=dict)


def encode(verdict: Verdict) -> bytes:
    """The bytes of an AttemptVerdict."""
    from volery._literals.encoding import encode_map

    parts = [
        _text(1, verdict.uid),
        _text(2, verdict.path),
        _number(3, verdict.attempt),
        _moment(4, verdict.start),
        _moment(5, verdict.end),
        _moment(6, verdict.code),
    ]
    if verdict.outputs is not None:
        parts.append(_block(7, encode_map(verdict.outputs)))
    else:
        parts.append(_block(8, _failure(verdict.failure)))
    return b"".join(parts)


def attempt_tag(uid: str, path: str, attempt: int) -> str:
    """What stands for an attempt in a line."""
    return hashlib.sha256(f"{uid}\0{path}\0{attempt}".encode("utf-8", "replace")).hexdigest()[:16]


def sealed(verdict: Verdict, content: bytes) -> str:
    """The line that carries a verdict, given its bytes."""
    return _line(verdict, content, base64.b64encode(content).decode())


def sealed_length(content: bytes) -> int:
    """How long a line at most is that carries a verdict's bytes, without making it."""
    return len(FORMAT) + 1 + 10 + 1 + 64 + 1 + 16 + 1 + (len(content) + 2) // 3 * 4


def sealed_elsewhere(verdict: Verdict, content: bytes, uri: str) -> str:
    """The line that refers to a verdict, given its bytes and where they lie."""
    return _line(verdict, content, f"uri:{uri}")


def _line(verdict: Verdict, content: bytes, payload: str) -> str:
    tag = attempt_tag(verdict.uid, verdict.path, verdict.attempt)
    return f"{FORMAT} {len(content)} {hashlib.sha256(content).hexdigest()} {tag} {payload}"


def _failure(told: Mapping[str, Any]) -> bytes:
    parts = [
        _number(1, told.get("kind", USER)),
        _text(2, told["code"]),
        _text(3, told["message"]),
        _text(4, told.get("trace", "")),
        _number(5, int(told["recoverable"])),
    ]
    if "cause" in told:
        parts.append(_block(8, _failure(told["cause"])))
    parts += [_block(11, code.encode("utf-8", "replace")) for code in told.get("codes") or [told["code"]]]
    parts.append(_text(12, told.get("trace_uri", "")))
    return b"".join(parts)


def _block(field_number: int, body: bytes) -> bytes:
    return varint(field_number << 3 | 2) + varint(len(body)) + body


def _text(field_number: int, text: str) -> bytes:
    return _block(field_number, text.encode("utf-8", "replace")) if text else b""


def _number(field_number: int, number: int) -> bytes:
    return varint(field_number << 3) + varint(number) if number else b""


def _moment(field_number: int, micros: int) -> bytes:
    """A Timestamp; left out when nothing happened."""
    if not micros:
        return b""
    return _block(field_number, _number(1, micros // 1_000_000) + _number(2, micros % 1_000_000 * 1000))
