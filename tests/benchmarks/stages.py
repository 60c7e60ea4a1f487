"""Where the time of a node of a chain goes: both planes note when a wave passes, and the notes are joined.

The planes run as they always do, as processes of their own, but are entered through this file, which puts a
clock around a few of their methods and writes down at the end what it read. The clock is the machine's
monotonic one, the same for all processes. A chain has one wave a node, so the notes of both planes, in order
of time, are the way of each wave; stages are what lies between two notes, and together they are the node.

    python tests/benchmarks/run.py --profile stages [--database sqlite-full …] [--transport grpc local]
"""

from __future__ import annotations

import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

NOTES = "VOLERY_BENCHMARK_NOTES"
CHAIN = 100
WARM = 3
"""Chains that are run before those that count."""

(RESULT, SENT, ARRIVED, JUDGED_FROM, JUDGED, COMMITTED, ANSWERED, HEARD, LAUNCHED) = range(9)

STAGES = (
    (RESULT, SENT, "the result is folded into the walk, a report is made"),
    (SENT, ARRIVED, "the report's way to the control plane"),
    (ARRIVED, JUDGED_FROM, "the hop to the database's thread"),
    (JUDGED_FROM, JUDGED, "judging the report, and its statements"),
    (JUDGED, COMMITTED, "the commit, nearly all of it the disk"),
    (COMMITTED, ANSWERED, "the hop back"),
    (ANSWERED, HEARD, "the answer's way to the worker"),
    (HEARD, LAUNCHED, "the answer is read, the next attempt is handed to its process"),
    (LAUNCHED, RESULT, "the task process: wake, decode, run, encode, answer"),
)


# --- inside a plane ---------------------------------------------------------------------------------


class Notes:
    """What was noted, as pairs of a point and a time, in microseconds."""

    def __init__(self) -> None:
        self._notes = array("d")

    def around(
        self, owner: Any, name: str, before: int | None = None, after: int | None = None, if_: Any = None
    ) -> None:
        """Notes the time before and after a method, for the calls that are wanted."""
        method: Callable[..., Any] = getattr(owner, name)
        notes, clock = self._notes, time.perf_counter

        @functools.wraps(method)
        def noted(*arguments: Any, **more: Any) -> Any:
            wanted = if_ is None or if_(*arguments)
            if wanted and before is not None:
                notes.extend((before, clock() * 1e6))
            answer = method(*arguments, **more)
            if wanted and after is not None:
                notes.extend((after, clock() * 1e6))
            return answer

        setattr(owner, name, noted)

    def write(self, path: str) -> None:
        with open(path, "wb") as file:
            self._notes.tofile(file)


def control_plane(notes: Notes, arguments: list[str]) -> int:
    """Runs a control plane with a clock in it."""
    from volery_controlplane import main
    from volery_controlplane.services import streams, work
    from volery_controlplane.store import commits

    notes.around(
        streams.WorkStreams,
        "_answer",
        before=ARRIVED,
        if_=lambda self, session, request, _: _reports(request),
    )
    notes.around(work, "commit_wave", before=JUDGED_FROM, after=JUDGED)
    notes.around(commits.Worker, "_commit", after=COMMITTED)
    notes.around(streams.Outbox, "write", before=ANSWERED, if_=lambda self, message: _acknowledges(message))
    return main.main(arguments)


def worker(notes: Notes, arguments: list[str]) -> int:
    """Runs a worker with a clock in it."""
    from volery_dataplane import main
    from volery_dataplane.launch import task_process
    from volery_dataplane.wire import streams
    from volery_dataplane.worker import worker

    notes.around(task_process.TaskProcess, "_readable", before=RESULT)
    notes.around(streams.WorkLine, "send", before=SENT, if_=lambda self, message: _reports(message))
    notes.around(worker.Worker, "received", before=HEARD, if_=lambda self, message: _acknowledges(message))
    notes.around(task_process.TaskProcess, "_write", before=LAUNCHED)
    sys.argv[1:] = arguments
    main.main()
    return 0


def _reports(message: Any) -> bool:
    return bool(message.HasField("report_batch"))


def _acknowledges(message: Any) -> bool:
    return bool(message.HasField("acknowledgement_batch"))


# --- outside ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Profile:
    """The stages of one way to run.

    Attributes:
        nodes: how many were measured.
        each: the median of a node's time, in microseconds.
        stages: the medians of its stages, in order.
        processor: microseconds of processor time that each plane spent on a node.
    """

    nodes: int
    each: float
    stages: Sequence[float]
    processor: dict[str, float]


def profile(mode: str, transport: str, chains: int) -> Profile:
    """Runs chains and reads the notes of both planes."""
    import psutil
    from benchmarks.engine import serving
    from support.planes import Planes

    def spent(planes: Planes) -> dict[str, float]:
        found = {}
        for name, process in (("control plane", planes.control_plane), ("worker", planes.worker)):
            assert process is not None
            times = psutil.Process(process.pid).cpu_times()
            found[name] = times.user + times.system
        return found

    with tempfile.TemporaryDirectory() as kept:

        class Noting(Planes):
            def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
                os.environ[NOTES] = str(Path(kept) / name)
                try:
                    return super()._start(name, __file__, *arguments[1:])
                finally:
                    del os.environ[NOTES]

        with serving(mode, transport=transport, kind=Noting) as (planes, bench):
            for _ in range(WARM):
                bench.chain(CHAIN)
            before = spent(planes)
            for _ in range(chains):
                bench.chain(CHAIN)
            after = spent(planes)
        notes = sorted(note for path in Path(kept).iterdir() for note in _read(path))
    nodes = chains * CHAIN
    passages = list(_passages(notes))[-nodes:]
    stages = [statistics.median(passage[number] for passage in passages) for number in range(len(STAGES))]
    each = statistics.median(sum(passage) for passage in passages)
    return Profile(
        len(passages), each, stages, {name: (after[name] - before[name]) / nodes * 1e6 for name in after}
    )


def _read(path: Path) -> Iterable[tuple[float, int]]:
    values = array("d")
    values.frombytes(path.read_bytes())
    return [(values[place + 1], int(values[place])) for place in range(0, len(values), 2)]


def _passages(notes: Iterable[tuple[float, int]]) -> Iterable[list[float]]:
    """The stages of each wave that passed all points in order; a wave that did not belongs to no chain."""
    order = [begin for begin, _, _ in STAGES]
    seen: dict[int, float] = defaultdict(float)
    due = 0
    for moment, point in notes:
        if point == RESULT and due == len(order):
            times = [*(seen[point] for point in order), moment]
            yield [end - begin for begin, end in pairwise(times)]
            due = 0
        if due < len(order) and point == order[due]:
            seen[point] = moment
            due += 1
        elif point == RESULT:
            seen[point], due = moment, 1


def show(profiles: dict[str, Profile]) -> None:
    """Prints the table of docs/performance.md."""
    names = list(profiles)
    print(f"| stage, median µs | {' | '.join(names)} |")
    print(f"|---{'|---:' * len(names)}|")
    for number, (_, _, what) in enumerate(STAGES):
        print(f"| {what} | {' | '.join(f'{profiles[name].stages[number]:.0f}' for name in names)} |")
    print(f"| **a node** | {' | '.join(f'**{profiles[name].each:.0f}**' for name in names)} |")
    for plane in ("control plane", "worker"):
        print(
            f"| processor time of the {plane}, mean | "
            f"{' | '.join(f'{profiles[name].processor[plane]:.0f}' for name in names)} |"
        )
    print(f"nodes measured: {', '.join(str(profiles[name].nodes) for name in names)}")


def main() -> int:
    """Enters a plane: `volery_controlplane` or `volery_dataplane`, and its arguments."""
    plane, *arguments = sys.argv[1:]
    notes = Notes()
    try:
        return (control_plane if plane == "volery_controlplane" else worker)(notes, arguments)
    finally:
        notes.write(os.environ[NOTES])


if __name__ == "__main__":
    sys.exit(main())
