"""An engine's health as lines. Pure: what was read goes in, lines with styles come out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from volery_cli.output import ago, cut, span
from volery_cli.tree import GLYPHS, PLAIN_GLYPHS, Line, Piece, progress_bar

if TYPE_CHECKING:
    from volery.executions import Execution
    from volery.health import EngineHealth, WorkerHealth

LATE = timedelta(seconds=5)
"""Something that waits for longer than this deserves an eye."""


def lines(health: EngineHealth, *, unicode: bool = True) -> list[Line]:
    """The whole view."""
    now = health.time or datetime.now().astimezone()
    return [
        *_plane(health, now),
        *_queues(health),
        _blank(),
        *_workers(health, now),
        _blank(),
        *_executions("running", health.running, now, unicode),
        _blank(),
        *_executions("failed lately", health.failures, now, unicode),
    ]


def _plane(health: EngineHealth, now: datetime) -> Iterator[Line]:
    plane = health.control_plane
    up = span(now - plane.start_time) if plane.start_time else ""
    yield _line(
        ("volery", "bold"),
        (f" {plane.version}", ""),
        (f"  {plane.database}", ""),
        (f"  up {up}", ""),
        (f"  {_counted(plane.worker_streams, 'worker stream')}, ", "dim"),
        (f"{_counted(plane.calls, 'call')}, {_counted(plane.watches, 'watch', 'watches')}", "dim"),
    )
    rates = health.rates
    yield _line(
        ("rates    ", "dim"),
        (f"{_rate(rates.executions_ended)} executions/s  ", ""),
        (f"{_rate(rates.nodes_ended)} nodes/s  ", ""),
        (f"{_rate(rates.commits)} commits/s  ", ""),
        (f"{rates.reports_per_wave:.1f} reports a wave  ", ""),
        (f"{_rate(rates.calls)} calls/s", ""),
        (f"  over {span(rates.window)}", "dim"),
    )


def _queues(health: EngineHealth) -> Iterator[Line]:
    queues = health.queues
    pieces: list[Piece] = [("queues   ", "dim")]
    age, late = queues.oldest_unclaimed, (queues.oldest_unclaimed or timedelta()) > LATE
    oldest = f", the oldest for {span(age)}" if age is not None else ""
    pieces.append((f"{_count(queues.unclaimed)} wait for a worker{oldest}", "yellow" if late else ""))
    pieces.append((f"  {_count(queues.parked)} parked", ""))
    if queues.oldest_undelivered is not None:
        late = queues.oldest_undelivered > LATE
        pieces.append((f"  an inbox unread for {span(queues.oldest_undelivered)}", "yellow" if late else ""))
    yield _line(*pieces)
    if queues.unclaimed and not health.workers:
        yield _line(("         no worker is connected", "red"))


def _workers(health: EngineHealth, now: datetime) -> Iterator[Line]:
    yield _heading("worker", "slots", "waiting", "executions", "renewed", "up", "pools")
    for worker in health.workers:
        yield _row(_worker(worker, now), late=_is_late(worker, now))
    if not health.workers:
        yield _line(("no worker has an open session", "dim"))


def _worker(worker: WorkerHealth, now: datetime) -> tuple[str, ...]:
    slots = f"{worker.busy_slots}/{worker.slots}" if worker.slots else str(worker.busy_slots)
    held = (
        f"{worker.held_executions}/{worker.executions}" if worker.executions else str(worker.held_executions)
    )
    up = span(now - worker.open_time) if worker.open_time else ""
    pools = ", ".join(worker.pools) or "default"
    return worker.worker_id, slots, str(worker.waiting_attempts), held, ago(worker.renew_time, now), up, pools


def _is_late(worker: WorkerHealth, now: datetime) -> bool:
    """Whether half of its lease has gone by without a renewal, which comes every quarter."""
    if worker.renew_time is None or worker.expire_time is None:
        return False
    return now - worker.renew_time > (worker.expire_time - worker.renew_time) / 2


WIDTHS = (24, 8, 9, 14, 12, 14)


def _heading(*names: str) -> Line:
    return Line("", ((_cells(names), "dim"),))


def _row(cells: tuple[str, ...], *, late: bool) -> Line:
    return Line("", ((_cells(cells), "yellow" if late else ""),))


def _cells(cells: tuple[str, ...]) -> str:
    fixed = [cut(cell, width - 2).ljust(width) for cell, width in zip(cells, WIDTHS, strict=False)]
    return "".join((*fixed, *cells[len(WIDTHS) :])).rstrip()


def _executions(
    title: str, executions: tuple[Execution, ...], now: datetime, unicode: bool
) -> Iterator[Line]:
    yield _line((title, "dim"))
    if not executions:
        yield _line(("  none", "dim"))
    for each in executions:
        glyph, style = GLYPHS[each.phase.value]
        if not unicode:
            glyph = PLAIN_GLYPHS[each.phase.value]
        pieces: list[Piece] = [
            (f"  {glyph} ", style),
            (each.target.name.rpartition(".")[2], "bold"),
            (f"  {each.name}  {each.project}/{each.domain}", "dim"),
        ]
        if each.phase.is_terminal:
            pieces.append((f"  {ago(each.end_time, now)}", "dim"))
            if each.failure is not None:
                pieces.append((f"  {cut(str(each.failure).splitlines()[0], 100, unicode=unicode)}", "red"))
        else:
            pieces.append(("  ", ""))
            pieces += progress_bar(each.counts, unicode)
            if each.create_time:
                pieces.append((f"  {span(now - each.create_time)}", "dim"))
            pieces.append((f"  on {each.worker_id}", "dim"))
        yield _line(*pieces)


def _line(*pieces: Piece) -> Line:
    return Line("", pieces)


def _blank() -> Line:
    return Line("", ())


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count} {one}" if count == 1 else f"{count} {many or f'{one}s'}"


def _rate(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}"


def _count(count: int) -> str:
    return f"{count}" if count < 10_000 else "10000 or more"
