"""The commands `volery-controlplane tokens create|accept|list|revoke`.

They act on the database, so who may open that is the first administrator. A token is shown once, on standard
output or into a file of its own; it is never taken as an argument, which other users of a machine can read.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from volery_controlplane.domain.errors import Invalid
from volery_controlplane.domain.principals import GRANTABLE
from volery_controlplane.domain.records import Micros
from volery_controlplane.domain.tokens import TokenRecord
from volery_controlplane.private_files import NotPrivate, require_private
from volery_controlplane.services.tokens import Tokens
from volery_controlplane.settings import Settings
from volery_controlplane.store.database import SqlDatabase

if TYPE_CHECKING:
    # argparse's own name of what add_subparsers gives is private
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_SPAN = re.compile(r"([1-9][0-9]*)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def add_token_commands(commands: Commands, database: argparse.ArgumentParser) -> None:
    """Adds the commands to those of the program; `database` has the options of its database."""
    parser = commands.add_parser("tokens", help="make, list and revoke the tokens of callers")
    verbs = parser.add_subparsers(dest="verb", required=True)
    bearer = argparse.ArgumentParser(add_help=False)
    bearer.add_argument("--name", required=True, help="who bears it, for the records")
    bearer.add_argument(
        "--role", required=True, choices=[str(role) for role in GRANTABLE], help="what its bearer may do"
    )
    bearer.add_argument(
        "--project", action="append", default=[], help="limit it to this project; may be repeated"
    )
    bearer.add_argument("--expires", type=_span, help="when it ends: 12h, 90d or 52w; never by default")
    create = verbs.add_parser("create", parents=[database, bearer], help="make a token and show it once")
    accept = verbs.add_parser(
        "accept", parents=[database, bearer], help="take a token made elsewhere; again changes nothing"
    )
    accept.add_argument("file", type=Path, help="holds the token; mode 0600")
    create.add_argument("--output", type=Path, help="a new file for the token, instead of standard output")
    verbs.add_parser("list", parents=[database], help="list tokens, without their secrets")
    revoke = verbs.add_parser("revoke", parents=[database], help="refuse a token from now on")
    revoke.add_argument("token", metavar="ID|NAME", help="one token by its id, or all of a name")


def run_token_command(settings: Settings, parsed: argparse.Namespace) -> None:
    """Does what was asked.

    Raises:
        Refusal: what was asked cannot be done.
        OSError: the output cannot be written.
    """
    asyncio.run(_run(settings, parsed))


async def _run(settings: Settings, parsed: argparse.Namespace) -> None:
    database = await asyncio.to_thread(SqlDatabase.open, settings.database, settings.synchronous)
    try:
        tokens = Tokens(database)
        match parsed.verb:
            case "create":
                await _create(tokens, parsed)
            case "accept":
                await _accept(tokens, parsed)
            case "list":
                records, now = await tokens.all()
                _print_table(records, now)
            case "revoke":
                for record in await tokens.revoke(parsed.token):
                    _say(f"revoked {record.token_id} of {record.name}")
    finally:
        await asyncio.to_thread(database.close)


async def _create(tokens: Tokens, parsed: argparse.Namespace) -> None:
    stream = sys.stdout if parsed.output is None else _new_file(parsed.output)
    try:
        made = await tokens.create(parsed.name, parsed.role, parsed.project, parsed.expires)
    except BaseException:
        if parsed.output is not None:
            parsed.output.unlink(missing_ok=True)
        raise
    print(made.text, file=stream, flush=True)  # it is what was asked for
    if stream is not sys.stdout:
        stream.close()
    _say(
        f"made token {made.record.token_id} of {made.record.name}, {made.record.role}; it is not shown again"
    )


async def _accept(tokens: Tokens, parsed: argparse.Namespace) -> None:
    try:
        require_private(parsed.file, "the token")
    except NotPrivate as problem:
        raise Invalid(str(problem)) from problem
    text = (await asyncio.to_thread(parsed.file.read_text)).strip()
    record, is_new = await tokens.accept(parsed.name, parsed.role, text, parsed.project, parsed.expires)
    _say(f"{'accepted' if is_new else 'knows'} token {record.token_id} of {record.name}, {record.role}")


def _new_file(path: Path) -> TextIO:
    """A file that only its owner may read and that was not there before."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")


def _print_table(records: Sequence[TokenRecord], now: Micros) -> None:
    rows = [("ID", "NAME", "ROLE", "PROJECTS", "CREATED", "EXPIRES", "STATE")]
    rows += [
        (
            each.token_id,
            each.name,
            str(each.role),
            ",".join(each.projects) or "all",
            _moment(each.create_time),
            _moment(each.expire_time),
            _state(each, now),
        )
        for each in records
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        print(line.rstrip())  # noqa: T201  # it is what was asked for


def _state(token: TokenRecord, now: Micros) -> str:
    if token.revoke_time is not None:
        return "revoked"
    return "expired" if token.expire_time is not None and now >= token.expire_time else "good"


def _moment(time: Micros | None) -> str:
    return "never" if time is None else f"{datetime.fromtimestamp(time / 1e6, UTC):%Y-%m-%dT%H:%MZ}"


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201  # for the person; standard output is for the token


def _span(text: str) -> timedelta:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no span: write 12h, 90d or 52w")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
