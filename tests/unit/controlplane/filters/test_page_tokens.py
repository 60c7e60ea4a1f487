from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volery_controlplane.domain.errors import Invalid
from volery_controlplane.domain.page_tokens import binding_of, issue, read
from volery_controlplane.services.pages import Listing, PageRequest

cursors = st.lists(st.integers(-(2**63), 2**63 - 1) | st.text(), min_size=1, max_size=4).map(tuple)


@given(cursors, st.lists(st.text()).map(lambda parts: binding_of(*parts)))
def test_a_token_gives_back_its_cursor(cursor: tuple[str | int, ...], binding: str) -> None:
    assert read(issue(binding, cursor), binding) == cursor


@given(cursors, st.lists(st.text(), min_size=1), st.lists(st.text(), min_size=1))
def test_a_token_of_another_list_is_refused(
    cursor: tuple[str | int, ...], one: list[str], other: list[str]
) -> None:
    token = issue(binding_of(*one), cursor)
    if one != other:
        with pytest.raises(Invalid, match="another parent, filter or order"):
            read(token, binding_of(*other))


encoded = st.binary(max_size=50).map(lambda content: base64.urlsafe_b64encode(content).decode())


@given(st.text(max_size=50) | encoded)
def test_reading_what_nobody_issued_is_a_refusal_and_never_a_crash(token: str) -> None:
    if token:
        with pytest.raises(Invalid) as caught:
            read(token, "b")
        assert caught.value.violations[0].field == "page_token"


@pytest.mark.parametrize(
    "content", ['[1,"b",[true]]', '[1,"b",[]]', '[1,"b",[1.5]]', '[2,"b",[1]]', "{}", "[" * 2000]
)
def test_a_forged_token_is_refused(content: str) -> None:
    with pytest.raises(Invalid):
        read(base64.urlsafe_b64encode(content.encode()).decode().rstrip("="), "b")


def test_an_empty_token_is_the_first_page() -> None:
    assert read("", "b") is None


def test_a_page_has_a_next_token_only_when_there_is_more() -> None:
    plan = Listing("things").plan(PageRequest(size=2), "parent")
    assert plan.query.limit == 3
    assert plan.page([1, 2], lambda row: (row,)).next_token == ""
    page = plan.page([1, 2, 3], lambda row: (row,))
    assert page.items == [1, 2]
    following = Listing("things").plan(PageRequest(size=7, token=page.next_token), "parent")
    assert following.query.after == (2,)


def test_a_page_size_has_a_default_and_a_limit_and_is_never_negative() -> None:
    listing = Listing("things")
    assert listing.plan(PageRequest()).size == 100
    assert listing.plan(PageRequest(size=5000)).size == 1000
    with pytest.raises(Invalid) as caught:
        listing.plan(PageRequest(size=-1))
    assert caught.value.violations[0].field == "page_size"
