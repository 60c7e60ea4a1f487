"""The platform runs from its own manifests: pods of its images, called from outside, end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from support.cluster.borrowed import Borrowed
from support.cluster.cluster import Cluster
from support.deploying.api import Api
from support.deploying.installing import Installed, installed, load_images
from support.pages import ROOT
from support.s3 import s3_server
from volery.run import Run


@pytest.fixture(scope="module")
def platform(
    cluster: Cluster | Borrowed,
    kubectl: Api,
    science: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installed]:
    directory = tmp_path_factory.mktemp("platform")
    load_images(cluster.images, directory)
    namespace = f"volery-{uuid.uuid4().hex[:8]}"
    with installed(kubectl, namespace, s3_server(cluster.host_address), science, directory) as platform:
        yield platform


def volery(platform: Installed, *arguments: str) -> subprocess.Popen[str]:
    """The command line, as a user outside has it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VOLERY_")}
    return subprocess.Popen(
        [sys.executable, "-m", "volery_cli.main", *arguments],
        env={**environment, **platform.environment},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(process: subprocess.Popen[str]) -> str:
    with process:
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, f"{out}\n{err}"
    return out


def test_a_pipeline_runs_as_pods_though_a_control_plane_is_deleted_in_mid_run(platform: Installed) -> None:
    done(volery(platform, "register", "examples/breast_cancer.py"))
    launched = json.loads(done(volery(platform, "launch", "breast_cancer.breast_cancer", "-o", "json")))
    name = launched["name"]
    with volery(platform, "watch", name) as watching:
        platform.kubectl.until(lambda: len(running(platform)) > 0, "tasks run")
        victim, *others = platform.pods("control-plane")
        assert len(others) == 1, "two control planes serve"
        platform.run("delete", "pod", "--wait=false", victim["metadata"]["name"])
        out, err = watching.communicate(timeout=240)
    assert watching.returncode == 0, f"{out}\n{err}"
    with platform.remote() as remote:
        ended_well(remote.execution(name))
    platform.ready()
    platform.kubectl.until(lambda: not serves(platform, victim), "the deleted control plane has drained")
    platform.kubectl.until(lambda: not tasks(platform), "no pod of a task is left")


def ended_well(run: Run) -> None:
    """The pipeline gave what it must, and no attempt was lost on the way."""
    found = run.outputs_by_name
    assert found["metrics"]["cases"] == 143
    assert found["best"]["penalty"] == 1.0
    assert {attempt.attempt for attempt in run.attempts()} == {1}
    printed = b"".join(piece.data for piece in run.logs())
    assert printed.count(b"area under the curve") == 5
    assert found["model"]["uri"].startswith("s3://")


def serves(platform: Installed, pod: dict[str, Any]) -> bool:
    """Whether it is still there: one that was told to go is, until its watchers have been sent elsewhere."""
    return pod["metadata"]["uid"] in {each["metadata"]["uid"] for each in platform.pods("control-plane")}


def tasks(platform: Installed) -> list[object]:
    place = f"--namespace={platform.namespace}-demo-development"
    return list(platform.kubectl.read("pods", place)["items"])


def running(platform: Installed) -> list[object]:
    return [pod for pod in tasks(platform) if isinstance(pod, dict) and pod["status"]["phase"] == "Running"]
