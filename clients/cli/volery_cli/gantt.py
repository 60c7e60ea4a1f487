"""Gantt: an execution's attempts laid over time, each split into waiting, start-up, user code and commit.

Pure: attempts go in, rows with segments come out, and sums. A map of ten thousand items is one row whose
bar shows at each moment what most of its items did. Dependencies are not read but seen: an attempt begins
when the one it waited for has ended, so the critical path goes back from the last end, each time to the
latest end before an intent.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from volery.executions import Attempt, Execution, Node, path_order

MOST_ITEMS = 6
"""Maps of more items are one row."""


class Part(StrEnum):
    """What a moment of an attempt was spent on."""

    WAITING = "waiting"
    STARTUP = "start-up"
    CODE = "user code"
    COMMIT = "commit"


@dataclass(frozen=True, slots=True)
class Segment:
    """A span of an attempt; seconds since the execution was created."""

    part: Part
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Bar:
    """One attempt with its segments, which follow each other without gaps."""

    path: str
    attempt: int
    phase: str
    segments: tuple[Segment, ...]

    @property
    def begin(self) -> float:
        """When it was intended."""
        return self.segments[0].begin

    @property
    def end(self) -> float:
        """When its end was committed, or the latest that is known."""
        return self.segments[-1].end

    @property
    def done(self) -> float:
        """When it ended, before its commit."""
        return next((each.begin for each in self.segments if each.part is Part.COMMIT), self.end)

    def seconds(self, part: Part) -> float:
        """How long it was at one part."""
        return sum(each.seconds for each in self.segments if each.part is part)


@dataclass(slots=True)
class Row:
    """One line of the chart: a node, or the items of a map together."""

    path: str
    label: str
    depth: int
    bars: list[Bar] = field(default_factory=list)
    phase: str = ""

    @property
    def begin(self) -> float:
        """When the first of its bars begins."""
        return min((bar.begin for bar in self.bars), default=0.0)

    @property
    def end(self) -> float:
        """When the last of its bars ends."""
        return max((bar.end for bar in self.bars), default=0.0)

    def cells(self, span: float, width: int) -> list[Part | None]:
        """What it was at, mostly, in each of so many equal cells of a span.

        Where anything was done for half of a cell, that is shown: of a map, most items always wait.
        """
        if span <= 0 or width <= 0:
            return [None] * width
        weight: list[dict[Part, float]] = [{} for _ in range(width)]
        for bar in self.bars:
            for segment in bar.segments:
                _spread(segment, width / span, weight)
        return [_mostly(cell) for cell in weight]


def _mostly(cell: dict[Part, float]) -> Part | None:
    busy = {part: share for part, share in cell.items() if part is not Part.WAITING}
    shown = busy if sum(busy.values()) >= 0.5 else cell
    return max(shown, key=lambda part: shown[part]) if shown else None


def _spread(segment: Segment, scale: float, weight: list[dict[Part, float]]) -> None:
    begin, end = segment.begin * scale, segment.end * scale
    first, last = min(int(begin), len(weight) - 1), min(int(end), len(weight) - 1)
    for index in range(max(first, 0), last + 1):
        share = min(end, index + 1) - max(begin, index)
        if share > 0:
            weight[index][segment.part] = weight[index].get(segment.part, 0.0) + share


@dataclass(frozen=True, slots=True)
class Step:
    """One attempt of the critical path, and how long nothing of it happened before it was intended."""

    bar: Bar
    gap: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """An execution over time.

    Attributes:
        name: the execution.
        phase: where it stands.
        seconds: from its creation to its end, or to now.
        rows: in the order of paths.
        bars: every attempt.
        sums: seconds by part, of all attempts together.
        path: the critical path, first to last.
        names: for people, of the nodes on it, by their paths.
    """

    name: str
    phase: str
    seconds: float
    rows: Sequence[Row]
    bars: Sequence[Bar]
    sums: Mapping[Part, float]
    path: Sequence[Step]
    names: Mapping[str, str] = field(default_factory=dict)

    def path_sums(self) -> dict[str, float]:
        """Where the time of the execution itself went: by part on its critical path, and between them."""
        found = {part.value: 0.0 for part in (Part.WAITING, Part.STARTUP, Part.CODE)}
        for step in self.path:
            for part in found:
                found[part] += step.bar.seconds(Part(part))
        found["commit and decisions"] = max(0.0, self.seconds - sum(found.values()))
        return found

    def path_names(self, most: int) -> list[str]:
        """The critical path for people; of a long one its begin and end."""
        names = [self.names.get(step.bar.path) or step.bar.path for step in self.path]
        names = [
            name if step.bar.attempt == 1 else f"{name} (attempt {step.bar.attempt})"
            for name, step in zip(names, self.path, strict=True)
        ]
        left = len(names) - most
        half = most // 2
        return [*names[:half], f"{left} more", *names[-half:]] if left > 0 else names


def timeline(
    execution: Execution, nodes: Iterable[Node], attempts: Iterable[Attempt], now: datetime
) -> Timeline:
    """Lays an execution over time."""
    zero = execution.create_time or now
    bars = [bar for attempt in attempts if (bar := _bar(attempt, zero, now)) is not None]
    sums = {part: sum(bar.seconds(part) for bar in bars) for part in Part}
    known = {node.path: node for node in nodes}
    path = critical_path(bars)
    return Timeline(
        name=execution.name,
        phase=execution.phase.value,
        seconds=max(0.0, ((execution.end_time or now) - zero).total_seconds()),
        rows=_rows(known, bars),
        bars=bars,
        sums=sums,
        path=path,
        names={step.bar.path: _full_name(step.bar.path, known) for step in path},
    )


def _bar(attempt: Attempt, zero: datetime, now: datetime) -> Bar | None:
    """The segments of an attempt. Times of two clocks meet here, so none may go back."""
    queued = attempt.queue_time or attempt.launch_time or attempt.start_time
    if queued is None:
        return None
    launched = attempt.launch_time or attempt.start_time
    running = attempt.end_time is None
    loaded = attempt.code_time or attempt.start_time
    marks = (
        (Part.WAITING, launched or attempt.end_time or now),
        (Part.STARTUP, loaded if launched else None),
        (Part.CODE, (attempt.end_time or now) if loaded else attempt.end_time),
        (Part.COMMIT, None if running else attempt.commit_time),
    )
    at = (queued - zero).total_seconds()
    segments = []
    for part, mark in marks:
        if mark is None:
            continue
        end = max(at, (mark - zero).total_seconds())
        if part is Part.CODE and not loaded:
            part = Part.STARTUP  # it ended before its code was there
        segments.append(Segment(part, at, end))
        at = end
    return Bar(attempt.path, attempt.attempt, attempt.phase, tuple(segments)) if segments else None


def _rows(known: Mapping[str, Node], bars: Iterable[Bar]) -> list[Row]:
    of_node: dict[str, list[Bar]] = defaultdict(list)
    for bar in bars:
        of_node[bar.path].append(bar)
    items: dict[str, list[str]] = defaultdict(list)
    for path in of_node.keys() | known.keys():
        above, _, last = path.rpartition("/")
        if last.isdigit():
            items[above].append(path)
    large = {path for path, below in items.items() if len(below) > MOST_ITEMS}
    rows: dict[str, Row] = {}
    for path in sorted(of_node.keys() | known.keys(), key=path_order):
        top = next((each for each in _prefixes(path) if each in large), None)
        if top is not None and top != path:  # inside a map that is one row
            rows[top].bars += of_node.get(path, [])
            continue
        row = rows[path] = Row(path, _label(path, known.get(path)), path.count("/"))
        row.phase = known[path].phase.value if path in known else ""
        row.bars += of_node.get(path, [])
        if path in large:
            indexes = sorted(int(each.rpartition("/")[2]) for each in items[path])
            row.label += f"[{ranges(indexes)}]"
    return [row for row in rows.values() if row.bars or any(_is_below(path, row.path) for path in of_node)]


def _prefixes(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _is_below(path: str, above: str) -> bool:
    return path.startswith(f"{above}/")


def _label(path: str, node: Node | None) -> str:
    last = path.rpartition("/")[2]
    if node is None or last.isdigit():
        return f"[{last}]" if last.isdigit() else last
    return (node.target_name.rpartition(".")[2] or last) if node.name == last else node.name


def _full_name(path: str, known: Mapping[str, Node]) -> str:
    """A node with what lies above it: `prepare/fit`, or `fit[7]` for an item of a map."""
    name = ""
    for above in _prefixes(path):
        label = _label(above, known.get(above))
        name += label if label.startswith("[") or not name else f"/{label}"
    return name


def ranges(numbers: Sequence[int]) -> str:
    """Rising numbers as ranges: `0-4, 7`; of many ranges only the first and the last number."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    if len(found) > 3:
        return f"{numbers[0]}-{numbers[-1]}, {len(numbers)} of them"
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def critical_path(bars: Sequence[Bar]) -> list[Step]:
    """The attempts that the end waited for, first to last; see the module's docstring."""
    by_end = sorted(bars, key=lambda bar: bar.done)
    ends = [bar.done for bar in by_end]
    steps: list[Step] = []
    at = len(by_end) - 1
    while at >= 0:
        bar = by_end[at]
        # Always further back, so that attempts which took no time at all do not wait for each other.
        at = min(at, bisect_right(ends, bar.begin)) - 1
        steps.append(Step(bar, bar.begin - (by_end[at].done if at >= 0 else 0.0)))
    steps.reverse()
    return steps


def document(found: Timeline) -> dict[str, object]:
    """A timeline for programs; spans in seconds, times since the execution was created."""
    return {
        "execution": found.name,
        "phase": found.phase,
        "seconds": found.seconds,
        "all_attempts": {part.value: seconds for part, seconds in found.sums.items()},
        "critical_path": {
            "seconds": found.path_sums(),
            "attempts": [{"path": step.bar.path, "attempt": step.bar.attempt} for step in found.path],
        },
        "attempts": [
            {
                "path": bar.path,
                "attempt": bar.attempt,
                "phase": bar.phase,
                "begin": bar.begin,
                "end": bar.end,
                **{part.value: bar.seconds(part) for part in Part},
            }
            for bar in found.bars
        ],
    }
