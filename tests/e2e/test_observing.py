"""Real planes as an operator sees them: one joined trace, logs that programs can read, metrics of both."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from support.planes import Planes
from volery.remote import Remote

FLOW = """
from volery import current_context, task, workflow

@task
def where(x: int) -> str:
    print("task output stays apart")
    return current_context().traceparent

@task
def fail(text: str) -> str:
    raise ValueError("no such luck")

@workflow
def traced(x: int = 1) -> str:
    return where(x)

@workflow
def failing(x: int = 1) -> str:
    return fail(where(x))
"""


class Collector(otlp_grpc.TraceServiceServicer):
    """Keeps the spans that it is sent, with the service that sent them."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:
        for resource in request.resource_spans:
            service = next(
                each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
            )
            self.spans += [(service, span) for scope in resource.scope_spans for span in scope.spans]
        return otlp.ExportTraceServiceResponse()


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    kept = Collector()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    otlp_grpc.add_TraceServiceServicer_to_server(kept, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield kept, f"http://127.0.0.1:{port}"
    server.stop(None).wait()


def test_a_trace_joins_client_planes_and_task_and_logs_and_metrics_tell_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collector: tuple[Collector, str]
) -> None:
    kept, endpoint = collector
    for name, value in {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "VOLERY_LOG_FORMAT": "json",
        "VOLERY_LOG_LEVEL": "debug",
        "VOLERY_WORKER_LOG_LEVEL": "debug",
        "VOLERY_METRICS": "127.0.0.1:0",
        "VOLERY_WORKER_METRICS": "127.0.0.1:0",
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "observed_flow.py").write_text(FLOW)
    monkeypatch.syspath_prepend(tmp_path)
    flow = __import__("observed_flow")
    planes = Planes(tmp_path / "p")
    provider = TracerProvider(resource=Resource.create({"service.name": "client"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=endpoint, insecure=True)))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    planes.start()
    try:
        planes.wait_until_ready()
        with Remote(planes.target, project="demo", domain="development") as remote:
            remote.register(flow.traced, flow.failing)
            with trace.get_tracer("test").start_as_current_span("mine") as mine:
                run = remote.launch(flow.traced)
            outputs = run.wait().outputs
            failed = remote.launch(flow.failing).wait(check=False)
        metrics = [scraped(planes.directory / f"{name}.log") for name in ("control-plane", "worker")]
    finally:
        planes.stop()
        sys.modules.pop("observed_flow", None)
    provider.shutdown()
    joined(kept.spans, mine.get_span_context().trace_id, str(outputs))
    assert any(
        line.startswith('volery_worker_attempts_ended_total{outcome="succeeded"} 2') for line in metrics[1]
    )
    assert any(
        line.startswith('volery_controlplane_executions_ended_total{phase="FAILED"} 1') for line in metrics[0]
    )
    logged(planes.directory, failed.name)


def scraped(log: Path) -> list[str]:
    """The metrics of a plane, from where its log says that they are served."""
    (line,) = [json.loads(line) for line in log.read_text().splitlines() if "metrics are served" in line]
    with urllib.request.urlopen(f"http://{line['address']}/metrics") as answer:
        text: str = answer.read().decode()
        return text.splitlines()


def joined(spans: list[tuple[str, Span]], trace_id: int, seen_by_task: str) -> None:
    """One trace, each span below the right one and within its time where one clock tells both."""
    ours = [(service, span) for service, span in spans if int.from_bytes(span.trace_id) == trace_id]
    by_name = {span.name: (service, span) for service, span in ours}

    def above(name: str) -> str:
        parent = by_name[name][1].parent_span_id
        return next((span.name for _, span in ours if span.span_id == parent), "")

    call, rpc = "volery/CreateExecution", "ExecutionService/CreateExecution"
    execution, attempt = "execution observed_flow.traced", "attempt n0"
    assert above(call) == "mine"
    assert above(rpc) == call
    assert above(execution) == rpc
    assert above(attempt) == execution
    assert above("launch") == attempt
    assert above("user code") == attempt
    names = {span.span_id: span.name for _, span in ours}
    commits = {names[span.parent_span_id] for _, span in ours if span.name == "commit"}
    assert commits == {rpc, attempt}
    services = {name: service for name, (service, _) in by_name.items()}
    assert services[rpc] == services[execution] == "volery-controlplane"
    assert services[attempt] == services["user code"] == "volery-worker"
    span = by_name[attempt][1]
    assert seen_by_task == f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01"
    for name in ("launch", "user code"):
        part = by_name[name][1]
        assert span.start_time_unix_nano <= part.start_time_unix_nano <= part.end_time_unix_nano
        assert part.end_time_unix_nano <= span.end_time_unix_nano


def logged(directory: Path, failed: str) -> None:
    """Every line of both planes is an object; one about an attempt says which; tasks' output is not there."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for name in ("control-plane", "worker"):
        text = (directory / f"{name}.log").read_text()
        assert "task output stays apart" not in text
        lines[name] = [json.loads(line) for line in text.splitlines()]
        for line in lines[name]:
            assert {"event", "level", "timestamp", "plane"} <= line.keys(), line
    (attempt,) = [line for line in lines["worker"] if line["event"] == "an attempt failed"]
    assert attempt["execution"] == f"demo/development/{failed}"
    assert (attempt["node"], attempt["attempt"], attempt["worker"]) == ("n1", 1, "embedded")
    assert len(attempt["trace_id"]) == 32
    calls = [line for line in lines["control-plane"] if line["event"] == "rpc"]
    assert calls
    assert all(line["request_id"] for line in calls)
    assert any(len(line["trace_id"]) == 32 for line in calls)
