"""The SDK writes verdicts exactly as the rules read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.literals import literals, names, texts, to_protobuf
from support.value_texts import literal
from volery._literals import Literal, encode
from volery._pod import verdicts
from volery._pod.verdicts import Verdict
from volery_rules.verdicts import Elsewhere, Sealed, attempt_tag, read, seal
from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.worker.v1.verdict_pb2 import AttemptVerdict

WRITTEN = yaml.safe_load((Path(__file__).parents[2] / "vectors" / "verdicts" / "written.yaml").read_text())
micros = st.just(0) | st.integers(1, 250_000_000_000_000_000)


@st.composite
def failures(draw: st.DrawFn, depth: int = 2) -> dict[str, Any]:
    told: dict[str, Any] = {
        "code": draw(texts),
        "codes": draw(st.lists(texts, min_size=1, max_size=3)),
        "message": draw(texts),
        "trace": draw(texts),
        "recoverable": draw(st.booleans()),
    }
    if draw(st.booleans()):
        told["kind"] = draw(st.sampled_from((verdicts.USER, verdicts.SYSTEM)))
        told["trace_uri"] = draw(texts)
    if depth and draw(st.booleans()):
        told["cause"] = draw(failures(depth - 1))
    return told


def failure(told: dict[str, Any]) -> Failure:
    parts = {"kind": verdicts.USER, **told}
    cause = parts.pop("cause", None)
    return Failure(**parts, cause=failure(cause) if cause else None)


@pytest.mark.parametrize("vector", WRITTEN, ids=[vector["name"] for vector in WRITTEN])
def test_vectors_are_written(vector: dict[str, Any]) -> None:
    told = dict(vector["verdict"])
    if "outputs" in told:
        told["outputs"] = {k: literal(v).SerializeToString() for k, v in told["outputs"].items()}
    verdict = Verdict(**told)
    content = verdicts.encode(verdict)
    assert verdicts.sealed(verdict, content) == vector["line"]
    assert verdicts.sealed_elsewhere(verdict, content, "s3://b/x/verdict.pb") == vector["elsewhere"]


@given(st.dictionaries(names, literals, max_size=3), texts, texts, st.integers(1, 2**32 - 1), micros)
def test_outputs_are_written_as_protobuf_writes_them(
    outputs: dict[str, Literal], uid: str, path: str, attempt: int, moment: int
) -> None:
    verdict = Verdict(
        uid, path, attempt, moment, moment, moment, {name: encode(each) for name, each in outputs.items()}
    )
    expected = AttemptVerdict(execution_uid=uid, path=path, attempt=attempt)
    expected.outputs.SetInParent()
    for name, each in outputs.items():
        expected.outputs.literals[name].CopyFrom(to_protobuf(each))
    if moment:
        for time in (expected.start_time, expected.code_time, expected.end_time):
            time.FromMicroseconds(moment)
    content = verdicts.encode(verdict)
    assert content == expected.SerializeToString(deterministic=True)
    line = verdicts.sealed(verdict, content)
    assert line == seal(expected)
    assert len(line) <= verdicts.sealed_length(content)
    assert read(line, attempt_tag(uid, path, attempt)) == Sealed(expected, content)


@given(failures(), st.integers(1, 9))
def test_failures_are_written_as_protobuf_writes_them(told: dict[str, Any], attempt: int) -> None:
    verdict = Verdict("u", "n0", attempt, failure=told)
    expected = AttemptVerdict(execution_uid="u", path="n0", attempt=attempt, failure=failure(told))
    content = verdicts.encode(verdict)
    assert content == expected.SerializeToString(deterministic=True)
    referred = read(verdicts.sealed_elsewhere(verdict, content, "file:///v"), attempt_tag("u", "n0", attempt))
    assert isinstance(referred, Elsewhere)
    assert referred.opened(content) == Sealed(expected, content)


def test_text_that_is_no_unicode_is_written_all_the_same() -> None:
    told = {"code": "E", "message": "half \ud800", "trace": "", "recoverable": True}
    verdict = Verdict("u", "n0", 1, failure=told)
    found = read(verdicts.sealed(verdict, verdicts.encode(verdict)), attempt_tag("u", "n0", 1))
    assert isinstance(found, Sealed)
    assert found.verdict.failure.message == "half ?"
