"""Every knob of a worker, its default and its environment name."""

from __future__ import annotations

import argparse
import os
import socket
from dataclasses import dataclass, fields
from pathlib import Path

from volery_telemetry.exposition import UnsafeMetricsAddress
from volery_telemetry.exposition import parse as parse_metrics
from volery_telemetry.logs import FORMATS, LEVELS

from volery_dataplane.storage.choosing import STORAGE_ACCESSES, StorageAccess
from volery_dataplane.wire.choosing import TRANSPORTS, TransportName
from volery_dataplane.wire.local_stream import local_socket
from volery_dataplane.wire.servers import addresses

MIB = 1024 * 1024
LAUNCHERS = ("process", "kubernetes")
PODS = 500
"""Pods at a time, where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A worker's settings.

    Attributes:
        server: the control plane, `unix:///path`, `host:port` or `https://host:port`, or several on one
            database, separated by commas (VOLERY_SERVER).
        worker_id: stable name; one live worker a name (VOLERY_WORKER_ID).
        state: directory for bundles, scratch files and the name's lock (VOLERY_WORKER_STATE).
        launcher: what runs tasks: `process`, or `kubernetes` for pods (VOLERY_WORKER_LAUNCHER).
        slots: task processes, or pods, at a time (VOLERY_WORKER_SLOTS).
        executions: executions walked at a time (VOLERY_WORKER_EXECUTIONS).
        drain_grace: seconds that running tasks get to end on SIGTERM (VOLERY_WORKER_DRAIN_GRACE).
        log_size_limit: bytes of each of its two streams that an attempt keeps (VOLERY_LOG_SIZE_LIMIT).
        bundle_size_limit: bytes of a code bundle (VOLERY_BUNDLE_SIZE_LIMIT).
        bundle_unpacked_limit: bytes of its files (VOLERY_BUNDLE_UNPACKED_LIMIT).
        bundle_members_limit: how many files it has (VOLERY_BUNDLE_MEMBERS_LIMIT).
        bundle_ratio_limit: how many times its size it unpacks to (VOLERY_BUNDLE_RATIO_LIMIT).
        interpreter: the Python that runs tasks; empty for the worker's own (VOLERY_TASK_PYTHON).
        secrets: the directory of secrets, with a file `group/key` each; None for none
            (VOLERY_WORKER_SECRETS).
        bundle_room: bytes of unpacked bundles that are kept, and those in use (VOLERY_WORKER_BUNDLE_ROOM).
        transport: what the work stream travels over: `local`, the control plane's second Unix socket;
            `grpc`; or `auto`, the local one where there is one (VOLERY_WORKER_TRANSPORT).
        storage_access: how it reaches the object store: `direct`, with the directory or with credentials in
            its environment; `data-server`, through the control plane; or `auto`, direct where it can
            (VOLERY_WORKER_STORAGE_ACCESS).
        metrics: `host:port` of Prometheus metrics, loopback only; empty for none (VOLERY_WORKER_METRICS).
        metrics_open: whether others than users of this machine may read them (VOLERY_WORKER_METRICS_OPEN).
        log_format: `console` or `json` (VOLERY_WORKER_LOG_FORMAT).
        log_level: `debug`, `info`, `warning` or `error` (VOLERY_WORKER_LOG_LEVEL).
        token_file: holds the token that the worker shows; empty for none (VOLERY_TOKEN_FILE).
        tls_ca: authorities that sign control planes, in PEM; empty for the system's (VOLERY_TLS_CA).
        tls_client_certificate: shown to a control plane that asks for one, in PEM
            (VOLERY_TLS_CLIENT_CERTIFICATE).
        tls_client_key: its private key (VOLERY_TLS_CLIENT_KEY).
        ready_file: written when the worker is connected; empty for none.
        ready_fd: gets a line when the worker is connected, then is closed; None for none.
    """

    server: str
    worker_id: str
    state: Path
    slots: int
    launcher: str = "process"
    executions: int = 1_000
    drain_grace: float = 30.0
    interpreter: str = ""
    secrets: Path | None = None
    bundle_room: int = 2 * 1024 * 1024 * 1024
    log_size_limit: int = 64 * MIB
    bundle_size_limit: int = 256 * MIB
    bundle_unpacked_limit: int = 1024 * MIB
    bundle_members_limit: int = 20_000
    bundle_ratio_limit: int = 200
    transport: TransportName = "auto"
    storage_access: StorageAccess = "auto"
    metrics: str = ""
    metrics_open: bool = False
    log_format: str = "json"
    log_level: str = "info"
    token_file: str = ""
    tls_ca: str = ""
    tls_client_certificate: str = ""
    tls_client_key: str = ""
    ready_file: str = ""
    ready_fd: int | None = None


def parse(arguments: list[str] | None = None) -> Settings:
    """Settings from the command line, over the environment, over defaults."""
    environment = os.environ
    parser = argparse.ArgumentParser(prog="volery-worker", description="Runs a worker of the data plane.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="walk executions until told to stop")
    run.add_argument(
        "--server",
        default=environment.get("VOLERY_SERVER", "127.0.0.1:8470"),
        help="the control plane: unix:///path, host:port or https://host:port; several with commas",
    )
    run.add_argument(
        "--worker-id",
        default=environment.get("VOLERY_WORKER_ID", socket.gethostname()),
        help="its name, by default the host's; one live worker a name",
    )
    run.add_argument(
        "--state",
        type=Path,
        default=Path(environment.get("VOLERY_WORKER_STATE", ".volery/worker")),
        help="the directory of bundles, scratch files and the name's lock",
    )
    launcher = environment.get("VOLERY_WORKER_LAUNCHER", "process")
    run.add_argument(
        "--launcher", choices=LAUNCHERS, default=launcher, help="what runs tasks: local processes, or pods"
    )
    slots = environment.get("VOLERY_WORKER_SLOTS")
    run.add_argument(
        "--slots",
        type=int,
        default=int(slots) if slots else None,
        help=f"tasks at a time: by default a process a core, or {PODS} pods",
    )
    executions = int(environment.get("VOLERY_WORKER_EXECUTIONS", "1000"))
    run.add_argument("--executions", type=int, default=executions, help="executions walked at a time")
    grace = float(environment.get("VOLERY_WORKER_DRAIN_GRACE", "30"))
    run.add_argument("--drain-grace", type=float, default=grace, help="seconds for running tasks on SIGTERM")
    run.add_argument(
        "--interpreter",
        default=environment.get("VOLERY_TASK_PYTHON", ""),
        help="the Python that runs tasks; by default the worker's own",
    )
    run.add_argument(
        "--secrets",
        type=Path,
        default=Path(place) if (place := environment.get("VOLERY_WORKER_SECRETS", "")) else None,
        help="the directory of secrets: a file GROUP/KEY each",
    )
    room = int(environment.get("VOLERY_WORKER_BUNDLE_ROOM", 2 * 1024 * 1024 * 1024))
    run.add_argument("--bundle-room", type=int, default=room, help="bytes of unpacked bundles that are kept")
    transport = environment.get("VOLERY_WORKER_TRANSPORT", "auto")
    run.add_argument("--transport", default=transport, help=f"{', '.join(TRANSPORTS)}: of the work stream")
    access = environment.get("VOLERY_WORKER_STORAGE_ACCESS", "auto")
    run.add_argument(
        "--storage-access", default=access, help=f"{', '.join(STORAGE_ACCESSES)}: to the object store"
    )
    metrics = environment.get("VOLERY_WORKER_METRICS", "")
    run.add_argument("--metrics", default=metrics, help="host:port of Prometheus metrics; none unless given")
    run.add_argument(
        "--metrics-open",
        action="store_true",
        default=environment.get("VOLERY_WORKER_METRICS_OPEN", "").lower() in ("1", "true", "yes", "on"),
        help="let others than users of this machine read them",
    )
    log_format = environment.get("VOLERY_WORKER_LOG_FORMAT", "json")
    run.add_argument("--log-format", choices=FORMATS, default=log_format, help="how its own log is written")
    log_level = environment.get("VOLERY_WORKER_LOG_LEVEL", "info")
    run.add_argument("--log-level", choices=LEVELS, default=log_level, help="the least that is logged")
    for name, told in (
        ("token_file", "holds the token that the worker shows"),
        ("tls_ca", "authorities that sign control planes, in PEM"),
        ("tls_client_certificate", "shown to a control plane that asks for one, in PEM"),
        ("tls_client_key", "its private key"),
    ):
        option = f"--{name.replace('_', '-')}"
        run.add_argument(option, default=environment.get(f"VOLERY_{name.upper()}", ""), help=told)
    run.add_argument("--ready-file", default="", help="written when connected")
    run.add_argument("--ready-fd", type=int, help="gets a line when connected, then is closed")
    given = parser.parse_args(arguments)
    limits = {}
    for limit in (knob for knob in fields(Settings) if knob.name.endswith("_limit")):
        text = environment.get(f"VOLERY_{limit.name.upper()}", str(limit.default))
        if not (text.isascii() and text.isdigit() and int(text)):
            parser.error(f"VOLERY_{limit.name.upper()} must be a number above 0, not {text!r}")
        limits[limit.name] = int(text)
    if given.launcher not in LAUNCHERS:
        parser.error(f"--launcher must be one of {', '.join(LAUNCHERS)}, not {given.launcher!r}")
    if given.slots is None:
        given.slots = PODS if given.launcher == "kubernetes" else os.cpu_count() or 1
    if given.slots < 1:
        parser.error("--slots must be at least 1")
    if given.transport not in TRANSPORTS:
        parser.error(f"--transport must be one of {', '.join(TRANSPORTS)}, not {given.transport!r}")
    if not addresses(given.server):
        parser.error("--server names no control plane")
    if given.transport == "local" and not all(map(local_socket, addresses(given.server))):
        parser.error("--transport local needs a --server that is a Unix socket")
    if given.storage_access not in STORAGE_ACCESSES:
        parser.error(
            f"--storage-access must be one of {', '.join(STORAGE_ACCESSES)}, not {given.storage_access!r}"
        )
    if given.log_format not in FORMATS or given.log_level not in LEVELS:
        parser.error(f"logs are {' or '.join(FORMATS)}, of level {', '.join(LEVELS)}")
    if given.metrics:
        try:
            parse_metrics(given.metrics, is_open=given.metrics_open)
        except UnsafeMetricsAddress as problem:
            parser.error(str(problem))
    return Settings(
        server=given.server,
        worker_id=given.worker_id,
        state=given.state.resolve(),
        slots=given.slots,
        launcher=given.launcher,
        executions=given.executions,
        drain_grace=given.drain_grace,
        interpreter=given.interpreter,
        secrets=given.secrets,
        bundle_room=given.bundle_room,
        transport=given.transport,
        storage_access=given.storage_access,
        metrics=given.metrics,
        metrics_open=given.metrics_open,
        log_format=given.log_format,
        log_level=given.log_level,
        token_file=given.token_file,
        tls_ca=given.tls_ca,
        tls_client_certificate=given.tls_client_certificate,
        tls_client_key=given.tls_client_key,
        ready_file=given.ready_file,
        ready_fd=given.ready_fd,
        **limits,
    )
