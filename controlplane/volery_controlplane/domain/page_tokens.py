"""Page tokens: opaque places in a list, bound to the list, its filter and its order.

A token holds a digest of what was asked and the cursor of the last row seen. Handed to another list, or to
the same list with another filter or order, it is refused rather than read as something it is not. It is
not a secret: everything in it was in the page before.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence

from volery_controlplane.domain.errors import Invalid, Violation

_FORMAT = 1
_LONGEST = 4096

Cursor = tuple[str | int, ...]


def binding_of(*parts: str) -> str:
    """Digests what a page belongs to: the list's name, its parent, filter and order.

    Args:
        *parts: in an order fixed by the list.

    Returns:
        A short digest.
    """
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def issue(binding: str, cursor: Sequence[str | int]) -> str:
    """Makes the token of the page that begins after a cursor."""
    text = json.dumps([_FORMAT, binding, list(cursor)], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode("ascii").rstrip("=")


def read(token: str, binding: str) -> Cursor | None:
    """Reads a token back.

    Args:
        token: as issued; empty for the first page.
        binding: of the list now asked for.

    Returns:
        The cursor, or None for the first page.

    Raises:
        Invalid: when the token was not issued here, or for something else.
    """
    if not token:
        return None
    content = _decode(token)
    match content:
        case [int(number), str(bound), [*cursor]] if number == _FORMAT:
            pass
        case _:
            raise not_issued_here()
    if bound != binding:
        raise _refusal("belongs to a list with another parent, filter or order")
    # bool is an int to isinstance, but no store ever issued one
    place = tuple(part for part in cursor if isinstance(part, str | int) and not isinstance(part, bool))
    if not place or len(place) != len(cursor):
        raise not_issued_here()
    return place


def _decode(token: str) -> object:
    if len(token) > _LONGEST:
        raise not_issued_here()
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        return json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (UnicodeError, binascii.Error, ValueError, RecursionError) as error:
        raise not_issued_here() from error


def not_issued_here() -> Invalid:
    """The refusal of a token that this server did not issue for the list."""
    return _refusal("is not a page token of this server")


def _refusal(message: str) -> Invalid:
    hint = "leave it empty to begin at the first page"
    violation = Violation("page_token", message, "BAD_PAGE_TOKEN", hint=hint)
    return Invalid(f"page_token {message}", [violation])
