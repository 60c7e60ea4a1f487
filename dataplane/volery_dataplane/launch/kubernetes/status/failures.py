"""What is said of attempts whose pods ended without a verdict: codes for programs, sentences for people."""

from __future__ import annotations

import re

from voleryidl.core.v1.failure_pb2 import (
    FAILURE_KIND_SYSTEM,
    FAILURE_KIND_TIMEOUT,
    FAILURE_KIND_USER,
    Failure,
    FailureKind,
)

from volery_dataplane.launch.kubernetes.status.pod_view import Container

LONGEST = 2000
"""Characters of a message or a tail of output that are kept."""

# A node's words for a secret, or a key of one, that it was to put into a variable or a volume.
_NO_SECRET = re.compile(
    r'\bsecrets? "[^"]*" not found|couldn\'t find key \S+ in Secret |references non-existent secret key'
)


def failure(
    kind: FailureKind, message: str, *codes: str, recoverable: bool = True, trace: str = ""
) -> Failure:
    """A failure by the first of its codes; rules of retries may name any of them."""
    return Failure(
        kind=kind,
        code=codes[0],
        codes=list(codes),
        message=cut(message),
        trace=trace[-LONGEST:],
        recoverable=recoverable,
    )


def user(message: str, *codes: str, recoverable: bool = True, trace: str = "") -> Failure:
    """A failure of the user's code, image or declaration."""
    return failure(FAILURE_KIND_USER, message, *codes, recoverable=recoverable, trace=trace)


def system(message: str, *codes: str, trace: str = "") -> Failure:
    """A failure of the platform or its machines."""
    return failure(FAILURE_KIND_SYSTEM, message, *codes, trace=trace)


def timed_out(message: str, *codes: str) -> Failure:
    """A failure for want of time."""
    return failure(FAILURE_KIND_TIMEOUT, message, *codes)


def missing(text: str, words: str, *codes: str) -> Failure:
    """A failure for want of what the pod refers to; where that is a secret, by the code of processes too."""
    if _NO_SECRET.search(words):
        codes = ("SecretUnavailable", *codes)
    return user(sentence(text, words), *codes, recoverable=False)


def cut(text: str) -> str:
    """A text short enough to be kept."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def sentence(text: str, words: str) -> str:
    """A text, and after a colon what somebody else said, where they said something."""
    words = " ".join(words.split())
    return f"{text}: {words}" if words else text


def called(container: Container) -> str:
    """A container, as people find it."""
    kind = "init container" if container.is_init else "container"
    return (
        f"{kind} {container.name!r} (image {container.image})"
        if container.image
        else f"{kind} {container.name!r}"
    )


def last_line(text: str) -> str:
    """The last line that says something."""
    lines = text.split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
