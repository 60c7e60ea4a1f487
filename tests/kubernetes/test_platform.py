"""Both planes over a real cluster: workflows run as pods, all large travels by S3, and nothing is left.

The worker has the rights that the manifests grant, and no others.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.cluster.borrowed import Borrowed
from support.cluster.cluster import Cluster
from support.deploying.api import Api
from support.deploying.rights import WorkerRights
from support.in_pods import workflows
from support.in_pods.planes import PodPlanes
from support.pages import ROOT
from support.s3 import s3_server
from volery import File
from volery.errors import ExecutionAbortedError
from volery.executions import ExecutionPhase, NodePhase
from volery.register import load_module
from volery.remote import Remote

EXAMPLES = ROOT / "examples"
PATIENCE = 240.0
PASSWORD = "hunter2 $(HOME)"


@pytest.fixture(scope="module")
def programs(cluster: Cluster | Borrowed, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Loads the programs that are steps."""
    files = tmp_path_factory.mktemp("files")
    shutil.copy2(EXAMPLES / "containers" / "wordcount.sh", files)
    cluster.images.shell_with(workflows.WORDS, files)
    cluster.images.compiled(workflows.HISTOGRAM, EXAMPLES / "containers" / "histogram.go")


@pytest.fixture(scope="module")
def planes(
    cluster: Cluster | Borrowed,
    kubectl: Api,
    rights: WorkerRights,
    science: str,
    programs: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PodPlanes]:
    planes = PodPlanes(
        tmp_path_factory.mktemp("planes"),
        address=cluster.host_address,
        rights=rights,
        image=science,
        s3=s3_server(cluster.host_address),
    )
    planes.start()
    planes.wait_until_ready()
    try:
        yield planes
    finally:
        planes.kill_all()
        kubectl.done("delete", "namespace", planes.namespace, "--ignore-not-found", "--wait=false")


@pytest.fixture(scope="module")
def remote(planes: PodPlanes) -> Iterator[Remote]:
    with Remote(planes.target, credentials=planes.credentials()) as remote:
        yield remote


@pytest.fixture
def left(kubectl: Api, planes: PodPlanes) -> Iterator[None]:
    """After each test: no pod is left of what has ended."""
    yield
    kubectl.until(lambda: not pods(kubectl, planes), "all pods are gone")


def pods(kubectl: Api, planes: PodPlanes) -> list[Any]:
    return list(kubectl.read("pods", f"--namespace={planes.namespace}")["items"])


pytestmark = pytest.mark.usefixtures("left")


def test_a_table_is_made_by_one_pod_and_described_by_another(remote: Remote, planes: PodPlanes) -> None:
    example = load_module(str(EXAMPLES / "descriptive_statistics.py"))
    remote.register(example.describe)
    run = remote.run(example.describe, {"rows": 200}, timeout=PATIENCE, check=False)
    assert run.phase is ExecutionPhase.SUCCEEDED, f"{run.execution}\n{planes.logs()}"
    assert run.outputs == example.describe(rows=200)


def test_programs_of_any_language_and_scripts_are_steps(remote: Remote, planes: PodPlanes) -> None:
    remote.register(workflows.programs)
    given = {
        "text": "a tern\na gull\ntwo terns\n",
        "word": "tern",
        "values": [0.0, 1.0, 9.0, 10.0],
        "bins": 2,
    }
    run = remote.run(workflows.programs, given, timeout=PATIENCE, check=False)
    assert run.phase is ExecutionPhase.SUCCEEDED, f"{run.execution}\n{planes.logs()}"
    assert run.outputs == ["[('a', 2)]", "6", "2", "a gull", "  0 ##\n  1 ##\n"]
    said = b"".join(piece.data for piece in run.logs())
    assert b"4 values in 2 bins" in said
    assert b"looking for tern" in said


def test_secrets_of_the_namespace_reach_the_tasks_that_ask_for_them(
    remote: Remote, planes: PodPlanes, kubectl: Api
) -> None:
    data = {"password": PASSWORD, "certificate": "PEM"}
    made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "database"}, "stringData": data}
    # The namespace is the first pod's to make: the secret cannot be there before it.
    remote.register(workflows.connect, workflows.written)
    remote.run(workflows.written, {"text": "first"}, timeout=PATIENCE)
    place = f"--namespace={planes.namespace}"
    kubectl.done("apply", "--server-side", place, "--filename=-", given=yaml.safe_dump(made))
    run = remote.run(workflows.connect, timeout=PATIENCE)
    assert run.outputs == [PASSWORD, PASSWORD, "PEM", "certificate"]


def test_large_values_files_and_directories_go_by_the_object_store(
    remote: Remote, planes: PodPlanes, tmp_path: Path
) -> None:
    path = tmp_path / "given.txt"
    path.write_text("given\n" * 1_400_000)
    remote.register(workflows.carry)
    run = remote.run(
        workflows.carry, {"given": File(path), "birds": 40, "numbers": 30_000}, timeout=PATIENCE, check=False
    )
    assert run.phase is ExecutionPhase.SUCCEEDED, f"{run.execution}\n{planes.logs()}"
    birds = sum(len(f"bird {number}\n") * number for number in range(40))
    assert run.outputs == (birds, sum(range(30_000)), 6 * 1_400_000)
    log = b"".join(piece.data for piece in run.logs())
    assert log.count(b"a line of a long log ") == 20_000
    assert not list(planes.storage.rglob("*")), "nothing lies on the disk"


def test_items_of_a_map_whose_pods_die_or_fail_are_tried_again_each_for_itself(
    remote: Remote, planes: PodPlanes
) -> None:
    remote.register(workflows.squares)
    run = remote.run(workflows.squares, {"numbers": [1, 2, 3, 4, 5, 6]}, timeout=PATIENCE, check=False)
    assert run.phase is ExecutionPhase.SUCCEEDED, f"{run.execution}\n{planes.logs()}"
    assert run.outputs == [1, 4, 9, 16, 25, 36]
    attempts = list(run.attempts())
    assert len(attempts) == 12
    codes = {attempt.path: attempt.failure.code for attempt in attempts if attempt.failure is not None}
    assert codes == {f"n0/{item}": "ProcessExited" if item % 2 else "ValueError" for item in range(6)}
    printed = b"".join(piece.data for piece in run.logs())
    assert sorted(re.findall(rb"(\d) stumbles", printed)) == [b"1", b"2", b"3", b"4", b"5", b"6"]


def test_logs_are_read_while_a_pod_runs_and_after_it_was_removed(
    remote: Remote, planes: PodPlanes, kubectl: Api
) -> None:
    remote.register(workflows.hanging)
    run = remote.launch(workflows.hanging)
    pieces = run.logs(follow=True)
    assert next(pieces).data == b"hanging\n"
    assert run.refresh().phase is ExecutionPhase.RUNNING
    (pod,) = pods(kubectl, planes)
    assert pod["status"]["phase"] == "Running"
    assert run.abort("enough")
    assert b"told to end" in b"".join(piece.data for piece in pieces)
    with pytest.raises(ExecutionAbortedError, match="enough"):
        run.wait(PATIENCE)
    kubectl.until(lambda: not pods(kubectl, planes), "the pod is gone")
    assert b"".join(piece.data for piece in run.logs()).startswith(b"hanging\nvolery: Terminated")


def test_a_watch_tells_why_a_pod_waits(remote: Remote, planes: PodPlanes, kubectl: Api) -> None:
    remote.register(workflows.enormous)
    run = remote.launch(workflows.enormous)
    told = next(
        node for change in run.watch() for node in change.nodes if node.waiting_reason == "UNSCHEDULABLE"
    )
    assert told.phase is NodePhase.QUEUED
    assert "Insufficient cpu" in told.waiting_message
    assert run.abort("it never will")
    run.wait(PATIENCE, check=False)
    assert run.phase is ExecutionPhase.ABORTED
