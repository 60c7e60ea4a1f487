"""Tokens of callers: what one looks like, and what is kept of it.

A token is `vol_ID_SECRET`. The id names it in lists and finds it; the secret is random, so that a plain
SHA-256 of the whole is all that need be kept to know it again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from volery_controlplane.domain.errors import Unauthenticated
from volery_controlplane.domain.principals import Principal, Role
from volery_controlplane.domain.records import Micros

PREFIX = "vol_"
ID_BYTES = 6
SECRET_BYTES = 32

LEAST_SIGNS = 16
"""Different signs that a secret has at least; of 43 random ones fewer are next to impossible."""

_TOKEN = re.compile(r"vol_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What is kept of a token.

    Attributes:
        token_id: names it.
        name: of the principal; tokens that replace each other share one.
        role: what the principal is.
        projects: what it is limited to; empty means nothing.
        digest: the SHA-256 of the token.
        create_time: when it was made.
        expire_time: from when on it is refused; None for never.
        revoke_time: since when it is refused; None when it is not.
    """

    token_id: str
    name: str
    role: Role
    projects: Sequence[str]
    digest: bytes = field(repr=False)
    create_time: Micros
    expire_time: Micros | None
    revoke_time: Micros | None = None

    def principal(self, token: str, now: Micros) -> Principal:
        """Who bears a token that claims to be this one.

        Raises:
            Unauthenticated: when it is another, or no longer good.
        """
        if not hmac.compare_digest(digest_of(token), self.digest):
            raise unknown_token()
        if self.revoke_time is not None:
            raise Unauthenticated(
                f"the token {self.token_id} of {self.name} was revoked; ask an administrator for another",
                {"token_id": self.token_id},
            )
        if self.expire_time is not None and now >= self.expire_time:
            raise Unauthenticated(
                f"the token {self.token_id} of {self.name} has expired; ask an administrator for another",
                {"token_id": self.token_id},
            )
        return Principal(self.name, self.role, frozenset(self.projects))


def token_text(token_id: str, secret: str) -> str:
    """A token of its parts."""
    return f"{PREFIX}{token_id}_{secret}"


def token_id_of(token: str) -> str:
    """The id in a token; "" when it is none."""
    found = _TOKEN.fullmatch(token)
    return found[1] if found else ""


def is_strong(token: str) -> bool:
    """Whether the secret of a token that somebody brings may be random, and is no placeholder."""
    return len(set(token.split("_", 2)[-1])) >= LEAST_SIGNS


def digest_of(token: str) -> bytes:
    """What is kept of a token's secret."""
    return hashlib.sha256(token.encode()).digest()


def unknown_token() -> Unauthenticated:
    """What is said to the bearer of a token that nobody made."""
    return Unauthenticated(
        "this installation does not know the token; it may belong to another one, or be cut off. Make one"
        " with: volery-controlplane tokens create"
    )
