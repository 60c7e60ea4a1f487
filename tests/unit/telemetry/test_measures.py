from __future__ import annotations

import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volery_telemetry.exposition import (
    Kind,
    Metric,
    MetricsServer,
    UnsafeMetricsAddress,
    counter,
    gauge,
    histogram,
    parse,
)
from volery_telemetry.measures import SECONDS, Distribution

VALUES = st.lists(st.floats(0, 1000), max_size=50)


@given(values=VALUES)
def test_a_distribution_counts_each_value_once_below_the_first_bound_that_holds_it(
    values: list[float],
) -> None:
    found = Distribution()
    for value in values:
        found.observe(value)
    assert found.count == len(values)
    assert found.total == pytest.approx(sum(values))
    for index, bound in enumerate(SECONDS):
        assert sum(found.counts[: index + 1]) == sum(1 for value in values if value <= bound)


@given(one=VALUES, two=VALUES)
def test_adding_is_counting_all_of_them(one: list[float], two: list[float]) -> None:
    first, second, both = Distribution(), Distribution(), Distribution()
    for value in one:
        first.observe(value)
    for value in two:
        second.observe(value)
    for value in (*one, *two):
        both.observe(value)
    added = first + second
    assert added.counts == both.counts
    assert added.total == pytest.approx(both.total)


def scraped(server: MetricsServer) -> list[str]:
    with urllib.request.urlopen(f"http://{server.address}/metrics") as answer:  # our own address
        text: str = answer.read().decode()
    return text.splitlines()


def test_metrics_are_read_when_they_are_asked_for() -> None:
    counts = {("a",): 1.0}
    spread = Distribution((1, 2))
    server = MetricsServer(
        [
            Metric("things_total", Kind.COUNTER, "Things.", lambda: counts, ("kind",)),
            gauge("level", "A level.", lambda: 7),
            histogram("spread", "A spread.", lambda: spread),
            counter("plain_total", "Plain.", lambda: 3),
        ],
        "127.0.0.1:0",
    )
    try:
        assert 'things_total{kind="a"} 1.0' in scraped(server)
        counts["b",] = 2.0
        for value in (0.5, 2, 9):
            spread.observe(value)
        lines = scraped(server)
    finally:
        server.close()
    assert 'things_total{kind="b"} 2.0' in lines
    assert "level 7.0" in lines
    assert "plain_total 3.0" in lines
    assert "# HELP spread A spread." in lines
    buckets = [line for line in lines if line.startswith("spread_bucket")]
    assert [line.rpartition(" ")[2] for line in buckets] == ["1.0", "2.0", "3.0"]
    assert "spread_sum 11.5" in lines
    assert any(line.startswith("process_resident_memory_bytes") for line in lines)
    assert any(line.startswith("process_open_fds") for line in lines)


@pytest.mark.parametrize("address", ["127.0.0.1:9464", "localhost:0", "[::1]:9464"])
def test_metrics_are_served_on_loopback(address: str) -> None:
    host, port = parse(address)
    assert (host in address, str(port) in address) == (True, True)


@pytest.mark.parametrize("address", ["0.0.0.0:9464", "10.0.0.1:9464", "[::]:9464", "example.org:9464"])
def test_an_open_address_must_be_asked_for(address: str) -> None:
    with pytest.raises(UnsafeMetricsAddress, match="metrics-open"):
        parse(address)
    assert parse(address, is_open=True)[1] == 9464


@pytest.mark.parametrize("address", ["", "9464", ":9464", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999"])
def test_what_is_no_address_is_told(address: str) -> None:
    with pytest.raises(UnsafeMetricsAddress, match="no address"):
        parse(address, is_open=True)
