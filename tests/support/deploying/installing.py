"""The platform on a cluster as its manifests install it: two control planes, workers, PostgreSQL.

Changed is what no cluster of one small node has: volumes, a registry, and processors to reserve. The object
store is outside, on the host.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from support.certificates import Authority
from support.cluster import roots
from support.cluster.images import Images
from support.deploying.api import Api
from support.deploying.rendering import CLUSTER_WIDE, Object, laid_over, made_of
from support.s3 import S3
from volery.credentials import Credentials
from volery.remote import Remote

REGISTRY = "volery.dev/test"
CONTROL_PLANE = f"{REGISTRY}/volery-controlplane"
WORKER = f"{REGISTRY}/volery-worker"
TASK = f"{REGISTRY}/volery-task"
DATABASE = f"{REGISTRY}/postgresql"
TAG = "1"
NEXT_TAG = "2"
"""Of what an upgrade brings: the same programs by another name."""

PATIENCE = "--timeout=240s"

ENTRY = """\
#!/bin/sh
# What the official image's entry point does with the variables that the manifest sets.
set -e
export LANG=C LC_ALL=C
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth=scram-sha-256 \\
    $POSTGRES_INITDB_ARGS --pgdata="$PGDATA"
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  PGPASSWORD="$(cat "$POSTGRES_PASSWORD_FILE")"; export PGPASSWORD
  pg_ctl -D "$PGDATA" -o "-c listen_addresses= -c unix_socket_directories=/var/run/postgresql" -w start
  createdb -h /var/run/postgresql -U "$POSTGRES_USER" "$POSTGRES_DB"
  pg_ctl -D "$PGDATA" -m fast -w stop
fi
exec postgres -D "$PGDATA" -c "listen_addresses=*" -c unix_socket_directories=/var/run/postgresql
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """A platform that runs.

    Attributes:
        kubectl: the cluster's API.
        namespace: where it is.
        server: its service, as the host reaches it.
        overlay: the directory that `kubectl apply -k` is told.
        environment: what the command line is told, to be an administrator of it.
    """

    kubectl: Api
    namespace: str
    server: str
    overlay: Path
    environment: Mapping[str, str]

    def remote(self) -> Remote:
        """A client outside, with an administrator's credentials."""
        told = self.environment
        shown = Credentials(token_file=told["VOLERY_TOKEN_FILE"], tls_ca=told["VOLERY_TLS_CA"])
        return Remote(self.server, credentials=shown)

    def run(self, *command: str, given: str | None = None) -> str:
        """Runs kubectl in the platform's namespace."""
        return self.kubectl.done(command[0], "--namespace", self.namespace, *command[1:], given=given)

    def pods(self, component: str) -> list[Any]:
        selector = f"--selector=app.kubernetes.io/component={component}"
        return list(self.kubectl.read("pods", "--namespace", self.namespace, selector)["items"])

    def name_images(self, tag: str) -> None:
        """Says in the overlay which release is wanted, as a user does before an upgrade."""
        file = self.overlay / "kustomization.yaml"
        told = json.loads(file.read_text())
        for image in told["images"]:
            if image["name"].startswith("volery.dev/"):
                image["newTag"] = tag
        file.write_text(json.dumps(told))

    def ready(self) -> None:
        """Waits until both deployments are as they should be."""
        for name in ("volery-control-plane", "volery-worker"):
            self.run("rollout", "status", f"deployment/{name}", PATIENCE)


def load_images(images: Images, directory: Path) -> None:
    """Gives a cluster what the manifests' pods run."""
    images.platform_part(f"{CONTROL_PLANE}:{TAG}", "volery-controlplane", [f"{CONTROL_PLANE}:{NEXT_TAG}"])
    images.platform_part(f"{WORKER}:{TAG}", "volery-worker", [f"{WORKER}:{NEXT_TAG}"])
    images.installed(f"{TASK}:{TAG}", roots.in_checkout(roots.TASK))
    files = directory / "postgresql"
    (files / "usr" / "local" / "bin").mkdir(parents=True)
    entry = files / "usr" / "local" / "bin" / "entry"
    entry.write_text(ENTRY)
    entry.chmod(0o755)
    (files / "etc").mkdir()
    (files / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\npostgres:x:999:999::/tmp:/bin/sh\n")
    images.database(f"{DATABASE}:{TAG}", files)


@contextmanager
def installed(kubectl: Api, namespace: str, s3: S3, task_image: str, directory: Path) -> Iterator[Installed]:
    """The production overlay in a namespace of its own, until the context ends."""
    with laid_over("production", namespace, **laid(namespace, s3, task_image)) as overlay:
        yield from _installed(kubectl, namespace, s3, overlay, directory)


def _installed(kubectl: Api, namespace: str, s3: S3, overlay: Path, directory: Path) -> Iterator[Installed]:
    objects = made_of(overlay)

    def apply(made: list[Object]) -> None:
        kubectl.done("apply", "--server-side", "--filename=-", given=yaml.safe_dump_all(made))

    try:
        apply([each for each in objects if each["kind"] in ("Namespace", "Service")])
        service = kubectl.read("service", "--namespace", namespace, "volery-control-plane")
        address = service["spec"]["clusterIP"]
        authority = Authority(directory)
        apply(secrets_of(namespace, address, authority, s3))
        kubectl.done("apply", "--server-side", "--kustomize", str(overlay))
        made = Installed(kubectl, namespace, f"https://{address}:8470", overlay, {})
        made.ready()
        token = directory / "administrator.token"
        token.touch(0o600)
        command = ("volery-controlplane", "tokens", "create", "--name", "ann", "--role", "administrator")
        token.write_text(made.run("exec", "deployment/volery-control-plane", "--", *command))
        environment = {
            "VOLERY_SERVER": made.server,
            "VOLERY_TOKEN_FILE": str(token),
            "VOLERY_TLS_CA": str(authority.certificate),
        }
        yield replace(made, environment=environment)
    finally:
        gone = [(each["kind"], each["metadata"]["name"]) for each in objects if each["kind"] in CLUSTER_WIDE]
        for kind, name in (*gone, ("Namespace", f"{namespace}-demo-development")):
            kubectl.done("delete", "--wait=false", "--ignore-not-found", kind, name)


def laid(namespace: str, s3: S3, task_image: str) -> dict[str, Any]:
    """What somebody with such a cluster would lay over the manifests."""
    service = f"volery-control-plane.{namespace}.svc"
    outside = {name: s3.environment()[name] for name in ("AWS_ENDPOINT", "AWS_REGION", "AWS_ALLOW_HTTP")}
    control_plane = {
        **outside,
        "VOLERY_STORAGE": f"s3://{s3.bucket()}/volery",
        "VOLERY_PUBLIC_ADDRESS": f"https://{service}:8470",
        "VOLERY_DATA_PUBLIC_ADDRESS": f"https://{service}:8471",
        "VOLERY_DATABASE_WRITERS": "2",
    }
    worker = {
        **outside,
        "VOLERY_SERVER": f"https://{service}:8470",
        "VOLERY_POD_IMAGE": task_image,
        "VOLERY_POD_IMAGE_PULL_POLICY": "Never",
        "VOLERY_NAMESPACE_TEMPLATE": f"{namespace}-{{project}}-{{domain}}",
    }

    def settings(name: str, values: Mapping[str, str]) -> dict[str, Any]:
        literals = [f"{key}={value}" for key, value in values.items()]
        return {"name": name, "namespace": "volery", "behavior": "merge", "literals": literals}

    modest = "- {op: replace, path: /spec/template/spec/containers/0/resources/requests/cpu, value: 20m}"
    volatile = """\
- {op: remove, path: /spec/volumeClaimTemplates}
- {op: add, path: /spec/template/spec/volumes/-, value: {name: data, emptyDir: {}}}
"""
    return {
        "components": ["../components/postgresql"],
        "configMapGenerator": [
            settings("volery-control-plane", control_plane),
            settings("volery-worker", worker),
        ],
        "images": [
            {"name": "volery.dev/volery-controlplane", "newName": CONTROL_PLANE, "newTag": TAG},
            {"name": "volery.dev/volery-worker", "newName": WORKER, "newTag": TAG},
            {"name": "docker.io/library/postgres", "newName": DATABASE, "newTag": TAG},
        ],
        "patches": [
            {"target": {"kind": "Deployment|StatefulSet"}, "patch": modest},
            {"target": {"kind": "StatefulSet"}, "patch": volatile},
            *names_of_its_own(namespace),
        ],
    }


def names_of_its_own(namespace: str) -> list[Object]:
    """Patches that give what is cluster-wide names that go with a namespace, since others may be there."""
    role, policy = f"volery-worker-{namespace}", f"volery-worker-boundary-{namespace}"
    named = [
        ("ClusterRole", "/metadata/name", role),
        ("ClusterRoleBinding", "/metadata/name", role),
        ("ValidatingAdmissionPolicy", "/metadata/name", policy),
        ("ValidatingAdmissionPolicyBinding", "/metadata/name", policy),
        ("ValidatingAdmissionPolicyBinding", "/spec/policyName", policy),
    ]
    return [
        {"target": {"kind": kind}, "patch": json.dumps([{"op": "replace", "path": path, "value": name}])}
        for kind, path, name in named
    ]


def secrets_of(namespace: str, address: str, authority: Authority, s3: S3) -> list[Object]:
    """The secrets that an administrator makes beforehand."""
    service = f"volery-control-plane.{namespace}.svc"
    pair = authority.server("control-plane", [service, address])
    password = secrets.token_hex(16)
    keys = s3.environment()
    given: dict[str, dict[str, bytes | str]] = {
        "volery-database": {
            "password": password,
            "url": f"postgresql://volery:{password}@volery-postgresql.{namespace}.svc:5432/volery",
        },
        "volery-worker-token": {"token": f"vol_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"},
        "volery-tls": {
            "tls.crt": pair.certificate.read_bytes(),
            "tls.key": pair.key.read_bytes(),
            "ca.crt": authority.certificate.read_bytes(),
        },
        "volery-object-store": {name: keys[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")},
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "data": {key: _encoded(value) for key, value in data.items()},
        }
        for name, data in given.items()
    ]


def _encoded(value: bytes | str) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
