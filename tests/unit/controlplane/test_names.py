from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volery_controlplane.domain import names
from volery_controlplane.domain.records import ExecutionName
from voleryidl.core.v1.identifier_pb2 import EntityKind, Identifier

CHECKS = [
    names.check_project_id,
    names.check_domain,
    names.check_execution_name,
    names.check_node_id,
    names.check_entity_name,
    names.check_version,
    names.check_variable_name,
]


@pytest.mark.parametrize(
    ("check", "good"),
    [
        (names.check_project_id, ["demo", "a", "1-2", "a" * 63]),
        (names.check_execution_name, ["a", "run-7", "a" * 63]),
        (names.check_node_id, ["n0", "fitModel", "a_b-c"]),
        (names.check_entity_name, ["fit", "pipelines.train.fit", "my-plan", "_private._f", "A.b"]),
        (names.check_version, ["v1", "1.2.3+build", "2026-01-31T00:00", "a" * 128, "_Zk9-x"[1:]]),
        (names.check_variable_name, ["x", "o0", "_y", "größe"]),
    ],
)
def test_good_names_pass(check: Callable[[str], str], good: list[str]) -> None:
    assert [check(name) for name in good] == [""] * len(good)


@pytest.mark.parametrize(
    ("check", "bad"),
    [
        (names.check_project_id, ["", "Demo", "a_b", "-a", "a-", "a" * 64, "a/b", "a\n"]),
        (names.check_execution_name, ["", "7run", "Run", "a_b", "a" * 64]),
        (names.check_node_id, ["", "7", "N0", "a/b", "a.b", "a" * 64]),
        (names.check_entity_name, ["", ".a", "a.", "a..b", "a b", "a.9", "a" * 256, "a@v"]),
        (names.check_version, ["", "a b", "a/b", "-a", "a" * 129]),
        (names.check_variable_name, ["", "9", "a-b", "a.b", "x" * 256]),
    ],
)
def test_bad_names_are_complained_about(check: Callable[[str], str], bad: list[str]) -> None:
    for name in bad:
        complaint = check(name)
        assert complaint.startswith("must"), name
        assert len(complaint) < 250


@given(st.sampled_from(CHECKS), st.text(max_size=300))
def test_a_suggestion_would_pass(check: Callable[[str], str], name: str) -> None:
    hint = names.suggestion(name, check)
    if hint:
        assert check(hint.removesuffix(" would do").strip("'\"")) == ""


def test_the_full_name_of_an_execution_leads_back_to_it() -> None:
    id = ExecutionName("demo", "development", "run-7")
    full = names.execution_resource(id)
    assert full == "projects/demo/domains/development/executions/run-7"
    assert names.parse_execution_resource(full) == id
    assert names.node_resource(id, "n2/17") == f"{full}/nodes/n2/17"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "run-7",
        "projects/demo/domains/development/executions/",
        "projects/demo/domains/d/runs/x",
        "a/b/c/d/e/f",
    ],
)
def test_other_texts_are_no_execution(name: str) -> None:
    assert names.parse_execution_resource(name) is None


def test_entities_are_told_in_words_and_in_full() -> None:
    kind = EntityKind.ENTITY_KIND_LAUNCH_PLAN
    id = Identifier(kind=kind, project="demo", domain="production", name="nightly", version="v1")
    assert names.entity_text(id) == "launch plan nightly@v1 of demo/production"
    assert names.entity_resource(id) == "projects/demo/domains/production/launch_plans/nightly/versions/v1"
