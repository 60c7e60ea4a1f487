"""Ends of pods: whose fault it was, and whether another attempt may help, where no verdict says so."""

from __future__ import annotations

import re

from voleryidl.core.v1.failure_pb2 import Failure

from volery_dataplane.launch.kubernetes.status import failures
from volery_dataplane.launch.kubernetes.status.failures import called, sentence, system, user
from volery_dataplane.launch.kubernetes.status.pod_view import Container, PodView
from volery_dataplane.launch.kubernetes.status.standings import Ended, Leaving, Lingering, Running, Standing

_NOT_LEFT = 74
"""The exit code of the entry point when it could not leave a verdict."""

_KILLED = 137
"""The exit code of a process that SIGKILL ended."""

_FAULTS = {
    132: "SIGILL",
    133: "SIGTRAP",
    134: "SIGABRT",
    135: "SIGBUS",
    136: "SIGFPE",
    139: "SIGSEGV",
    159: "SIGSYS",
}
"""The exit codes of processes that a fault of their own has ended, with Linux's names for those."""

# What a node, or the cluster, gives as the reason when it ends a pod for its own sake.
_INTERRUPTIONS = {
    "Shutdown": "its node was shut down",
    "Terminated": "its node was shut down",
    "NodeShutdown": "its node was shut down",
    "NodeLost": "its node does not answer",
    "Preempting": "it made room for a pod that is more important",
    "Preempted": "it made room for a pod that is more important",
    "Evicted": "its node had too little left of something",
}

# The same as a pod's condition DisruptionTarget says it.
_DISRUPTIONS = {
    "PreemptionByScheduler": ("Preempted", "it made room for a pod that is more important"),
    "DeletionByTaintManager": ("NodeLost", "its node was tainted or does not answer"),
    "EvictionByEvictionAPI": ("Evicted", "somebody drains its node"),
    "DeletionByPodGC": ("NodeLost", "its node is gone"),
    "TerminationByKubelet": ("Evicted", "its node ended it"),
}

# A pod that is evicted for what it took itself, not for what its node had left.
_OWN_FAULT = re.compile(r"exceed(?:ed|s)", re.IGNORECASE)

# An image without our entry point, in its interpreter's words.
_NO_ENTRY = re.compile(r"No module named '?volery(?:\._pod(?:\.__main__)?)?(?:'|;|$)", re.MULTILINE)

_NEVER_STARTED = frozenset({"StartError", "ContainerCannotRun"})

# A start that was broken off with the call that asked for it, and says nothing of the program: the kubelet or
# the container runtime was restarted, or the node was too busy.
_BROKEN_OFF = re.compile(
    r"context (?:canceled|deadline exceeded)|transport is closing|ttrpc: .*closed"
    r"|connection (?:refused|reset)"
)


def end_of(view: PodView, *, deleted: bool) -> Ended:
    """How a pod ended that is over, or whose containers that count are.

    Args:
        view: the pod.
        deleted: whether it was deleted while user code ran, or before.
    """
    primary, sealing = view.primary, view.sealing
    if primary is None:
        return _without_primary(view)
    end = primary.end or view.last_change
    if primary.ended_because == "OOMKilled":
        return Ended(primary.start, end, _out_of_memory(primary), infrastructure=False)
    failure, infrastructure = _reason(view, primary, deleted=deleted)
    message = sealing.message if sealing is not None else ""
    if not message:
        message = next((init.message for init in view.init_containers if init.is_ours and init.message), "")
    # A sidecar speaks for the files; that the program failed is in its exit code.
    overrules = sealing is not primary and primary.exit_code != 0
    return Ended(primary.start, end, failure, infrastructure, message, overrules)


def deleted_end(name: str, previous: Standing | None, now: int, silent: str = "") -> Ended:
    """The end of a pod that somebody deleted, as far as is known.

    Args:
        name: the pod's; "" where it is not there to ask.
        previous: how it stood before.
        now: when it was found to be gone.
        silent: its node, where that should have said that the pod is gone and has not.
    """
    start = previous.start if isinstance(previous, Running | Lingering | Leaving) else None
    pod = f"pod {name!r}" if name else "the attempt's pod"
    if silent:
        text = f"{pod} was deleted, and node {silent!r} has not said that it is gone; the node may be lost"
        return Ended(start, now, system(text, "NodeLost", "PodDeleted", "Interrupted"), infrastructure=True)
    text = f"{pod} was deleted, and not by the platform"
    return Ended(start, now, system(text, "PodDeleted", "Interrupted"), infrastructure=True)


def _without_primary(view: PodView) -> Ended:
    names = ", ".join(str(container.get("name")) for container in view.spec.get("containers") or ()) or "none"
    text = (
        f"pod {view.name!r} has no container {view.owned.primary!r} that would run the task; it has {names}. "
        "Something changed the pod between its creation and now"
    )
    failure = user(text, "PrimaryContainerMissing", recoverable=False)
    return Ended(None, view.last_change, failure, infrastructure=False)


def _out_of_memory(primary: Container) -> Failure:
    text = f"{called(primary)} ran out of memory and was killed; raise the task's memory limit, or use less"
    return user(text, "OutOfMemory", "OOMKilled")


def _reason(view: PodView, primary: Container, *, deleted: bool) -> tuple[Failure, bool]:
    """Why there is no verdict, and whether the infrastructure is to blame."""
    if view.reason == "DeadlineExceeded":
        text = f"pod {view.name!r} lived longer than its deadline and was ended by the cluster"
        return failures.timed_out(sentence(text, view.message), "TimeoutRunning", "DeadlineExceeded"), False
    if interrupted := _interrupted(view):
        return interrupted
    if deleted:
        text = f"pod {view.name!r} was deleted, and not by the platform"
        return system(text, "PodDeleted", "Interrupted", trace=_tail(primary)), True
    if primary.terminated is None:
        return _never_ran(view, primary)
    if primary.exit_code == _KILLED:
        text = f"{called(primary)} was killed (exit code 137), and not for want of memory"
        return system(text, "ProcessKilled", "Interrupted", trace=_tail(primary)), True
    if _is_broken_off(primary):
        text = f"{called(primary)} was lost to a fault of its node while it was being started"
        return system(sentence(text, primary.message), "StartError", "Interrupted"), True
    if primary.ended_because in _NEVER_STARTED:
        text = f"{called(primary)} could not be started; see that its program is in the image, and executable"
        return user(sentence(text, primary.message), "ProcessExited", "StartError"), False
    if primary.exit_code == 0:
        return _silent(view, primary)
    if primary.exit_code == _NOT_LEFT and view.sealing is primary:
        text = f"{called(primary)} could not leave what the task came to"
        return system(text, "VerdictLost", trace=_tail(primary)), True
    if _NO_ENTRY.search(primary.message):
        text = f"{called(primary)} has no Volery that could run tasks; install `volery` in the image"
        return user(text, "ImageUnfit", recoverable=False, trace=_tail(primary)), False
    if fault := _FAULTS.get(primary.exit_code):
        text = f"{called(primary)} was killed by {fault} (exit code {primary.exit_code})"
        return user(text, "ProcessKilled", trace=_tail(primary)), False
    text = f"{called(primary)} ended with exit code {primary.exit_code} before the task returned"
    if view.sealing is not primary:
        text = f"{called(primary)} ended with exit code {primary.exit_code}"
    tail = _tail(primary)
    return user(sentence(text, failures.last_line(tail)), "ProcessExited", trace=tail), False


def _interrupted(view: PodView) -> tuple[Failure, bool] | None:
    if view.reason == "Evicted" and _OWN_FAULT.search(view.message):
        text = (
            f"pod {view.name!r} was evicted since it took more storage than it may; raise ephemeral_storage"
        )
        return user(sentence(text, view.message), "Evicted", "OutOfStorage"), False
    if why := _INTERRUPTIONS.get(view.reason):
        text = sentence(f"pod {view.name!r} was ended: {why}", view.message)
        return system(text, view.reason, "Interrupted"), True
    if view.is_true("DisruptionTarget"):
        told = view.condition("DisruptionTarget")
        word = str(told.get("reason") or "")
        code, why = _DISRUPTIONS.get(word, (word or "Evicted", "the cluster wanted it to end"))
        text = sentence(f"pod {view.name!r} was ended: {why}", str(told.get("message") or ""))
        codes = (code, word) if word and word != code else (code,)
        return system(text, *codes, "Interrupted"), True
    return None


def _never_ran(view: PodView, primary: Container) -> tuple[Failure, bool]:
    for init in view.init_containers:
        if init.terminated is None or init.exit_code == 0 or init.is_sidecar:
            continue
        tail = _tail(init)
        text = f"the task did not begin, since {called(init)} "
        if init.ended_because == "OOMKilled":
            text += "ran out of memory and was killed"
        elif init.exit_code == _KILLED:
            return system(f"{text}was killed (exit code 137)", "InitFailed", "Interrupted"), True
        elif _is_broken_off(init):
            text += "was lost to a fault of its node while it was being started"
            return system(sentence(text, init.message), "InitFailed", "Interrupted"), True
        else:
            text = sentence(f"{text}failed with exit code {init.exit_code}", failures.last_line(tail))
        if init.is_ours:
            return system(text, "InitFailed", trace=tail), True
        return user(text, "InitFailed", trace=tail), False
    if view.reason:
        text = sentence(f"pod {view.name!r} was refused by its node ({view.reason})", view.message)
        return system(text, "PodRefused", view.reason), True
    text = f"pod {view.name!r} failed, and nothing is known of {called(primary)}; its node may be lost"
    return system(sentence(text, view.message), "PodLost", "Interrupted"), True


def _is_broken_off(container: Container) -> bool:
    """Whether it never began, and not for what it is."""
    return container.ended_because in _NEVER_STARTED and bool(_BROKEN_OFF.search(container.message))


def _silent(view: PodView, primary: Container) -> tuple[Failure, bool]:
    """A primary container that ended well without a verdict."""
    if view.sealing is primary:
        text = f"{called(primary)} ended with exit code 0 before the task returned, as os._exit would end it"
        return user(text, "ProcessExited", trace=_tail(primary)), False
    text = f"the task's program ended well, and container {view.owned.verdict!r} did not send its outputs"
    tail = view.sealing.message if view.sealing is not None else ""
    if view.sealing is not None and view.sealing.exit_code:
        text += f"; it ended with exit code {view.sealing.exit_code}"
    return system(sentence(text, failures.last_line(tail)), "OutputsNotSent", trace=tail), True


def _tail(container: Container) -> str:
    """The end of a container's output; nothing where it left a verdict instead."""
    return "" if container.message.startswith("volery/1 ") else container.message
