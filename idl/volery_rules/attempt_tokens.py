"""Tokens of attempts: what lets a task say which attempt it is, and nothing more.

The control plane derives a key for each holding of an execution from the installation's secret, and hands
it to the holder with the assignment. The worker mints a token for each attempt with that key, without
asking anybody; the control plane derives the key anew and so knows a genuine token without having kept it.
A later holder of the execution has another fencing token and so another key.

A token is `vat_` and base64url of: a format byte, execution key, fencing token, attempt, the length of the
uid; the uid; the node's path; the HMAC-SHA256 of all that.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from dataclasses import dataclass, field

PREFIX = "vat_"
LONGEST = 4096
"""Characters of a token; paths are far shorter."""

_FORMAT = 1
_HEAD = struct.Struct(">BqqIB")
_MAC_BYTES = 32
_DIGEST = "sha256"


@dataclass(frozen=True, slots=True)
class AttemptClaim:
    """What a token says of its bearer.

    Attributes:
        execution_key: the control plane's key of the execution.
        uid: the execution's uid.
        fencing_token: the holding under which the attempt was started.
        path: the node's path.
        attempt: counts from 1.
    """

    execution_key: int
    uid: str
    fencing_token: int
    path: str
    attempt: int


@dataclass(frozen=True, slots=True)
class SignedClaim:
    """A claim as read from a token, not yet believed."""

    claim: AttemptClaim
    signed: bytes = field(repr=False)
    mac: bytes = field(repr=False)

    def is_genuine(self, secret: bytes) -> bool:
        """Whether a worker made it that held the execution under the fencing token claimed."""
        key = attempt_key(secret, self.claim.uid, self.claim.fencing_token)
        return hmac.compare_digest(hmac.digest(key, self.signed, _DIGEST), self.mac)


def attempt_key(secret: bytes, uid: str, fencing_token: int) -> bytes:
    """The key with which one holder of an execution signs its attempts.

    Args:
        secret: the installation's.
        uid: of the execution.
        fencing_token: of the holding.

    Returns:
        32 bytes, from which the secret cannot be had.
    """
    return hmac.digest(secret, b"volery attempt key\0%d\0" % fencing_token + uid.encode(), _DIGEST)


def mint(key: bytes, claim: AttemptClaim) -> str:
    """A token for one attempt.

    Args:
        key: as derived by `attempt_key` for the claim's uid and fencing token.
        claim: what the token says.

    Returns:
        The token, fit for a header.
    """
    uid = claim.uid.encode()
    signed = (
        _HEAD.pack(_FORMAT, claim.execution_key, claim.fencing_token, claim.attempt, len(uid))
        + uid
        + claim.path.encode()
    )
    return PREFIX + base64.urlsafe_b64encode(signed + hmac.digest(key, signed, _DIGEST)).decode()


def read(token: str) -> SignedClaim | None:
    """What a token claims; None when it is none of an attempt's."""
    if not token.startswith(PREFIX) or len(token) > LONGEST or not token.isascii():
        return None
    try:
        content = base64.b64decode(token[len(PREFIX) :], altchars=b"-_", validate=True)
        signed, mac = content[:-_MAC_BYTES], content[-_MAC_BYTES:]
        form, execution_key, fencing_token, attempt, length = _HEAD.unpack_from(signed)
        rest = signed[_HEAD.size :]
        uid, path = rest[:length].decode(), rest[length:].decode()
    except (binascii.Error, struct.error, UnicodeDecodeError):
        return None
    if form != _FORMAT or len(uid.encode()) != length:
        return None
    return SignedClaim(AttemptClaim(execution_key, uid, fencing_token, path, attempt), signed, mac)
