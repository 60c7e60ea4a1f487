"""Outcomes: what the launcher says about an attempt that did not come to its own end."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

from voleryidl.core.v1.failure_pb2 import (
    FAILURE_KIND_SYSTEM,
    FAILURE_KIND_TIMEOUT,
    FAILURE_KIND_USER,
    Failure,
    FailureKind,
)

# Signals that come from outside the task: somebody ended its process, so the task is not to blame.
_FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGHUP}


def raised(told: Mapping[str, Any]) -> Failure:
    """What a task raised, as its host described it."""
    is_ours = told.get("kind") == FAILURE_KIND_SYSTEM
    return Failure(
        kind=FAILURE_KIND_SYSTEM if is_ours else FAILURE_KIND_USER,
        code=told["code"],
        codes=told["codes"],
        message=told["message"],
        trace=told["trace"],
        recoverable=told["recoverable"],
        cause=raised(told["cause"]) if "cause" in told else None,
    )


def _failure(kind: FailureKind, code: str, message: str, *, recoverable: bool = True) -> Failure:
    return Failure(kind=kind, code=code, codes=[code], message=message, recoverable=recoverable)


def process_ended(status: int, *, out_of_memory: bool) -> tuple[Failure, bool]:
    """The failure of an attempt whose process ended under it, and whether the infrastructure is to blame.

    Args:
        status: how it ended, as `waitpid` tells it.
        out_of_memory: whether the kernel has killed something for want of memory since the attempt began.
    """
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        message = f"the task's process ended with exit code {code} before the task returned"
        return _failure(FAILURE_KIND_USER, "ProcessExited", message), False
    name = _signal_name(-code)
    if -code == signal.SIGKILL and out_of_memory:
        message = f"the task's process was killed by {name} while the machine had run out of memory"
        return _failure(FAILURE_KIND_USER, "OutOfMemory", message), False
    message = f"the task's process was killed by {name}"
    if -code in _FROM_OUTSIDE:
        return _failure(FAILURE_KIND_SYSTEM, "ProcessKilled", f"{message}, not by the platform"), True
    return _failure(FAILURE_KIND_USER, "ProcessKilled", message), False


def process_lost(message: str) -> Failure:
    """The failure of an attempt whose process the launcher could not start, or lost."""
    return _failure(FAILURE_KIND_SYSTEM, "ProcessKilled", message)


def channel_closed() -> Failure:
    """The failure of an attempt that closed the channel to the launcher."""
    return _failure(
        FAILURE_KIND_USER, "ProcessExited", "the task closed its process's channel to the platform"
    )


def ran_too_long(limit: float) -> Failure:
    """The failure of an attempt that reached its running limit."""
    return _failure(FAILURE_KIND_TIMEOUT, "TimeoutRunning", f"the attempt ran longer than {limit:g} s")


def waited_too_long(limit: float) -> Failure:
    """The failure of an attempt that reached its queued limit."""
    return _failure(
        FAILURE_KIND_TIMEOUT, "TimeoutQueued", f"no process was free for the attempt for {limit:g} s"
    )


def bundle_unavailable(message: str) -> Failure:
    """The failure of an attempt whose code could not be had."""
    return _failure(FAILURE_KIND_SYSTEM, "BundleUnavailable", message)


def bundle_refused(message: str) -> Failure:
    """The failure of an attempt whose code must not be used; no repeat helps."""
    return _failure(FAILURE_KIND_USER, "BundleRefused", message, recoverable=False)


def not_runnable(message: str) -> Failure:
    """The failure of an attempt that no process can run."""
    return _failure(FAILURE_KIND_USER, "NotRunnable", message, recoverable=False)


def secret_unavailable(message: str) -> Failure:
    """The failure of an attempt that asks for a secret that is not to be had; no repeat helps."""
    return _failure(FAILURE_KIND_USER, "SecretUnavailable", message, recoverable=False)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
