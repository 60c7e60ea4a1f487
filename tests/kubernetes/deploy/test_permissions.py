"""What workers may do to a cluster: all they need, told with its reason, and nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from support.deploying.api import Api
from support.deploying.rendering import charted, kustomized, named
from support.pages import DOCS, tables

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]

PAGE = DOCS / "reference" / "permissions.md"


def allowed() -> set[tuple[str, str]]:
    rows = tables(PAGE, "What workers may do")
    return {(row["verb"], row["resource"]) for row in rows}


def test_every_permission_is_told_with_its_reason() -> None:
    role = named(kustomized("production"), "ClusterRole", "volery-worker")
    assert allowed() == {
        (verb, resource) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]
    }
    assert all(rule["apiGroups"] == [""] for rule in role["rules"])


@pytest.fixture(scope="module")
def bound(kubectl: Api, namespace: str) -> Iterator[str]:
    """The permissions as they are shipped, below names of this run's own; gives the worker's account."""
    kept = {"ClusterRole", "ClusterRoleBinding", "ServiceAccount"}
    made = []
    for each in kustomized("production", namespace):
        if each["kind"] in kept:
            if each["kind"] != "ServiceAccount":
                each["metadata"]["name"] += f"-{namespace}"
                if "roleRef" in each:
                    each["roleRef"]["name"] += f"-{namespace}"
            made.append(each)
    kubectl.done("apply", "--server-side", "--filename=-", given=yaml.safe_dump_all(made))
    account = f"system:serviceaccount:{namespace}:volery-worker"
    kubectl.until(lambda: may(kubectl, account, "create", "pods", "--namespace=default"), "the role is bound")
    yield account
    kubectl.done("delete", "clusterrole,clusterrolebinding", f"volery-worker-{namespace}")


def may(kubectl: Api, account: str, verb: str, resource: str, *place: str) -> bool:
    kind, _, part = resource.partition("/")
    part_of = [f"--subresource={part}"] if part else []
    answer = kubectl.run("auth", "can-i", verb, kind, *part_of, f"--as={account}", *place).stdout.strip()
    assert answer in ("yes", "no"), answer
    return answer == "yes"


def test_a_worker_may_do_what_is_told(kubectl: Api, bound: str) -> None:
    for verb, resource in allowed():
        assert may(kubectl, bound, verb, resource, "--namespace=default"), f"{verb} {resource}"


FORBIDDEN = [
    *(
        ("get", each)
        for each in ("secrets", "configmaps", "nodes", "serviceaccounts", "events", "namespaces")
    ),
    *(("create", each) for each in ("pods/exec", "pods/attach", "pods/portforward", "serviceaccounts/token")),
    *(("list", each) for each in ("secrets", "namespaces", "podtemplates", "resourcequotas")),
    *(("delete", each) for each in ("namespaces", "podtemplates", "resourcequotas")),
    *(("patch", each) for each in ("namespaces", "resourcequotas", "nodes", "pods/status")),
    ("update", "pods"),
    ("deletecollection", "pods"),
    ("create", "podtemplates"),
    ("create", "deployments.apps"),
    ("create", "rolebindings.rbac.authorization.k8s.io"),
    ("create", "clusterrolebindings.rbac.authorization.k8s.io"),
    ("escalate", "clusterroles.rbac.authorization.k8s.io"),
    ("impersonate", "users"),
    ("*", "*"),
]


@pytest.mark.parametrize(("verb", "resource"), FORBIDDEN)
def test_a_worker_may_do_nothing_else(kubectl: Api, bound: str, verb: str, resource: str) -> None:
    assert not may(kubectl, bound, verb, resource, "--namespace=default")


def test_the_control_plane_may_do_nothing(kubectl: Api, bound: str) -> None:
    account = bound.replace("volery-worker", "volery-control-plane")
    for verb, resource in allowed():
        assert not may(kubectl, account, verb, resource, "--namespace=default")


def test_a_worker_of_given_namespaces_acts_in_those_alone(kubectl: Api, namespace: str) -> None:
    other = f"{namespace}-other"
    kubectl.done("create", "namespace", other)
    try:
        values: dict[str, Any] = {
            "database": {"secret": "x"},
            "storage": {"uri": "s3://x"},
            "worker": {"namespaces": [other]},
        }
        platform = f"{namespace}-platform"  # an account of its own; it need not be there to be asked about
        objects = [each for each in charted(values, platform) if each["kind"] in ("Role", "RoleBinding")]
        assert len(objects) == 2
        kubectl.done("apply", "--server-side", "--filename=-", given=yaml.safe_dump_all(objects))
        account = f"system:serviceaccount:{platform}:volery-worker"
        kubectl.until(
            lambda: may(kubectl, account, "create", "pods", f"--namespace={other}"), "the role is bound"
        )
        assert not may(kubectl, account, "create", "pods", f"--namespace={namespace}")
        assert not may(kubectl, account, "create", "namespaces")
    finally:
        kubectl.done("delete", "namespace", other, "--wait=false")


@pytest.fixture(scope="module")
def boundary(kubectl: Api) -> Iterator[str]:
    """The admission policy as it is shipped, for an account of this run's own; gives the account's name."""
    account = f"worker-{uuid.uuid4().hex[:8]}"
    policies = [
        each for each in kustomized("production") if each["kind"].startswith("ValidatingAdmissionPolicy")
    ]
    text = yaml.safe_dump_all(policies)
    assert text.count("':volery-worker'") == 1
    text = text.replace("volery-worker-boundary", account).replace("':volery-worker'", f"':{account}'")
    kubectl.done("apply", "--server-side", "--filename=-", given=text)
    yield account
    kinds = "validatingadmissionpolicy,validatingadmissionpolicybinding"
    kubectl.done("delete", kinds, account)


def test_the_boundary_keeps_workers_to_namespaces_of_volery(
    kubectl: Api, namespace: str, boundary: str
) -> None:
    user = f"--as=system:serviceaccount:{namespace}:{boundary}"
    groups = ["--as-group=system:masters"]  # RBAC would let it do anything: only the policy stands in its way
    pod = yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "attempt"},
            "spec": {"containers": [{"name": "task", "image": "busybox:1"}]},
        }
    )
    ours = f"{namespace}-ours"
    kubectl.done("create", "namespace", ours)
    try:
        kubectl.done("label", "namespace", ours, "volery.dev/installation=one")

        def create(place: str, *who: str) -> str:
            arguments = ["create", f"--namespace={place}", "--dry-run=server", "--filename=-", *who]
            return kubectl.run(*arguments, given=pod).stderr

        kubectl.until(lambda: create("default", user, *groups) != "", "the policy is taken up")
        told = create("default", user, *groups)
        assert "workers act in namespaces with the label volery.dev/installation" in told
        assert create(ours, user, *groups) == ""
        assert create("default") == ""  # everybody else is left alone
        removed = kubectl.run(
            "delete", "pod", "--all", "--namespace=default", "--dry-run=server", user, *groups
        )
        assert removed.returncode == 0  # there are none
    finally:
        kubectl.done("delete", "namespace", ours, "--wait=false")
