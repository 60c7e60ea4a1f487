"""Timeline: shows where the time of one execution went, in the terminal, for programs, or as a page."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from volery_cli.exits import Exit
from volery_cli.settings import Place, output_option, place_options

if TYPE_CHECKING:
    from volery_cli.gantt import Row, Timeline
    from volery_cli.tree import Line, Piece

WIDTH_OF_FILES = 100
LONGEST_LABEL = 32
MOST_STEPS = 12


@click.command()
@click.argument("name", metavar="EXECUTION")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page to this file.")
@place_options
@output_option
def timeline(name: str, html: Path | None, place: Place, output: str) -> int:
    """Show where the time of an execution went: waiting, start-up, user code, commit."""
    from volery_cli.gantt import document
    from volery_cli.gantt import timeline as lay_out
    from volery_cli.output import now, show

    with place.connected() as remote:
        run = remote.execution(name)
        found = lay_out(run.execution, run.nodes(), run.attempts(), now())
    if html is not None:
        from volery_cli.gantt_page import page

        html.write_text(page(found), encoding="utf-8")
        click.echo(f"written to {html}", err=True)
        if output == "text":
            return Exit.OK
    if output != "text":
        show(document(found), output)
        return Exit.OK
    _print(found)
    return Exit.OK


def _print(found: Timeline) -> None:
    import shutil

    from volery_cli.live import styled
    from volery_cli.output import speaks_unicode

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_OF_FILES
    for line in chart(found, width, unicode=speaks_unicode(sys.stdout)):
        click.echo(styled(line))


def chart(found: Timeline, width: int, *, unicode: bool = True) -> Iterator[Line]:
    """The chart in lines of at most so many columns."""
    from volery_cli.output import cut, span
    from volery_cli.tree import Line

    labels = ["  " * row.depth + row.label for row in found.rows]
    room = min(max((len(label) for label in labels), default=0), LONGEST_LABEL, max(8, width // 3))
    bars = max(10, width - room - 12)
    whole = max([found.seconds, *(bar.end for bar in found.bars)])
    yield Line(
        found.phase,
        (
            (found.name, "bold"),
            (f"  {found.phase.lower().replace('_', ' ')}", "dim"),
            (f"  {span(found.seconds)}", ""),
        ),
    )
    if not found.bars:
        yield Line("", (("nothing has begun to run yet", "dim"),))
        return
    scale = span(whole)
    yield Line("", ((" " * (room + 2) + "0" + " " * max(1, bars - 1 - len(scale)) + scale, "dim"),))
    for row, label in zip(found.rows, labels, strict=True):
        style = "red" if row.phase in ("FAILED", "TIMED_OUT") else ""
        pieces: list[Piece] = [(cut(label, room, unicode=unicode).ljust(room + 2), style)]
        pieces += _painted(row, whole, bars, unicode)
        if row.bars:
            pieces.append((f" {span(row.end - row.begin)}", "dim"))
        yield Line(row.phase, tuple(pieces))
    yield Line("", ())
    yield Line(
        "", (("all attempts     ", "dim"), *_sums({p.value: s for p, s in found.sums.items()}, unicode))
    )
    yield Line("", (("on critical path ", "dim"), *_sums(found.path_sums(), unicode)))
    yield Line("", tuple(_path(found, unicode)))


def _painted(row: Row, whole: float, width: int, unicode: bool) -> Iterator[Piece]:
    cells = row.cells(whole, width)
    begin = 0
    for index in range(1, width + 1):
        if index == width or cells[index] is not cells[begin]:
            part = cells[begin]
            sign, style = (" ", "") if part is None else _look(part.value, unicode)
            yield sign * (index - begin), style
            begin = index


def _look(part: str, unicode: bool) -> tuple[str, str]:
    """The sign and the style of a part."""
    signs = {
        "waiting": ("░", ".", "dim"),
        "start-up": ("▒", "s", "yellow"),
        "user code": ("█", "#", "green"),
        "commit": ("▓", "c", "cyan"),
    }
    rich, plain, style = signs.get(part, ("▓", "c", "cyan"))
    return (rich if unicode else plain), style


def _sums(sums: Mapping[str, float], unicode: bool) -> Iterator[Piece]:
    from volery_cli.output import span

    total = sum(sums.values())
    for index, (part, seconds) in enumerate(sums.items()):
        sign, style = _look(part, unicode)
        yield ("   " if index else ""), ""
        yield sign, style
        share = f" ({100 * seconds / total:.0f}%)" if total else ""
        yield f" {part} {span(seconds)}{share}", ""


def _path(found: Timeline, unicode: bool) -> Iterator[Piece]:
    arrow = " → " if unicode else " > "
    yield "critical path    ", "dim"
    yield arrow.join(found.path_names(MOST_STEPS)), ""
