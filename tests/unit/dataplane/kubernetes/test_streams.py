"""Streams of the API: whole lines however they come, and output that is taken up where it was cut."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

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
    written = [b"%d line %d" % (stamp, number) for number, stamp in enumerate(stamps)]
    at = Resumed()
    taken: list[bytes] = []
    for cut in [*sorted(cuts), len(written)]:
        at.again()
        told = [line for line in written if line.split()[0] >= at.last]
        for line in told[: max(0, cut - len(written) + len(told))]:
            if (text := at.take(line)) is not None:
                taken.append(text)
    assert taken == [b"line %d" % number for number in range(len(written))]


def test_what_has_no_stamp_is_taken_as_it_is() -> None:
    assert Resumed().take(b"unstamped") == b"unstamped"
