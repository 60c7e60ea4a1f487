"""The chart's values: told by comments, by a schema and by a table, which must say the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import pytest
import yaml
from support.pages import ROOT, tables
from volery_controlplane.settings import Settings, environment_name

CHART = ROOT / "deploy" / "kubernetes" / "helm" / "volery"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def commented() -> dict[str, str]:
    """What the comments say of each value, by its dotted name."""
    told: dict[str, str] = {}
    place: list[str] = []
    comment = ""
    for line in (CHART / "values.yaml").read_text().splitlines():
        if found := re.match(r" *# -- (.*)$", line):
            comment = found[1]
        elif found := re.match(r"( *)(\w+):", line):
            place = [*place[: len(found[1]) // 2], found[2]]
            if comment:
                told[".".join(place)] = comment
            comment = ""
    return told


TOLD = commented()


def value_of(name: str) -> Any:
    value: Any = VALUES
    for part in name.split("."):
        value = value[part]
    return value


def leaves(schema: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, each in schema["properties"].items():
        if "properties" in each:
            assert each["additionalProperties"] is False, f"{prefix}{name} would take misspelled values"
            yield from leaves(each, f"{prefix}{name}.")
        elif name != "global":
            yield prefix + name, each


def inner(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Names of values, down to those that are told of as a whole."""
    for name, each in values.items():
        if f"{prefix}{name}" in TOLD:
            yield f"{prefix}{name}"
        else:
            assert isinstance(each, dict), f"{prefix}{name} is not told of"
            yield from inner(each, f"{prefix}{name}.")


def test_every_value_is_told_of() -> None:
    assert list(inner(VALUES)) == list(TOLD)


def test_the_schema_says_what_the_comments_say() -> None:
    assert {name: each["description"] for name, each in leaves(SCHEMA)} == TOLD


def test_the_table_says_what_the_comments_say() -> None:
    def shown(value: Any) -> str:
        if isinstance(value, str):
            return value
        return json.dumps(value)

    rows = tables(CHART / "README.md", "Values")
    plain = {name: text.replace("`", "") for name, text in TOLD.items()}  # as tables are read
    assert {row["value"]: row["meaning"] for row in rows} == plain
    assert {row["value"]: row["default"] for row in rows} == {name: shown(value_of(name)) for name in TOLD}


TYPES = {"boolean": bool, "integer": int, "string": str, "array": list, "object": dict}


@pytest.mark.parametrize(("name", "schema"), list(leaves(SCHEMA)))
def test_a_default_is_of_its_type(name: str, schema: Mapping[str, Any]) -> None:
    value = value_of(name)
    assert type(value) is TYPES[schema["type"]]
    if "enum" in schema:
        assert value in schema["enum"]
    if "pattern" in schema:
        assert re.search(schema["pattern"], value)


def test_every_value_is_used() -> None:
    templates = "".join(each.read_text() for each in (CHART / "templates").iterdir())
    for name in TOLD:
        group, _, _ = name.rpartition(".")
        assert f".Values.{name}" in templates or f".Values.{group} " in templates, name


def test_the_versions_are_the_release() -> None:
    import tomllib

    version = tomllib.loads((ROOT / "controlplane" / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)
    base = yaml.safe_load((ROOT / "deploy/kubernetes/base/kustomization.yaml").read_text())
    assert {image["newTag"] for image in base["images"]} == {version}
    assert f"volery-task:{version}" in (ROOT / "deploy/kubernetes/base/worker.env").read_text()
    assert f"ARG VERSION={version}\n" in (ROOT / "deploy/docker/Dockerfile").read_text()


def test_every_variable_of_the_manifests_is_a_setting() -> None:
    files = [*(ROOT / "deploy/kubernetes").rglob("*.env"), CHART / "templates" / "_names.tpl"]
    named = {name for each in files for name in re.findall(r"VOLERY_[A-Z_]+", each.read_text())}
    known = {environment_name(knob.name) for knob in fields(Settings)}
    for module in (ROOT / "dataplane" / "volery_dataplane").rglob("*.py"):
        known |= set(re.findall(r"VOLERY_[A-Z_]+", module.read_text()))
    known |= {f"VOLERY_{name}" for name in ("TOKEN_FILE", "TLS_CA")}  # put together from a table there
    assert len(named) > 15
    assert named - known == set()
