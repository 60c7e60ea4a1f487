"""The pods of the platform for whoever makes the same by hand, and what there is of pods."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.kubernetes_planes import NAMESPACE, Runs
from kubernetes import client
from support.cluster.standin import outcome
from support.packages import integers
from voleryidl.execution.v1.execution_service_pb2 import AbortExecutionRequest

PATIENCE = 300.0


def body_by_hand(core: client.CoreV1Api, runs: Runs, annotations: Mapping[str, str]) -> dict[str, Any]:
    """A pod as the platform makes it, with other annotations: without its finalizer, and nobody's."""
    answer = runs.run("bench_one", integers(x=1), outcome("hang"), wait=0)
    until_running(core, 1)
    told = json.loads(core.list_namespaced_pod(NAMESPACE, _preload_content=False).data)["items"][0]
    runs.stubs.executions.AbortExecution(AbortExecutionRequest(id=answer.execution.id, cause="seen"))
    until_none(core)
    labels = {
        name: text for name, text in told["metadata"]["labels"].items() if not name.endswith("/installation")
    }
    told["spec"].pop("nodeName")
    metadata = {"labels": labels, "annotations": {**told["metadata"]["annotations"], **annotations}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": told["spec"]}


def until_running(core: client.CoreV1Api, width: int) -> None:
    """Until so many pods of the platform run."""
    for _ in _patiently(f"{width} running pods"):
        told = core.list_namespaced_pod(
            NAMESPACE, field_selector="status.phase=Running", _preload_content=False
        )
        if told.data.count(b'"volery.dev/verdict"') >= width:
            return


def until_none(core: client.CoreV1Api) -> None:
    """Until no pod is left."""
    for _ in _patiently("no pods"):
        if not json.loads(core.list_namespaced_pod(NAMESPACE, limit=1, _preload_content=False).data)["items"]:
            return


def _patiently(what: str) -> Iterator[None]:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        yield
        time.sleep(0.2)
    raise TimeoutError(f"{what}: not within {PATIENCE:.0f} seconds")
