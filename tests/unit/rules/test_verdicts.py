from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from support.value_texts import literal
from volery_rules.verdicts import LONGEST, Elsewhere, Sealed, attempt_tag, read, seal, seal_elsewhere
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_USER, Failure
from voleryidl.worker.v1.verdict_pb2 import AttemptVerdict

VECTORS = Path(__file__).parents[2] / "vectors" / "verdicts"
WRITTEN = yaml.safe_load((VECTORS / "written.yaml").read_text())
REFUSED = yaml.safe_load((VECTORS / "refused.yaml").read_text())
ELSEWHERE = "s3://b/x/verdict.pb"


def failure(told: dict[str, Any]) -> Failure:
    """The message of a failure as vectors write it."""
    parts = dict(told)
    cause = parts.pop("cause", None)
    return Failure(**{"kind": FAILURE_KIND_USER, **parts}, cause=failure(cause) if cause else None)


def message(told: dict[str, Any]) -> AttemptVerdict:
    """The message of a verdict as vectors write it."""
    verdict = AttemptVerdict(execution_uid=told["uid"], path=told["path"], attempt=told["attempt"])
    for name, moment in (
        ("start", verdict.start_time),
        ("code", verdict.code_time),
        ("end", verdict.end_time),
    ):
        if name in told:
            moment.FromMicroseconds(told[name])
    if "outputs" in told:
        verdict.outputs.SetInParent()
        for name, value in told["outputs"].items():
            verdict.outputs.literals[name].CopyFrom(literal(value))
    else:
        verdict.failure.CopyFrom(failure(told["failure"]))
    return verdict


def tag_of(verdict: AttemptVerdict) -> str:
    return attempt_tag(verdict.execution_uid, verdict.path, verdict.attempt)


VERDICTS = st.builds(
    AttemptVerdict,
    execution_uid=st.text(st.characters(codec="utf-8"), max_size=20),
    path=st.text(st.characters(codec="utf-8"), max_size=20),
    attempt=st.integers(0, 2**32 - 1),
    failure=st.builds(Failure, code=st.text(st.characters(codec="utf-8"), max_size=200)),
)
GOOD = AttemptVerdict(execution_uid="u", path="n0", attempt=1, failure=Failure(code="E"))
GOOD_LINE = seal(GOOD)


@pytest.mark.parametrize("vector", WRITTEN, ids=[vector["name"] for vector in WRITTEN])
def test_vectors_are_written_and_read(vector: dict[str, Any]) -> None:
    verdict = message(vector["verdict"])
    content = verdict.SerializeToString(deterministic=True)
    assert seal(verdict) == vector["line"]
    assert seal_elsewhere(verdict, ELSEWHERE) == vector["elsewhere"]
    assert read(vector["line"], tag_of(verdict)) == Sealed(verdict, content)
    referred = read(vector["elsewhere"], tag_of(verdict))
    assert isinstance(referred, Elsewhere)
    assert referred.uri == ELSEWHERE
    assert referred.size == len(content)
    assert referred.opened(content) == Sealed(verdict, content)


@pytest.mark.parametrize("vector", REFUSED, ids=[vector["name"] for vector in REFUSED])
def test_vectors_are_refused(vector: dict[str, Any]) -> None:
    sha = hashlib.sha256(b"abc").hexdigest()
    text = vector["message"].format(good=GOOD_LINE, sha=sha, tag=tag_of(GOOD))
    parts = GOOD_LINE.split(" ")
    if change := vector.get("change"):
        assert change[0] in text
        text = text.replace(*change, 1)
    text = text[vector.get("keep_from", 0) : vector.get("keep")]
    if part := vector.get("other"):
        told = parts[2 if part == "sha" else 3]
        text = text.replace(told, told[::-1])
    if vector.get("capitals"):
        text = text.replace(parts[2], parts[2].upper())
    assert read(text, tag_of(GOOD)) is None


@given(VERDICTS)
def test_what_was_sealed_is_read(verdict: AttemptVerdict) -> None:
    found = read(seal(verdict), tag_of(verdict))
    assert isinstance(found, Sealed)
    assert found.verdict == verdict


@given(st.data())
def test_no_sign_of_a_line_can_be_changed(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD_LINE) - 1))
    sign = data.draw(st.characters(min_codepoint=32, max_codepoint=126).filter(lambda c: c != GOOD_LINE[at]))
    found = read(GOOD_LINE[:at] + sign + GOOD_LINE[at + 1 :], tag_of(GOOD))
    # The last sign of base64 may carry bits that mean nothing.
    assert found is None or (isinstance(found, Sealed) and found.verdict == GOOD)


@given(st.integers(0, len(GOOD_LINE) - 1), st.booleans())
def test_no_part_of_a_line_is_taken_for_the_whole(at: int, tail: bool) -> None:
    assert read(GOOD_LINE[at + 1 :] if tail else GOOD_LINE[:at], tag_of(GOOD)) is None


@given(st.text(max_size=200))
@example("volery/1 0 " + "0" * 64 + " " + "0" * 16 + " =")
@example("volery/1 " + "9" * 40)
@example("volery/1 0 " + hashlib.sha256(b"").hexdigest() + " " + attempt_tag("", "", 0) + " ")
def test_any_text_is_no_verdict_and_never_a_crash(text: str) -> None:
    assert read(text, tag_of(GOOD)) is None
    assert read("volery/1 " + text, tag_of(GOOD)) is None


def test_a_verdict_is_found_among_what_the_task_wrote_there_and_the_last_one_counts() -> None:
    other = AttemptVerdict(execution_uid="u", path="n0", attempt=1, failure=Failure(code="F"))
    found = read(f"warming up\n{GOOD_LINE}\r\n{seal(other)}\nbye\n", tag_of(GOOD))
    assert isinstance(found, Sealed)
    assert found.verdict == other
    found = read(f"{GOOD_LINE}\n{seal(other)[:-1]}", tag_of(GOOD))
    assert isinstance(found, Sealed)
    assert found.verdict == GOOD


def test_a_verdict_of_another_attempt_counts_for_nobody_else() -> None:
    for uid, path, attempt in (("v", "n0", 1), ("u", "n1", 1), ("u", "n0", 2), ("u\0n0", "", 1)):
        assert read(GOOD_LINE, attempt_tag(uid, path, attempt)) is None
    # Nor does one with the right tag around it.
    tag, own = attempt_tag("u", "n0", 2), tag_of(GOOD)
    assert read(GOOD_LINE.replace(own, tag), tag) is None


def test_a_verdict_that_does_not_say_how_it_ended_is_none() -> None:
    for verdict in (AttemptVerdict(execution_uid="u", path="n0", attempt=1), AttemptVerdict()):
        assert read(seal(verdict), tag_of(verdict)) is None


def test_bytes_that_are_no_message_are_no_verdict() -> None:
    content = b"\xff\xff\xff"
    sha256, payload = hashlib.sha256(content).hexdigest(), base64.b64encode(content).decode()
    line = f"volery/1 3 {sha256} {tag_of(GOOD)} {payload}"
    assert read(line, tag_of(GOOD)) is None


@pytest.mark.parametrize("content", [b"", b"x", GOOD.SerializeToString() + b"\0", b"\0" * 100])
def test_what_lies_elsewhere_must_be_what_was_promised(content: bytes) -> None:
    referred = read(seal_elsewhere(GOOD, ELSEWHERE), tag_of(GOOD))
    assert isinstance(referred, Elsewhere)
    assert referred.opened(content) is None


def test_no_more_is_promised_than_a_reader_fetches() -> None:
    line = seal_elsewhere(GOOD, ELSEWHERE)
    size = line.split(" ")[1]
    assert read(line.replace(f"/1 {size} ", f"/1 {LONGEST} "), tag_of(GOOD)) is not None
    assert read(line.replace(f"/1 {size} ", f"/1 {LONGEST + 1} "), tag_of(GOOD)) is None
