from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from support.compile_vectors import task
from support.literal_strategies import typed_literals
from support.value_texts import literal, literals
from volery_rules.cache_keys import CacheKey, cache_key, cache_policy, interface_digest, value_digest
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.core.v1.task_pb2 import CachePolicy, CacheScope, TaskTemplate
from voleryidl.core.v1.types_pb2 import LiteralType
from voleryidl.core.v1.workflow_pb2 import NodeOverrides


def cached(**changes: Any) -> TaskTemplate:
    entry = {
        "in": {"x": "integer", "y": "string"},
        "out": {"o0": "float"},
        "proto": {"cache": {"version": "1"}},
    }
    return task("fit", entry | changes)


def key(made: TaskTemplate | None = None, where: str = "demo/development", **inputs: Any) -> CacheKey:
    return cache_key(made or cached(), where, literals(inputs or {"x": 1, "y": "a"}))


def differing(one: CacheKey, other: CacheKey) -> set[str]:
    assert (one.key == other.key) == (one.parts == other.parts)
    names = one.parts.keys() | other.parts.keys()
    return {name for name in names if one.parts.get(name) != other.parts.get(name)}


def test_the_same_call_has_the_same_key() -> None:
    assert key() == key()
    assert key().key.startswith("1:")


def test_each_part_of_a_key_explains_a_miss() -> None:
    assert differing(key(), key(where="demo/production")) == {"scope"}
    assert differing(key(), key(cached(proto={"cache": {"version": "2"}}))) == {"version"}
    assert differing(key(), key(cached(out={"o0": "integer"}))) == {"interface"}
    assert differing(key(), key(x=2, y="a")) == {"inputs.x"}
    assert differing(key(), key(x=2, y="b")) == {"inputs.x", "inputs.y"}


def test_new_code_keeps_old_results() -> None:
    other = cached(version="v2")
    other.python.qualname = "another"
    assert key() == key(other)


def test_ignored_inputs_are_left_out() -> None:
    ignoring = cached(proto={"cache": {"version": "1", "ignoredInputs": ["y"]}})
    assert key(ignoring, x=1, y="a") == key(ignoring, x=1, y="b")
    assert "inputs.y" not in key(ignoring).parts


def test_a_global_entry_is_shared_by_all_projects() -> None:
    shared = cached(proto={"cache": {"version": "1", "scope": CacheScope.CACHE_SCOPE_GLOBAL}})
    assert key(shared, "a/b") == key(shared, "c/d")
    assert key(shared).key != key().key


def test_a_nodes_own_policy_replaces_the_tasks() -> None:
    own = CachePolicy(version="7")
    found = cache_key(cached(), "demo/development", literals({"x": 1}), own)
    assert found.parts["version"] == "7"


def test_an_interface_digest_that_was_kept_gives_the_same_key() -> None:
    kept = interface_digest(cached().interface)
    assert cache_key(cached(), "a/b", literals({"x": 1}), interface=kept) == key(where="a/b", x=1)


def test_order_and_texts_of_an_interface_do_not_matter() -> None:
    turned = cached(**{"in": {"y": "string", "x": "integer"}})
    turned.interface.inputs[0].description = "for people"
    assert interface_digest(turned.interface) == interface_digest(cached().interface)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"$hashed": 1, "hash": "h"}, {"$hashed": [2, 3], "hash": "h"}),
        ([1, {"$hashed": "a", "hash": "h"}], [1, {"$hashed": "b", "hash": "h"}]),
        (
            {"$record": {"x": {"$union": ["a", {"$hashed": "a", "hash": "h"}]}}},
            {"$record": {"x": {"$union": ["a", {"$hashed": "b", "hash": "h"}]}}},
        ),
        ({"$file": "s3://a", "sha256": "s"}, {"$file": "s3://b", "sha256": "s"}),
        ({"$dataset": "s3://a", "sha256": "s"}, {"$dataset": "s3://b", "sha256": "s", "columns": ["a"]}),
        ({"$offloaded": "s3://a", "sha256": "s"}, {"$offloaded": "s3://b", "sha256": "s"}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ],
)
def test_values_that_are_the_same_for_a_cache(one: Any, other: Any) -> None:
    assert value_digest(literal(one)) == value_digest(literal(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        ("1", 1),
        (0, None),
        ([1, [2]], [[1], 2]),
        ([], {}),
        ({}, {"$record": {}}),
        ({"$union": ["a", 1]}, {"$union": ["b", 1]}),
        ({"$hashed": 1, "hash": "h"}, {"$hashed": 1, "hash": "i"}),
        ("h", {"$hashed": "h", "hash": "h"}),
        ({"$file": "s3://a"}, {"$file": "s3://b"}),
        ({"$file": "s3://a", "sha256": "s"}, {"$file": "s3://a", "sha256": "t"}),
        ({"$file": "s3://a"}, {"$directory": "s3://a"}),
        ({"$offloaded": "s3://a"}, {"$offloaded": "s3://b"}),
    ],
)
def test_values_that_differ_for_a_cache(one: Any, other: Any) -> None:
    assert value_digest(literal(one)) != value_digest(literal(other))


@given(typed_literals())
def test_a_value_keeps_its_digest_on_the_wire(pair: tuple[Literal, LiteralType]) -> None:
    value, _ = pair
    assert value_digest(Literal.FromString(value.SerializeToString())) == value_digest(value)


def test_which_policy_holds_for_a_node() -> None:
    made = cached()
    assert cache_policy(made) == made.cache
    assert cache_policy(made, NodeOverrides()) == made.cache
    assert cache_policy(made, NodeOverrides(cache=CachePolicy(version="2"))) == CachePolicy(version="2")
    assert cache_policy(made, NodeOverrides(cache=CachePolicy())) is None, "an empty version switches it off"
    assert cache_policy(task("plain", {"out": {"o0": "integer"}})) is None
    assert cache_policy(cached(out={})) is None, "without outputs there is nothing to reuse"
