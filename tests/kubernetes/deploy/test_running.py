"""The platform runs from its own manifests: pods of its images, called from outside, end to end."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import pytest
from support.cluster.borrowed import Borrowed
from support.cluster.cluster import Cluster
from support.deploying import voyage
from support.deploying.api import Api
from support.deploying.calling import PATIENCE, done, volery
from support.deploying.installing import NEXT_TAG, Installed, installed
from support.pages import DOCS, commands
from support.s3 import S3, s3_server
from volery.executions import ExecutionPhase
from volery.run import Run
from volery_dataplane.launch.kubernetes.labels import PATH

pytestmark = pytest.mark.timeout(900)  # images are made by whichever test comes first

PAGE = DOCS / "howto" / "upgrade.md"
PARTS = ("control-plane", "worker")


@pytest.fixture(scope="module")
def s3(cluster: Cluster | Borrowed) -> S3:
    return s3_server(cluster.host_address)


@pytest.fixture(scope="module")
def platform(
    kubectl: Api, platform_images: None, s3: S3, science: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    namespace = f"volery-{uuid.uuid4().hex[:8]}"
    with installed(kubectl, namespace, s3, science, tmp_path_factory.mktemp("platform")) as platform:
        yield platform


def test_a_pipeline_runs_as_pods_though_a_control_plane_is_evicted_in_mid_run(platform: Installed) -> None:
    call = platform.environment
    done(volery(call, "register", "examples/breast_cancer.py"))
    launched = json.loads(done(volery(call, "launch", "breast_cancer.breast_cancer", "-o", "json")))
    name = launched["name"]
    with volery(call, "watch", name) as watching:
        platform.kubectl.until(lambda: len(running(platform)) > 0, "tasks run")
        victim, *others = platform.pods("control-plane")
        assert len(others) == 1, "two control planes serve"
        platform.kubectl.until(lambda: evict(platform, victim) == "", "one of two may go")
        # Whoever drains the other one's node has to wait: the budget keeps one that serves.
        assert "would violate the pod's disruption budget" in evict(platform, others[0])
        out, err = watching.communicate(timeout=PATIENCE)
    assert (watching.returncode, "error" in err) == (0, False), f"{out}\n{err}"
    with platform.remote() as remote:
        ended_well(remote.execution(name))
    platform.ready()
    platform.kubectl.until(lambda: uid(victim) not in uids(platform), "the evicted control plane has drained")
    platform.kubectl.until(
        lambda: evict(platform, others[0], dryRun=["All"]) == "", "the other one might go now"
    )
    platform.kubectl.until(lambda: not tasks(platform), "no pod of a task is left")


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """What a test leaves open when it fails."""
    with ExitStack() as stack:
        yield stack


def evict(platform: Installed, pod: dict[str, Any], **options: object) -> str:
    """What the API server has against the eviction of a pod, as a drain of its node asks for it."""
    name = pod["metadata"]["name"]
    asked = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": platform.namespace},
        "deleteOptions": options,
    }
    place = f"/api/v1/namespaces/{platform.namespace}/pods/{name}/eviction"
    return platform.kubectl.run("create", "--raw", place, "--filename=-", given=json.dumps(asked)).stderr


def ended_well(run: Run) -> None:
    """The pipeline gave what it must, and no attempt was lost on the way."""
    found = run.outputs_by_name
    assert found["metrics"]["cases"] == 143
    assert found["best"]["penalty"] == 1.0
    assert {attempt.attempt for attempt in run.attempts()} == {1}
    printed = b"".join(piece.data for piece in run.logs())
    assert printed.count(b"area under the curve") == 5
    assert found["model"]["uri"].startswith("s3://")


@dataclass(frozen=True, slots=True)
class Notes:
    """What bodies of tasks left in a bucket: `EXECUTION/NODE/ATTEMPT/` and a word for each time they ran."""

    s3: S3
    bucket: str

    @property
    def place(self) -> str:
        return f"{self.s3.endpoint}/{self.bucket}"

    def all(self) -> list[tuple[str, str, str]]:
        status, told = self.s3.request("GET", f"/{self.bucket}?list-type=2")
        assert status == 200
        keys = [key.text or "" for key in ElementTree.fromstring(told).iter() if key.tag.endswith("}Key")]
        written = [key.split("/") for key in keys if "/" in key]
        return [(execution, path, attempt) for execution, path, attempt, _ in written]

    def crossings(self) -> int:
        return sum(path == "n0" for _, path, _ in self.all())

    def let_land(self) -> None:
        assert self.s3.request("PUT", f"/{self.bucket}/land")[0] == 200


def test_an_upgrade_in_mid_run_replaces_every_pod_of_the_platform_and_none_of_a_task(
    platform: Installed, s3: S3, opened: ExitStack
) -> None:
    notes = Notes(s3, s3.bucket())
    with platform.remote() as remote:
        remote.register(voyage.voyage)
    names = [launch(platform, notes, number) for number in (1, 2)]
    call = platform.environment
    seen = [opened.enter_context(volery(call, "watch", name)) for name in names]
    seen.append(opened.enter_context(volery(call, "logs", "--follow", names[0])))
    platform.kubectl.until(lambda: notes.crossings() == 2, "both are under way, and stay so")
    before = uids(platform)
    crossing = {uid(pod) for pod in tasks(platform) if pod["metadata"]["annotations"][PATH] == "n0"}

    platform.name_images(NEXT_TAG)
    upgrade(platform, lambda: names.append(launch(platform, notes, 3)))

    assert [image(pod) for pod in serving(platform)] == [NEXT_TAG] * 4
    platform.kubectl.until(lambda: not before & uids(platform), "all that served before has drained")
    platform.kubectl.until(lambda: notes.crossings() == 3, "what was launched meanwhile is under way")
    assert len(crossing) == 2
    assert crossing <= {uid(pod) for pod in tasks(platform)}, "pods of tasks were left alone"
    seen.append(opened.enter_context(volery(call, "watch", names[2])))
    notes.let_land()
    for each in seen:
        out, err = each.communicate(timeout=PATIENCE)
        assert (each.returncode, "error" in err) == (0, False), f"{out}\n{err}"
    with platform.remote() as remote:
        for number, name in enumerate(names, start=1):
            run = remote.execution(name)
            assert run.phase is ExecutionPhase.SUCCEEDED
            assert run.outputs == number * 100 + number + 4
            assert [attempt.attempt for attempt in run.attempts()] == [1] * voyage.NODES
            ran = [path for execution, path, attempt in notes.all() if (execution, attempt) == (name, "1")]
            assert sorted(ran) == [f"n{node}" for node in range(voyage.NODES)], "each body ran once"
            printed = b"".join(piece.data for piece in run.logs())
            assert printed.count(b" runs\n") == voyage.NODES
    assert len(notes.all()) == len(names) * voyage.NODES
    platform.kubectl.until(lambda: not tasks(platform), "no pod of a task is left")


def launch(platform: Installed, notes: Notes, number: int) -> str:
    arguments = ("--notes", notes.place, "--number", str(number), "-o", "json")
    told = done(volery(platform.environment, "launch", "support.deploying.voyage.voyage", *arguments))
    return str(json.loads(told)["name"])


def upgrade(platform: Installed, meanwhile: Callable[[], None]) -> None:
    """The commands that the documentation tells, and something else as soon as pods are being replaced."""
    for command, *words in commands(PAGE, "Forward", "kubectl apply"):
        assert command == "kubectl"
        if words[:2] == ["--namespace", "volery"]:
            words[1] = platform.namespace
        elif "-k" in words:
            words[words.index("-k") + 1] = str(platform.overlay)
        platform.kubectl.done(*words)
        if "-k" in words:
            meanwhile()


def uid(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["uid"])


def uids(platform: Installed) -> set[str]:
    """Of the pods of the platform; one that was told to go is there until it has drained."""
    return {uid(pod) for part in PARTS for pod in platform.pods(part)}


def serving(platform: Installed) -> list[dict[str, Any]]:
    found = [pod for part in PARTS for pod in platform.pods(part)]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def image(pod: dict[str, Any]) -> str:
    """The release that a pod is of."""
    (container,) = pod["spec"]["containers"]
    return str(container["image"]).rpartition(":")[2]


def tasks(platform: Installed) -> list[dict[str, Any]]:
    place = f"--namespace={platform.namespace}-demo-development"
    return list(platform.kubectl.read("pods", place)["items"])


def running(platform: Installed) -> list[dict[str, Any]]:
    return [pod for pod in tasks(platform) if pod["status"]["phase"] == "Running"]
