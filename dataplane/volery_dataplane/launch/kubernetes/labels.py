"""Labels and annotations of pods: ours, by which pods are found and read, and those that users add.

Labels are for selection, and hold what fits into 63 characters of the few kinds allowed; annotations hold
the same in full. Nobody but the platform sets names below `volery.dev/`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

PREFIX = "volery.dev/"

# Labels.
MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "volery"
INSTALLATION = f"{PREFIX}installation"
PROJECT = f"{PREFIX}project"
DOMAIN = f"{PREFIX}domain"
EXECUTION = f"{PREFIX}execution"
EXECUTION_UID = f"{PREFIX}execution-uid"
NODE = f"{PREFIX}node"
ATTEMPT = f"{PREFIX}attempt"
TASK = f"{PREFIX}task"
INTERRUPTIBLE = f"{PREFIX}interruptible"

# Annotations.
PATH = f"{PREFIX}path"
EXECUTION_NAME = f"{PREFIX}execution-name"
TASK_NAME = f"{PREFIX}task-name"
UID = f"{PREFIX}uid"
STORAGE_PREFIX = f"{PREFIX}storage-prefix"
PRIMARY_CONTAINER = f"{PREFIX}primary-container"
VERDICT_CONTAINER = f"{PREFIX}verdict-container"
DROPPED = f"{PREFIX}dropped"
SERVICE_ACCOUNT_TOKEN = f"{PREFIX}service-account-token"
"""Set to "true" by a task's pod template, it gives the task's pods the API server's token."""
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"

FINALIZER = f"{PREFIX}verdict"
"""Keeps a pod until what it ended with is committed."""

LONGEST_ANNOTATIONS = 256 * 1024
"""Bytes of all annotations of a pod; more is refused by the API server."""

_LONGEST = 63
_LONGEST_PREFIX = 253
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)?")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_DNS_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_NOT_OF_A_VALUE = re.compile(r"[^A-Za-z0-9._-]+")
_HASH = 10


def label_value(text: str) -> str:
    """A text as the value of a label: itself where it can be, else what is left of it and a hash."""
    if len(text) <= _LONGEST and _VALUE.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:_HASH]
    plain = _NOT_OF_A_VALUE.sub(".", text).strip("._-")[: _LONGEST - _HASH - 1].rstrip("._-")
    return f"{plain}.{digest}" if plain else digest


def illegal_key(key: str) -> str:
    """What is wrong with the key of a label or annotation; "" when nothing is."""
    prefix, slash, name = key.rpartition("/")
    if slash and not (len(prefix) <= _LONGEST_PREFIX and _DNS_NAME.fullmatch(prefix)):
        return f"{prefix!r} before its slash is no name of DNS"
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        return "a name has at most 63 letters, digits, '-', '_' and '.', the first and last of them no sign"
    return ""


def is_ours(key: str) -> bool:
    """Whether only the platform may set a label or annotation."""
    return key.startswith(PREFIX) or key == MANAGED_BY


def illegal_labels(labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The labels that a pod cannot have from a user, each with the reason."""
    for key, value in labels.items():
        if is_ours(key):
            yield key, "only the platform sets it"
        elif wrong := illegal_key(key):
            yield key, wrong
        elif len(value) > _LONGEST or not _VALUE.fullmatch(value):
            yield (
                key,
                f"{value[:80]!r} is no value of a label: at most 63 letters, digits, '-', '_' and '.'",
            )


def illegal_annotations(annotations: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The annotations that a pod cannot have from a user, each with the reason."""
    for key in annotations:
        if is_ours(key):
            yield key, "only the platform sets it"
        elif wrong := illegal_key(key):
            yield key, wrong


def selector(installation: str) -> str:
    """Selects the pods of one installation."""
    return f"{INSTALLATION}={label_value(installation)}"


class Owned:
    """What a pod says of the attempt it was made for."""

    __slots__ = (
        "attempt",
        "execution",
        "installation",
        "path",
        "primary",
        "storage_prefix",
        "uid",
        "verdict",
    )

    def __init__(self, pod: Mapping[str, Any]) -> None:
        metadata = pod.get("metadata") or {}
        labels = metadata.get("labels") or {}
        annotations = metadata.get("annotations") or {}
        self.installation: str = labels.get(INSTALLATION, "")
        self.uid: str = annotations.get(UID, "")
        self.path: str = annotations.get(PATH, "")
        number = labels.get(ATTEMPT, "")
        self.attempt: int = int(number) if number.isdecimal() and number.isascii() else 0
        self.execution: str = annotations.get(EXECUTION_NAME, "")
        self.storage_prefix: str = annotations.get(STORAGE_PREFIX, "")
        self.primary: str = annotations.get(PRIMARY_CONTAINER, "")
        self.verdict: str = annotations.get(VERDICT_CONTAINER, "") or self.primary
