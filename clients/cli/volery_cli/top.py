"""Top: a live view of an engine's health."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from volery_cli.exits import Exit
from volery_cli.settings import Place, output_option, place_options

if TYPE_CHECKING:
    from rich.text import Text
    from volery.health import EngineHealth
    from volery.remote import Remote

INTERVAL = 1.0


@click.command()
@click.option("--once", is_flag=True, help="Show it once and end; so does -o, and a pipe.")
@click.option(
    "--every",
    type=click.FloatRange(min=0.2),
    default=INTERVAL,
    show_default=True,
    metavar="SECONDS",
    help="How often it is read again.",
)
@place_options
@output_option
def top(once: bool, every: float, place: Place, output: str) -> int:
    """Watch the engine: workers, queues, rates, what runs and what failed lately."""
    with place.connected() as remote:
        if output != "text":
            from volery_cli.output import show

            show(remote.health(), output)
            return Exit.OK
        if once or not sys.stdout.isatty():
            _print(remote.health())
            return Exit.OK
        try:
            _live(remote, every)
        except KeyboardInterrupt:
            return Exit.OK
    return Exit.OK


def _print(health: EngineHealth) -> None:
    from volery_cli.engine_view import lines
    from volery_cli.live import styled
    from volery_cli.output import speaks_unicode

    for line in lines(health, unicode=speaks_unicode(sys.stdout)):
        click.echo(styled(line))


def _live(remote: Remote, every: float) -> None:
    """Paints until interrupted. A server that is away for a while leaves the last view, and says so."""
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    with Live(console=console, screen=True, auto_refresh=False) as screen:
        for text in _views(remote, every, console.height):
            screen.update(text, refresh=True)


def _views(remote: Remote, every: float, height: int) -> Iterator[Text]:
    from rich.text import Text
    from volery.errors import UnavailableError

    from volery_cli.engine_view import lines
    from volery_cli.output import speaks_unicode

    unicode = speaks_unicode(sys.stdout)
    shown: list[Text] = []
    while True:
        begin = time.monotonic()
        try:
            found = lines(remote.health(listed=max(3, height // 4)), unicode=unicode)
            shown = [Text.assemble(*line.pieces, no_wrap=True, overflow="ellipsis") for line in found]
            note: list[Text] = []
        except UnavailableError as problem:
            note = [Text(f"the server is away: {problem}", style="red")]
        yield Text("\n").join([*note, *shown][: height - 1])
        time.sleep(max(0.0, every - (time.monotonic() - begin)))
