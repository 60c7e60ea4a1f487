"""This module runs a Python task in its pod: code and inputs in, verdict out.

The attempt ends with a verdict and an exit code that agrees with it, whatever user code did, as long as the
process lives. What a worker makes of a process that did not get that far is the worker's to say.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import replace
from typing import Any, NoReturn

from volery._pod import process
from volery._pod.contract import (
    KUBELET_KEEPS,
    Bundle,
    ContractBroken,
    Identity,
    Inputs,
    PythonTask,
    Reader,
    conceal,
)
from volery._pod.delivery import deliver, failed, leave_text, put
from volery._pod.verdicts import SYSTEM, USER, Verdict
from volery._process.attempt import Terminated, prepare_path
from volery.storage import Workspace


def run() -> NoReturn:
    """Runs the task that the environment describes, and leaves the process."""
    start, pid = process.now(), os.getpid()
    ending = process.Ending()
    process.open_streams()
    with suppress(ImportError, RuntimeError, OSError, ValueError):  # no usable stderr
        import faulthandler

        faulthandler.enable(2)
    reader = Reader(os.environ)
    identity = reader.identity()
    task = reader.python_task()
    try:
        reader.check()
    except ContractBroken as error:
        process.leave(refuse(identity, error, start))
    conceal(os.environ)
    attempt = _Attempt(identity, task, start)
    try:
        with ending.interruptible():
            attempt.go()
    except Terminated:
        attempt.terminated()
    except BaseException as error:
        if ending.asked:  # what was raised on the way out, while it was told to end
            attempt.terminated()
        else:
            attempt.raised(error)
    if os.getpid() != pid:
        os._exit(process.UNTOLD)  # a fork of the task's that came back here; its parent tells how it ended
    code = attempt.tell()
    process.leave(code, after_user_code=True)


def refuse(identity: Identity, error: ContractBroken, start: int) -> int:
    """Tells, as far as that can be told, that the contract is broken; answers the exit code."""
    text = f"the container contract is broken: {error}"
    process.complain(text)
    if identity.verdict_file and identity.uid and identity.path and identity.attempt:
        failure = failed("ContractBroken", text, recoverable=False)
        verdict = Verdict(
            identity.uid, identity.path, identity.attempt, start, 0, process.now(), None, failure
        )
        # What it says of variables stands in the pod anyway, so it may stand in the message too.
        deliver(replace(identity, verdict_limit=KUBELET_KEEPS), verdict, None)
    elif identity.verdict_file:
        leave_text(identity.verdict_file, text)
    return process.BROKEN


class _Attempt:
    """One attempt, and how it stands."""

    def __init__(self, identity: Identity, task: PythonTask, start: int) -> None:
        self._identity, self._task = identity, task
        self._start, self._loaded, self._end = start, 0, 0
        self._outputs: dict[str, bytes] | None = None
        self._failure: dict[str, Any] = {}
        self._terminated = False
        self._workspace: Workspace | None = None

    def go(self) -> None:
        """Brings code and inputs, and calls the task. Raises what user code raises."""
        task = self._task
        try:
            place = process.Place()
        except OSError as error:
            self._fails(
                "NoWorkingDirectory", f"{error}; mount a volume at one of them", USER, recoverable=False
            )
            return
        context = process.context_of(self._identity, place, task.inline_limit, task.traceparent)
        self._workspace = process.workspace_of(context, place.root)
        if task.bundle is not None and not self._bring(task.bundle, place.root, self._workspace):
            return
        inputs = self._read(task.inputs, self._workspace)
        if inputs is None:
            return
        os.chdir(place.work)
        runner = self._load()
        if runner is None:
            return
        self._loaded = process.now()
        self._outputs = runner.run(inputs, context)
        self._end = process.now()

    def _bring(self, bundle: Bundle, directory: str, workspace: Workspace) -> bool:
        from volery._pod.bundles import BundleRefused, bring
        from volery.errors import StorageError

        try:
            prepare_path(bring(bundle, directory, workspace))
        except BundleRefused as error:
            self._fails("BundleRefused", str(error), USER, recoverable=False)
        except (StorageError, OSError) as error:
            self._fails("BundleUnavailable", f"the code could not be fetched: {error}")
        else:
            return True
        return False

    def _read(self, inputs: Inputs, workspace: Workspace) -> bytes | None:
        try:
            return read_inputs(inputs, workspace)
        except InputsUnavailable as error:
            self._fails("InputsUnavailable", str(error))
        return None

    def _load(self) -> Any:
        from volery import _runtime

        task = self._task
        try:
            return _runtime.load(task.module, task.qualname)
        except Terminated:
            raise
        except BaseException as error:
            from volery._process import failures

            self._failure = failures.not_loadable(task.module, task.qualname, error)
            self._keep_whole(error, self._failure.get("cause", self._failure))
            return None

    def raised(self, error: BaseException) -> None:
        """Notes what user code raised."""
        self._end = process.now()
        self._outputs = None
        try:
            from volery._process import failures

            self._failure = failures.describe(error)
            self._keep_whole(error, self._failure)
        except BaseException as second:  # no memory, no stack: less is told
            kind = type.__dict__["__name__"].__get__(type(error))
            message = f"and cannot be described: {type(second).__name__}"
            self._failure = failed(kind, message, USER)

    def terminated(self) -> None:
        """Notes that the process was told to end."""
        self._terminated = True
        self._outputs = None
        self._fails("Terminated", "the pod was told to end (SIGTERM)")

    def tell(self) -> int:
        """Leaves the verdict; answers the exit code."""
        identity = self._identity
        verdict = Verdict(
            identity.uid,
            identity.path,
            identity.attempt,
            self._start,
            self._loaded,
            self._end or process.now(),
            self._outputs,
            self._failure,
        )
        left = deliver(identity, verdict, self._workspace)
        if left is None:
            return process.UNTOLD
        if self._terminated:
            return process.TERMINATED
        if left.outputs is not None:
            return process.SUCCEEDED
        if left is not verdict and self._outputs is not None:
            process.complain(str(left.failure["message"]))
        return process.FAILED

    def _fails(self, code: str, message: str, kind: int = SYSTEM, *, recoverable: bool = True) -> None:
        self._failure = failed(code, message, kind, recoverable=recoverable)
        process.complain(f"{code}: {message}")

    def _keep_whole(self, error: BaseException, told: dict[str, Any]) -> None:
        """Prints a failure into the log, and puts all of it where the verdict refers to if it was cut."""
        from volery._process import failures

        text = failures.whole(error)
        with suppress(Exception):
            sys.stderr.write(failures.cut(text, failures.TRACE_LIMIT))
            sys.stderr.flush()
        if "cut" not in told or self._workspace is None:
            return
        uri = f"{self._identity.prefix}/failure.txt"
        with suppress(Exception):  # what is told without it is enough
            put(self._workspace, uri, text.encode("utf-8", "replace"))
            self._failure["trace_uri"] = uri


class InputsUnavailable(Exception):
    """The inputs cannot be read, or are not those that were promised."""


def read_inputs(inputs: Inputs, workspace: Workspace) -> bytes:
    """The serialised inputs of an attempt.

    Raises:
        InputsUnavailable: see there.
    """
    if not inputs.uri:
        return inputs.content
    import hashlib

    from volery.errors import StorageError

    try:
        content = workspace.read(inputs.uri)
    except (StorageError, OSError) as error:
        raise InputsUnavailable(f"the inputs could not be fetched: {error}") from error
    if hashlib.sha256(content).hexdigest() != inputs.sha256:
        raise InputsUnavailable(f"what lies at {inputs.uri} is not what the inputs were: another hash")
    return content
