"""Frames of the local work stream."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volery_rules.work_frames import (
    END,
    MESSAGE,
    OPEN,
    PING,
    PONG,
    BrokenFrame,
    FrameReader,
    FrameTooLong,
    frame,
)

LIMIT = 200
frames = st.lists(st.tuples(st.sampled_from([OPEN, MESSAGE, END, PING, PONG]), st.binary(max_size=LIMIT)))


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(places)]


@given(frames, st.lists(st.integers(0, 2_000)))
def test_what_is_framed_is_read_back_however_it_is_cut(
    given: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    reader = FrameReader(LIMIT)
    data = b"".join(frame(kind, body) for kind, body in given)
    assert [found for piece in in_pieces(data, cuts) for found in reader.feed(piece)] == given


@given(frames, st.lists(st.integers(0, 2_000)), st.integers(LIMIT + 1, 2**32 - 1))
def test_a_frame_that_is_too_long_is_refused_by_its_header_after_those_before_it(
    given: list[tuple[int, bytes]], cuts: list[int], length: int
) -> None:
    reader = FrameReader(LIMIT)
    data = b"".join(frame(kind, body) for kind, body in given) + struct.pack(">IB", length, MESSAGE)
    found: list[tuple[int, bytes]] = []

    def read() -> None:
        for piece in in_pieces(data, cuts):
            found.extend(reader.feed(piece))

    with pytest.raises(FrameTooLong) as refused:
        read()
    assert found + refused.value.before == given


@given(st.binary())
def test_any_bytes_are_frames_or_are_refused(data: bytes) -> None:
    reader = FrameReader(LIMIT)
    try:
        found = reader.feed(data)
    except BrokenFrame as broken:
        found = broken.before
    read = b"".join(frame(kind, body) for kind, body in found)
    assert data.startswith(read)


def test_another_protocol_is_recognised_as_broken() -> None:
    with pytest.raises(BrokenFrame):
        FrameReader(16 * 1024 * 1024).feed(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
