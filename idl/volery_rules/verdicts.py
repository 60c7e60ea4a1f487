"""Verdicts: what a container leaves in its termination message about the attempt that it ran.

One line: `volery/1 LENGTH SHA256 TAG BASE64`, or `volery/1 LENGTH SHA256 TAG uri:URI`. LENGTH and SHA256
are those of the serialised AttemptVerdict, which stands in the line or lies at the URI. TAG says whose it
is. A message comes from a container that ran other people's code, and a kubelet keeps only the last 4,096
bytes of it, or fewer: so what is not whole, or is another attempt's, is no verdict at all.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from voleryidl.worker.v1.verdict_pb2 import AttemptVerdict

FORMAT = "volery/1"
LONGEST = 16 * 1024 * 1024
"""Bytes of a verdict that are believed to be one; a reader need not fetch more."""

_LINE = re.compile(r"volery/1 (0|[1-9][0-9]{0,9}) ([0-9a-f]{64}) ([0-9a-f]{16}) ([!-~]+)")
_BY_URI = "uri:"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A verdict that is whole, and the attempt's that was asked for.

    Attributes:
        verdict: what it says.
        content: the same, serialised.
    """

    verdict: AttemptVerdict
    content: bytes


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A verdict that lies in the object store.

    Attributes:
        uri: where; chosen by whoever wrote the message, so a reader takes it only below the attempt's prefix.
        size: its bytes.
        sha256: of its content, in hexadecimal.
        tag: of the attempt.
    """

    uri: str
    size: int
    sha256: str
    tag: str

    def opened(self, content: bytes) -> Sealed | None:
        """The verdict that was fetched; None where it is not the one that was promised."""
        return _checked(content, self.size, self.sha256, self.tag)


def attempt_tag(uid: str, path: str, attempt: int) -> str:
    """What stands for an attempt in a message: 16 hexadecimal digits.

    Args:
        uid: of the execution.
        path: of the node.
        attempt: counts from 1.
    """
    return hashlib.sha256(f"{uid}\0{path}\0{attempt}".encode()).hexdigest()[:16]


def seal(verdict: AttemptVerdict) -> str:
    """The line that carries a verdict."""
    content = verdict.SerializeToString(deterministic=True)
    return _line(verdict, content, base64.b64encode(content).decode())


def seal_elsewhere(verdict: AttemptVerdict, uri: str) -> str:
    """The line that refers to a verdict which lies at a URI, serialised deterministically."""
    return _line(verdict, verdict.SerializeToString(deterministic=True), _BY_URI + uri)


def read(message: str, tag: str) -> Sealed | Elsewhere | None:
    """The verdict that a termination message carries.

    Args:
        message: what the container left; lines before and after that are no verdict are skipped, and the
            last verdict counts.
        tag: of the attempt that is asked about; see `attempt_tag`.

    Returns:
        None where there is none, or only one that is cut, garbled, or another attempt's.
    """
    for line in reversed(message.splitlines()):
        found = _LINE.fullmatch(line.strip())
        if found is None:
            continue
        size, sha256, whose, payload = int(found[1]), found[2], found[3], found[4]
        if whose != tag or size > LONGEST:
            continue
        if payload.startswith(_BY_URI):
            if uri := payload[len(_BY_URI) :]:
                return Elsewhere(uri, size, sha256, tag)
            continue
        try:
            content = base64.b64decode(payload, validate=True)
        except (binascii.Error, ValueError):
            continue
        if sealed := _checked(content, size, sha256, tag):
            return sealed
    return None


def _line(verdict: AttemptVerdict, content: bytes, payload: str) -> str:
    tag = attempt_tag(verdict.execution_uid, verdict.path, verdict.attempt)
    return f"{FORMAT} {len(content)} {hashlib.sha256(content).hexdigest()} {tag} {payload}"


def _checked(content: bytes, size: int, sha256: str, tag: str) -> Sealed | None:
    if len(content) != size or not hmac.compare_digest(hashlib.sha256(content).hexdigest(), sha256):
        return None
    verdict = AttemptVerdict()
    try:
        verdict.ParseFromString(content)
    except DecodeError:
        return None
    if verdict.WhichOneof("verdict") is None:
        return None
    if attempt_tag(verdict.execution_uid, verdict.path, verdict.attempt) != tag:
        return None
    return Sealed(verdict, content)
