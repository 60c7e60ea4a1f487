"""Makes the launcher that the worker's settings name. What a launcher needs is imported only with it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from volery_telemetry.exposition import Metric
from volery_telemetry.measures import Distribution

from volery_dataplane.launch.bundles import FetchBundle
from volery_dataplane.launch.process import ProcessLauncher
from volery_dataplane.launch.settings import ProcessSettings
from volery_dataplane.worker.ports import Blobs, Launcher, LauncherEvents, Registrar


class CannotLaunch(Exception):
    """The launcher that was asked for cannot be had; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Surrounding:
    """What a launcher is made in.

    Attributes:
        scratch: a directory of its own.
        slots: attempts at a time.
        log_size_limit: bytes of an attempt's output that are kept.
        events: where it puts what it sees.
        blobs: the object store.
        registrar: knows which attempts are live.
        interpreter: runs tasks of processes.
        tls_ca: a file of the authorities by which tasks know the control plane.
        secrets: the directory of secrets of processes; None for none.
        bundle_limits: what code bundles may be: bytes, bytes of all files, files, and how many times its
            size one may unpack to.
    """

    scratch: Path
    slots: int
    log_size_limit: int
    events: LauncherEvents
    blobs: Blobs
    registrar: Registrar
    interpreter: str = ""
    tls_ca: str = ""
    secrets: Path | None = None
    bundle_limits: tuple[int, int, int, int] = (256 * 1024 * 1024, 1024 * 1024 * 1024, 20_000, 200)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A launcher, and what is asked of it beside the port.

    Attributes:
        launcher: the launcher.
        waited: how long attempts waited in it.
        bundles_in_use: the code bundles it may still need.
        metrics: those that are its own.
    """

    launcher: Launcher
    waited: Distribution
    bundles_in_use: Callable[[], frozenset[str]] = frozenset
    metrics: Sequence[Metric] = field(default=())


async def choose(name: str, around: Surrounding, fetch_bundle: FetchBundle) -> Chosen:
    """The launcher of a name; raises CannotLaunch."""
    if name == "kubernetes":
        return await _kubernetes()(around)
    settings = ProcessSettings(
        secrets=around.secrets,
        directory=around.scratch,
        slots=around.slots,
        interpreter=around.interpreter or sys.executable,
        output_cap=around.log_size_limit,
    )
    launcher = ProcessLauncher(settings, around.events, fetch_bundle)
    return Chosen(launcher, launcher.waited, launcher.bundles_in_use)


def _kubernetes() -> Callable[[Surrounding], Awaitable[Chosen]]:
    try:
        from volery_dataplane.launch.kubernetes.wiring import kubernetes_launcher
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in ("kubernetes", "aiohttp"):
            raise
        raise CannotLaunch(
            "the launcher of pods is not installed here: pip install 'volery-dataplane[kubernetes]'"
        ) from missing
    return kubernetes_launcher
