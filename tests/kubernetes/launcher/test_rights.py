"""Launchers have a worker's rights as the manifests grant them, in all tests on a cluster."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from support.cluster.between import Between
from support.deploying.rights import ACCOUNT, GUARDED, granted
from support.pod_stage import Hands, Stage, end_of, failure_of, saying
from volery_dataplane.launch.kubernetes.api import MERGE, Api
from volery_dataplane.launch.kubernetes.labels import INSTALLATION
from volery_dataplane.worker.ports import Succeeded
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_SYSTEM

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


async def test_a_worker_of_given_namespaces_needs_the_charts_role_in_those_and_nothing_else(
    kubectl: Any, stage: Stage, hands: Hands, tmp_path: Path
) -> None:
    account = f"test-{uuid.uuid4().hex[:12]}"
    with granted(kubectl, account, tmp_path, [stage.namespace]) as rights:
        launcher = await stage.launcher(hands, kubeconfig=rights.kubeconfig, watched=(stage.namespace,))
        order = stage.order("")
        launcher.launch(saying(order, stage.says(order, 1)))
        assert isinstance(await end_of(hands, order), Succeeded)
        launcher.settled([order.key])
        await stage.until_gone()
        await launcher.stop(0)


async def test_a_namespace_without_the_label_is_nobodys_task_to_mend_but_the_clusters(
    stage: Stage, hands: Hands
) -> None:
    unmarked = {"metadata": {"labels": {INSTALLATION: None}}}
    await stage.api.call("PATCH", f"/api/v1/namespaces/{stage.namespace}", unmarked, MERGE)
    launcher = await stage.launcher(hands, rights_patience=1.0)
    order = stage.order("true")
    launcher.launch(order)
    failed = await failure_of(hands, order)
    assert (failed.failure.code, failed.failure.kind) == ("PodForbidden", FAILURE_KIND_SYSTEM)
    assert failed.infrastructure
    assert f"workers act in namespaces with the label {INSTALLATION}" in failed.failure.message


async def test_a_namespace_that_may_not_be_made_is_asked_for_again_and_then_named(
    own_stage: Stage, hands: Hands, between: Between, spoiled: Path
) -> None:
    refused = between.refuse(403, lambda request: request.path.endswith("/namespaces"), reason="Forbidden")
    absent = f"absent-{uuid.uuid4().hex[:8]}"
    launcher = await own_stage.launcher(
        hands, kubeconfig=spoiled, namespace_template=absent, rights_patience=1.0
    )
    order = own_stage.order("true")
    launcher.launch(order)
    failed = await failure_of(hands, order)
    assert (failed.failure.code, failed.infrastructure) == ("NamespaceForbidden", True)
    assert absent in failed.failure.message
    assert "the verb 'create' on 'namespaces'" in failed.failure.message
    assert refused.hits > 1
