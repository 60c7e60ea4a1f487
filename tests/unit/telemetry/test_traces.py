from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volery_dataplane.domain.runs import Launched
from volery_dataplane.worker.ports import AttemptKey, Cancelled, Failed, Observation, Started, Succeeded
from volery_dataplane.worker.spans import AttemptSpans
from volery_telemetry import otel
from volery_telemetry.traces import Attributes, SpanContext, SpanKind, of_execution, parse
from voleryidl.core.v1.failure_pb2 import Failure

CONTEXTS = st.builds(SpanContext, st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans())
PARENT = SpanContext(0xABC, 0xDEF, True)


@given(context=CONTEXTS)
def test_a_context_survives_its_header(context: SpanContext) -> None:
    assert parse(context.traceparent) == context


@given(text=st.text(max_size=300))
def test_whatever_a_caller_sends_is_read_or_left(text: str) -> None:
    found = parse(text)
    assert found is None or found.trace_id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
    ],
)
def test_headers_that_say_nothing_are_left(text: str) -> None:
    assert parse(text) is None


def test_headers_of_later_versions_are_read() -> None:
    found = parse("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-brings")
    assert found is not None
    assert found.sampled


@given(parent=CONTEXTS, uid=st.text())
def test_an_executions_span_follows_from_its_uid(parent: SpanContext, uid: str) -> None:
    found = of_execution(parent.traceparent, uid)
    assert found == of_execution(parent.traceparent, uid)
    assert found is not None
    assert (found.trace_id, found.sampled) == (parent.trace_id, parent.sampled)


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4317"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"}, False),
    ],
)
def test_the_environment_says_whether_traces_are_wanted(environment: dict[str, str], wanted: bool) -> None:
    assert otel.is_wanted(environment) is wanted


@pytest.mark.parametrize("plane", ["volery_controlplane.main", "volery_dataplane.main"])
def test_what_is_not_asked_for_is_not_imported(plane: str) -> None:
    program = f"import {plane}, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert plane.partition(".")[0] in loaded
    assert not loaded & {"opentelemetry", "prometheus_client"}


class KeptTracing:
    """Keeps the spans that it is told of."""

    def __init__(self) -> None:
        self.told: list[tuple[str, SpanContext, SpanContext | None, int, int, str]] = []
        self._ids = 0

    def child(self, parent: SpanContext | None, name: str) -> SpanContext:
        self._ids += 1
        return SpanContext(parent.trace_id if parent else 1, self._ids, True)

    def tell(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        begin: int,
        end: int,
        attributes: Attributes,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        error: str = "",
    ) -> None:
        self.told.append((name, context, parent, begin, end, error))

    def close(self) -> None:
        return None


KEY = AttemptKey(7, "n0", 1, 1)


def spans() -> tuple[AttemptSpans, KeptTracing]:
    kept = KeptTracing()
    return AttemptSpans(kept, "w"), kept


def test_an_attempt_is_told_once_its_end_is_committed() -> None:
    of, kept = spans()
    own = parse(of.ordered(KEY, "p/d/e", PARENT.traceparent, 100))
    of.observed(Started(KEY, 150))
    of.observed(Succeeded(KEY, 150, 300, {}, Launched(120, 200)))
    of.answered(KEY.execution_key, 400)
    assert not kept.told  # what was acknowledged was sent before
    of.reported(KEY.execution_key)
    of.answered(KEY.execution_key, 400)
    assert [(name, begin, end) for name, _, _, begin, end, _ in kept.told] == [
        ("attempt n0", 100, 400),
        ("launch", 120, 200),
        ("user code", 200, 300),
        ("commit", 300, 400),
    ]
    assert kept.told[0][1] == own
    assert kept.told[0][2] == PARENT
    assert all(parent == own for _, _, parent, *_ in kept.told[1:])


@pytest.mark.parametrize(
    ("observation", "names"),
    [
        (
            Failed(KEY, 150, 300, Failure(code="ValueError", message="no")),
            ["attempt n0", "user code", "commit"],
        ),
        (Failed(KEY, None, 300, Failure(code="BundleUnavailable")), ["attempt n0", "commit"]),
        (Cancelled(KEY, None, 300), ["attempt n0", "commit"]),
    ],
)
def test_what_did_not_end_well_is_told_as_far_as_it_came(observation: Observation, names: list[str]) -> None:
    of, kept = spans()
    of.ordered(KEY, "p/d/e", PARENT.traceparent, 100)
    of.observed(observation)
    of.reported(KEY.execution_key)
    of.answered(KEY.execution_key, 400)
    assert [name for name, *_ in kept.told] == names
    assert bool(kept.told[0][5]) == isinstance(observation, Failed)


def test_what_was_lost_or_is_not_traced_is_not_told() -> None:
    of, kept = spans()
    assert of.ordered(KEY, "p/d/e", "", 100) == ""
    of.ordered(KEY, "p/d/e", PARENT.traceparent, 100)
    of.observed(Succeeded(KEY, 150, 300, {}))
    of.reported(KEY.execution_key)
    of.dropped(KEY.execution_key)
    of.answered(KEY.execution_key, 400)
    assert not kept.told
