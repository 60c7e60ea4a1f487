"""What the API server's answers to a creation mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from volery_dataplane.launch.kubernetes.refusals import Answer, create_refused
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_SYSTEM, FAILURE_KIND_USER

_FILE = Path(__file__).parents[3] / "vectors" / "pod_refusals" / "answers.yaml"
_CASES = [pytest.param(case, id=case["case"]) for case in yaml.safe_load(_FILE.read_text())]


@pytest.mark.parametrize("case", _CASES)
def test_an_answer_means_what_it_says(case: dict[str, Any]) -> None:
    refusal = create_refused(case["status"], case.get("reason", ""), case["message"])
    assert refusal.answer is Answer[case["answer"]]
    assert case.get("says", "") in refusal.message
    if code := case.get("permanent"):
        assert refusal.failure is not None
        assert (refusal.failure.code, refusal.failure.recoverable) == (code, False)
        assert refusal.failure.kind == FAILURE_KIND_USER
        assert not refusal.infrastructure
    elif code := case.get("fails"):
        assert refusal.failure is not None
        assert (refusal.failure.code, refusal.failure.recoverable) == (code, True)
        assert refusal.failure.kind == FAILURE_KIND_SYSTEM
        assert refusal.infrastructure
    else:
        assert refusal.failure is None


@given(st.integers(0, 599), st.sampled_from(["", "Forbidden", "Invalid", "AlreadyExists", "?"]), st.text())
def test_any_answer_means_something(status: int, reason: str, message: str) -> None:
    refusal = create_refused(status, reason, message)
    final = refusal.answer in (Answer.INVALID, Answer.TOO_LARGE)
    assert final is (refusal.failure is not None and not refusal.failure.recoverable)


_amount = st.sampled_from(["1", "500m", "1Gi", "1024Mi", "2k", "0", "lots"])


@given(
    st.dictionaries(
        st.sampled_from(["pods", "cpu", "limits.memory"]), st.tuples(_amount, _amount), min_size=1
    )
)
def test_a_quota_is_waited_for_whatever_it_counts(amounts: dict[str, tuple[str, str]]) -> None:
    requested = ",".join(f"{kind}={amount}" for kind, (amount, _) in amounts.items())
    limited = ",".join(f"{kind}={limit}" for kind, (_, limit) in amounts.items())
    message = f"exceeded quota: q, requested: {requested}, used: {limited}, limited: {limited}"
    assert create_refused(403, "Forbidden", message).answer in (Answer.QUOTA, Answer.INVALID)
