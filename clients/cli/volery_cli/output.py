"""Output: results as text for people, or as JSON and YAML for programs.

Results go to standard output, everything else to standard error, so that a pipe gets the result alone.
Colour is left out where standard output is not a terminal, or `NO_COLOR` is set.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click


def show(value: Any, output: str) -> None:
    """Print a result for programs."""
    if output == "json":
        click.echo(json.dumps(jsonable(value), indent=2, ensure_ascii=False))
    else:
        import yaml

        click.echo(yaml.safe_dump(jsonable(value), sort_keys=False, allow_unicode=True).rstrip())


def jsonable(value: Any) -> Any:
    """A value made of what JSON has: times as ISO 8601, spans in seconds, bytes in base64."""
    match value:
        case None | bool() | int():
            return value
        case enum.Enum():
            return value.value
        case str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes():
            return base64.b64encode(value).decode()
        case Mapping():
            return {str(name): jsonable(part) for name, part in value.items()}
        case Path():
            return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Iterable):
        return [jsonable(part) for part in value]
    return str(value)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Print a table whose columns are as wide as needed; in a terminal the last column is cut to fit."""
    cells = [list(row) for row in rows]
    if not cells:
        click.echo(empty, err=True)
        return
    widths = [max(len(row[index]) for row in [list(columns), *cells]) for index in range(len(columns))]
    room = _terminal_width()
    click.secho(_row([name.upper() for name in columns], widths, room), dim=True)
    for row in cells:
        click.echo(_row(row, widths, room))


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names and values; those without a value are left out."""
    kept = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        first, *more = value.splitlines() or [""]
        click.echo(f"{click.style(name.ljust(width), dim=True)}  {first}")
        for line in more:
            click.echo(f"{' ' * width}  {line}")


def span(value: timedelta | float | None) -> str:
    """A span of time as people say it: `85 ms`, `3.2 s`, `4 min 7 s`, `2 h 5 min`."""
    if value is None:
        return ""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    seconds = max(seconds, 0.0)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def ago(time: datetime | None, now: datetime) -> str:
    """How long ago, in one unit."""
    if time is None:
        return ""
    seconds = max((now - time).total_seconds(), 0.0)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def moment(time: datetime | None) -> str:
    """A time in the zone of whoever reads it."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z") if time else ""


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def size_text(size: int) -> str:
    """A size in bytes as people say it: `812 B`, `2.3 KiB`, `41 MiB`."""
    amount, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1023.5:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 9.95 else f"{amount:.1f} {unit}"


def cut(text: str, length: int, *, count: bool = False, unicode: bool | None = None) -> str:
    """At most so much of a text, with a sign where it was cut, and its length if that is asked for."""
    if len(text) <= length:
        return text
    sign = ellipsis(unicode)
    return (
        f"{text[:length]}{sign} ({len(text)} characters)" if count else f"{text[: length - len(sign)]}{sign}"
    )


def ellipsis(unicode: bool | None = None) -> str:
    """The sign for what is left out, as standard output can carry it."""
    return "…" if (speaks_unicode(sys.stdout) if unicode is None else unicode) else "..."


def speaks_unicode(stream: object) -> bool:
    """Whether a stream can carry the characters of trees and signs."""
    encoding = getattr(stream, "encoding", None) or "ascii"
    try:
        "└─✔━●…".encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def _row(cells: Sequence[str], widths: Sequence[int], room: int) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    line = "  ".join(padded).rstrip()
    return cut(line, room) if room else line


def _terminal_width() -> int:
    """The terminal's width; 0 where standard output is none."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
