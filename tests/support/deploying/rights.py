"""The rights of a worker on a cluster as the manifests grant them, to be tried by programs outside of it.

They are the only ones with which attempts are made in the tests' clusters: see `guarded`.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from support.deploying.api import Api
from support.deploying.rendering import CLUSTER_WIDE, Object, charted, kustomized

KINDS = {
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "ServiceAccount",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
ACCOUNT = "volery-worker"
INSTALLATION = "volery.dev/installation"
GUARDED = "in tests, too, attempts are made with a worker's rights"
LASTING = "--duration=24h"
"""Longer than any run of the tests: outside of a pod nobody renews the token."""


@dataclass(frozen=True, slots=True)
class WorkerRights:
    """What a worker outside of the cluster shows it.

    Attributes:
        kubeconfig: a file that names the API server and the worker's account.
        token: the account's, for files that lead elsewhere.
    """

    kubeconfig: Path
    token: str


@contextmanager
def granted(
    kubectl: Api, namespace: str, directory: Path, places: Sequence[str] = ()
) -> Iterator[WorkerRights]:
    """The rights of the worker's service account in a namespace, which is made and removed.

    With places these are what the chart grants in each of them, else what the manifests grant everywhere.

    What is cluster-wide gets names of its own; the policy that keeps workers to namespaces of Volery's is as
    it is shipped, and so asks for nothing but the account's name.
    """
    values = {"database": {"secret": "any"}, "storage": {"uri": "s3://any"}}
    shipped = (
        charted({**values, "worker": {"namespaces": list(places)}}, namespace)
        if places
        else kustomized("production", namespace)
    )
    objects = [each for each in shipped if each["kind"] in KINDS]
    for each in objects:
        if each["kind"] == "ServiceAccount":
            each["metadata"]["namespace"] = namespace  # which helm leaves to whoever installs
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    made = [space, *(of_its_own(each, namespace) for each in objects)]
    kubectl.done("apply", "--server-side", "--filename=-", given=yaml.safe_dump_all(made))
    try:
        file = directory / "worker.kubeconfig"
        file.touch(0o600)
        token = kubectl.done("create", "token", ACCOUNT, f"--namespace={namespace}", LASTING).strip()
        file.write_text(_for(Path(kubectl.kubeconfig), token))
        told = ("auth", "can-i", "create", "pods", f"--as=system:serviceaccount:{namespace}:{ACCOUNT}")
        for place in places or ("default",):
            kubectl.until(
                lambda place=place: kubectl.run(*told, f"--namespace={place}").stdout.strip() == "yes",  # type: ignore[misc]  # defaults bind
                "the role is bound",
            )
        yield WorkerRights(file, token)
    finally:
        for each in made:
            name = each["metadata"]["name"]
            if each["kind"] in CLUSTER_WIDE:
                kubectl.done("delete", "--wait=false", "--ignore-not-found", each["kind"], name)


@contextmanager
def guarded(kubectl: Api) -> Iterator[None]:
    """Within it no pod of an attempt is made but with a worker's rights.

    So a worker that a test gives the administrator's by mistake gets nowhere, and the test fails.
    """
    name = f"attempts-are-workers-{uuid.uuid4().hex[:8]}"
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    attempts = f"has(object.metadata.labels) && '{INSTALLATION}' in object.metadata.labels"
    workers = f"request.userInfo.username.endsWith(':{ACCOUNT}')"
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [pods]},
            "matchConditions": [{"name": "of-an-attempt", "expression": attempts}],
            "validations": [{"expression": workers, "message": GUARDED}],
        },
    }
    binding = {
        "apiVersion": policy["apiVersion"],
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    attempt = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "attempt", "namespace": "default", "labels": {INSTALLATION: "any"}},
        "spec": {"containers": [{"name": "primary", "image": "any"}]},
    }
    kubectl.done("apply", "--server-side", "--filename=-", given=yaml.safe_dump_all([policy, binding]))
    try:
        tried = ("create", "--dry-run=server", "--filename=-")
        kubectl.until(
            lambda: GUARDED in kubectl.run(*tried, given=yaml.safe_dump(attempt)).stderr,
            "the policy is taken up",
        )
        yield
    finally:
        for each in (binding, policy):
            kubectl.done("delete", "--ignore-not-found", each["kind"], name)


def of_its_own(each: Object, namespace: str) -> Object:
    """What is cluster-wide below a name that goes with a namespace; all else as it is."""
    each = copy.deepcopy(each)
    if each["kind"] in CLUSTER_WIDE - {"Namespace"}:
        each["metadata"]["name"] += f"-{namespace}"
    if each["kind"] == "ClusterRoleBinding":
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
