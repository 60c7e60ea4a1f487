"""Launchers have a worker's rights as the manifests grant them, in all tests on a cluster."""

from __future__ import annotations

from typing import Any

from support.deploying.rights import ACCOUNT, GUARDED
from support.pod_stage import Hands, Stage, failure_of
from volery_dataplane.launch.kubernetes.api import Api

REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
ASKED = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


async def user_of(api: Api) -> str:
    return str((await api.call("POST", REVIEW, ASKED))["status"]["userInfo"]["username"])


async def test_a_launcher_of_these_tests_is_a_service_account(stage: Stage) -> None:
    api = await stage.as_worker()
    assert (await user_of(api)).startswith("system:serviceaccount:")
    assert (await user_of(api)).endswith(f":{ACCOUNT}")
    assert not (await user_of(stage.api)).endswith(f":{ACCOUNT}")
    await api.close()


async def test_one_with_the_administrators_rights_makes_no_pod(
    cluster: Any, stage: Stage, hands: Hands
) -> None:
    """So no test of this suite proves anything but with the worker's."""
    launcher = await stage.launcher(hands, kubeconfig=cluster.kubeconfig)
    order = stage.order("true")
    launcher.launch(order)
    failed = await failure_of(hands, order)
    assert GUARDED in failed.failure.message
    assert await stage.pods() == []
