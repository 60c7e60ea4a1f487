"""Live: follows an execution and shows it while it runs, on standard error.

In a terminal a tree that repaints itself; elsewhere one plain line per thing that happened, so that a log
of it reads well.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import click
from volery.executions import Execution, Node, NodePhase

from volery_cli.output import now, span, speaks_unicode
from volery_cli.tree import GLYPHS, PLAIN_GLYPHS, Line, Tree, fitting, label_of, waiting_words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text
    from volery.run import Change, Run

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
PLAIN_SPINNER = "|/-\\"
REPAINTS_PER_SECOND = 8
MOST_TOLD = 1000
"""A watch tells of at most so many nodes at a time."""


def follow(run: Run, expected: Sequence[tuple[str, str]] = ()) -> Execution:
    """Show an execution until it is over; gives it as it ended."""
    for warning in run.execution.warnings:
        click.echo(f"warning: {warning}", err=True)
    tree = Tree(run.execution, expected)
    if run.phase.is_terminal:
        return run.execution
    if sys.stderr.isatty():
        with _painted(tree) as guard:
            for change in _whole(run):
                with guard:
                    tree.fold(change.execution, change.nodes)
    else:
        narrator = Narrator(run.execution)
        for change in run.watch(items=False):
            for line in narrator.tell(change):
                click.echo(line, err=True)
    return run.execution if run.phase.is_terminal else run.refresh()


def _whole(run: Run) -> Iterator[Change]:
    """The changes; where more happened than a watch tells, with the top of the tree as it stands."""
    first = True
    for change in run.watch(items=False):
        if first or change.changed >= MOST_TOLD:
            top = islice(run.nodes(recursive=False), MOST_TOLD)
            change = replace(change, nodes=(*change.nodes, *top))
        first = False
        yield change


def print_tree(run: Run, nodes: Iterable[Node], *, err: bool = True) -> None:
    """Print the tree of an execution as it stands."""
    tree = Tree(run.execution)
    tree.fold(run.execution, nodes)
    for line in tree.lines(now(), unicode=speaks_unicode(sys.stderr if err else sys.stdout)):
        click.echo(styled(line), err=err)


def styled(line: Line) -> str:
    """A line with the terminal's codes for its styles; click leaves them out where there is no terminal."""
    return "".join(_styled(text, style) for text, style in line.pieces)


class Narrator:
    """Says what happened since the last change, line by line."""

    def __init__(self, execution: Execution) -> None:
        self._phase = ""
        self._begin = execution.create_time
        self._known: dict[str, tuple[str, int, str, str]] = {}
        self._labels: dict[str, str] = {}
        self._tenths: dict[str, int] = {}
        self._glyphs = (
            {phase: glyph for phase, (glyph, _) in GLYPHS.items()}
            if speaks_unicode(sys.stderr)
            else dict(PLAIN_GLYPHS)
        )

    def tell(self, change: Change) -> Iterator[str]:
        """The lines for a change."""
        execution = change.execution
        if change.history_cut:
            yield self._line(execution.phase.value, "some of what happened before is no longer kept")
        ended = execution.phase.is_terminal
        if execution.phase.value != self._phase and not ended:
            self._phase = execution.phase.value
            yield self._line(execution.phase.value, f"{execution.name} {_word(execution.phase.value)}")
        for node in change.nodes:
            yield from self._node(node)

    def _node(self, node: Node) -> Iterator[str]:
        waits_for = (
            (node.waiting_reason, node.waiting_message) if node.phase is NodePhase.QUEUED else ("", "")
        )
        standing = (node.phase.value, node.attempt, *waits_for)
        self._labels.setdefault(node.path, label_of(node))
        before = self._known.get(node.path)
        if before == standing:
            if node.kind == "MAP" and node.counts is not None:
                yield from self._progress(node)
            return
        if node.is_item and not _is_notable(node):
            return
        self._known[node.path] = standing
        name = label_of(node, self._labels.get(node.parent_path, ""))
        label = f"{name} ({node.path})" if name != node.path else node.path
        text = f"{label} {_word(node.phase.value)}"
        if node.phase is NodePhase.WAITING or waits_for[0]:
            text = f"{label} {waiting_words(node, now())}"
        if node.cache_status == "HIT":
            text += " from the cache"
        elif node.phase.is_terminal and node.duration is not None:
            text += f" after {span(node.duration)}"
        if node.attempt > 1:
            text += f", attempt {node.attempt}"
        if node.failure is not None and node.phase is not NodePhase.SUCCEEDED:
            first = (node.failure.message.strip().splitlines() or [""])[0]
            text += f": {node.failure.code}: {first}" if first else f": {node.failure.code}"
        yield self._line(node.phase.value, text)
        if node.kind == "MAP" and node.counts is not None and not node.phase.is_terminal:
            yield from self._progress(node)

    def _progress(self, node: Node) -> Iterator[str]:
        """A line for each tenth of a map."""
        counts = node.counts
        if counts is None or counts.total < 10:
            return
        tenth = 10 * counts.ended // counts.total
        if tenth > self._tenths.get(node.path, 0):
            self._tenths[node.path] = tenth
            failed = f", {counts.failed} failed" if counts.failed else ""
            yield self._line(node.phase.value, f"{label_of(node)} {counts.ended}/{counts.total}{failed}")

    def _line(self, phase: str, text: str) -> str:
        since = (now() - self._begin).total_seconds() if self._begin else 0.0
        return f"{max(since, 0.0):8.1f} s  {self._glyphs[phase]} {text}"


def _is_notable(item: Node) -> bool:
    """Whether an item of a map deserves a line of its own."""
    return item.phase in (NodePhase.FAILED, NodePhase.TIMED_OUT, NodePhase.WAITING)


def _word(phase: str) -> str:
    return phase.lower().replace("_", " ")


@contextmanager
def _painted(tree: Tree) -> Iterator[threading.Lock]:
    """A tree that repaints itself, and disappears at the end; the lock is held while it is changed."""
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False)
    guard = threading.Lock()
    frames = SPINNER if speaks_unicode(sys.stderr) else PLAIN_SPINNER
    with Live(
        console=console,
        refresh_per_second=REPAINTS_PER_SECOND,
        transient=True,
        get_renderable=lambda: _rendered(tree, guard, console, frames),
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        yield guard


def _rendered(tree: Tree, guard: threading.Lock, console: Console, frames: str) -> Text:
    from rich.text import Text

    moment = now()
    frame = frames[int(moment.timestamp() * REPAINTS_PER_SECOND) % len(frames)]
    with guard:
        lines = tree.lines(moment, spinner=frame, unicode=frames is SPINNER)
    text = Text(no_wrap=True, overflow="ellipsis")
    for index, line in enumerate(fitting(lines, max(console.height - 2, 4))):
        if index:
            text.append("\n")
        for piece, style in line.pieces:
            text.append(piece, style=style)
    return text


def _styled(text: str, style: str) -> str:
    if not style:
        return text
    words = style.split()
    colours = [word for word in words if word not in ("bold", "dim")]
    return click.style(
        text, fg=colours[0] if colours else None, bold="bold" in words or None, dim="dim" in words or None
    )
