"""The images' build file, which no engine builds here: judged by parsers, and held against the tree."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from dockerfile_parse import DockerfileParser
from packaging.requirements import Requirement
from support.pages import ROOT

DOCKER = ROOT / "deploy" / "docker"
FILE = DOCKER / "Dockerfile"
IGNORED = DOCKER / "Dockerfile.dockerignore"
TARGETS = {"control-plane": "controlplane", "worker": "dataplane", "task": "clients/python"}


@dataclass
class Stage:
    """One stage of the build file, and what it is made of."""

    name: str
    parent: str
    instructions: list[tuple[str, str]] = field(default_factory=list)


def stages() -> dict[str, Stage]:
    parser = DockerfileParser(fileobj=BytesIO(FILE.read_bytes()))
    found: dict[str, Stage] = {}
    arguments: dict[str, str] = {}
    for each in parser.structure:
        kind, value = each["instruction"], each["value"]
        if kind == "COMMENT":
            continue
        if kind == "FROM":
            parent, _, name = value.partition(" AS ")
            stage = Stage(name, re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], parent))
            found[name] = stage
        elif not found:
            name, _, default = value.partition("=")
            arguments[name] = default
        else:
            stage.instructions.append((kind, value))
    return found


STAGES = stages()


def chain(name: str) -> Iterator[Stage]:
    """A stage and those it is built on, itself first."""
    while name in STAGES:
        yield STAGES[name]
        name = STAGES[name].parent


def last(name: str, kind: str) -> str:
    return next(
        (
            value
            for stage in chain(name)
            for instruction, value in reversed(stage.instructions)
            if instruction == kind
        ),
        "",
    )


def project(place: str) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / place / "pyproject.toml").read_text())["project"]
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="the linter's wheel is for Linux")
def test_the_linter_of_build_files_has_no_complaints() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, "--failure-threshold", "style", FILE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_copied_is_there_and_goes_to_the_builder() -> None:
    rules = [line for line in IGNORED.read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = [rule[1:] for rule in rules if rule.startswith("!")]
    copied = [
        source.rstrip("/")
        for stage in STAGES.values()
        for kind, value in stage.instructions
        if kind == "COPY" and not value.startswith("--from=")
        for source in value.split()[:-1]
    ]
    assert len(copied) == 9
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, rule) for rule in let_in), source


def test_what_is_copied_from_a_stage_is_of_one_before() -> None:
    names = list(STAGES)
    for name, stage in STAGES.items():
        for kind, value in stage.instructions:
            if kind == "COPY" and value.startswith("--from="):
                source = value.removeprefix("--from=").split()[0]
                assert names.index(source) < names.index(name)


def test_every_wheel_that_a_target_installs_is_built() -> None:
    built = {
        str(project(place)["name"]).replace("-", "_")
        for place in ("idl", "migrations", "controlplane", "dataplane", "clients/python")
    }
    copied = {
        Path(source).name.partition("-")[0]
        for stage in STAGES.values()
        for kind, value in stage.instructions
        if kind == "COPY" and value.startswith("--from=wheels")
        for source in value.split()[1:-1]
    }
    assert copied == built


def test_what_images_are_built_on_is_pinned() -> None:
    outside = {stage.parent for stage in STAGES.values()} - set(STAGES)
    assert len(outside) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", outside.pop())


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_runs_as_a_user_by_number_who_is_not_root(target: str) -> None:
    user, _, group = last(target, "USER").partition(":")
    assert int(user) >= 10_000
    assert int(group) >= 10_000


@pytest.mark.parametrize("target", ["control-plane", "worker"])
def test_an_image_starts_a_command_that_its_distribution_has(target: str) -> None:
    (command,) = json.loads(last(target, "ENTRYPOINT"))
    scripts = project(TARGETS[target])["scripts"]
    assert isinstance(scripts, dict)
    assert command in scripts


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_says_what_it_is(target: str) -> None:
    labels = {
        label
        for stage in chain(target)
        for kind, value in stage.instructions
        if kind == "LABEL"
        for label in re.findall(r"org\.opencontainers\.image\.(\w+)=", value)
    }
    assert labels >= {"title", "description", "version", "revision", "licenses", "vendor"}


def test_nothing_of_the_build_is_a_secret() -> None:
    for stage in STAGES.values():
        for kind, value in stage.instructions:
            if kind in ("ENV", "ARG"):
                assert not re.search(r"(?i)token|password|secret|credential|api_?key", value)


def locked(name: str) -> dict[str, str]:
    text = (DOCKER / f"{name}.lock").read_text()
    found = dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))
    assert text.count("--hash=sha256:") >= len(found) > 0
    assert "://" not in text
    return found


@pytest.mark.parametrize(
    ("lock", "places"),
    [
        ("control-plane", ["idl", "migrations", "controlplane"]),
        ("worker", ["idl", "dataplane"]),
        ("task", ["clients/python"]),
    ],
)
def test_what_is_locked_is_what_the_distributions_ask_for(lock: str, places: list[str]) -> None:
    versions = locked(lock)
    for place in places:
        asked = list(project(place)["dependencies"])
        if lock != "task":
            for extra in project(place).get("optional-dependencies", {}).values():
                asked += extra
        for text in asked:
            wanted = Requirement(text)
            if wanted.name.startswith("volery"):
                continue
            assert versions.get(wanted.name, "none") in wanted.specifier, text
