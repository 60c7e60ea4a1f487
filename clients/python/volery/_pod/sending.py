"""This module sends the outputs of a container task when its program has ended: a sidecar's work.

Kubernetes ends a sidecar by SIGTERM after the program's container is over, and until then it only waits. How
the program ended it does not know; a worker joins its exit code with what is said here.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, Final, NoReturn

from volery._pod import process
from volery._pod.contract import ContractBroken, Files, Reader, conceal
from volery._pod.delivery import deliver, failed
from volery._pod.output_files import READY
from volery._pod.running import refuse
from volery._pod.verdicts import USER, Verdict
from volery.storage import Workspace

_ENDS: Final = frozenset({signal.SIGTERM, signal.SIGINT})
_MESSAGE_LIMIT: Final = 16 * 1024
_TRACE_LIMIT: Final = 64 * 1024


def send() -> NoReturn:
    """Waits for the program's end, sends what it left, and leaves the process."""
    # Blocked before anything else: a container's first process does not hear what it has no handler for.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    start = process.now()
    reader = Reader(os.environ)
    identity = reader.identity()
    files = reader.files(with_inputs=False)
    _say_ready(files)
    signal.sigwait(_ENDS)
    try:
        reader.check()
    except ContractBroken as error:
        process.leave(refuse(identity, error, start))
    conceal(os.environ)
    workspace: Workspace | None = None
    outputs: dict[str, bytes] | None = None
    try:
        place = process.Place()
        context = process.context_of(identity, place, files.inline_limit)
        workspace = process.workspace_of(context, place.work)
        outputs, failure = _collected(files, workspace)
    except OSError as error:
        failure = failed("OutputsNotStored", str(error))
    verdict = Verdict(identity.uid, identity.path, identity.attempt, 0, 0, process.now(), outputs, failure)
    left = deliver(identity, verdict, workspace)
    if left is None:
        process.leave(process.UNTOLD)
    if left.outputs is None:
        process.complain(f"{left.failure['code']}: {left.failure['message']}")
    process.leave(process.SUCCEEDED if left.outputs is not None else process.FAILED)


def _say_ready(files: Files) -> None:
    try:
        os.makedirs(files.output_dir, exist_ok=True)
        os.close(
            os.open(os.path.join(files.output_dir, READY), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        )
    except OSError as error:
        process.complain(f"cannot say in {files.output_dir} that outputs are waited for: {error.strerror}")


def _collected(files: Files, workspace: Workspace) -> tuple[dict[str, bytes] | None, dict[str, Any]]:
    """The outputs, or why there are none."""
    from volery._literals import MalformedLiteral
    from volery._pod.interfaces import read_interface
    from volery._pod.output_files import Missing, OutputFiles, Unfit
    from volery.errors import StorageError

    try:
        declared = read_interface(files.interface).outputs
        left = OutputFiles(Path(files.output_dir), workspace, files.inline_limit)
        if told := left.error():
            return None, _as_failure(told)
        return left.collect(declared), {}
    except MalformedLiteral as error:
        return None, failed("ContractBroken", f"VOLERY_INTERFACE: {error}", recoverable=False)
    except Missing as error:
        return None, failed("OutputMissing", str(error), USER, recoverable=False)
    except Unfit as error:
        return None, failed("OutputInvalid", str(error), USER, recoverable=False)
    except (StorageError, OSError, MemoryError) as error:
        return None, failed("OutputsNotStored", f"{type(error).__name__}: {error}")


def _as_failure(told: dict[str, Any]) -> dict[str, Any]:
    """What an error file says, as far as it makes sense."""
    from volery._process.failures import cut

    code = told.get("code")
    failure = failed(
        "ErrorFile",
        cut(told["message"], _MESSAGE_LIMIT),
        USER,
        recoverable=told.get("recoverable") is not False,
    )
    if isinstance(code, str) and 0 < len(code) <= 200 and code.isprintable():
        failure["code"] = code
        failure["codes"] = [code, "ErrorFile"]
    if isinstance(told.get("trace"), str):
        failure["trace"] = cut(told["trace"], _TRACE_LIMIT)
    return failure


def wait_until_ready() -> NoReturn:
    """Waits until `send` in the same container hears SIGTERM; the program is to start after that."""
    import time

    place = os.path.join(os.environ.get("VOLERY_OUTPUT_DIR") or "/var/volery/outputs", READY)
    for _ in range(6000):
        if os.path.exists(place):
            os._exit(process.SUCCEEDED)
        time.sleep(0.01)
    process.complain(f"nobody waits for outputs: there is no {place}")
    os._exit(process.FAILED)
