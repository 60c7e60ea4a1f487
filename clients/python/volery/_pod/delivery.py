"""This module leaves verdicts where a worker finds them.

A small one stands in the termination message; a larger one is put into the object store and the message
refers to it. Whatever happens on the way, something is left if it can be.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from volery._pod import verdicts
from volery._pod.contract import KUBELET_KEEPS, Identity
from volery._pod.verdicts import Verdict

if TYPE_CHECKING:
    from volery.storage import Workspace

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a verdict that a worker takes."""

_SHORT_MESSAGE: Final = 400
_SHORT_TRACE: Final = 600


def deliver(identity: Identity, verdict: Verdict, workspace: Workspace | None) -> Verdict | None:
    """Leaves a verdict.

    Args:
        identity: of the attempt.
        verdict: how it ended.
        workspace: reaches the object store; None where that cannot be.

    Returns:
        The one that was left: another than given where that was too large or could not be stored. None
        where none could be left at all.
    """
    try:
        content = verdicts.encode(verdict)
        if len(content) > LARGEST:
            verdict = replace(verdict, outputs=None, failure=_too_large(len(content)))
            content = verdicts.encode(verdict)
        if identity.verdict_limit and verdicts.sealed_length(content) <= identity.verdict_limit:
            return verdict if _leave(identity, verdicts.sealed(verdict, content)) else None
        problem = _stored(identity, verdict, content, workspace)
        if not problem:
            return verdict
    except MemoryError:
        problem = "MemoryError: there is no memory left to write it"
    return _leave_less(identity, verdict, problem)


def failed(
    code: str, message: str, kind: int = verdicts.SYSTEM, *, recoverable: bool = True
) -> dict[str, Any]:
    """A failure that is not an exception of the user's."""
    return {
        "kind": kind,
        "code": code,
        "codes": [code],
        "message": message,
        "trace": "",
        "recoverable": recoverable,
    }


def _stored(identity: Identity, verdict: Verdict, content: bytes, workspace: Workspace | None) -> str:
    """Puts a verdict into the object store and refers to it; answers what kept it from that."""
    if workspace is None:
        return "the object store cannot be reached"
    uri = f"{identity.prefix}/verdict.pb"
    try:
        put(workspace, uri, content)
    except Exception as error:  # a store may be anybody's
        return f"{type(error).__name__}: {error}"
    line = verdicts.sealed_elsewhere(verdict, content, uri)
    return "" if _leave(identity, line) else "the termination message cannot be written"


def put(workspace: Workspace, uri: str, content: bytes) -> None:
    """Puts an object at a URI.

    Raises:
        StorageError: it cannot be put.
        OSError: nothing can be written here.
    """
    source = workspace.scratch_file("object")
    source.write_bytes(content)
    workspace.put_file(source, uri)
    source.unlink()


def _leave_less(identity: Identity, verdict: Verdict, problem: str) -> Verdict | None:
    """Leaves what fits into the message, where the whole verdict could not be stored."""
    if verdict.outputs is not None:
        message = f"the attempt returned, but its outputs could not be stored: {problem[:_SHORT_MESSAGE]}"
        failure = failed("OutputsNotStored", message)
    else:
        told = verdict.failure
        failure = failed(
            told["code"][:100],
            told["message"][:_SHORT_MESSAGE],
            told.get("kind", verdicts.USER),
            recoverable=told["recoverable"],
        )
        failure["codes"] = [code[:100] for code in told["codes"][:5]]
        failure["trace"] = told["trace"][-_SHORT_TRACE:]
    if not identity.verdict_limit:  # what a task says must not stand where readers of pods see it
        hidden = "what it says could not be stored, and is not to stand in the pod"
        failure["message"] = f"{hidden}: {problem[:_SHORT_MESSAGE]}"
        failure["trace"] = ""
    less = replace(verdict, outputs=None, failure=failure)
    content = verdicts.encode(less)
    if verdicts.sealed_length(content) > KUBELET_KEEPS:  # every sign of it took several bytes
        less = replace(less, failure={**failure, "trace": "", "message": failure["message"][:100]})
        content = verdicts.encode(less)
    return less if _leave(identity, verdicts.sealed(less, content)) else None


def leave_text(file: str, text: str) -> None:
    """Leaves a text for people, where nobody knows which attempt it would be the verdict of."""
    _write(file, text[:KUBELET_KEEPS].encode("utf-8", "replace")[:KUBELET_KEEPS])


def _leave(identity: Identity, line: str) -> bool:
    return _write(identity.verdict_file, f"{line}\n".encode("ascii", "backslashreplace"))


def _write(file: str, data: bytes) -> bool:
    """Writes a file in one go. A termination message is a mount: nothing can be renamed over it.

    What is torn all the same is known by its length and hash.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        finally:
            os.close(descriptor)
    except OSError as error:
        _complain(f"volery: cannot write the verdict to {file}: {error.strerror}")
        return False
    return True


def _complain(text: str) -> None:
    try:
        os.write(2, f"{text}\n".encode("utf-8", "replace"))
    except OSError:
        return  # nobody listens


def _too_large(size: int) -> dict[str, Any]:
    message = (
        f"the outputs take {size} bytes beside what was put into the object store; {LARGEST} are the most"
    )
    return failed("OutputInvalid", message, verdicts.USER, recoverable=False)
