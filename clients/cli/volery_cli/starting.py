"""Starting: a line in a terminal that says what is awaited before there is anything to show.

Written to standard error and taken away again; nothing where that is no terminal.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from volery_cli.output import cut

ERASE = "\r\x1b[K"


@contextmanager
def transient(text: str) -> Iterator[None]:
    """Show a dim line for the time of the block."""
    if not sys.stderr.isatty():
        yield
        return
    shown = cut(text, max(shutil.get_terminal_size().columns - 1, 20))
    # The cursor goes back to the beginning, so that what the user's module prints does not follow the line.
    click.echo(f"{ERASE}{click.style(shown, dim=True)}\r", nl=False, err=True)
    try:
        yield
    finally:
        click.echo(ERASE, nl=False, err=True)
