"""Every pod of the vectors is one that a real API server takes from a worker, and the profiles with it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import kubernetes
import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from support.deploying.rights import INSTALLATION, WorkerRights
from support.pods import pod, pod_cases
from volery_dataplane.launch.kubernetes.refusals import Answer, create_refused

ACCEPTED = [(name, case) for name, case in pod_cases() if "refused" not in case]
ENFORCED = "pod-security.kubernetes.io/enforce"


def is_unrestricted(case: dict[str, Any]) -> bool:
    """Whether a worker allows in it what the profile does not."""
    return bool(case.get("settings", {}).get("unrestricted_templates"))


@pytest.fixture(scope="module")
def namespaces(cluster: Any) -> Iterator[dict[str, str]]:
    """A namespace that enforces each profile, with what pods of the vectors refer to."""
    made = {
        profile: f"admission-{profile}-{uuid.uuid4().hex[:8]}" for profile in ("restricted", "privileged")
    }
    pods = [pod(case) for _, case in ACCEPTED]
    accounts = {made["spec"].get("serviceAccountName", "default") for made in pods}
    classes = {name for made in pods if (name := made["spec"].get("priorityClassName"))}
    with cluster.api() as api:
        core, scheduling = client.CoreV1Api(api), client.SchedulingV1Api(api)
        for profile, name in made.items():
            labels = {ENFORCED: profile, INSTALLATION: "any"}
            core.create_namespace({"metadata": {"name": name, "labels": labels}})
            for account in accounts - {"default"}:
                core.create_namespaced_service_account(name, {"metadata": {"name": account}})
        for name in classes:
            scheduling.create_priority_class({"metadata": {"name": name}, "value": 1})
        yield made
        for name in classes:
            scheduling.delete_priority_class(name)
        for name in made.values():
            core.delete_namespace(name)


@pytest.fixture
def worker(rights: WorkerRights) -> Iterator[client.CoreV1Api]:
    """The API server with a worker's rights."""
    with kubernetes.config.new_client_from_config(str(rights.kubeconfig)) as api:
        yield client.CoreV1Api(api)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in ACCEPTED])
def test_the_api_server_takes_it_as_it_was_meant(
    worker: client.CoreV1Api, namespaces: dict[str, str], case: dict[str, Any]
) -> None:
    namespace = namespaces["privileged" if is_unrestricted(case) else "restricted"]
    body = pod(case)
    body["spec"].setdefault("serviceAccountName", "default")
    made = worker.create_namespaced_pod(namespace, body, dry_run="All", field_validation="Strict")
    assert made.metadata.name == body["metadata"]["name"]
    assert len(made.spec.containers) == len(body["spec"]["containers"])


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=name) for name, case in ACCEPTED if is_unrestricted(case)]
)
def test_the_profile_refuses_what_only_the_setting_allows(
    worker: client.CoreV1Api, namespaces: dict[str, str], case: dict[str, Any]
) -> None:
    with pytest.raises(ApiException, match="violates PodSecurity") as refused:
        worker.create_namespaced_pod(namespaces["restricted"], pod(case), dry_run="All")
    answer = json.loads(refused.value.body)
    refusal = create_refused(refused.value.status, answer["reason"], answer["message"])
    assert refusal.answer is Answer.INVALID
    assert refusal.failure is not None
    assert not refusal.failure.recoverable
