from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from volery_rules.attempt_tokens import LONGEST, PREFIX, AttemptClaim, attempt_key, mint, read

SECRET = b"s" * 32
NUMBERS = st.integers(0, 2**63 - 1)
CLAIMS = st.builds(
    AttemptClaim,
    execution_key=NUMBERS,
    uid=st.text(st.characters(codec="utf-8"), max_size=40),
    fencing_token=NUMBERS,
    path=st.text(st.characters(codec="utf-8"), max_size=200),
    attempt=st.integers(0, 2**32 - 1),
)


def token_of(claim: AttemptClaim, secret: bytes = SECRET) -> str:
    return mint(attempt_key(secret, claim.uid, claim.fencing_token), claim)


@given(CLAIMS)
def test_what_was_minted_is_read_and_believed(claim: AttemptClaim) -> None:
    token = token_of(claim)
    signed = read(token)
    assert signed is not None
    assert signed.claim == claim
    assert signed.is_genuine(SECRET)
    assert not signed.is_genuine(b"t" * 32)


@given(CLAIMS, st.data())
def test_no_bit_of_a_token_can_be_changed(claim: AttemptClaim, data: st.DataObject) -> None:
    token = token_of(claim)
    at = data.draw(st.integers(len(PREFIX), len(token) - 1))
    sign = data.draw(st.sampled_from("ABCDabcd0123-_").filter(lambda sign: sign != token[at]))
    forged = read(token[:at] + sign + token[at + 1 :])
    # The last sign may carry bits that mean nothing; then it is the same claim, and the same signature.
    assert forged is None or not forged.is_genuine(SECRET) or forged == read(token)


@given(CLAIMS, CLAIMS)
def test_the_key_of_one_holding_signs_for_no_other(mine: AttemptClaim, other: AttemptClaim) -> None:
    key = attempt_key(SECRET, mine.uid, mine.fencing_token)
    signed = read(mint(key, other))
    assert signed is not None
    same = (mine.uid, mine.fencing_token) == (other.uid, other.fencing_token)
    assert signed.is_genuine(SECRET) is same


def test_a_later_holder_has_another_key() -> None:
    assert attempt_key(SECRET, "u", 1) != attempt_key(SECRET, "u", 2)


@given(st.text(max_size=300))
@example(PREFIX)
@example(PREFIX + "AAAA")
@example(PREFIX + "ä")
@example(PREFIX + "A" * LONGEST)
@example(PREFIX + "/+==")
def test_any_text_is_read_or_refused_and_never_a_crash(text: str) -> None:
    for token in (text, PREFIX + text):
        signed = read(token)
        assert signed is None or not signed.is_genuine(SECRET)


def test_neither_claim_nor_signature_shows_the_token() -> None:
    claim = AttemptClaim(7, "uid", 3, "n0", 1)
    token = token_of(claim)
    signed = read(token)
    assert token[-20:] not in repr(signed)
    assert "mac" not in repr(signed)


@pytest.mark.parametrize("other", ["n1", "n0.n1", ""])
def test_a_token_names_one_node(other: str) -> None:
    claim = AttemptClaim(7, "uid", 3, "n0", 1)
    assert token_of(claim) != token_of(replace(claim, path=other))
