"""Reading the logs of pods that have ended: those that cannot be had do not cost others theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from support.played_api import PlayedApi, Request
from volery_dataplane.launch.kubernetes.api import Api
from volery_dataplane.launch.kubernetes.launch_settings import ApiSettings, LogSettings
from volery_dataplane.launch.kubernetes.logs import READERS, PodLogs
from volery_dataplane.worker.ports import AttemptKey, LogPiece

PATIENCE = 30.0
LINE = b"2026-01-01T00:00:00.000000001Z said\n"


@asynccontextmanager
async def reading(
    server: PlayedApi, directory: Path, patience: float, logged: Callable[[Sequence[LogPiece]], None]
) -> AsyncIterator[PodLogs]:
    api = await Api.connect(ApiSettings(kubeconfig=str(server.kubeconfig(directory / "kubeconfig"))))
    logs = PodLogs(api, LogSettings(directory, patience=patience), logged)
    try:
        yield logs
    finally:
        await logs.close()
        await api.close()


def key(number: int) -> AttemptKey:
    return AttemptKey(number, "n0", 1, 1)


def finish(logs: PodLogs, numbers: Sequence[int]) -> list[asyncio.Task[None]]:
    """These pods have ended."""
    return [
        asyncio.create_task(logs.finish(key(number), "played", f"pod-{number}", "primary"))
        for number in numbers
    ]


def says(server: PlayedApi, number: int) -> None:
    server.logs[f"pod-{number}"] = asyncio.Queue()
    server.logs[f"pod-{number}"].put_nowait(LINE)
    server.logs[f"pod-{number}"].put_nowait(b"")


def of(numbers: Sequence[int]) -> Callable[[Request], bool]:
    names = {f"pod-{number}" for number in numbers}
    return lambda request: request.reads_log and request.path.split("/")[-2] in names


async def test_a_log_that_stood_in_line_behind_silent_ones_is_read_all_the_same(
    server: PlayedApi, tmp_path: Path
) -> None:
    said: dict[AttemptKey, bytes] = {}
    silent, late = range(READERS), [READERS]
    server.pause(of(silent))  # their node is gone, say
    says(server, late[0])
    async with reading(
        server, tmp_path, 0.5, lambda pieces: said.update({piece.key: piece.data for piece in pieces})
    ) as logs:
        waiting = finish(logs, silent)
        await server.until(lambda: len(server.of(of(silent))) == READERS)
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*finish(logs, late), *waiting)
    assert said == {key(READERS): b"said\n"}


async def test_a_log_that_is_refused_for_now_leaves_its_place_to_others_until_it_is_asked_for_again(
    server: PlayedApi, tmp_path: Path
) -> None:
    said: dict[AttemptKey, bytes] = {}
    refused, late = range(READERS), [READERS]
    server.answer(of(refused), 500, "no route to host")
    says(server, late[0])
    async with reading(
        server, tmp_path, 3600.0, lambda pieces: said.update({piece.key: piece.data for piece in pieces})
    ) as logs:
        waiting = finish(logs, refused)
        await server.until(lambda: len(server.of(of(refused))) >= READERS)
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*finish(logs, late))
        for each in waiting:
            assert not each.done()
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert said == {key(READERS): b"said\n"}


async def test_lines_that_reach_the_file_after_the_followed_stream_has_ended_are_read(
    server: PlayedApi, tmp_path: Path
) -> None:
    said: list[bytes] = []
    first, last = b"2026-01-01T00:00:00.000000001Z first\n", b"2026-01-01T00:00:00.000000002Z last\n"
    queue = server.logs["pod-1"] = asyncio.Queue()
    for piece in (first, b"", first, last):  # the stream ends, and who reads again is told all
        queue.put_nowait(piece)
    async with reading(
        server, tmp_path, 30.0, lambda pieces: said.extend(piece.data for piece in pieces)
    ) as logs:
        logs.begun(key(1), "played", "pod-1", "primary", adopted=False)
        await server.until(lambda: server.of(of([1])))
        await asyncio.gather(*finish(logs, [1]))
    assert b"".join(said) == b"first\nlast\n"


async def test_a_line_in_the_middle_of_which_the_followed_stream_ended_is_read_again(
    server: PlayedApi, tmp_path: Path
) -> None:
    """An API server ends the answer as if it were whole when it loses the node."""
    said: list[bytes] = []
    first, last = b"2026-01-01T00:00:00.000000001Z first\n", b"2026-01-01T00:00:00.000000002Z last\n"
    queue = server.logs["pod-1"] = asyncio.Queue()
    for piece in (first + last[:-3], b"", first, last):
        queue.put_nowait(piece)
    async with reading(
        server, tmp_path, 30.0, lambda pieces: said.extend(piece.data for piece in pieces)
    ) as logs:
        logs.begun(key(1), "played", "pod-1", "primary", adopted=False)
        await server.until(lambda: server.of(of([1])))
        await asyncio.gather(*finish(logs, [1]))
    assert b"".join(said) == b"first\nlast\n"
