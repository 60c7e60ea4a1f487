"""The stand-in node takes many pods through their states, and ends each as it was told."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kubernetes import client
from support.cluster import pods
from support.cluster.cluster import Cluster
from support.cluster.standin import StandIn, outcome
from voleryidl.core.v1.literals_pb2 import LiteralMap
from voleryidl.worker.v1.verdict_pb2 import AttemptVerdict

MANY = 200


@pytest.fixture(scope="module")
def stand_in(own_cluster: Cluster) -> Iterator[StandIn]:
    with own_cluster.stand_in() as stand_in:
        yield stand_in


def body(stand_in: StandIn, name: str, annotations: dict[str, str], **environment: str) -> dict[str, Any]:
    return pods.pod(
        name,
        "nothing:1",
        metadata={"annotations": annotations, "labels": {"kind": "many"}},
        container={"env": [{"name": key, "value": value} for key, value in environment.items()]},
        nodeSelector=stand_in.selector,
        tolerations=stand_in.tolerations,
    )


def test_two_hundred_pods_end_and_each_was_seen_running(
    own_cluster: Cluster, core: client.CoreV1Api, namespace: str, stand_in: StandIn
) -> None:
    version = core.list_namespaced_pod(namespace).metadata.resource_version
    with ThreadPoolExecutor(4) as threads:
        list(
            threads.map(
                lambda number: core.create_namespaced_pod(namespace, body(stand_in, f"pod-{number}", {})),
                range(MANY),
            )
        )

    running: set[str] = set()
    ended: Counter[str] = Counter()
    with pods.events(core.list_namespaced_pod, namespace, resource_version=version) as events:
        for event in events:
            seen = event["object"]
            if seen.status.phase == "Running":
                running.add(seen.metadata.name)
            if pods.over(seen):
                ended[seen.metadata.name] += 1
            if len(ended) == MANY:
                break

    assert (len(running), len(ended)) == (MANY, MANY)
    core.delete_collection_namespaced_pod(namespace, label_selector="kind=many")
    _until_gone(core, namespace)


@pytest.mark.parametrize(
    ("annotations", "phase", "code", "reason"),
    [
        (outcome(), "Succeeded", 0, "Completed"),
        (outcome("fail"), "Failed", 1, "Error"),
        (outcome("fail", exit_code=42, runs_for="20ms"), "Failed", 42, "Error"),
        (outcome("oom"), "Failed", 137, "OOMKilled"),
        (outcome(message="words", starts_after="20ms"), "Succeeded", 0, "Completed"),
    ],
)
def test_a_pod_ends_as_its_annotations_say(
    core: client.CoreV1Api,
    namespace: str,
    stand_in: StandIn,
    annotations: dict[str, str],
    phase: str,
    code: int,
    reason: str,
) -> None:
    seen = pods.run(core, namespace, body(stand_in, "told", annotations))

    end = pods.end_of(seen)
    assert (seen.status.phase, end.exit_code, end.reason) == (phase, code, reason)
    assert end.message == annotations.get("stand-in.volery.dev/message")


def test_a_pod_can_be_evicted_or_wait_for_its_image(
    core: client.CoreV1Api, namespace: str, stand_in: StandIn
) -> None:
    evicted = pods.run(core, namespace, body(stand_in, "evicted", outcome("evict")))
    core.create_namespaced_pod(namespace, body(stand_in, "imageless", outcome("image")))
    waiting = pods.until(core, namespace, "imageless", lambda pod: bool(pod.status.container_statuses))

    assert (evicted.status.phase, evicted.status.reason) == ("Failed", "Evicted")
    assert waiting.status.container_statuses[0].state.waiting.reason == "ImagePullBackOff"


def test_a_pod_that_is_deleted_while_it_runs_says_how_it_ended_before_it_goes(
    core: client.CoreV1Api, namespace: str, stand_in: StandIn
) -> None:
    held = body(stand_in, "held", outcome("hang"))
    held["metadata"]["finalizers"] = ["volery.dev/test"]
    core.create_namespaced_pod(namespace, held)
    pods.until(core, namespace, "held", lambda pod: pod.status.phase == "Running")

    core.delete_namespaced_pod("held", namespace)
    seen = pods.until(core, namespace, "held", lambda pod: pods.over(pod) and pod.metadata.deletion_timestamp)

    assert pods.end_of(seen).exit_code == 143
    core.patch_namespaced_pod("held", namespace, {"metadata": {"finalizers": None}})
    _until_gone(core, namespace)


def test_the_message_of_an_attempt_is_its_verdict(
    core: client.CoreV1Api, namespace: str, stand_in: StandIn
) -> None:
    outputs = LiteralMap()
    outputs.literals["o0"].integer_value = 5
    said = outcome(outputs=base64.b64encode(outputs.SerializeToString()).decode())
    named = {"VOLERY_EXECUTION_UID": "0123", "VOLERY_NODE": "n0", "VOLERY_ATTEMPT": "2"}

    end = pods.end_of(pods.run(core, namespace, body(stand_in, "attempt", said, **named)))

    mark, length, digest, tag, encoded = end.message.split(" ")
    sealed = base64.b64decode(encoded)
    verdict = AttemptVerdict.FromString(sealed)
    assert (mark, int(length), digest) == ("volery/1", len(sealed), hashlib.sha256(sealed).hexdigest())
    assert tag == hashlib.sha256(b"0123\0n0\x002").hexdigest()[:16]
    assert (verdict.execution_uid, verdict.path, verdict.attempt) == ("0123", "n0", 2)
    assert verdict.outputs == outputs


def _until_gone(core: client.CoreV1Api, namespace: str) -> None:
    found = core.list_namespaced_pod(namespace)
    left = {pod.metadata.name for pod in found.items}
    if not left:
        return
    version = found.metadata.resource_version
    with pods.events(core.list_namespaced_pod, namespace, resource_version=version) as events:
        for event in events:
            if event["type"] == "DELETED":
                left.discard(event["object"].metadata.name)
            if not left:
                return
    raise TimeoutError(f"still there: {sorted(left)}")
