"""An old back-up of the database is restored while pods of executions that it does not know are live."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import psycopg
import pytest
from e2e.conftest import stop_and_look
from kubernetes import client
from support.caller import PATIENT, SUCCEEDED, Caller, Run
from support.cluster.cluster import Cluster
from support.deploying.rights import INSTALLATION, WorkerRights
from support.fleet import calling_all
from support.outages import Server
from support.packages import chain, package, task
from support.pod_fleet import Ground, ground
from support.pod_pipelines import GO

CAP = 2
REMOVED = "a pod nobody waits for is removed"
CAPPED = "more pods than the cap are left over"
EXECUTION = "volery.dev/execution-name"


@pytest.fixture
def database() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def test_after_an_old_back_up_only_pods_that_it_does_not_know_are_removed_a_few_at_a_time(
    own_cluster: Cluster, own_rights: WorkerRights, database: Server, tmp_path: Path
) -> None:
    name = database.new_database()
    workers = {"only": {"VOLERY_RECONCILE_CAP": str(CAP)}}
    with ground(
        own_cluster,
        own_rights,
        tmp_path / "p",
        database.url(name),
        lease_seconds=3.0,
        slots=20,
        settings=workers,
    ) as stands:
        fleet = stands.fleet
        fleet.start()
        fleet.wait_until_ready()
        with calling_all(fleet) as (caller, _):
            held = task("held_add_one", retries=PATIENT, module="support.pod_pipelines")
            request = package([chain("held", 1, "held_add_one")], [held])
            caller.patiently(caller.stubs.registry.Register, request)
            known = caller.create("held", 10)
            until_running(stands, 1)
            backed_up(stands, database, name)
            lost = [caller.create("held", 20 + number) for number in range(2 * CAP + 1)]
            until_running(stands, 1 + len(lost))

            fleet.kill_named("only")
            restored(stands, database, name)
            strangers = {stranger(stands, lost[0]), bystander(stands)}
            until_running(stands, 1 + len(lost) + len(strangers))
            seen = len(fleet.lines("only"))
            fleet.start_named("only")
            fleet.wait_until_ready()
            again = caller.create("held", 40, name=lost[0].id.name)
            stands.until(lambda pods: remaining(pods, lost, again) == 0, "without those it does not know")

            removed = rounds([line["event"] for line in fleet.lines("only")[seen:]])
            assert sum(removed) == len(lost)
            assert max(removed) <= CAP
            with fleet.starts.open("a") as notes:
                notes.write(GO)
            assert [result(caller, run) for run in (known, again)] == [11, 41]
            left = stands.until(lambda pods: len(pods) == len(strangers), "with the strangers alone")
        assert {pod.metadata.name for pod in left} == strangers
        assert not [pod for pod in left if pod.metadata.deletion_timestamp]
        begun = fleet.starts.read_text().splitlines()
        assert sum(line.endswith(f"/{known.id.name} n0 1") for line in begun) == 1
        assert not [line for line in begun if f"/{known.id.name} n0 2" in line]
        stop_and_look(fleet)


def until_running(stands: Ground, count: int) -> None:
    stands.until(
        lambda pods: [pod.status.phase for pod in pods] == ["Running"] * count, f"with {count} running"
    )


def remaining(pods: list[Any], lost: list[Run], again: Run) -> int:
    """How many pods of lost executions there are: the one of a name that was taken again is not one."""
    names = [execution_of(pod).rpartition("/")[2] for pod in pods]
    gone = {run.id.name for run in lost}
    return sum(name in gone for name in names) - (1 if again.id.name in names else 0)


def execution_of(pod: Any) -> str:
    """The execution of a pod of this installation; "" of any other."""
    annotations = pod.metadata.annotations or {}
    is_other = (pod.metadata.labels or {}).get(INSTALLATION) == "another"
    return "" if is_other else str(annotations.get(EXECUTION, ""))


def rounds(events: list[str]) -> list[int]:
    """How many pods each round removed: all but the last one reach the cap and say so."""
    made = [0]
    for event in events:
        if event == REMOVED:
            made[-1] += 1
        elif event == CAPPED:
            made.append(0)
    return made


def backed_up(stands: Ground, database: Server, name: str) -> None:
    """Copies the database while nobody is connected to it; pods run on."""
    for number in range(stands.fleet.size):
        stands.fleet.stop_replica(number)
    with psycopg.connect(database.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}_old TEMPLATE {name}".encode())
    serve(stands)


def restored(stands: Ground, database: Server, name: str) -> None:
    """The copy takes the database's place."""
    for number in range(stands.fleet.size):
        stands.fleet.stop_replica(number)
    with psycopg.connect(database.url(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name}".encode())
        connection.execute(f"ALTER DATABASE {name}_old RENAME TO {name}".encode())
    serve(stands)


def serve(stands: Ground) -> None:
    for number in range(stands.fleet.size):
        stands.fleet.start_replica(number)
    stands.fleet.wait_until_ready()


def stranger(stands: Ground, like: Run) -> str:
    """A pod as another installation in the same namespace would make it for an execution of that name."""
    (model,) = [pod for pod in stands.pods() if execution_of(pod).endswith(f"/{like.id.name}")]
    body = client.ApiClient().sanitize_for_serialization(model)
    metadata = body["metadata"]
    metadata = {"labels": metadata["labels"], "annotations": metadata["annotations"], "name": "stranger"}
    metadata["labels"][INSTALLATION] = "another"
    spec = {key: value for key, value in body["spec"].items() if key != "nodeName"}
    with kubernetes.config.new_client_from_config(str(stands.rights.kubeconfig)) as worker:
        pod = {"metadata": metadata, "spec": spec}
        client.CoreV1Api(worker).create_namespaced_pod(stands.fleet.namespace, pod)
    return "stranger"


def bystander(stands: Ground) -> str:
    """A pod that has nothing to do with the platform."""
    spec = {
        "containers": [
            {"name": "main", "image": stands.cluster.images.shell(), "command": ["sleep", "3600"]}
        ],
        "terminationGracePeriodSeconds": 1,
    }
    stands.core.create_namespaced_pod(
        stands.fleet.namespace, {"metadata": {"name": "bystander"}, "spec": spec}
    )
    return "bystander"


def result(caller: Caller, run: Run) -> int:
    execution, output = caller.wait(run)
    assert execution.phase == SUCCEEDED, f"{execution}\n{caller.planes.logs()}"
    return output
