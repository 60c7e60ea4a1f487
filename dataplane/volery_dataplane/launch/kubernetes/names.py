"""Names of pods, and of containers that the platform adds to them.

A pod is called `{execution}-{hash of installation, uid and path}-{attempt}`.
The same attempt has the same name whoever launches it, so that creating its pod a second time finds the
first. The name is the pod's host name too, and so a label of DNS: at most 63 characters.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache

FETCH = "volery-fetch"
SEND = "volery-send"
MOVERS = frozenset({FETCH, SEND})
"""The containers that move the files of container tasks."""

LONGEST = 63
"""Characters of a label of DNS."""

_PREFIX = 30
_HASH = 20  # of base32: 100 bits
_LAST_ATTEMPT = 2**32 - 1
_NOT_OF_A_LABEL = re.compile(r"[^a-z0-9]+")


def pod_name(installation: str, execution_name: str, uid: str, path: str, attempt: int) -> str:
    """The name of the pod of one attempt.

    Args:
        installation: the installation's id: two of them may share a cluster.
        execution_name: for people, who look for it; cut where it is long.
        uid: the execution's, which is never used again, as its name may be.
        path: the node.
        attempt: from 1.
    """
    if not 0 < attempt <= _LAST_ATTEMPT:
        raise ValueError(f"attempts count from 1 to {_LAST_ATTEMPT}, not {attempt}")
    return f"{_shown(execution_name)}-{node_hash(installation, uid, path)}-{attempt}"


@lru_cache(maxsize=1024)  # asked for by the launcher, for the pod's name and for its label
def node_hash(installation: str, uid: str, path: str) -> str:
    """What stands for one node of one execution in names and labels."""
    digest = hashlib.sha256("\0".join((installation, uid, path)).encode()).digest()
    return base64.b32encode(digest)[:_HASH].decode().lower()


def _shown(execution_name: str) -> str:
    """What of an execution's name can stand in a label of DNS."""
    plain = _NOT_OF_A_LABEL.sub("-", execution_name.lower()).strip("-")
    return plain[:_PREFIX].rstrip("-") or "x"
