from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volery_rules import paths

NODE_IDS = st.from_regex(r"[a-z][A-Za-z0-9_-]{0,5}", fullmatch=True)
SEGMENTS = st.lists(st.one_of(NODE_IDS, st.integers(0, 10**10 - 1)), min_size=1, max_size=4)


def path_of(segments: list[str | int]) -> str:
    path = ""
    for segment in segments:
        path = paths.join(path, segment)
    return path


@given(SEGMENTS)
def test_a_sort_key_leads_back_to_its_path(segments: list[str | int]) -> None:
    path = path_of(segments)
    assert paths.from_sort_key(paths.sort_key(path)) == path
    assert paths.segments(path) == [str(segment) for segment in segments]
    assert paths.depth(path) == len(segments)


@given(NODE_IDS, st.integers(0, 10**10 - 1), st.integers(0, 10**10 - 1))
def test_items_are_ordered_by_number(node: str, one: int, other: int) -> None:
    keys = [paths.sort_key(paths.join(node, index)) for index in (one, other)]
    assert (keys[0] < keys[1]) == (one < other)


@given(SEGMENTS, SEGMENTS)
def test_what_is_below_a_path_comes_after_it(above: list[str | int], below: list[str | int]) -> None:
    ancestor = path_of(above)
    path = path_of([*above, *below])
    assert paths.is_below(path, ancestor)
    assert not paths.is_below(ancestor, path)
    assert paths.sort_key(ancestor) < paths.sort_key(path)


def test_the_parts_of_a_path() -> None:
    assert paths.parent("n2/17/n0") == "n2/17"
    assert paths.parent("n2") == ""
    assert paths.last("n2/17") == "17"
    assert paths.item_index("n2/17") == 17
    assert paths.item_index("n2/17/n0") is None
    assert paths.item_index("") is None
    assert paths.segments("") == []
    assert paths.depth("") == 0
    assert paths.sort_key("") == paths.from_sort_key("") == ""
    assert paths.sort_key("n2/17/n0") == "n2/0000000017/n0"


def test_a_node_whose_id_begins_like_another_is_not_below_it() -> None:
    assert not paths.is_below("n10", "n1")
    assert paths.is_below("n1", "")
    assert not paths.is_below("", "")


def test_an_index_of_eleven_digits_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 10 digits"):
        paths.sort_key("n/12345678901")
