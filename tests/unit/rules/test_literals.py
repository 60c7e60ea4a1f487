from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.compile_vectors import promise
from support.type_texts import type_of
from support.value_texts import literal
from volery_rules import types
from volery_rules.attributes import NoSuchPart, NotLoaded, path_text, pick, type_at
from volery_rules.literals import conforms

VECTORS = Path(__file__).parents[2] / "vectors" / "literals"
CONFORMS = yaml.safe_load((VECTORS / "conforms.yaml").read_text())
PARTS = yaml.safe_load((VECTORS / "parts.yaml").read_text())


@pytest.mark.parametrize("case", CONFORMS, ids=lambda case: f"{case['value']} as {case['type']}")
def test_a_value_is_of_a_type_or_every_part_that_is_not_is_told(case: dict[str, Any]) -> None:
    found = conforms(literal(case["value"]), type_of(case["type"]))
    assert [str(problem) for problem in found] == case.get("problems", [])


def test_not_more_problems_are_told_than_asked_for() -> None:
    assert len(conforms(literal(["x"] * 100), type_of("list[integer]"), limit=7)) == 7


@pytest.mark.parametrize("case", PARTS, ids=lambda case: f"{case['path']} of {case.get('type')}")
def test_a_path_leads_to_a_part(case: dict[str, Any]) -> None:
    path = promise(case["path"]).path
    if "part_type" in case:
        assert types.equal(type_at(type_of(case["type"]), path), type_of(case["part_type"]))
    if "wrong_type" in case:
        with pytest.raises(NoSuchPart) as wrong_type:
            type_at(type_of(case["type"]), path)
        assert case["wrong_type"] in str(wrong_type.value)
    if "part" in case:
        assert pick(literal(case["value"]), path) == literal(case["part"])
    if "wrong_value" in case:
        with pytest.raises(NoSuchPart) as wrong_value:
            pick(literal(case["value"]), path)
        assert case["wrong_value"] in str(wrong_value.value)


def test_the_whole_value_is_given_back_as_it_is() -> None:
    value = literal([1])
    assert pick(value, []) is value


def test_a_path_into_an_offloaded_value_says_what_to_read_and_how_to_go_on() -> None:
    path = promise("$n.o.models[3].score").path
    value = literal({"$record": {"models": {"$offloaded": "s3://b/models"}}})
    with pytest.raises(NotLoaded) as needed:
        pick(value, path)
    assert needed.value.value.uri == "s3://b/models"
    assert path_text(needed.value.rest) == "[3].score"
    whole = literal([None, None, None, {"$record": {"score": 0.5}}])
    assert pick(whole, needed.value.rest) == literal(0.5)
