"""What kustomize and helm make of the manifests, before any cluster sees it."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from cryptography.x509 import DNSName, SubjectAlternativeName, load_pem_x509_certificate
from support.deploying.rendering import (
    CLUSTER_WIDE,
    KUBERNETES,
    Object,
    Refused,
    charted,
    kustomized,
    named,
    pod_specs,
)
from volery_controlplane.domain.tokens import is_strong, token_id_of
from volery_dataplane.settings import parse

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]

TRIAL: Mapping[str, Any] = {
    "postgresql": {"enabled": True},
    "storage": {"volume": {"enabled": True}},
    "controlPlane": {"replicas": 1},
    "worker": {"replicas": 1, "slots": 20},
}
PRODUCTION: Mapping[str, Any] = {
    "database": {"secret": "volery-database"},
    "tls": {"secret": "volery-tls"},
    "worker": {"token": {"secret": "volery-worker-token"}},
    "storage": {"uri": "s3://volery-example/objects", "environment": {"AWS_REGION": "eu-central-1"}},
    "networkPolicy": {
        "clients": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}],
        "monitoring": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
    },
}
MADE_BY_THE_CHART = {"Secret"}


def plain(objects: list[Object]) -> dict[str, Object]:
    """Objects without what only one of the tools says: its labels, its hashes, where it is."""
    settings = {
        each["metadata"]["name"]: re.sub(r"-[a-z0-9]{10}$", "", each["metadata"]["name"])
        for each in objects
        if each["kind"] == "ConfigMap"
    }
    found = {}
    for each in objects:
        if each["kind"] in ("Namespace", *MADE_BY_THE_CHART):
            continue
        name = settings.get(each["metadata"]["name"], each["metadata"]["name"])
        name = re.sub(r"^volery-migration-1$", "volery-migration", name)
        text = yaml.safe_dump({key: value for key, value in each.items() if key != "metadata"})
        for long, short in settings.items():
            text = re.sub(rf"\b{long}$", short, text, flags=re.MULTILINE)
        body = yaml.safe_load(text)
        template = body.get("spec", {}).get("template", {}).get("metadata", {})
        template.pop("annotations", None)
        _defaults(body)
        found[f"{each['kind']}/{name}"] = body
    return found


def _defaults(value: Any) -> None:
    """Takes off what one of the tools says, and means nothing or is the default anyway."""
    if isinstance(value, dict):
        if value.get("imagePullPolicy") == "IfNotPresent":
            del value["imagePullPolicy"]
        if value.get("type") == "ClusterIP" and "selector" in value:
            del value["type"]
        for name in ("volumes", "volumeMounts"):  # in which order means nothing
            if name in value:
                value[name].sort(key=lambda each: str(each["name"]))
        for each in value.values():
            _defaults(each)
    elif isinstance(value, list):
        for each in value:
            _defaults(each)


@pytest.mark.parametrize(("overlay", "values"), [("development", TRIAL), ("production", PRODUCTION)])
def test_the_chart_and_the_overlays_make_the_same_objects(overlay: str, values: Mapping[str, Any]) -> None:
    by_kustomize, by_helm = plain(kustomized(overlay)), plain(charted(values))
    assert set(by_helm) == set(by_kustomize)
    for name, body in by_kustomize.items():
        assert by_helm[name] == body, name


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({}, "database.secret must name a secret"),
        ({**TRIAL, "database": {"secret": "own"}}, "two databases; choose one"),
        ({**TRIAL, "storage": {}}, "storage.uri must say where"),
        ({**TRIAL, "storage": {"uri": "s3://bucket", "volume": {"enabled": True}}}, "two object stores"),
        ({**TRIAL, "controlPlane": {"replicas": 2}}, "set controlPlane.replicas to 1"),
        ({**TRIAL, "storage": {"uri": "ftp://place"}}, "uri"),
        ({**TRIAL, "postgres": {"enabled": True}}, "postgres"),
        ({**TRIAL, "worker": {"slots": "many"}}, "slots"),
        ({**TRIAL, "controlPlane": {"replicas": 1, "settings": {"no name": "x"}}}, "no name"),
    ],
)
def test_values_that_make_no_sense_are_refused_with_their_name(
    values: Mapping[str, Any], complaint: str
) -> None:
    with pytest.raises(Refused) as refusal:
        charted(values)
    assert complaint in str(refusal.value)


def test_what_the_chart_makes_itself_is_new_each_time_and_fits_together() -> None:
    texts = set()
    for _ in range(2):
        objects = charted(TRIAL)
        token = _decoded(named(objects, "Secret", "volery-worker-token"))["token"]
        assert token_id_of(token)
        assert is_strong(token)
        database = _decoded(named(objects, "Secret", "volery-database"))
        assert database["url"] == (
            f"postgresql://volery:{database['password']}@volery-postgresql.volery.svc:5432/volery"
        )
        tls = _decoded(named(objects, "Secret", "volery-tls"))
        assert tls["tls.crt"] != tls["ca.crt"]
        texts |= {token, database["password"], tls["tls.key"]}
    assert len(texts) == 6


def _decoded(secret: Object) -> dict[str, str]:
    return {name: b64decode(text).decode() for name, text in secret["data"].items()}


def test_a_setting_of_the_users_stands_in_the_place_of_the_charts_own() -> None:
    settings = {"VOLERY_POD_IMAGE": "registry.example/science:1", "RETRIES": 3}
    objects = charted({**TRIAL, "worker": {"settings": settings}})
    found = named(objects, "ConfigMap", "volery-worker")["data"]
    assert (found["VOLERY_POD_IMAGE"], found["RETRIES"]) == ("registry.example/science:1", "3")


def test_a_forwarded_port_is_among_the_names_of_the_charts_own_certificate() -> None:
    pem = _decoded(named(charted(TRIAL), "Secret", "volery-tls"))["tls.crt"]
    certificate = load_pem_x509_certificate(pem.encode())
    names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    assert {"localhost", "volery-control-plane.volery.svc"} <= set(names.get_values_for_type(DNSName))


def test_a_changed_setting_rolls_the_pods_that_read_it() -> None:
    def hashes(values: Mapping[str, Any]) -> tuple[str, str]:
        objects = charted(values)
        found = [
            named(objects, "Deployment", name)["spec"]["template"]["metadata"]["annotations"]
            for name in ("volery-control-plane", "volery-worker")
        ]
        return found[0]["checksum/settings"], found[1]["checksum/settings"]

    before = hashes(TRIAL)
    after = hashes({**TRIAL, "worker": {"replicas": 1, "slots": 30}})
    assert before[0] == after[0]
    assert before[1] != after[1]


@pytest.mark.parametrize("overlay", ["development", "production"])
def test_every_secret_is_a_file_and_no_key_is_where_it_is_not_needed(overlay: str) -> None:
    for name, pod in pod_specs(kustomized(overlay)).items():
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert not any("valueFrom" in each for each in container.get("env", [])), name
            sources = [
                each["secretRef"]["name"] for each in container.get("envFrom", []) if "secretRef" in each
            ]
            # The object store's client reads its keys from the environment, where it reads any.
            assert set(sources) <= {"volery-object-store"}
        mounted = {
            each["secret"]["secretName"]: each["secret"] for each in pod["volumes"] if "secret" in each
        }
        if "worker" in name:
            assert "volery-database" not in mounted
            assert [item["key"] for item in mounted["volery-tls"]["items"]] == ["ca.crt"]
        for each in mounted.values():
            assert each["defaultMode"] == 0o440


@pytest.mark.parametrize("overlay", ["development", "production"])
def test_only_workers_get_a_token_of_the_cluster(overlay: str) -> None:
    automounted = {
        name for name, pod in pod_specs(kustomized(overlay)).items() if pod["automountServiceAccountToken"]
    }
    assert automounted == {"Deployment/volery-worker"}


def test_the_time_to_end_is_longer_than_the_drain() -> None:
    objects = kustomized("production")
    settings = {
        each["metadata"]["name"].rsplit("-", 1)[0]: each["data"]
        for each in objects
        if each["kind"] == "ConfigMap"
    }
    control_plane = pod_specs(objects)["Deployment/volery-control-plane"]
    sleep = control_plane["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = float(settings["volery-control-plane"]["VOLERY_DRAIN"])
    assert control_plane["terminationGracePeriodSeconds"] >= sleep + drain + 10
    worker = pod_specs(objects)["Deployment/volery-worker"]
    assert worker["terminationGracePeriodSeconds"] >= parse(["run"]).drain_grace + 10


@pytest.mark.parametrize("overlay", ["development", "production"])
def test_everything_goes_to_the_namespace_that_a_user_names(overlay: str) -> None:
    for each in kustomized(overlay, "elsewhere"):
        name = f"{each['kind']} {each['metadata']['name']}"
        if each["kind"] == "Namespace":
            assert each["metadata"]["name"] == "elsewhere"
        elif each["kind"] not in CLUSTER_WIDE:
            assert each["metadata"]["namespace"] == "elsewhere", name
        assert [of["namespace"] for of in each.get("subjects", [])] in ([], ["elsewhere"]), name


def test_the_overlays_are_all_that_is_there() -> None:
    assert {each.name for each in (KUBERNETES / "overlays").iterdir()} == {"development", "production"}
