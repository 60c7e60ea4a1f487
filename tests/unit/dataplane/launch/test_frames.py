"""The two copies of the frames between a launcher and its task hosts."""

from __future__ import annotations

import contextlib
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volery._process import frames as host
from volery._process.settings import HostSettings
from volery_dataplane.launch import frames as launcher
from volery_dataplane.launch.attempts import Pool
from volery_dataplane.launch.hosting import host_settings
from volery_dataplane.launch.plans import Kind, PoolKey
from volery_dataplane.launch.settings import ProcessSettings

U32 = st.integers(0, 2**32 - 1)
MICROS = st.integers(0, 2**62)


def test_both_copies_have_the_same_layouts() -> None:
    names = [name for name in dir(host) if name.isupper()]
    layouts = [name for name in names if isinstance(getattr(host, name), struct.Struct)]
    assert {"HEADER", "RUN_BODY", "RESULT_BODY", "LOG_BLOCK"} <= set(layouts)
    for name in layouts:
        assert getattr(host, name).format == getattr(launcher, name).format, name
    for name in ("TASK", "RUN", "SUCCEEDED", "FAILED"):
        assert getattr(host, name) == getattr(launcher, name), name
    assert set(launcher.REPLACEMENTS) == {host.THREADS, host.CHILDREN, host.MEMORY}


def test_a_host_is_told_all_it_wants_to_know(tmp_path: Path) -> None:
    settings = ProcessSettings(directory=tmp_path, slots=1)
    pool = Pool(PoolKey(Kind("p/d", "ab", ()), 7))
    told = HostSettings.from_json(host_settings(3, pool, settings))
    assert (told.identity, told.memory_limit, told.runtime) == ("3", 7, settings.runtime)
    assert HostSettings.from_json(told.to_json()) == told


@given(
    sequence=U32,
    permit=st.integers(0, 255),
    attempt=U32,
    inline=st.integers(0, 2**63),
    texts=st.tuples(*[st.text(max_size=50)] * 5),
    inputs=st.binary(max_size=300),
)
def test_an_order_arrives_as_it_was_sent(
    sequence: int,
    permit: int,
    attempt: int,
    inline: int,
    texts: tuple[str, str, str, str, str],
    inputs: bytes,
) -> None:
    first, second, third, fourth, fifth = texts
    coded = first.encode(), second.encode(), third.encode(), fourth.encode(), fifth.encode()
    frame = launcher.run(sequence, 5, permit, attempt, inline, coded, inputs)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(launcher.task(5, "module.ä", "Name.inner") + frame)
        incoming = host.Incoming(theirs)
        task = incoming.next()
        run = incoming.next()
    assert task is not None
    assert run is not None
    assert (task[0], run[0]) == (host.TASK, host.RUN)
    number, length = host.TASK_BODY.unpack_from(task[1])
    names = task[1][host.TASK_BODY.size :]
    assert (number, names[:length].decode(), names[length:].decode()) == (5, "module.ä", "Name.inner")
    unpacked = list(host.RUN_BODY.unpack_from(run[1]))
    head, lengths = unpacked[:5], unpacked[5:]
    assert head == [sequence, 5, permit, attempt, inline]
    assert lengths == list(map(len, coded))
    assert run[1][host.RUN_BODY.size :] == b"".join(coded) + inputs


WRITTEN = st.builds(
    lambda data, dropped, in_file: host.Output(len(data), b"" if in_file else data, dropped, in_file),
    st.binary(max_size=100),
    st.integers(0, 2**60),
    st.booleans(),
)


@given(
    results=st.lists(
        st.tuples(
            U32,
            MICROS,
            st.integers(0, 4),
            st.none() | st.tuples(WRITTEN, WRITTEN),
            st.dictionaries(st.text(max_size=20), st.binary(max_size=200), max_size=4) | st.none(),
        ),
        max_size=5,
    ),
    cuts=st.lists(st.integers(1, 60), min_size=1),
)
def test_results_arrive_as_they_were_sent_however_they_are_cut(
    results: list[tuple[int, int, int, tuple[host.Output, host.Output] | None, dict[str, bytes] | None]],
    cuts: list[int],
) -> None:
    sent = b""
    for sequence, time, replace, logs, outputs in results:
        block = host.log_block(*logs) if logs else b""
        if outputs is None:
            sent += host.failed(sequence, time, time + 1, time + 2, replace, block, {"code": "Ünhappy"})
        else:
            sent += host.succeeded(sequence, time, time + 1, time + 2, replace, block, outputs)
    incoming = launcher.Incoming()
    received: list[launcher.Result] = []
    at = turn = 0
    while at < len(sent):
        step = cuts[turn % len(cuts)]
        received += incoming.feed(sent[at : at + step])
        at, turn = at + step, turn + 1
    assert len(received) == len(results)
    for got, (sequence, time, replace, logs, outputs) in zip(received, results, strict=True):
        assert (got.sequence, got.start, got.loaded) == (sequence, time, time + 1)
        assert (got.end, got.replace) == (time + 2, replace)
        if outputs is None:
            assert got.failure is not None
            assert got.failure == {"code": "Ünhappy"}
        else:
            assert (got.failure, got.outputs) == (None, outputs)
        if logs is None:
            assert got.logs is None
        else:
            assert got.logs is not None
            for one, other in zip(got.logs, logs, strict=True):
                assert (one.size, one.data, one.dropped, one.in_file) == (
                    other.size,
                    other.data,
                    other.dropped,
                    other.in_file,
                )


@given(st.binary(min_size=5, max_size=200))
def test_garbage_is_told_and_never_believed_or_crashing(data: bytes) -> None:
    with contextlib.suppress(launcher.Garbled):
        assert all(isinstance(result, launcher.Result) for result in launcher.Incoming().feed(data))


def test_a_frame_of_an_impossible_size_is_garbage() -> None:
    with pytest.raises(launcher.Garbled):
        list(launcher.Incoming().feed(launcher.HEADER.pack(2**32 - 1, launcher.SUCCEEDED)))
