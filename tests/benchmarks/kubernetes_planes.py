"""Both planes as benchmarks of pods see them: the worker launches into a cluster, and has clocks in it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.engine import scratch
from benchmarks.kubernetes_notes import NOTES
from google.protobuf.duration_pb2 import Duration
from support.cluster.cluster import Cluster
from support.cluster.standin import StandIn
from support.packages import (
    DOMAIN,
    INTEGERS,
    PROJECT,
    chain,
    identifier,
    integers,
    map_node,
    package,
    promise,
    task,
    workflow,
)
from support.planes import Planes, Stubs
from voleryidl.core.v1.identifier_pb2 import EntityKind
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions
from voleryidl.core.v1.literals_pb2 import LiteralMap
from voleryidl.execution.v1.execution_service_pb2 import CreateExecutionRequest, CreateExecutionResponse

NAMESPACE = f"{PROJECT}-{DOMAIN}"
CHAIN = 12
PATIENCE = 600
Moments = Mapping[str, float]


@dataclass
class PodPlanes(Planes):
    """Both planes, with a worker that launches pods."""

    kubeconfig: Path = Path()
    noting: bool = True
    pods: dict[str, str] = field(default_factory=dict)  # settings of the launcher

    def _start_worker(self, name: str, worker_id: str) -> subprocess.Popen[bytes]:
        self.environment |= {"VOLERY_KUBECONFIG": str(self.kubeconfig), **self.pods}
        return super()._start_worker(name, worker_id)

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        if not name.startswith("worker"):
            return super()._start(name, *arguments)
        entered = ("-m", "volery_dataplane")
        if self.noting:
            os.environ[NOTES] = str(self.directory / "notes.json")
            entered = (str(Path(__file__).with_name("kubernetes_notes.py")),)
        try:
            return super()._start(name, *entered, *arguments[2:], "--launcher", "kubernetes")
        finally:
            os.environ.pop(NOTES, None)

    def notes(self) -> dict[tuple[int, str, int], Moments]:
        """Stops the worker; gives what it noted."""
        assert self.worker is not None
        self.worker.terminate()
        self.worker.wait(60)
        found = json.loads((self.directory / "notes.json").read_text())
        return {(key, path, attempt): moments for key, path, attempt, moments in found}


class Runs:
    """Executions, through the public services."""

    def __init__(self, stubs: Stubs) -> None:
        self.stubs = stubs
        self._prefix = uuid.uuid4().hex[:8]
        self._counter = 0

    def register(self) -> None:
        """Registers what is run: a chain, a wide map over its input, and one task."""
        mapped = workflow(
            "bench_map",
            [map_node("n0", "same", x=promise("", "xs"))],
            {"xs": INTEGERS},
            o0=(promise("n0"), INTEGERS),
        )
        steps = [chain("bench_chain", CHAIN, "same"), chain("bench_one", 1, "same")]
        request = package([mapped, *steps], [task("same", module="flow")])
        self.stubs.registry.Register(request, wait_for_ready=True, timeout=60)

    def name(self) -> str:
        """Of the next execution."""
        self._counter += 1
        return f"b{self._prefix}-{self._counter}"

    def run(
        self,
        workflow: str,
        inputs: LiteralMap,
        annotations: Mapping[str, str] | None = None,
        name: str = "",
        wait: int = PATIENCE,
    ) -> CreateExecutionResponse:
        """Creates an execution and waits for its end, or for so many seconds."""
        request = CreateExecutionRequest(
            project=PROJECT,
            domain=DOMAIN,
            name=name or self.name(),
            target=identifier(EntityKind.ENTITY_KIND_WORKFLOW, workflow),
            inputs=inputs,
            options=ExecutionOptions(annotations=annotations or {}),
            wait_timeout=Duration(seconds=wait) if wait else None,
        )
        return self.stubs.executions.CreateExecution(request, timeout=PATIENCE + 60)


def stand_in_template(stand_in: StandIn) -> dict[str, Any]:
    """What a pod needs to be put onto a stand-in node."""
    return {"spec": {"nodeSelector": stand_in.selector, "tolerations": stand_in.tolerations}}


def on_stand_in(stand_in: StandIn) -> dict[str, str]:
    """Settings of a worker whose pods go to a stand-in node, which has no logs to follow."""
    template = json.dumps(stand_in_template(stand_in))
    return {"VOLERY_POD_TEMPLATE": template, "VOLERY_POD_LOG_FOLLOWERS": "0", "VOLERY_POD_IMAGE": "nothing:1"}


@contextmanager
def pods_serving(
    cluster: Cluster, pods: Mapping[str, str], slots: int, *, noting: bool = True
) -> Iterator[tuple[PodPlanes, Runs]]:
    """Both planes on a fresh database, with what is run registered."""
    with scratch() as directory:
        planes = PodPlanes(
            Path(directory),
            slots=slots,
            lease_seconds=15,
            kubeconfig=cluster.kubeconfig,
            noting=noting,
            pods=dict(pods),
        )
        try:
            planes.start()
            planes.wait_until_ready()
            with planes.channel() as channel:
                runs = Runs(Stubs(channel))
                runs.register()
                yield planes, runs
        except BaseException:
            print(planes.logs(), file=sys.stderr)
            raise
        finally:
            planes.stop()


def outputs(value: int) -> str:
    """What a task of one integer gives, as a stand-in node is told it."""
    return base64.b64encode(integers(o0=value).SerializeToString()).decode()


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which a share of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
