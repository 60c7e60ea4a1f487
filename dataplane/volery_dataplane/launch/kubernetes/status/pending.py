"""Pods that do not run yet: what they wait for, and when waiting is over."""

from __future__ import annotations

from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.reason_pb2 import (
    WAITING_REASON_IMAGE,
    WAITING_REASON_POD,
    WAITING_REASON_UNSCHEDULABLE,
)

from volery_dataplane.launch.kubernetes.launch_settings import Patience
from volery_dataplane.launch.kubernetes.status.failures import called, missing, sentence, system, user
from volery_dataplane.launch.kubernetes.status.pod_view import Container, PodView, micros
from volery_dataplane.launch.kubernetes.status.standings import PREPARING, SCHEDULER, Ended, Waiting

_SECOND = 1_000_000

_ORDINARY = frozenset({"", "ContainerCreating", "PodInitializing"})
_IMAGE = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_CREATE = frozenset({"CreateContainerError"})
# A node that begins to watch a secret gives it a second, and asks again.
_NOT_READ_YET = ("failed to sync secret cache", "failed to sync configmap cache")


def read_pending(view: PodView, now: int, patience: Patience, before: Waiting | None) -> Waiting | Ended:
    """What a pod waits for whose user code has not begun."""
    if not view.node:
        return _unscheduled(view, now, patience)
    container = _held_up_by(view)
    if container is None:
        return _preparing(view, "its node is preparing the pod")
    word = container.waits_for
    if container.running is not None:
        return _preparing(view, f"{called(container)} runs first")
    if word in _ORDINARY:
        return _preparing(view, f"its node is preparing {called(container)}: image, volumes, network")
    if word == "InvalidImageName":
        text = sentence(f"{container.image!r} is not the name of an image", container.waiting_message)
        return _over(view, now, user(text, word, recoverable=False))
    if word == "CreateContainerConfigError" and not container.waiting_message.startswith(_NOT_READ_YET):
        text = f"{called(container)} cannot be made from what it refers to in its namespace"
        return _over(view, now, missing(text, container.waiting_message, word))
    return _troubled(view, container, now, patience, before)


def _unscheduled(view: PodView, now: int, patience: Patience) -> Waiting | Ended:
    told = view.condition("PodScheduled")
    since = micros(told.get("lastTransitionTime")) or view.created
    word, message = str(told.get("reason") or ""), str(told.get("message") or "")
    if told.get("status") != "False":
        return Waiting(
            WAITING_REASON_POD,
            "waits for the scheduler",
            since,
            initializing=False,
            trouble=SCHEDULER,
        )
    until = None if patience.pending is None else view.created + round(patience.pending * _SECOND)
    if until is not None and now >= until:
        text = sentence(f"no node had room for the pod for {patience.pending:g} s", message)
        return _over(view, now, system(text, word or "Unschedulable"), infrastructure=True)
    text = message or "no node has room for the pod"
    return Waiting(
        WAITING_REASON_UNSCHEDULABLE, text, since, initializing=False, until=until, trouble="unschedulable"
    )


def _held_up_by(view: PodView) -> Container | None:
    """The container that the pod waits for: the first of those before the user's that is not done."""
    for init in view.init_containers:
        done = init.running is not None if init.is_sidecar else init.terminated is not None
        if not done:
            return init
    return view.primary


def _preparing(view: PodView, message: str) -> Waiting:
    return Waiting(WAITING_REASON_POD, message, view.prepared_since, initializing=True, trouble=PREPARING)


def _troubled(
    view: PodView, container: Container, now: int, patience: Patience, before: Waiting | None
) -> Waiting | Ended:
    """Trouble that may end by itself: waited for as long as patience lasts, and no longer."""
    word = container.waits_for
    if word in _IMAGE:
        kind, limit, reason = "image", patience.image, WAITING_REASON_IMAGE
        text = f"the image {container.image!r} of container {container.name!r} cannot be pulled"
    elif word in _CREATE:
        kind, limit, reason = "create", patience.create, WAITING_REASON_POD
        text = f"{called(container)} cannot be made"
    else:
        kind, limit, reason = "other", patience.other, WAITING_REASON_POD
        text = f"{called(container)} does not start ({word})"
    trouble = f"{kind} {container.name}"
    since = before.since if before is not None and before.trouble == trouble else view.prepared_since
    until = since + round(limit * _SECOND)
    text = sentence(text, container.waiting_message)
    if now < until:
        return Waiting(reason, text, since, initializing=True, until=until, trouble=trouble)
    if kind == "image":
        text = f"{text}; see that its name is right and the namespace may pull it. Given up after {limit:g} s"
        return _over(view, now, user(text, "ImageUnavailable", word))
    text = f"{text}; given up after {limit:g} s"
    if kind == "create":
        return _over(view, now, user(text, word, recoverable=False))
    return _over(view, now, system(text, word), infrastructure=True)


def _over(view: PodView, now: int, failure: Failure, *, infrastructure: bool = False) -> Ended:
    """The attempt is over though its pod is not: whoever reads this deletes it."""
    return Ended(None, max(now, view.created), failure, infrastructure)
