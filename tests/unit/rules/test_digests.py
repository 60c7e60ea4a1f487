from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from support.literal_strategies import literal_types, typed_literals
from volery_rules.canonical import FOR_PEOPLE, Tokens, canonical_bytes
from volery_rules.digests import differences, digest
from voleryidl.core.v1 import launch_plan_pb2, literals_pb2, task_pb2, types_pb2, workflow_pb2
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.core.v1.types_pb2 import LiteralType

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "tests" / "vectors" / "digests"
DIFFERENCES = yaml.safe_load((VECTORS / "differences.yaml").read_text())
PINNED = yaml.safe_load((VECTORS / "pinned.yaml").read_text())


def message(name: str, content: dict[str, Any]) -> Message:
    modules = (task_pb2, workflow_pb2, launch_plan_pb2, literals_pb2, types_pb2)
    kind = next(getattr(module, name) for module in modules if hasattr(module, name))
    made: Message = json_format.ParseDict(content, kind())
    return made


@pytest.mark.parametrize("case", DIFFERENCES, ids=lambda case: case["what"])
def test_differences_are_told_in_words(case: dict[str, Any]) -> None:
    old, new = message(case["message"], case["old"]), message(case["message"], case["new"])
    assert [str(difference) for difference in differences(old, new)] == case["differences"]
    assert (digest(old) == digest(new)) == (case["differences"] == [])


@pytest.mark.parametrize("case", PINNED, ids=lambda case: case["digest"][:10])
def test_digests_of_an_algorithm_never_change(case: dict[str, Any]) -> None:
    assert digest(message(case["message"], case["content"])) == case["digest"]


def test_exactly_the_texts_for_people_are_left_out() -> None:
    found = set()
    for path in (ROOT / "idl" / "voleryidl" / "core").rglob("*.proto"):
        text = path.read_text()
        for match in re.finditer(r"never part of a comparison of versions\.\n\s*[\w.]+ (\w+) = \d+;", text):
            holder = re.findall(r"^message (\w+) \{", text[: match.start()], re.MULTILINE)[-1]
            found.add(f"voleryidl.core.v1.{holder}.{match[1]}")
    assert found == FOR_PEOPLE


@given(st.dictionaries(st.text(max_size=3), st.text(max_size=3)), st.randoms())
def test_the_order_in_which_a_map_was_filled_never_matters(entries: dict[str, str], random: Any) -> None:
    shuffled = list(entries.items())
    random.shuffle(shuffled)
    one, other = TaskTemplate(environment=entries), TaskTemplate()
    for key, value in shuffled:
        other.environment[key] = value
    assert digest(one) == digest(other)


@given(literal_types(), literal_types())
def test_types_differ_exactly_when_their_digests_do(one: LiteralType, other: LiteralType) -> None:
    assert (differences(one, other) == []) == (digest(one) == digest(other))


@given(st.data())
def test_values_differ_exactly_when_their_digests_do(data: st.DataObject) -> None:
    one, _ = data.draw(typed_literals())
    other, _ = data.draw(typed_literals())
    assert differences(one, one) == []
    assert (differences(one, other) == []) == (digest(one) == digest(other))
    read_back = Literal.FromString(one.SerializeToString())
    assert digest(read_back) == digest(one)


def test_not_more_differences_are_told_than_asked_for() -> None:
    one = TaskTemplate(environment={str(i): "a" for i in range(50)})
    other = TaskTemplate(environment={str(i): "b" for i in range(50)})
    assert len(differences(one, other, limit=3)) == 3


def test_lists_of_tokens_never_look_alike() -> None:
    one, other = Tokens(), Tokens()
    for token in ("ab", "c"):
        one.text(token)
    for token in ("a", "bc"):
        other.text(token)
    assert one.bytes() != other.bytes()


def test_the_encoding_tells_an_empty_message_from_none() -> None:
    assert canonical_bytes(TaskTemplate(cache={})) != canonical_bytes(TaskTemplate())
