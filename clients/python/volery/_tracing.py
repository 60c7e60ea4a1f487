"""This module joins a program's traces with the engine's, where the program has any.

Nothing is imported that the program has not imported itself: where it uses OpenTelemetry and a span is open,
each call becomes a span below it; else a context that the surroundings hand down (`TRACEPARENT`) is passed
on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_NONE: Mapping[str, str] = {}


@contextmanager
def call_span(route: str) -> Iterator[Mapping[str, str]]:
    """A client's span for a call, if the program traces; gives what goes with the call as metadata."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None or not trace.get_current_span().get_span_context().is_valid:
        handed_down = os.environ.get("TRACEPARENT", "")
        yield {"traceparent": handed_down} if handed_down else _NONE
        return
    tracer = trace.get_tracer("volery")
    with tracer.start_as_current_span(route, kind=trace.SpanKind.CLIENT) as span:
        context = span.get_span_context()
        header = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
        yield {"traceparent": header}


@contextmanager
def attempt_span(traceparent: str) -> Iterator[None]:
    """Makes the attempt's span the one that spans of its task are below, if the task's code traces."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    context: Any = sys.modules.get("opentelemetry.context")
    parts = traceparent.split("-")
    if trace is None or context is None or len(parts) < 4:
        yield
        return
    flags = trace.TraceFlags(int(parts[3], 16))
    parent = trace.SpanContext(int(parts[1], 16), int(parts[2], 16), is_remote=True, trace_flags=flags)
    token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(parent)))
    try:
        yield
    finally:
        context.detach(token)
