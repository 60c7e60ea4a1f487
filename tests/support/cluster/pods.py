"""Pods as tests make and await them."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

from kubernetes import client, watch

PATIENCE = 120


def pod(name: str, image: str, *command: str, **spec: Any) -> dict[str, Any]:
    """One container that runs once; `container` and `metadata` add to those, all else to the spec."""
    metadata = {"name": name, **spec.pop("metadata", {})}
    container = {"name": "main", "image": image, "imagePullPolicy": "Never", **spec.pop("container", {})}
    if command:
        container["command"] = list(command)
    return {
        "metadata": metadata,
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": "own",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            **spec,
        },
    }


def over(seen: Any) -> bool:
    """Whether a pod has ended."""
    return seen.status.phase in ("Succeeded", "Failed")


def until(core: client.CoreV1Api, namespace: str, name: str, wanted: Callable[[Any], bool] = over) -> Any:
    """Watches a pod until it is as wanted, and returns it."""
    found = core.list_namespaced_pod(namespace, field_selector=f"metadata.name={name}")
    last = found.items[0] if found.items else None
    if last is not None and wanted(last):
        return last
    with events(
        core.list_namespaced_pod,
        namespace,
        field_selector=f"metadata.name={name}",
        resource_version=found.metadata.resource_version,
    ) as seen:
        for event in seen:
            last = event["object"]
            if wanted(last):
                return last
    raise TimeoutError(f"pod {name} stayed {last.status if last is not None else 'away'}")


@contextlib.contextmanager
def events(
    listing: Callable[..., Any], *arguments: Any, **options: Any
) -> Iterator[Iterator[dict[str, Any]]]:
    """Watches what a method of the client lists, for so long as a test has patience.

    The server ends a watch whose client is slow, so each goes on where the one before it ended.
    """

    def going_on() -> Iterator[dict[str, Any]]:
        watching = watch.Watch()
        end = time.monotonic() + PATIENCE
        while (left := math.ceil(end - time.monotonic())) > 0:
            if watching.resource_version:
                options["resource_version"] = watching.resource_version
            yield from watching.stream(listing, *arguments, **{**options, "timeout_seconds": left})

    with contextlib.closing(going_on()) as stream:
        yield stream


def run(core: client.CoreV1Api, namespace: str, body: dict[str, Any]) -> Any:
    """Creates a pod and returns it when it has ended."""
    core.create_namespaced_pod(namespace, body)
    return until(core, namespace, body["metadata"]["name"])


def end_of(seen: Any) -> Any:
    """How a pod's first container ended."""
    return seen.status.container_statuses[0].state.terminated


def logs(core: client.CoreV1Api, namespace: str, name: str) -> str:
    return str(core.read_namespaced_pod_log(name, namespace))
