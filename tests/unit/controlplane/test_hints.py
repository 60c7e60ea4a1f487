"""What control planes tell each other: gathered, written down, read again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from volery_controlplane.domain.hints import LONGEST, Hints, Matter, Message, Name, decode, encode

KEYS = st.integers(1, 2**62)
PLACES = st.tuples(st.text(max_size=40), st.text(max_size=40))
NAMES: dict[Matter, st.SearchStrategy[Name]] = {
    Matter.EXECUTION: KEYS,
    Matter.ENDED: KEYS,
    Matter.PROJECT: PLACES,
    Matter.WORK: st.none(),
    Matter.INBOX: st.none(),
    Matter.PARKED: st.none(),
}
HINT = st.sampled_from(list(Matter)).flatmap(lambda matter: st.tuples(st.just(matter), NAMES[matter]))


def gathered(found: list[tuple[Matter, Name]]) -> Hints:
    hints = Hints()
    for matter, name in found:
        hints.add(matter, name)
    return hints


@given(st.lists(HINT), st.booleans(), st.booleans())
def test_what_is_written_means_at_least_what_was_gathered(
    found: list[tuple[Matter, Name]], arrived: bool, everything: bool
) -> None:
    hints = gathered(found)
    hints.all = everything
    read = decode(encode(Message("me", hints, arrived)))
    assert (read.sender, read.arrived, read.hints.all) == ("me", arrived, everything)
    if not everything:
        for matter, name in found:
            assert matter in read.hints.wholes or (matter, name) in list(read.hints)


@given(st.lists(HINT, max_size=20))
def test_few_hints_are_named_and_no_more_than_they(found: list[tuple[Matter, Name]]) -> None:
    read = decode(encode(Message("me", gathered(found))))
    assert set(read.hints) == set(found)


@given(st.sets(KEYS, min_size=300, max_size=3000), st.lists(HINT, max_size=20))
def test_a_text_has_a_bounded_length_however_much_was_gathered(
    keys: set[int], found: list[tuple[Matter, Name]]
) -> None:
    hints = gathered([*((Matter.EXECUTION, key) for key in keys), *found])
    text = encode(Message("me", hints))
    assert len(text.encode()) <= LONGEST
    read = decode(text).hints
    for matter, name in found:
        assert matter in read.wholes or (matter, name) in list(read)


@given(st.text() | st.sampled_from(['{"from":"x","news":[1]}', '{"from":"x","work":3}', "[]", '{"from":1}']))
def test_what_is_not_understood_means_everything(text: str) -> None:
    assert decode(text).hints.all
