"""The metrics of the Kubernetes launcher."""

from __future__ import annotations

import time
from collections.abc import Sequence

from volery_telemetry.exposition import Kind, Metric, counter, gauge, histogram

from volery_dataplane.launch.kubernetes.launcher import KubernetesLauncher

_PREFIX = "volery_worker_pod"


def pod_metrics(launcher: KubernetesLauncher) -> Sequence[Metric]:
    """What a launcher of pods counts beside what every launcher does."""
    creations, removals, reconciler = launcher.creations, launcher.removals, launcher.reconciler
    return (
        counter(f"{_PREFIX}_creates_total", "Pods that it created.", lambda: creations.created),
        histogram(f"{_PREFIX}_create_seconds", "How long the call took.", lambda: creations.took),
        gauge(f"{_PREFIX}_quota_waiting", "Attempts that wait for quota.", lambda: len(creations.quota)),
        counter(f"{_PREFIX}_removes_total", "Pods that it removed.", lambda: removals.removed),
        counter(
            f"{_PREFIX}_reconciled_total",
            "Pods that nobody waited for any more, and that it had removed.",
            lambda: reconciler.removed,
        ),
        counter(
            f"{_PREFIX}_watch_lists_total",
            "How often all pods were listed since a watch could not go on.",
            lambda: sum(watch.relists for watch in launcher.watches),
        ),
        gauge(
            f"{_PREFIX}_watch_silence_seconds",
            "For how long the most silent watch has told nothing; more than a few minutes is a fault.",
            lambda: _silence(launcher),
        ),
        Metric(
            f"{_PREFIX}s",
            Kind.GAUGE,
            "Pods of the installation, whoever made them, by phase.",
            lambda: {(phase,): count for phase, count in launcher.phases().items()},
            ("phase",),
        ),
    )


def _silence(launcher: KubernetesLauncher) -> float:
    heard = min((watch.heard for watch in launcher.watches), default=0.0)
    return time.monotonic() - heard if heard else 0.0
