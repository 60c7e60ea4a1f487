"""Data URLs: what the path of a signed URL of the data server says, and how it is known to be genuine.

A control plane signs what a URL reads or writes, and until when, with a key derived from the installation's
secret. Any control plane of the installation knows a genuine one without having kept it. Whoever has the URL
may do this one thing: it is a secret until it expires.

A token is base64url of a format byte, the expiry, the size, the method's letter, the SHA-256 (32 bytes, zeros
where none is known), the target below the root of the object store; and the HMAC-SHA256 of all that.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from dataclasses import dataclass

LONGEST = 8192
"""Characters of a token; targets are far shorter."""

_FORMAT = 1
_HEAD = struct.Struct(">BqQc32s")
_MAC_BYTES = 32
_DIGEST = "sha256"
_LETTERS = {"GET": b"G", "PUT": b"P"}
_METHODS = {letter: method for method, letter in _LETTERS.items()}
_UNKNOWN = bytes(32)


@dataclass(frozen=True, slots=True)
class DataUrl:
    """What a signed URL allows.

    Attributes:
        method: `GET` or `PUT`.
        target: a path below the root of the object store.
        expires: seconds since the epoch.
        size: of what is written, in bytes.
        sha256: of what is written, in hexadecimal.
    """

    method: str
    target: str
    expires: int
    size: int = 0
    sha256: str = ""


def key(secret: bytes) -> bytes:
    """The key of data URLs, from which the installation's secret cannot be had."""
    return hmac.digest(secret, b"volery data url\0", _DIGEST)


def mint(secret: bytes, url: DataUrl) -> str:
    """The token of a URL, fit for a path."""
    signed = (
        _HEAD.pack(
            _FORMAT,
            url.expires,
            url.size,
            _LETTERS[url.method],
            bytes.fromhex(url.sha256) if url.sha256 else _UNKNOWN,
        )
        + url.target.encode()
    )
    mac = hmac.digest(key(secret), signed, _DIGEST)
    return base64.urlsafe_b64encode(signed + mac).rstrip(b"=").decode()


def read(secret: bytes, token: str) -> DataUrl | None:
    """What a token allows, expired or not; None when this installation did not make it."""
    if len(token) > LONGEST or not token.isascii():
        return None
    try:
        content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    signed, mac = content[:-_MAC_BYTES], content[-_MAC_BYTES:]
    if not hmac.compare_digest(hmac.digest(key(secret), signed, _DIGEST), mac):
        return None
    try:
        form, expires, size, letter, sha256 = _HEAD.unpack_from(signed)
        target = signed[_HEAD.size :].decode()
    except (struct.error, UnicodeDecodeError):
        return None
    if form != _FORMAT or letter not in _METHODS:
        return None
    return DataUrl(_METHODS[letter], target, expires, size, "" if sha256 == _UNKNOWN else sha256.hex())
