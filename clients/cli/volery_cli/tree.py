"""Tree: an execution and its nodes as lines, the same for a live terminal and for a file.

Pure: changes are folded in, lines come out; time is an argument. A map of ten thousand items is one line
with its counts, and below it only the items that need an eye: failed ones first, then those under way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from volery.executions import Counts, Execution, Node, NodePhase, path_order

from volery_cli.output import cut, span

ITEMS_SHOWN = 6
LONGEST_MESSAGE = 120
BAR_WIDTH = 20

Piece = tuple[str, str]
"""Text and its style."""

GLYPHS: Mapping[str, Piece] = {
    "QUEUED": ("○", "dim"),
    "RUNNING": ("●", "cyan"),
    "WAITING": ("◌", "yellow"),
    "FAILING": ("●", "red"),
    "ABORTING": ("●", "yellow"),
    "PAUSED": ("‖", "yellow"),
    "SUCCEEDED": ("✔", "green"),
    "FAILED": ("✘", "bold red"),
    "TIMED_OUT": ("✘", "bold red"),
    "ABORTED": ("■", "yellow"),
    "SKIPPED": ("-", "dim"),
    "RECOVERED": ("↺", "green"),
    "PENDING": ("·", "dim"),
}

PLAIN_GLYPHS: Mapping[str, str] = {
    "QUEUED": "o",
    "RUNNING": "*",
    "WAITING": "~",
    "FAILING": "*",
    "ABORTING": "*",
    "PAUSED": "=",
    "SUCCEEDED": "+",
    "FAILED": "X",
    "TIMED_OUT": "X",
    "ABORTED": "#",
    "SKIPPED": "-",
    "RECOVERED": "+",
    "PENDING": ".",
}
"""For terminals and files that have no Unicode."""

WAITING_WORDS: Mapping[str, str] = {
    "SLOTS": "for a free slot",
    "CONCURRENCY": "for its turn: the limit of concurrency is reached",
    "BACKOFF": "before the next attempt",
    "CACHE_RESERVATION": "for an identical call whose result will be shared",
    "SIGNAL": "for a signal",
    "SLEEP": "until its time",
    "CHILD": "for a child execution",
    "UNSCHEDULABLE": "for room on the cluster",
    "IMAGE": "for its image",
    "QUOTA": "for quota",
    "POD": "for its pod",
}
"""What follows `waits` for a reason; a node's own message follows after a colon."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a tree.

    Attributes:
        phase: of what it shows; for keeping the important ones when there are too many.
        pieces: texts and their styles.
    """

    phase: str
    pieces: tuple[Piece, ...]

    def text(self) -> str:
        """The line without styles."""
        return "".join(text for text, _ in self.pieces)


@dataclass(slots=True)
class Tree:
    """What is known of an execution.

    Attributes:
        execution: as it stood last.
        expected: the nodes of the workflow, by id and label, whether they began or not.
        nodes: by path; items of maps that ended well are left out.
    """

    execution: Execution
    expected: Sequence[tuple[str, str]] = ()
    nodes: dict[str, Node] = field(default_factory=dict)

    def fold(self, execution: Execution, nodes: Iterable[Node]) -> None:
        """Take in a change."""
        self.execution = execution
        for node in nodes:
            if node.is_item and node.phase in (NodePhase.SUCCEEDED, NodePhase.RECOVERED):
                self.nodes.pop(node.path, None)
            else:
                self.nodes[node.path] = node

    def lines(self, now: datetime, *, spinner: str = "", unicode: bool = True) -> list[Line]:
        """The execution's line, then its nodes'."""
        paint = _Paint(now, spinner, unicode)
        lines = [paint.execution(self.execution)]
        children = self._children()
        top: list[tuple[str, Node | str]] = [(path, self.nodes[path]) for path in children.get("", ())]
        begun = {path for path, _ in top}
        if not self.execution.phase.is_terminal:
            top += [(id_, label) for id_, label in self.expected if id_ not in begun]
        order = {id_: index for index, (id_, _) in enumerate(self.expected)}
        top.sort(key=lambda pair: (order.get(pair[0], len(order)), path_order(pair[0])))
        for index, (_, node) in enumerate(top):
            last = index == len(top) - 1
            if isinstance(node, str):
                lines.append(paint.pending(node, last=last))
            else:
                lines += paint.node(node, children, self.nodes, "", last=last)
        return lines

    def _children(self) -> dict[str, list[str]]:
        children: dict[str, list[str]] = {}
        for path in sorted(self.nodes, key=path_order):
            children.setdefault(path.rpartition("/")[0], []).append(path)
        return children


def fitting(lines: list[Line], height: int) -> list[Line]:
    """At most so many lines: what ended well or has not begun goes first, and is counted."""
    if len(lines) <= height:
        return lines
    dull = [
        index
        for index, line in enumerate(lines)
        if index and line.phase in ("SUCCEEDED", "RECOVERED", "PENDING", "SKIPPED", "QUEUED")
    ]
    drop = set(dull[: len(lines) - height + 1])
    kept: list[Line] = []
    for index, line in enumerate(lines):
        if index in drop:
            if index - 1 not in drop:
                run = next(end for end in range(index, len(lines) + 1) if end not in drop) - index
                kept.append(Line("PENDING", ((f"│  … {run} more", "dim"),)))
        else:
            kept.append(line)
    if len(kept) > height:
        kept = [*kept[: height - 1], Line("PENDING", ((f"   … {len(kept) - height + 1} more", "dim"),))]
    return kept


def label_of(node: Node, map_label: str = "") -> str:
    """A node as people know it; an item of a map by its index, with the map's label where that is told."""
    last = node.path.rpartition("/")[2]
    if node.is_item:
        return f"{map_label}[{last}]"
    # One that was answered from the cache may come without a name; what it would have run says as much.
    return (node.target_name.rpartition(".")[2] or last) if node.name == last else node.name


def waiting_words(node: Node, now: datetime) -> str:
    """Why a node is not running, for people."""
    if not node.waiting_reason:
        return "waits" if node.phase is NodePhase.WAITING else ""
    words = WAITING_WORDS.get(node.waiting_reason, node.waiting_reason.lower().replace("_", " "))
    left = f" ({span(node.wake_time - now)} left)" if node.wake_time and node.wake_time > now else ""
    told = f": {' '.join(node.waiting_message.split())}" if node.waiting_message else ""
    return f"waits {words}{left}{told}"


def progress_bar(counts: Counts, unicode: bool) -> Iterator[Piece]:
    """A bar, and how many of how many."""
    total = max(counts.total, counts.ended)
    if total:
        good = BAR_WIDTH * counts.succeeded // total
        bad = min(-(-BAR_WIDTH * (counts.ended - counts.succeeded) // total), BAR_WIDTH - good)
        full, empty = ("━", "─") if unicode else ("#", "-")
        yield full * good, "green"
        yield full * bad, "red"
        yield empty * (BAR_WIDTH - good - bad), "dim"
        yield " ", ""
    yield f"{counts.ended}/{total}", ""
    for number, word, style in (
        (counts.running, "running", "cyan"),
        (counts.failed, "failed", "red"),
        (counts.skipped, "skipped", "dim"),
    ):
        if number:
            yield f", {number} {word}", style


@dataclass(frozen=True, slots=True)
class _Paint:
    now: datetime
    spinner: str
    unicode: bool

    def execution(self, execution: Execution) -> Line:
        phase = execution.phase.value
        end = execution.end_time or self.now
        took = span(end - execution.create_time) if execution.create_time else ""
        short = execution.target.name.rpartition(".")[2]
        pieces = [
            self.glyph(phase),
            (f" {short}", "bold"),
            (f"  {execution.name}", "dim"),
            (f"  {phase.lower().replace('_', ' ')}", GLYPHS[phase][1]),
            (f"  {took}", "dim"),
        ]
        counts = execution.counts
        if counts.total > 1:
            pieces.append((f"  {counts.ended}/{counts.total} nodes", "dim"))
        return Line(phase, tuple(pieces))

    def pending(self, label: str, *, last: bool) -> Line:
        return Line("PENDING", ((self.branch(last), "dim"), self.glyph("PENDING"), (f" {label}", "dim")))

    def node(
        self,
        node: Node,
        children: Mapping[str, Sequence[str]],
        nodes: Mapping[str, Node],
        indent: str,
        *,
        last: bool,
    ) -> Iterator[Line]:
        pieces: list[Piece] = [(indent + self.branch(last), "dim"), self.glyph(node.phase.value)]
        below = [nodes[path] for path in children.get(node.path, ())]
        if node.phase.is_terminal:  # what lies in it is over too, whether we were told or not
            below = [child for child in below if child.phase.is_terminal]
        told_below = any(child.failure is not None for child in below)
        pieces += self.words(node, with_failure=not told_below)
        yield Line(node.phase.value, tuple(pieces))
        deeper = indent + ("   " if last else ("│  " if self.unicode else "|  "))
        hidden = 0
        if node.kind == "MAP":
            # The bar tells of those that wait for their place.
            below = [item for item in below if item.phase is not NodePhase.QUEUED]
            below.sort(key=_urgency)
            hidden = max(len(below) - ITEMS_SHOWN, 0)
            below = sorted(below[:ITEMS_SHOWN], key=lambda item: path_order(item.path))
        for index, child in enumerate(below):
            is_last = index == len(below) - 1 and not hidden
            yield from self.node(child, children, nodes, deeper, last=is_last)
        if hidden:
            more = f" … {hidden} more" if self.unicode else f" ... {hidden} more"
            yield Line("PENDING", ((deeper + self.branch(last=True), "dim"), (more, "dim")))

    def words(self, node: Node, *, with_failure: bool) -> Iterator[Piece]:
        name = label_of(node)
        yield f" {name}", "" if node.phase is not NodePhase.SKIPPED else "dim"
        short = node.target_name.rpartition(".")[2]
        if short and short != name and not node.is_item:
            yield f" {short}", "dim"
        if node.kind == "MAP" and node.counts is not None:
            yield "  ", ""
            yield from progress_bar(node.counts, self.unicode)
        if node.cache_status == "HIT":
            yield "  cached", "green"
        if node.attempt > 1:
            yield f"  attempt {node.attempt}", "yellow"
        if node.phase in (NodePhase.WAITING, NodePhase.QUEUED) and (why := waiting_words(node, self.now)):
            yield f"  {why}", "yellow"
        took = node.duration
        if took is None and node.phase is NodePhase.RUNNING and node.start_time:
            took = self.now - node.start_time
        if took is not None and node.cache_status != "HIT":
            yield f"  {span(max(took, timedelta()))}", "dim"
        if node.phase is NodePhase.SKIPPED:
            yield "  skipped", "dim"
        if with_failure and node.failure is not None and node.phase is not NodePhase.SUCCEEDED:
            first = node.failure.message.strip().splitlines() or [""]
            message = cut(first[0], LONGEST_MESSAGE, unicode=self.unicode)
            yield f"  {node.failure.code}: {message}" if message else f"  {node.failure.code}", "red"

    def glyph(self, phase: str) -> Piece:
        if self.spinner and phase in ("RUNNING", "FAILING", "ABORTING"):
            return self.spinner, GLYPHS[phase][1]
        return (GLYPHS[phase][0] if self.unicode else PLAIN_GLYPHS[phase]), GLYPHS[phase][1]

    def branch(self, last: bool) -> str:
        if self.unicode:
            return "└─ " if last else "├─ "
        return "`- " if last else "|- "


def _urgency(item: Node) -> tuple[int, tuple[tuple[int, int, str], ...]]:
    """Failed items first, then those under way, then those that wait."""
    order = {"FAILED": 0, "TIMED_OUT": 0, "RUNNING": 1, "WAITING": 2, "ABORTED": 3, "QUEUED": 4}
    return order.get(item.phase.value, 5), path_order(item.path)
