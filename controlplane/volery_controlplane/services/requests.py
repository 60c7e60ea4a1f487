"""Safe repeats: a request id is answered with what it did the first time.

The answer is kept in the transaction of its effect, so there is never one without the other. What is kept
is what the service needs to answer again, as JSON, never a wire message.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from volery_controlplane.domain.errors import Invalid, RequestIdReused, Violation
from volery_controlplane.domain.records import StoredRequest
from volery_controlplane.services.ports import Transaction

Answer = dict[str, Any]


def checked_request_id(request_id: str) -> str:
    """Gives a request id in its one form; empty stays empty and promises nothing.

    Raises:
        Invalid: when it is not a UUID.
    """
    if not request_id:
        return ""
    try:
        return str(uuid.UUID(request_id))
    except ValueError as error:
        message = "request_id is not a UUID"
        hint = "make one per intention, for example with uuid4, and send it again with each repeat"
        raise Invalid(message, [Violation("request_id", message, "BAD_REQUEST_ID", hint=hint)]) from error


def fingerprint_of(*parts: str | bytes | Message) -> str:
    """Digests an intention, so that a repeat can be told from something else.

    Args:
        *parts: in an order fixed by the caller; messages count by their content.

    Returns:
        The digest in hexadecimal.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Message):
            part = part.SerializeToString(deterministic=True)
        elif isinstance(part, str):
            part = part.encode("utf-8", "surrogatepass")
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def once(
    tx: Transaction, request_id: str, method: str, fingerprint: str, act: Callable[[], Answer]
) -> tuple[Answer, bool]:
    """Acts, unless this request did so before.

    Args:
        tx: the transaction of the effect.
        request_id: checked; empty acts always.
        method: the intention's name.
        fingerprint: the intention's digest.
        act: has the effect and gives the answer to keep.

    Returns:
        The answer, and whether it is that of an earlier request.

    Raises:
        RequestIdReused: when the id was used for another intention.
    """
    if not request_id:
        return act(), False
    stored = tx.requests.get(request_id)
    if stored is not None:
        if (stored.method, stored.fingerprint) != (method, fingerprint):
            raise RequestIdReused(
                f"request_id {request_id} was used for another {stored.method}",
                {"request_id": request_id, "method": stored.method},
            )
        answer: Answer = json.loads(stored.response)
        return answer, True
    answer = act()
    response = json.dumps(answer, separators=(",", ":")).encode()
    tx.requests.put(StoredRequest(request_id, method, fingerprint, response, tx.now))
    return answer, False
