"""The command `volery-controlplane`: serve, migrate, check, prune, and the tokens of callers.

Exit codes: 0 all well; 1 it went wrong, and the last line says how; 2 wrong arguments or settings.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import asdict, fields
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

from volery_telemetry.exposition import UnsafeMetricsAddress
from volery_telemetry.logs import configure
from volery_telemetry.otel import NotInstalled
from volery_telemetry.pauses import spare_what_started

from volery_controlplane.assembly import ControlPlane, pruner_of
from volery_controlplane.domain.errors import Busy, Refusal
from volery_controlplane.grpc.addresses import UnsafeAddress
from volery_controlplane.grpc.tls import UnusableTls
from volery_controlplane.patience import patiently
from volery_controlplane.settings import BadSetting, Settings, read_storage
from volery_controlplane.storage.object_access import NoSuchStore
from volery_controlplane.store.database import SqlDatabase
from volery_controlplane.store.migrate import compact, ensure_schema, require_head
from volery_controlplane.token_command import add_token_commands, run_token_command
from volery_controlplane.web.settings import DataServerNotInstalled

EXIT_FAILED = 1
EXIT_USAGE = 2

_SETTINGS = frozenset(knob.name for knob in fields(Settings))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; gives its exit code."""
    parsed = _parser().parse_args(arguments)
    given = {name: value for name, value in vars(parsed).items() if name in _SETTINGS}
    try:
        settings = Settings.load(os.environ, **given)
    except BadSetting as problem:
        return _complain(str(problem), EXIT_USAGE)
    configure(settings.log_format, settings.log_level, plane="control")
    os.umask(0o077)  # the database and the store hold what users sent
    try:
        match parsed.command:
            case "serve":
                signal.signal(signal.SIGTERM, _leave_at_once)  # until it serves
                _run(_serve(settings, parsed.ready_fd, parsed.ready_file))
            case "migrate":
                signal.signal(signal.SIGTERM, _leave_at_once)
                patiently(parsed.patience, partial(ensure_schema, settings.database))
            case "check":
                signal.signal(signal.SIGTERM, _leave_at_once)
                patiently(parsed.patience, partial(require_head, settings.database))
            case "prune":
                asyncio.run(_prune(settings, is_report=parsed.dry_run, compacts=parsed.compact))
            case "tokens":
                run_token_command(settings, parsed)
    except (UnsafeAddress, UnsafeMetricsAddress, UnusableTls) as problem:
        return _complain(str(problem), EXIT_USAGE)
    except (NotInstalled, NoSuchStore, DataServerNotInstalled) as problem:
        return _complain(str(problem), EXIT_USAGE)
    except Refusal as problem:
        return _complain(problem.message, EXIT_FAILED)
    except OSError as problem:
        return _complain(str(problem), EXIT_FAILED)
    return 0


def _run(work: Coroutine[None, None, None]) -> None:
    import uvloop  # not on the path of the other commands

    uvloop.run(work)


def _leave_at_once(number: int, frame: FrameType | None) -> NoReturn:
    """Ends the process while it starts: nothing is served yet, and what was begun is safe to repeat.

    The first process of a container would not even notice a SIGTERM without a handler.
    """
    os._exit(128 + number)


async def _serve(settings: Settings, ready_fd: int | None, ready_file: Path | None) -> None:
    plane = ControlPlane(settings)
    address = await plane.start()
    spare_what_started()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, plane.request_stop)
    if ready_file is not None:
        _write_whole(ready_file, f"{address}\n")
    if ready_fd is not None:
        with os.fdopen(ready_fd, "w") as stream:
            stream.write(f"{address}\n")
    await plane.wait()


async def _prune(settings: Settings, *, is_report: bool, compacts: bool) -> None:
    """Removes, or only counts, what is no longer kept, and prints a line for each matter."""
    database = await asyncio.to_thread(SqlDatabase.open, settings.database, settings.synchronous)
    try:
        pruner = pruner_of(settings, database, rest=0.0)
        pruned = await (pruner.report() if is_report else pruner.round())
        if pruned is None:
            raise Busy("a control plane is pruning this database at the moment; it does the same")
        if not is_report:
            await pruner.let_go()
    finally:
        await asyncio.to_thread(database.close)
    for name, count in asdict(pruned).items():
        if name == "notes":
            for note in count:
                print(f"volery-controlplane: {note}", file=sys.stderr)  # noqa: T201  # the user reads it
        elif not is_report or name in ("executions", "journals", "logs"):
            print(f"{name.replace('_', ' '):14} {count}")  # noqa: T201  # it is what was asked for
    if compacts:
        compact(settings.database)


def _write_whole(path: Path, text: str) -> None:
    """Writes a file that nobody ever sees in part."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text)
    part.replace(path)


def _complain(message: str, code: int) -> int:
    print(f"volery-controlplane: {message}", file=sys.stderr)  # noqa: T201  # it is what the user reads
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="volery-controlplane",
        description="Volery's control plane. Each option may also be given as an environment variable, "
        "VOLERY_ and its name.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    database = argparse.ArgumentParser(add_help=False)
    database.add_argument("--database", help="sqlite:///path or postgresql://…")
    database.add_argument(
        "--database-file", type=Path, help="a file that holds it instead, where it has a password"
    )
    database.add_argument("--synchronous", choices=("full", "normal", "off"), help="SQLite's durability")
    database.add_argument("--log-format", choices=("console", "json"), help="how its own log is written")
    database.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), help="the least that is logged"
    )
    serve = commands.add_parser("serve", parents=[database], help="serve clients and workers")
    serve.add_argument(
        "--listen", help="unix:///path or host:port; beyond loopback with authentication and TLS only"
    )
    serve.add_argument(
        "--authentication", choices=("off", "required"), help="whether callers show a token or certificate"
    )
    serve.add_argument("--tls-certificate", type=Path, help="the server's certificate, in PEM")
    serve.add_argument("--tls-key", type=Path, help="its private key")
    serve.add_argument("--tls-client-ca", type=Path, help="require client certificates of these authorities")
    serve.add_argument(
        "--certificate-roles", type=_list, help="what clients with a certificate are: NAME=ROLE,…"
    )
    serve.add_argument("--public-address", help="where tasks reach this server")
    storage = "the object store: a directory, or s3://bucket/prefix, gs://…, az://…"
    serve.add_argument("--storage", type=read_storage, help=storage)
    serve.add_argument("--storage-public-endpoint", help="its service's URL as tasks and clients know it")
    serve.add_argument(
        "--unheld-uploads",
        choices=("store", "data-server"),
        help="which way content goes that the store cannot hold to its size and checksum",
    )
    serve.add_argument("--data-listen", help="host:port of the data server; none unless given")
    serve.add_argument("--data-public-address", help="its URL as tasks and clients know it")
    serve.add_argument(
        "--migrate", action="store_true", default=None, help="bring the database to head first"
    )
    serve.add_argument("--lease-seconds", dest="lease", type=_seconds, help="how long a worker's lease lasts")
    serve.add_argument("--drain-seconds", dest="drain", type=_seconds, help="how long a shutdown waits")
    serve.add_argument(
        "--resource-defaults", help="what attempts request that ask for nothing, e.g. cpu=500m,memory=1Gi"
    )
    serve.add_argument("--resource-default-limits", help="what such attempts may not exceed, alike")
    serve.add_argument("--resource-maximum", help="the most that an attempt gets, alike; more is lowered")
    serve.add_argument(
        "--drain-delay-seconds",
        dest="drain_delay",
        type=_seconds,
        help="how long before that it says that it is not ready",
    )
    serve.add_argument("--metrics", help="host:port of Prometheus metrics; none unless given")
    serve.add_argument(
        "--metrics-open",
        action="store_true",
        default=None,
        help="let others than users of this machine read them",
    )
    serve.add_argument("--ready-fd", type=int, help="gets the address when serving, then is closed")
    serve.add_argument("--ready-file", type=Path, help="gets the address when serving")
    pruning = commands.add_parser("prune", parents=[database], help="remove what is no longer kept, now")
    pruning.add_argument("--storage", type=read_storage, help=storage)
    pruning.add_argument(
        "--dry-run", action="store_true", help="only count executions, journals and logs that are due"
    )
    pruning.add_argument(
        "--compact", action="store_true", help="then give SQLite's free pages back; stop the server before"
    )
    patient = argparse.ArgumentParser(add_help=False)
    patient.add_argument(
        "--patience", type=float, default=0.0, metavar="SECONDS", help="how long to wait until it can be done"
    )
    commands.add_parser("migrate", parents=[database, patient], help="bring the database to head")
    commands.add_parser("check", parents=[database, patient], help="say whether the database is at head")
    add_token_commands(commands, database)
    return parser


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _seconds(text: str) -> timedelta:
    return timedelta(seconds=float(text))


if __name__ == "__main__":
    sys.exit(main())
