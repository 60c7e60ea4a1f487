"""Logs: what tasks wrote, as far as it is known, and with `-f` as it is written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from volery_cli.exits import Exit
from volery_cli.settings import Count, Place, place_options

if TYPE_CHECKING:
    from volery.executions import LogPiece, Node
    from volery.run import Run

COLOURS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_green", "bright_magenta")


@click.command()
@click.argument("name")
@click.argument("path", required=False, default="", metavar="[NODE]")
@click.option("-f", "--follow", is_flag=True, help="Go on until the execution is over.")
@click.option("--attempt", type=Count(1), help="Only this attempt.")
@click.option("--stream", type=click.Choice(["stdout", "stderr", "platform"]), help="Only this stream.")
@click.option("--raw", is_flag=True, help="Bytes as they were written, without saying which node wrote them.")
@place_options
def logs(
    name: str, path: str, follow: bool, attempt: int | None, stream: str | None, raw: bool, place: Place
) -> int:
    """Show what the tasks of an execution wrote, or of one node and what lies below it.

    Each line says which node wrote it, unless one node was named. What went to standard error goes there.
    """
    with place.connected(worker=follow) as remote:
        run = remote.execution(name)
        printer = Printer(prefixed=not raw and not path, label=Labels(run).of)
        for piece in run.logs(path, attempt=attempt or 0, follow=follow):
            if stream is None or piece.stream == stream.upper():
                printer.take(piece, raw=raw)
        printer.finish()
    return Exit.OK


class Labels:
    """How nodes are called, asked for when one is met first."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._nodes: dict[str, Node] = {}

    def of(self, path: str) -> str:
        """A node's name and path; for an item of a map the map's name and its index."""
        from volery.errors import NotFoundError

        from volery_cli.failure import place_of

        above, _, last = path.rpartition("/")
        asked = above if last.isdigit() else path
        try:
            if asked not in self._nodes:
                self._nodes[asked] = self._run.node(asked)[0]
        except NotFoundError:
            return path
        return place_of(path, self._nodes)


class Printer:
    """Prints pieces line by line; a line is printed when it is whole."""

    def __init__(self, *, prefixed: bool, label: Callable[[str], str] = str) -> None:
        self._prefixed = prefixed
        self._label = label
        self._labels: dict[str, str] = {}
        self._parts: dict[tuple[str, int, str], bytes] = {}
        self._colours: dict[str, str] = {}

    def take(self, piece: LogPiece, *, raw: bool = False) -> None:
        """Print what is whole."""
        out = sys.stderr if piece.stream == "STDERR" else sys.stdout
        if raw:
            out.buffer.write(piece.data)
            out.buffer.flush()
            return
        key = (piece.path, piece.attempt, piece.stream)
        *whole, rest = (self._parts.get(key, b"") + piece.data).split(b"\n")
        self._parts[key] = rest
        for line in whole:
            self._print(key, line)

    def finish(self) -> None:
        """Print the lines that never ended."""
        for key, rest in self._parts.items():
            if rest:
                self._print(key, rest)
        self._parts.clear()

    def _print(self, key: tuple[str, int, str], line: bytes) -> None:
        path, attempt, stream = key
        text = line.decode(errors="replace").rstrip("\r")
        if stream == "PLATFORM":
            text = click.style(text, dim=True)
        if self._prefixed:
            if path not in self._labels:
                self._labels[path] = self._label(path)
            label = f"{self._labels[path]} #{attempt}" if attempt > 1 else self._labels[path]
            colour = self._colours.setdefault(path, COLOURS[len(self._colours) % len(COLOURS)])
            text = f"{click.style(label, fg=colour)} {click.style('|', dim=True)} {text}"
        click.echo(text, err=stream == "STDERR")
