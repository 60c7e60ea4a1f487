"""The reference pages say what the code says, no more and no less."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import click
import pandas
import pytest
import volery_controlplane.main
from support.pages import DOCS, ROOT, tables
from volery.config import Config
from volery.errors import BY_REASON
from volery.types.engine import converter_of
from volery.types.files import Directory, File
from volery_cli.exits import Exit
from volery_cli.main import COMMANDS, volery
from volery_controlplane import settings as controlplane
from volery_controlplane.domain import errors as refusals
from volery_controlplane.domain.filter_text import Choice, FieldType, Labels, Text, Time, Words
from volery_controlplane.grpc.errors import CODES, EDGE_REASONS
from volery_controlplane.services.executions import EXECUTIONS, NODE_EXECUTIONS
from volery_controlplane.services.pages import Listing
from volery_controlplane.services.projects import PROJECTS
from volery_controlplane.services.registry import ENTITIES
from volery_dataplane import settings as worker
from voleryidl.core.v1.reason_pb2 import ErrorReason

REFERENCE = DOCS / "reference"
CONTRACT = ROOT / "docs" / "reference" / "container-contract.md"
SETTINGS = REFERENCE / "settings.md"
SOURCES = ("controlplane/volery_controlplane", "dataplane/volery_dataplane", "clients")


# --- settings ---


def in_words(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case timedelta():
            return f"{value.total_seconds():g}"
        case tuple():
            return ",".join(value)
    return str(value)


def test_every_setting_of_the_control_plane_is_told_with_its_default() -> None:
    told = [(row["setting"], row["environment"], row["default"]) for row in tables(SETTINGS, "Control plane")]
    assert told == [
        (field.name, controlplane.environment_name(field.name), in_words(field.default))
        for field in fields(controlplane.Settings)
    ]


def test_the_options_of_the_control_plane_are_those_of_its_command() -> None:
    help_text = help_of_serve()
    told = {row["option"] for row in tables(SETTINGS, "Control plane")} - {""}
    assert told | {"--ready-file", "--ready-fd", "--help"} == set(re.findall(r"--[a-z-]+", help_text))


def help_of_serve() -> str:
    serve = next(
        action.choices["serve"]
        for action in volery_controlplane.main._parser()._actions
        if isinstance(action.choices, dict)
    )
    return str(serve.format_usage()) + " --help"


SAMPLES = {
    "slots": "3",
    "launcher": "kubernetes",
    "bundle_room": "9",
    "executions": "7",
    "drain_grace": "1.5",
    "state": "/somewhere",
    "transport": "grpc",
    "storage_access": "data-server",
    "ready_fd": "5",
    "log_size_limit": "7",
    "bundle_size_limit": "7",
    "bundle_unpacked_limit": "7",
    "bundle_members_limit": "7",
    "bundle_ratio_limit": "7",
    "metrics": "127.0.0.1:9464",
    "metrics_open": "True",
    "log_format": "console",
    "log_level": "error",
}
FLAGS = {"metrics_open"}


def test_every_setting_of_a_worker_is_told_and_read(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {row["setting"]: row for row in tables(SETTINGS, "Worker")}
    assert list(rows) == [field.name for field in fields(worker.Settings)]
    for name, row in rows.items():
        monkeypatch.delenv(row["environment"] or "NOTHING", raising=False)
        if row["environment"]:
            monkeypatch.setenv(row["environment"], SAMPLES.get(name, "somewhere"))
            value = getattr(worker.parse(["run"]), name)
            assert str(value) == SAMPLES.get(name, "somewhere"), name
            monkeypatch.delenv(row["environment"])
        if row["default"] and not row["default"].startswith("the "):
            default = getattr(worker.parse(["run"]), name)
            expected = Path(row["default"]).resolve() if name == "state" else row["default"]
            assert in_words(default).removesuffix(".0") == str(expected)
        if not row["option"]:
            continue  # set in the environment only
        given = [row["option"]] if name in FLAGS else [row["option"], SAMPLES.get(name, "somewhere")]
        assert worker.parse(["run", *given]) != worker.parse(["run"])


def test_every_variable_that_is_read_is_told() -> None:
    read = {
        name
        for source in SOURCES
        for module in (ROOT / source).rglob("*.py")
        for name in re.findall(r"VOLERY_[A-Z]+(?:_[A-Z]+)*", module.read_text())
    }
    # The process's number is for the worker alone, the other is click's; one is an example in a docstring.
    inner = {"VOLERY_PROCESS", "_VOLERY_COMPLETE".lstrip("_")}
    told = set(re.findall(r"VOLERY_[A-Z]+(?:_[A-Z]+)*", SETTINGS.read_text() + CONTRACT.read_text()))
    assert read - inner <= told
    assert told <= read | {controlplane.environment_name(f.name) for f in fields(controlplane.Settings)}


def test_the_configuration_file_has_the_settings_that_are_told() -> None:
    told = {row["in the file"]: row["default"] for row in tables(SETTINGS, "Clients") if row["in the file"]}
    assert told == {field.name: field.default for field in fields(Config) if field.default is not MISSING}


# --- errors ---


def test_every_reason_is_told_with_its_status_and_what_it_becomes() -> None:
    told = {
        row["reason"]: (row["status"], row["in Python"]) for row in tables(REFERENCE / "errors.md", "Reasons")
    }
    reasons = [name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()[1:]]
    assert sorted(told) == sorted(reasons)
    assert told == {reason: (status_of(reason), BY_REASON[reason].__name__) for reason in reasons}


def status_of(reason: str) -> str:
    number = ErrorReason.Value(f"ERROR_REASON_{reason}")
    at_the_edge = {int(each): code.name for each, code in EDGE_REASONS.items()}
    if number in at_the_edge:
        return at_the_edge[number]
    kinds = [each for each in vars(refusals).values() if isinstance(each, type)]
    refusal = next(
        each for each in kinds if issubclass(each, refusals.Refusal) and vars(each).get("reason") == number
    )
    return next(CODES[base].name for base in refusal.__mro__ if base in CODES)


def test_every_failure_of_the_platform_is_told() -> None:
    made = {
        name
        for module in ("launch/outcomes.py", "domain/failures.py", "worker/walking.py")
        for name in re.findall(
            r'"([A-Z][a-z]+(?:[A-Z][a-z]+)*)"', (ROOT / "dataplane/volery_dataplane" / module).read_text()
        )
    } - {"Failure", "Mapping"}
    codes = " ".join(row["code"] for row in tables(DOCS / "concepts.md", "Failures of the platform"))
    assert {name for name in made if name not in codes} == set()


# --- filters ---


KINDS: Mapping[type[FieldType], str] = {
    Text: "text",
    Time: "time",
    Choice: "choice",
    Words: "words",
    Labels: "labels",
}


@pytest.mark.parametrize(
    ("heading", "listing"),
    [
        ("Executions", EXECUTIONS),
        ("Node executions", NODE_EXECUTIONS),
        ("Tasks, workflows, launch plans", ENTITIES),
        ("Projects", PROJECTS),
    ],
)
def test_the_fields_of_a_list_are_told(heading: str, listing: Listing) -> None:
    page = REFERENCE / "filters.md"
    told = {row["field"]: row["type"] for row in tables(page, heading)}
    assert told == {name: KINDS[type(kind)] for name, kind in listing.fields.items()}
    section = page.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    orders = re.findall(r"`([a-z_]+)`", section.partition("Order: ")[2].replace("`desc`", ""))
    assert tuple(orders) == listing.orders


# --- command line ---


CLI = REFERENCE / "cli.md"
SHARED = {"--server", "--project", "--domain", "--state", "--token-file", "--tls-ca"}
TOGETHER = {"deactivate": "activate, deactivate", "activate": "activate, deactivate"}


def options_of(command: click.Command) -> set[str]:
    if isinstance(command, click.Group):
        return set().union(*(options_of(each) for each in command.commands.values()))
    options = [each for each in command.params if isinstance(each, click.Option)]
    return {next(name for name in each.opts if name.startswith("--")) for each in options}


@pytest.mark.parametrize(
    "name", [name for name in COMMANDS if name not in ("server", "worker", "completion")]
)
def test_the_options_of_a_command_are_told(name: str) -> None:
    command = volery.get_command(click.Context(volery), name)
    assert command is not None
    there = options_of(command)
    if name != "up":
        assert there >= SHARED
        there -= SHARED
    try:
        rows = tables(CLI, f"# {TOGETHER.get(name, name)}"[2:])
    except LookupError:
        rows = []
    assert {row["option"].split()[0] for row in rows} == there


def test_every_command_has_its_section() -> None:
    headings = re.findall(r"^## ([a-z, ]+)$", CLI.read_text(), flags=re.MULTILINE)
    assert {name for heading in headings for name in heading.split(", ")} == set(COMMANDS)


def test_the_exit_codes_are_told() -> None:
    assert [int(row["code"]) for row in tables(CLI, "Exit codes")] == [each.value for each in Exit]


# --- types ---


class Colour(Enum):
    RED = "red"


@dataclass
class Record:
    size: int


class Named(NamedTuple):
    size: int


EXAMPLES: Mapping[str, Any] = {
    "None": None,
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "datetime": datetime,
    "timedelta": timedelta,
    "bytes": bytes,
    "an Enum": Colour,
    "int \\| None, int \\| str": int | None,
    "list[int]": list[int],
    "dict[str, int]": dict[str, int],
    "a dataclass, a NamedTuple": Record,
    "File": File,
    "Directory": Directory,
    "pandas.DataFrame": pandas.DataFrame,
}


def test_python_types_are_the_types_of_the_contract_that_are_told() -> None:
    from volery._compile.messages import type_to_wire
    from volery._idl.voleryidl.core import v1 as idl

    rows = tables(DOCS / "concepts.md", "Types")
    assert [row["Python"] for row in rows] == list(EXAMPLES)
    for row in rows:
        message = type_to_wire(converter_of(EXAMPLES[row["Python"]]).literal_type)
        arm, _, simple = row["IDL"].partition(": ")
        value = getattr(message, arm)
        assert value is not None, row
        if simple:
            assert value is idl.SimpleType[simple]
    assert type_to_wire(converter_of(Named).literal_type).record_type is not None
