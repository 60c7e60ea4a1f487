"""The page about observing an engine names what there is to observe, no more and no less."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
import volery_controlplane.metrics
import volery_dataplane.metrics
from support.pages import DOCS, tables
from volery_controlplane.grpc.measures import CallMeasures
from volery_controlplane.services.measures import Measures
from volery_controlplane.store.measures import ThreadMeasures
from volery_dataplane.worker.measures import Measures as WorkerMeasures
from volery_dataplane.worker.ports import Load
from volery_telemetry.exposition import Metric
from volery_telemetry.measures import Distribution

LABELS = {"phase", "way", "outcome", "session", "method", "code", "intention", "version"}
PAGE = DOCS / "howto" / "observe.md"


def of_control_plane() -> Sequence[Metric]:
    sources = volery_controlplane.metrics.Sources(
        Measures(), CallMeasures(), lambda write: ThreadMeasures(), lambda: 0, time.time
    )
    return volery_controlplane.metrics.table(sources)


def of_worker() -> Sequence[Metric]:
    sources = volery_dataplane.metrics.Sources(WorkerMeasures(), Load, Distribution(), 1, lambda: 0)
    return volery_dataplane.metrics.table(sources)


@pytest.mark.parametrize(
    ("heading", "metrics"), [("Control plane", of_control_plane()), ("Worker", of_worker())]
)
def test_every_metric_is_told_with_its_labels_and_meaning(heading: str, metrics: Sequence[Metric]) -> None:
    told = [(row["metric"], row["labels"], row["meaning"]) for row in tables(PAGE, heading)]
    assert told == [(each.name, ", ".join(each.labels), f"{each.kind}: {each.help}") for each in metrics]


@pytest.mark.parametrize("metrics", [of_control_plane(), of_worker()])
def test_metrics_are_named_as_prometheus_wants_it(metrics: Sequence[Metric]) -> None:
    for metric in metrics:
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.read() is not None
        assert set(metric.labels) <= {
            "phase",
            "matter",
            "way",
            "outcome",
            "session",
            "method",
            "code",
            "intention",
            "version",
        }
    assert len({metric.name for metric in metrics}) == len(metrics)
