"""Secrets in pods: a group is a Secret in the pod's namespace, a key is one of its keys.

The worker never reads them: the node puts them into the container, and a container whose secret is missing
is not made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from posixpath import normpath
from typing import Any

from voleryidl.core.v1.task_pb2 import SecretRequest

from volery_dataplane.launch.plans import NotRunnable
from volery_dataplane.launch.secrets import SecretUnavailable

_GROUP = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_READABLE = 0o444  # by whatever user the container runs as


@dataclass(slots=True)
class Secrets:
    """What a container needs to be given its secrets.

    Attributes:
        env: variables.
        env_from: whole groups as variables.
        volumes: of the pod.
        mounts: of the container.
    """

    env: list[dict[str, Any]] = field(default_factory=list)
    env_from: list[dict[str, Any]] = field(default_factory=list)
    volumes: list[dict[str, Any]] = field(default_factory=list)
    mounts: list[dict[str, Any]] = field(default_factory=list)


def secrets_of(requests: Sequence[SecretRequest]) -> Secrets:
    """What the primary container of a task needs for its secrets.

    Raises:
        SecretUnavailable: where no Secret of a cluster can have the name of a request, or the key.
        NotRunnable: where a file is asked for at a place that a container does not have.
    """
    made = Secrets()
    for number, request in enumerate(requests):
        _check(request)
        if request.file:
            _as_file(made, request, number)
        elif request.key:
            source = {"secretKeyRef": {"name": request.group, "key": request.key}}
            made.env.append({"name": request.environment_variable, "valueFrom": source})
        else:
            group: dict[str, Any] = {"secretRef": {"name": request.group}}
            if request.environment_variable:
                group["prefix"] = request.environment_variable
            made.env_from.append(group)
    return made


def _as_file(made: Secrets, request: SecretRequest, number: int) -> None:
    name = f"volery-secret-{number}"
    source: dict[str, Any] = {"secretName": request.group, "defaultMode": _READABLE}
    mount: dict[str, Any] = {"name": name, "mountPath": normpath(request.file), "readOnly": True}
    if request.key:
        source["items"] = [{"key": request.key, "path": request.key}]
        mount["subPath"] = request.key  # a file beside others that are there already
    made.volumes.append({"name": name, "secret": source})
    made.mounts.append(mount)


def _check(request: SecretRequest) -> None:
    if not _GROUP.fullmatch(request.group) or len(request.group) > 253:
        raise SecretUnavailable(
            f"the secret group {request.group!r} cannot be the name of a Secret: it has lower-case letters, "
            "digits, '-' and '.'"
        )
    if request.key and (not _KEY.fullmatch(request.key) or request.key in (".", "..")):
        raise SecretUnavailable(f"{request.key!r} cannot be a key of the Secret {request.group!r}")
    if request.file and (
        not request.file.startswith("/") or ":" in request.file or normpath(request.file) == "/"
    ):
        raise NotRunnable(f"a secret is put at an absolute path without ':', not at {request.file!r}")
