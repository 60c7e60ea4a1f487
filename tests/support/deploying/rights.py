"""The rights of a worker on a cluster as the manifests grant them, to be tried by programs outside of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from support.deploying.api import Api
from support.deploying.rendering import CLUSTER_WIDE, Object, kustomized

KINDS = {
    "ClusterRole",
    "ClusterRoleBinding",
    "ServiceAccount",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
ACCOUNT = "volery-worker"


@contextmanager
def granted(kubectl: Api, namespace: str, directory: Path) -> Iterator[Path]:
    """The kubeconfig of the worker's service account in a namespace, which is made and removed.

    What is cluster-wide gets names of its own; the policy that keeps workers to namespaces of Volery's is as
    it is shipped, and so asks for nothing but the account's name.
    """
    objects = [each for each in kustomized("production", namespace) if each["kind"] in KINDS]
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    made = [space, *(of_its_own(each, namespace) for each in objects)]
    kubectl.done("apply", "--server-side", "--filename=-", given=yaml.safe_dump_all(made))
    try:
        file = directory / "worker.kubeconfig"
        file.touch(0o600)
        token = kubectl.done("create", "token", ACCOUNT, f"--namespace={namespace}").strip()
        file.write_text(_for(Path(kubectl.kubeconfig), token))
        account = f"--as=system:serviceaccount:{namespace}:{ACCOUNT}"
        kubectl.until(
            lambda: kubectl.run("auth", "can-i", "create", "pods", account).stdout.strip() == "yes",
            "the role is bound",
        )
        yield file
    finally:
        for each in made:
            name = each["metadata"]["name"]
            if each["kind"] != "ServiceAccount":
                kubectl.done("delete", "--wait=false", "--ignore-not-found", each["kind"], name)


def of_its_own(each: Object, namespace: str) -> Object:
    """What is cluster-wide below a name that goes with a namespace; all else as it is."""
    each = copy.deepcopy(each)
    if each["kind"] in CLUSTER_WIDE - {"Namespace"}:
        each["metadata"]["name"] += f"-{namespace}"
    if "roleRef" in each:
        each["roleRef"]["name"] += f"-{namespace}"
    if "policyName" in each.get("spec", {}):
        each["spec"]["policyName"] += f"-{namespace}"
    return each


def _for(kubeconfig: Path, token: str) -> str:
    """A kubeconfig with another identity."""
    told = yaml.safe_load(kubeconfig.read_text())
    user = {"name": ACCOUNT, "user": {"token": token}}
    context = {"name": ACCOUNT, "context": {"cluster": told["clusters"][0]["name"], "user": ACCOUNT}}
    own = {**told, "users": [user], "contexts": [context], "current-context": ACCOUNT}
    return yaml.safe_dump(own)
