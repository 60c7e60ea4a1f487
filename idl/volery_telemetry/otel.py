"""Traces through OpenTelemetry: set up by its environment variables, imported only where they ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from volery_telemetry.traces import Attributes, SpanContext, SpanKind, Tracing

LAST_WORDS = 5_000
"""Milliseconds that the last spans get at the end."""


class NotInstalled(Exception):
    """Traces were asked for, and the extra `otel` is not installed."""


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the environment asks for traces: by an endpoint, or by naming the exporter."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter:
        return exporter == "otlp"
    return any(
        environment.get(name)
        for name in ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    )


def tracing(environment: Mapping[str, str], service: str) -> Tracing | None:
    """Traces as the environment wants them; None when it does not.

    Raises:
        NotInstalled: the libraries are not there.
    """
    if not is_wanted(environment):
        return None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise NotInstalled(f"the environment asks for traces: install {service}[otel], or unset OTEL_*")
    return OtelTracing(environment, service)


class OtelTracing:
    """The `Tracing` port over OpenTelemetry's SDK and its OTLP exporter."""

    def __init__(self, environment: Mapping[str, str], service: str) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        named = environment.get("OTEL_SERVICE_NAME") or "service.name=" in environment.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        )
        self._resource = Resource.create({} if named else {"service.name": service})
        self._provider = TracerProvider(resource=self._resource)  # its sampler follows OTEL_TRACES_SAMPLER
        self._processor = BatchSpanProcessor(_exporter(environment))
        self._provider.add_span_processor(self._processor)
        self._scope = InstrumentationScope("volery")

    def child(self, parent: SpanContext | None, name: str) -> SpanContext:
        """A context for a span below another one, or for the first one of a new trace."""
        from opentelemetry import trace

        ids = self._provider.id_generator
        trace_id = parent.trace_id if parent else ids.generate_trace_id()
        around = trace.set_span_in_context(trace.NonRecordingSpan(_context(parent))) if parent else None
        decision: Any = self._provider.sampler.should_sample(around, trace_id, name).decision
        sampled = bool(decision.is_sampled())
        return SpanContext(trace_id, ids.generate_span_id(), sampled)

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
        """Tells of a span that is over."""
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanKind as OtelKind
        from opentelemetry.trace.status import Status, StatusCode

        if not context.sampled:
            return
        span = ReadableSpan(
            name=name,
            context=_context(context),
            parent=_context(parent) if parent else None,
            resource=self._resource,
            attributes=dict(attributes),
            kind=OtelKind.SERVER if kind is SpanKind.SERVER else OtelKind.INTERNAL,
            status=Status(StatusCode.ERROR, error) if error else Status(),
            start_time=begin * 1000,
            end_time=max(begin, end) * 1000,
            instrumentation_scope=self._scope,
        )
        self._processor.on_end(span)

    def close(self) -> None:
        """Sends what is left, for a few seconds at most."""
        self._processor.force_flush(LAST_WORDS)
        self._provider.shutdown()


def _context(of: SpanContext) -> Any:
    from opentelemetry.trace import SpanContext as OtelContext
    from opentelemetry.trace import TraceFlags

    flags = TraceFlags(TraceFlags.SAMPLED if of.sampled else TraceFlags.DEFAULT)
    return OtelContext(of.trace_id, of.span_id, is_remote=True, trace_flags=flags)


def _exporter(environment: Mapping[str, str]) -> Any:
    protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"
    )
    if protocol.startswith("http"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as OverHttp

        return OverHttp()
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc

    return OverGrpc()
