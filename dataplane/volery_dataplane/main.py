"""The worker's command: puts the parts together and runs them until told to stop."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import NoReturn

import structlog
from volery_telemetry import otel
from volery_telemetry.exposition import MetricsServer
from volery_telemetry.logs import configure
from volery_telemetry.loops import measure_lag
from volery_telemetry.pauses import spare_what_started

from volery_dataplane.clock import SteadyClock
from volery_dataplane.launch.choosing import CannotLaunch, Chosen, Surrounding, choose
from volery_dataplane.metrics import Sources, table
from volery_dataplane.settings import Settings, parse
from volery_dataplane.storage.bundles import BundleLimits, Bundles
from volery_dataplane.storage.carried import CarriedBlobs
from volery_dataplane.storage.choosing import ChosenBlobs
from volery_dataplane.wire.control_plane import GrpcControlPlane
from volery_dataplane.wire.credentials import BadCredentials, Credentials
from volery_dataplane.worker.logs import LogShipper
from volery_dataplane.worker.measures import Measures
from volery_dataplane.worker.ports import LauncherEvents, LogPiece, Observation
from volery_dataplane.worker.spans import AttemptSpans
from volery_dataplane.worker.taking import Taking
from volery_dataplane.worker.worker import Worker
from volery_dataplane.worker.worker_settings import WorkerSettings

log = structlog.get_logger(__name__)

LAST_UPLOADS = 15.0
"""Seconds that logs get to be stored at the end: a store that is away must not hold up the goodbye."""


@contextmanager
def exclusive(state: Path, worker_id: str) -> Iterator[None]:
    """Holds a worker's name on this machine, since two live workers must not share one.

    Raises:
        SystemExit: another process holds it.
    """
    state.mkdir(parents=True, exist_ok=True)
    with (state / f"{worker_id}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"another worker named {worker_id!r} runs with the state directory {state}")
        yield


async def run(settings: Settings) -> None:
    """Runs a worker until SIGTERM or SIGINT, then drains it."""
    scratch = settings.state / "scratch" / settings.worker_id
    shutil.rmtree(scratch, ignore_errors=True)  # left by a process of the same name that was killed
    control_plane = GrpcControlPlane(settings.server, credentials_of(settings), settings.transport)
    measures = Measures()
    tracing = otel.tracing(os.environ, "volery-worker")
    holder: list[Worker] = []
    clock = SteadyClock(lambda: not holder or holder[0].is_idle)

    def observed(observations: Sequence[Observation]) -> None:
        holder[0].observed(observations)

    def logged(pieces: Sequence[LogPiece]) -> None:
        holder[0].logged(pieces)

    blobs = ChosenBlobs(settings.storage_access, CarriedBlobs(control_plane, settings.tls_ca))
    chosen: list[Chosen] = []
    bundle_limits = (
        settings.bundle_size_limit,
        settings.bundle_unpacked_limit,
        settings.bundle_members_limit,
        settings.bundle_ratio_limit,
    )
    around = Surrounding(
        scratch=scratch,
        slots=settings.slots,
        log_size_limit=settings.log_size_limit,
        events=LauncherEvents(observed=observed, logged=logged),
        blobs=blobs,
        registrar=control_plane,
        interpreter=settings.interpreter,
        tls_ca=settings.tls_ca,
        secrets=settings.secrets.expanduser().absolute() if settings.secrets else None,
        bundle_limits=bundle_limits,
    )
    choice = await choose(
        settings.launcher,
        around,
        Bundles(
            settings.state / "bundles",
            control_plane.bundle,
            scratch / "unpacking",
            BundleLimits(*bundle_limits),
            shelf_limit=settings.bundle_room,
            used=lambda: chosen[0].bundles_in_use(),
        ),
    )
    chosen.append(choice)
    launcher = choice.launcher
    taking = Taking(control_plane, blobs, clock, tls_ca=_absolute(settings.tls_ca), adopts=launcher.adopts)
    logs = LogShipper(blobs, taking.log_place)
    worker = Worker(
        WorkerSettings(
            worker_id=settings.worker_id,
            session_id=uuid.uuid4().hex,
            executions=settings.executions,
            slots=settings.slots,
            version=version("volery-dataplane"),
        ),
        launcher,
        taking,
        logs,
        control_plane,
        clock,
        new_session_id=lambda: uuid.uuid4().hex,
        measures=measures,
        spans=AttemptSpans(tracing, settings.worker_id),
    )
    holder.append(worker)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await launcher.start()
    sources = Sources(measures, launcher.load, choice.waited, settings.slots, lambda: worker.held)
    metrics = None
    if settings.metrics:
        metrics = MetricsServer(
            (*table(sources), *choice.metrics), settings.metrics, is_open=settings.metrics_open
        )
        log.info("metrics are served", address=metrics.address)
    spare_what_started()
    lagging = asyncio.create_task(measure_lag(measures.lag))
    serving = asyncio.create_task(control_plane.serve(worker))
    announcing = asyncio.create_task(announce(settings, worker.connected))
    log.info("worker runs", server=settings.server, slots=settings.slots, launcher=settings.launcher)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    is_broken = serving.done()  # it ends only by a defect
    await worker.drain(0 if is_broken else settings.drain_grace)
    await logs.settle(LAST_UPLOADS)
    if not is_broken:
        await worker.leave()
    for task in (serving, announcing, stopping, lagging):
        task.cancel()
    await asyncio.gather(serving, announcing, stopping, lagging, return_exceptions=True)
    if metrics is not None:
        await asyncio.to_thread(metrics.close)
    if tracing is not None:
        await asyncio.to_thread(tracing.close)
    await taking.close()
    await control_plane.close()
    shutil.rmtree(scratch, ignore_errors=True)
    if is_broken:
        serving.result()  # let it be seen


def credentials_of(settings: Settings) -> Credentials:
    """What the worker shows of itself. The token leaves the environment, which children inherit."""
    token = os.environ.pop("VOLERY_TOKEN", "")
    if token and settings.token_file:
        raise BadCredentials("VOLERY_TOKEN and a token file are two ways to say one thing; keep one of them")
    return Credentials(
        token,
        settings.token_file,
        settings.tls_ca,
        settings.tls_client_certificate,
        settings.tls_client_key,
    )


def _absolute(path: str) -> str:
    """A file as tasks find it, whose working directory is another."""
    return str(Path(path).absolute()) if path else ""


async def announce(settings: Settings, connected: asyncio.Event) -> None:
    """Says when the worker is connected: by a file that appears whole, by a line to a descriptor."""
    await connected.wait()
    line = f"{os.getpid()}\n"
    if settings.ready_file:
        await asyncio.to_thread(write_whole, Path(settings.ready_file), line)
    if settings.ready_fd is not None:
        with os.fdopen(settings.ready_fd, "w") as stream:
            stream.write(line)


def write_whole(path: Path, text: str) -> None:
    """Writes a file that nobody ever sees in part."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text)
    part.replace(path)


def _leave_at_once(number: int, frame: FrameType | None) -> NoReturn:
    """Ends the process while it starts: it holds nothing yet.

    The first process of a container would not even notice a SIGTERM without a handler.
    """
    os._exit(128 + number)


def main() -> None:
    """The command `volery-worker`."""
    signal.signal(signal.SIGTERM, _leave_at_once)  # until it runs
    settings = parse()
    configure(settings.log_format, settings.log_level, plane="worker", worker=settings.worker_id)
    with exclusive(settings.state, settings.worker_id):
        if sys.platform == "win32":
            sys.exit("workers run on Linux and macOS")
        import uvloop

        try:
            uvloop.run(run(settings))
        except BadCredentials as problem:
            print(f"volery-worker: {problem}", file=sys.stderr)  # noqa: T201  # it is what the user reads
            sys.exit(2)
        except (otel.NotInstalled, CannotLaunch) as problem:
            sys.exit(f"volery-worker: {problem}")


if __name__ == "__main__":
    main()
