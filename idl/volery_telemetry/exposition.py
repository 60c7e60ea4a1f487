"""Exposition: a plane's measures as Prometheus metrics, on an HTTP address of their own.

A plane describes its metrics as a table of `Metric`; what is asked for is read from the measures when it is
asked for, on the server's thread, so a scrape touches neither the plane's loop nor its database. Whoever may
read metrics learns how much runs, so like the other servers this one listens on loopback only, unless told
otherwise.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from volery_telemetry.measures import Distribution

if TYPE_CHECKING:
    from prometheus_client.registry import Collector, CollectorRegistry

Labels = tuple[str, ...]
Sample = float | Distribution


class Kind(StrEnum):
    """What a metric is."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: as Prometheus shows it; a counter's ends with `_total`.
        kind: what it is.
        help: what it means, in a sentence.
        read: the samples at this moment, by the values of the labels.
        labels: their names; none of them takes more than a few dozen values.
    """

    name: str
    kind: Kind
    help: str
    read: Callable[[], Mapping[Labels, Sample]]
    labels: Labels = ()


def counter(name: str, help: str, read: Callable[[], float]) -> Metric:
    """A counter without labels."""
    return Metric(name, Kind.COUNTER, help, lambda: {(): read()})


def gauge(name: str, help: str, read: Callable[[], float]) -> Metric:
    """A gauge without labels."""
    return Metric(name, Kind.GAUGE, help, lambda: {(): read()})


def histogram(name: str, help: str, read: Callable[[], Distribution]) -> Metric:
    """A histogram without labels."""
    return Metric(name, Kind.HISTOGRAM, help, lambda: {(): read()})


class UnsafeMetricsAddress(ValueError):
    """Metrics must not be served there; the message says why, and how they may."""


class MetricsServer:
    """Serves metrics over HTTP from a thread of its own, with those of the process and of its interpreter.

    Args:
        metrics: the plane's.
        address: `host:port`; port 0 takes a free one.
        is_open: whether others than users of this machine may reach it.

    Raises:
        UnsafeMetricsAddress: when the address cannot be read, or is open and that was not asked for.
        OSError: when the address cannot be taken.
    """

    def __init__(self, metrics: Sequence[Metric], address: str, *, is_open: bool = False) -> None:
        host, port = parse(address, is_open=is_open)
        from prometheus_client import start_http_server  # costs 70 ms: only where it is asked for

        self._server, self._thread = start_http_server(port, host, registry(metrics))
        self._host = host

    @property
    def address(self) -> str:
        """`host:port`, with the port that was taken."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._server.server_port}"

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def parse(address: str, *, is_open: bool = False) -> tuple[str, int]:
    """Reads where metrics are to be served.

    Raises:
        UnsafeMetricsAddress: when the text is no address, or is open and that was not asked for.
    """
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise UnsafeMetricsAddress(f"{address!r} is no address for metrics: write host:port")
    if not is_open and not _is_loopback(host):
        raise UnsafeMetricsAddress(
            f"refusing to serve metrics on {address}: everybody who reaches it could read them. Take"
            " 127.0.0.1:PORT, or say with --metrics-open that they may"
        )
    return host, int(port)


def registry(metrics: Sequence[Metric]) -> CollectorRegistry:
    """A registry with a plane's metrics, and those of its process, its interpreter and its garbage."""
    from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
    from prometheus_client.registry import CollectorRegistry

    made = CollectorRegistry()
    made.register(_collector(metrics))
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    GCCollector(registry=made)
    return made


def _collector(metrics: Sequence[Metric]) -> Collector:
    from prometheus_client.registry import Collector

    class Measured(Collector):
        def collect(self) -> Iterable[Any]:
            return map(_family, metrics)

        def describe(self) -> Iterable[Any]:
            return map(_family, metrics)

    return Measured()


def _family(metric: Metric) -> Any:
    from prometheus_client import core

    if metric.kind is Kind.HISTOGRAM:
        family = core.HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, sample in metric.read().items():
            assert isinstance(sample, Distribution), f"{metric.name} is a histogram"
            family.add_metric(labels, list(_buckets(sample)), sample.total)
        return family
    of = core.CounterMetricFamily if metric.kind is Kind.COUNTER else core.GaugeMetricFamily
    plain = of(metric.name, metric.help, labels=metric.labels)
    for labels, sample in metric.read().items():
        assert not isinstance(sample, Distribution), f"{metric.name} is no histogram"
        plain.add_metric(labels, sample)
    return plain


def _buckets(sample: Distribution) -> Iterator[tuple[str, int]]:
    so_far = 0
    for bound, count in zip(sample.bounds, sample.counts, strict=False):
        so_far += count
        yield f"{bound:g}", so_far
    yield "+Inf", so_far + sample.counts[-1]


def _is_loopback(host: str) -> bool:
    """Whether only this machine reaches it; of names only `localhost` is believed."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
