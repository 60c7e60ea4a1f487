"""Streams of the API: whole lines however they come, and output that is taken up where it was cut."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volery_dataplane.launch.kubernetes.logs import Resumed
from volery_dataplane.launch.kubernetes.watching import lines


async def _pieces(text: bytes, cuts: list[int]) -> AsyncIterator[bytes]:
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    for begin, end in itertools.pairwise(places):
        yield text[begin:end]


@given(whole=st.lists(st.binary().filter(lambda line: b"\n" not in line)), cuts=st.lists(st.integers(0)))
async def test_lines_are_whole_however_they_were_cut(whole: list[bytes], cuts: list[int]) -> None:
    text = b"".join(line + b"\n" for line in whole)
    assert [line async for line in lines(_pieces(text + b"begun", cuts))] == whole


@given(
    stamps=st.lists(st.integers(10, 19), min_size=1, max_size=30).map(sorted),
    cuts=st.lists(st.integers(0, 30), max_size=5),
)
def test_output_that_was_cut_anywhere_comes_once(stamps: list[int], cuts: list[int]) -> None:
    """Several lines may have one stamp; the API tells those again from the last stamp on."""
    written = [b"2026-01-01T00:00:%dZ line %d" % (stamp, number) for number, stamp in enumerate(stamps)]
    at = Resumed()
    taken: list[bytes] = []
    for cut in [*sorted(cuts), len(written)]:
        at.again()
        told = [line for line in written if line.split()[0] >= at.last]
        for line in told[: max(0, cut - len(written) + len(told))]:
            if (text := at.take(line)) is not None:
                taken.append(text)
    assert taken == [b"line %d" % number for number in range(len(written))]


@pytest.mark.parametrize(
    "words",
    [
        b'failed to try resolving symlinks in path "/var/log/pods/x/0.log": lstat: no such file or directory',
        b"unable to retrieve container logs for containerd://0123",
        b"rpc",
        b"",
    ],
)
def test_what_a_node_says_in_place_of_a_log_is_no_output(words: bytes) -> None:
    at = Resumed()
    assert at.take(b"2026-01-01T00:00:10.000000001Z first") == b"first"
    assert at.take(words) is None
    assert at.take(b"2026-01-01T00:00:11+02:00 second") == b"second"
    assert at.take(b"2026-01-01T00:00:12Z ") == b""


def test_output_goes_on_when_a_nodes_clock_is_set_back() -> None:
    at = Resumed()
    assert at.take(b"2026-01-01T12:00:00.000000001Z before") == b"before"
    assert at.take(b"2026-01-01T11:58:00.000000001Z after") == b"after"
    at.again()
    assert at.take(b"2026-01-01T12:00:00.000000001Z before") is None
    assert at.take(b"2026-01-01T12:00:01.000000001Z later") == b"later"


def test_output_goes_on_when_a_nodes_summer_ends() -> None:
    at = Resumed()
    assert at.take(b"2026-10-25T02:59:59.900000000+02:00 in summer") == b"in summer"
    at.again()
    assert at.take(b"2026-10-25T02:59:59.800000000+02:00 earlier") is None
    assert at.take(b"2026-10-25T02:59:59.900000000+02:00 in summer") is None
    assert at.take(b"2026-10-25T02:00:00.100000000+01:00 in winter") == b"in winter"
    assert at.last == b"2026-10-25T02:00:00.100000000+01:00"


def test_stamps_are_compared_as_times() -> None:
    at = Resumed()
    assert at.take(b"2026-01-01T00:00:10Z first") == b"first"
    at.again()
    assert at.take(b"2026-01-01T00:00:10Z first") is None
    assert at.take(b"2026-01-01T00:00:10.5Z second") == b"second"
    assert at.take(b"2026-02-31T00:00:10.5Z no such day") is None
