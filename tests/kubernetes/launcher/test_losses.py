"""Parts of the cluster that are lost while attempts run: their nodes, the kubelet, the API server."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from support.cluster.cluster import Cluster
from support.pod_stage import Hands, Stage, end_of, failure_of, saying, started
from volery_dataplane.launch.kubernetes.launch_settings import Patience
from volery_dataplane.launch.kubernetes.manifest.pod_settings import Placement
from volery_dataplane.worker.ports import Succeeded
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_SYSTEM

FOR_EVER = "while true; do sleep 0.1; done"
AWAY = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
IMPATIENT = [
    {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1} for key in AWAY
]


async def test_an_attempt_outlives_the_kubelet_and_its_end_is_told_by_the_next_one(
    own_cluster: Cluster, own_stage: Stage, hands: Hands
) -> None:
    launcher = await own_stage.launcher(hands)
    order = own_stage.order("")
    order = saying(order, f"until [ -e /tmp/go ]; do sleep 0.1; done; echo seen; {own_stage.says(order, 8)}")
    launcher.launch(order)
    await started(hands, order)
    (pod,) = await own_stage.pods()

    own_cluster.control.kill("kubelet")
    (inside,) = own_cluster.containers(pod["metadata"]["uid"])
    own_cluster.exec(inside, "touch", "/tmp/go")
    own_cluster.start_component("kubelet")

    assert isinstance(await end_of(hands, order), Succeeded)
    launcher.settled([order.key])
    await own_stage.until_gone()
    own_cluster.wait_for_node()


async def test_a_node_that_does_not_answer_loses_its_attempts_and_not_for_ever(
    own_cluster: Cluster, own_stage: Stage, hands: Hands
) -> None:
    launcher = await own_stage.launcher(hands, Patience(leaving=1.0))
    order = own_stage.order(FOR_EVER, {"tolerations": IMPATIENT, "terminationGracePeriodSeconds": 1})
    launcher.launch(order)
    await started(hands, order)

    # A cluster none of whose nodes answer gives up no pod, since the fault may be its own.
    with own_cluster.stand_in():
        own_cluster.control.kill("kubelet")
        try:
            failed = await failure_of(hands, order)
        finally:
            own_cluster.start_component("kubelet")

    assert (failed.failure.code, failed.failure.kind) == ("NodeLost", FAILURE_KIND_SYSTEM)
    assert failed.infrastructure
    launcher.settled([order.key])
    await own_stage.until_gone()
    await asyncio.to_thread(own_cluster.wait_for_node)


async def test_a_node_that_is_taken_out_of_the_cluster_loses_its_attempts(
    own_cluster: Cluster, own_stage: Stage, hands: Hands
) -> None:
    with own_cluster.stand_in(outcome="hang") as node:
        place = Placement(node.selector, tuple(node.tolerations))
        pods = replace(own_stage.pod_settings, on_demand=place)
        launcher = await own_stage.launcher(hands, pods=pods)
        order = own_stage.order("")
        launcher.launch(order)
        await started(hands, order)

    failed = await failure_of(hands, order)

    assert (failed.failure.code, failed.infrastructure) == ("NodeLost", True)
    launcher.settled([order.key])
    await own_stage.until_gone()


async def test_what_ends_while_the_api_server_is_away_is_told_when_it_is_back(
    own_cluster: Cluster, own_stage: Stage, hands: Hands
) -> None:
    launcher = await own_stage.launcher(hands)
    first, second = own_stage.order(""), own_stage.order("")
    first = saying(first, f"until [ -e /tmp/go ]; do sleep 0.1; done; {own_stage.says(first, 8)}")
    launcher.launch(first)
    await started(hands, first)
    (pod,) = await own_stage.pods()

    own_cluster.control.kill("kube-apiserver")
    launcher.launch(saying(second, own_stage.says(second, 9)))
    (inside,) = own_cluster.containers(pod["metadata"]["uid"])
    own_cluster.exec(inside, "touch", "/tmp/go")
    own_cluster.start_component("kube-apiserver")
    await asyncio.to_thread(own_cluster.wait_for_api)

    for order in (first, second):
        assert isinstance(await end_of(hands, order), Succeeded)
    launcher.settled([first.key, second.key])
    await own_stage.until_gone()
