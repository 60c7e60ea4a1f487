"""Puts the parts of a control plane together, and starts and stops them in order.

`ControlPlane(settings)` is complete and inert; `start` runs it, `stop` drains it. The command line and the
tests run the same object.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING

import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from volery_telemetry import otel
from volery_telemetry.exposition import MetricsServer
from volery_telemetry.exposition import parse as parse_metrics
from volery_telemetry.loops import measure_lag
from volery_telemetry.traces import Tracing
from voleryidl.engine.v1.engine_service_pb2 import ControlPlaneStatus
from voleryidl.project.v1.project_service_pb2 import GetServerInfoResponse

from volery_controlplane.domain.limits import Limits as ContentLimits
from volery_controlplane.domain.principals import ANONYMOUS, Role
from volery_controlplane.domain.references import References
from volery_controlplane.grpc.addresses import Protection, TcpAddress, check_url, parse, reachable
from volery_controlplane.grpc.admission import AdmissionLimits
from volery_controlplane.grpc.data import DataServicer
from volery_controlplane.grpc.engine import EngineServicer
from volery_controlplane.grpc.executions import ExecutionServicer
from volery_controlplane.grpc.interceptors import Limits
from volery_controlplane.grpc.measures import CallMeasures
from volery_controlplane.grpc.projects import ProjectServicer
from volery_controlplane.grpc.registry import RegistryServicer
from volery_controlplane.grpc.server import Entrance, Server, Servicers
from volery_controlplane.grpc.tls import ServerTls, TlsFiles
from volery_controlplane.grpc.workers import WorkerServicer
from volery_controlplane.local import connection as local
from volery_controlplane.local.listener import LocalListener, beside
from volery_controlplane.loops.health import look_at_queues, take_pulse
from volery_controlplane.loops.leases import expire_leases, wake_parked
from volery_controlplane.loops.pruning import prune
from volery_controlplane.metrics import Sources, table
from volery_controlplane.services.authentication import (
    AttemptTokens,
    Authentication,
    CallerTokens,
    CertificateRole,
    Certificates,
)
from volery_controlplane.services.data import Data
from volery_controlplane.services.dispatch import Dispatcher
from volery_controlplane.services.engine import EngineHealth
from volery_controlplane.services.executions import Executions
from volery_controlplane.services.listening import Listening
from volery_controlplane.services.logs import Logs
from volery_controlplane.services.measures import Measures, Pulse
from volery_controlplane.services.ports import Database, Ids
from volery_controlplane.services.projects import Projects, Tenancy
from volery_controlplane.services.pruning import Pruner
from volery_controlplane.services.registration import Registration
from volery_controlplane.services.registry import Registry
from volery_controlplane.services.sharing import Exchange, SharedWakeups
from volery_controlplane.services.signing import Signing
from volery_controlplane.services.spans import ExecutionSpans
from volery_controlplane.services.streams import WorkStreams
from volery_controlplane.services.wakeups import LocalWakeups
from volery_controlplane.services.watches import Pace, Watches
from volery_controlplane.services.work import WorkService, WorkSettings
from volery_controlplane.settings import Settings
from volery_controlplane.storage.opening import Storage, Sweep, open_storage
from volery_controlplane.store.database import SqlDatabase, exchange_of
from volery_controlplane.store.migrate import ensure_schema
from volery_controlplane.store.tuning import Tuning
from volery_controlplane.web.settings import WebLimits, WebSettings, check_installed

if TYPE_CHECKING:
    from volery_controlplane.web.server import DataServer

log = structlog.get_logger(__name__)

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SIGNS = _LETTERS + "0123456789"


class RandomIds:
    """The `Ids` port over the system's randomness."""

    def uid(self) -> str:
        """Unique for ever: 128 random bits."""
        return os.urandom(16).hex()

    def execution_name(self) -> str:
        """A letter, then 19 letters and digits: about 100 random bits."""
        number = int.from_bytes(os.urandom(16))
        number, first = divmod(number, len(_LETTERS))
        name = [_LETTERS[first]]
        for _ in range(19):
            number, sign = divmod(number, len(_SIGNS))
            name.append(_SIGNS[sign])
        return "".join(name)


class Monotonic:
    """The `Clock` port over the machine's."""

    def monotonic(self) -> float:
        """Seconds, never going back."""
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class _Parts:
    """Everything that lives while a control plane runs."""

    server: Server
    local: LocalListener
    projects: Projects
    dispatcher: Dispatcher
    work: WorkService
    wakeups: LocalWakeups
    health: EngineHealth
    sources: Sources
    spans: ExecutionSpans | None
    pruner: Pruner
    storage: Storage
    signing: Signing
    info: GetServerInfoResponse
    calls: CallMeasures
    database: SqlDatabase
    authentication: Authentication


class ControlPlane:
    """A control plane: its settings, and its life.

    Args:
        settings: what it is told.
        ids: makes uids and names; random ones where not given.
    """

    def __init__(self, settings: Settings, ids: Ids | None = None) -> None:
        self.settings = settings
        self._ids: Ids = ids or RandomIds()
        self._tls: ServerTls | None = None
        self._stop = asyncio.Event()
        self._draining = asyncio.Event()
        self._address: asyncio.Future[str] | None = None
        self._life: asyncio.Task[None] | None = None
        self.data_server = ""  # its URL, while it serves
        self.metrics: MetricsServer | None = None  # while it serves, and was told to
        self.measures = Measures()
        self.wakeups: LocalWakeups | None = None  # while it lives

    async def start(self) -> str:
        """Opens the database and begins to serve; gives the address that clients use."""
        assert self._life is None, "a control plane has one life"
        self._address = asyncio.get_running_loop().create_future()
        self._life = asyncio.create_task(self._live(self._address), name="control plane")
        await asyncio.wait((self._address, self._life), return_when=asyncio.FIRST_COMPLETED)
        if not self._address.done():
            self._address.cancel()
            await self._life  # raises what went wrong
        return self._address.result()

    def request_stop(self) -> None:
        """Asks for the end; `wait` tells when it is over."""
        self._stop.set()

    async def stop(self) -> None:
        """Drains and ends."""
        self.request_stop()
        await self.wait()

    async def wait(self) -> None:
        """Ends when the control plane has ended; raises what ended it, if that was no request."""
        assert self._life is not None, "start comes first"
        await self._life

    async def _live(self, address: asyncio.Future[str]) -> None:
        try:
            await self._run(address)
        except BaseExceptionGroup as group:
            # What ended the life is one thing; that it ended inside a group helps nobody.
            if len(group.exceptions) == 1:
                raise group.exceptions[0] from None
            raise

    async def _run(self, address: asyncio.Future[str]) -> None:
        settings = self.settings
        tls = settings.tls_certificate is not None
        # before anything is made
        listen = parse(settings.listen, Protection(settings.authentication == "required", tls))
        if settings.metrics:
            parse_metrics(settings.metrics, is_open=settings.metrics_open)
        data_listen = None
        if settings.data_listen:
            found = parse(settings.data_listen, Protection(settings.authentication == "required", tls))
            assert isinstance(found, TcpAddress), "the settings are checked"
            data_listen = found
            if settings.data_public_address:
                check_url(settings.data_public_address)
            check_installed()
        if tls:
            self._tls = await asyncio.to_thread(_tls, settings)
        if settings.migrate:
            await asyncio.to_thread(ensure_schema, settings.database)
        tracing = otel.tracing(os.environ, "volery-controlplane")
        tuning = _tuning(settings)
        database = await asyncio.to_thread(SqlDatabase.open, settings.database, settings.synchronous, tuning)
        exchange = exchange_of(settings.database, tuning)
        try:
            async with asyncio.TaskGroup() as tasks:
                entrance = Entrance(
                    listen, _authentication(settings, database), self._tls, settings.reflection
                )
                parts = self._assemble(entrance, database, tracing, exchange)
                await parts.projects.establish(settings.projects)
                await self._serve(parts, tasks, address, data_listen)
        finally:
            if tracing is not None:
                await asyncio.to_thread(tracing.close)
            await asyncio.to_thread(database.close)
            if exchange is not None:  # last, since what was committed until now is told
                await asyncio.to_thread(exchange.close)

    async def _serve(
        self,
        parts: _Parts,
        tasks: asyncio.TaskGroup,
        address: asyncio.Future[str],
        data_listen: TcpAddress | None,
    ) -> None:
        loops = [
            tasks.create_task(parts.dispatcher.run()),
            tasks.create_task(expire_leases(parts.work, self.settings.lease / 4)),
            tasks.create_task(wake_parked(parts.work, parts.wakeups, timedelta(minutes=1))),
            tasks.create_task(take_pulse(parts.health)),
            tasks.create_task(measure_lag(parts.work.measures.lag)),
        ]
        loops.append(tasks.create_task(_clear_parts(parts.storage.sweep)))
        if self.settings.prune:
            loops.append(tasks.create_task(prune(parts.pruner, self.settings.prune_interval)))
        grace = timedelta(0)
        web = self._web(parts, data_listen) if data_listen is not None else None
        try:
            if isinstance(parts.wakeups, SharedWakeups):
                parts.wakeups.start()
            await parts.local.start()  # before gRPC, whose readiness tells workers that both can be had
            if self.settings.metrics:
                self.metrics = self._expose(parts.sources)
                loops.append(tasks.create_task(look_at_queues(parts.health)))
            if web is not None:  # before workers connect, who are told of it
                self.data_server = await web.start()
                parts.work.data_server = parts.signing.data_server = self.data_server
                parts.info.data_server = self.data_server
                log.info("the data server listens", address=self.data_server)
            served = await parts.server.start()
            parts.work.task_server = self._task_server(served)
            address.set_result(served)
            log.info("serving", address=address.result(), database=_without_secrets(self.settings.database))
            await self._stop.wait()
            grace = self.settings.drain
            log.info("draining")
            await parts.server.retire()
            await asyncio.sleep(self.settings.drain_delay.total_seconds())
            parts.dispatcher.go_away()
        finally:
            self._draining.set()
            stopping = [parts.local.stop(grace), parts.server.stop(grace)]
            if web is not None:
                stopping.append(web.stop(grace))
            await asyncio.gather(*stopping)
            for loop in loops:
                loop.cancel()
            if self.metrics is not None:
                await asyncio.to_thread(self.metrics.close)
            if parts.spans is not None:
                await parts.spans.settle()
        log.info("stopped")

    def _expose(self, sources: Sources) -> MetricsServer:
        settings = self.settings
        server = MetricsServer(table(sources), settings.metrics, is_open=settings.metrics_open)
        log.info("metrics are served", address=server.address)
        return server

    def _web(self, parts: _Parts, listen: TcpAddress) -> DataServer:
        from volery_controlplane.web.server import DataServer  # where one is asked for

        settings = self.settings
        return DataServer(
            WebSettings(listen, settings.data_public_address, self._tls_files()),
            WebLimits(
                request=settings.message_size_limit,
                transfers=settings.data_transfers_limit,
                queue=settings.queue_limit,
                queue_wait=settings.queue_wait_limit,
                patience=settings.slow_reader_limit,
            ),
            parts.authentication,
            parts.signing,
            parts.storage.blobs,
            parts.database,
            parts.calls,
        )

    def _tls_files(self) -> TlsFiles | None:
        settings = self.settings
        if settings.tls_certificate is None or settings.tls_key is None:
            return None
        return TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)

    def _task_server(self, served: str) -> str:
        """Where tasks reach this server; "" where that is not known, or they have no certificate to show."""
        if self.settings.public_address or self.settings.tls_client_ca is not None:
            return self.settings.public_address
        listened = parse(served.removeprefix("https://"), Protection(authentication=True, tls=True))
        return reachable(listened, tls=self._tls is not None)

    def _assemble(
        self,
        entrance: Entrance,
        database: SqlDatabase,
        tracing: Tracing | None,
        exchange: Exchange | None,
    ) -> _Parts:
        settings = self.settings
        storage = open_storage(
            settings.storage, settings.storage_public_endpoint, settings.unheld_uploads == "data-server"
        )
        blobs = storage.blobs
        platform = settings.platform_resources()
        wakeups = self.wakeups = LocalWakeups() if exchange is None else SharedWakeups(exchange)
        measures = self.measures
        spans = ExecutionSpans(database, tracing) if tracing is not None else None
        tenancy = Tenancy(settings.domains)
        projects = Projects(database, tenancy)
        data = Data(database, blobs, tenancy, settings.blob_size_limit)
        signing = Signing(database, blobs, settings.blob_size_limit)
        pace = Pace(settings.heartbeat, settings.summary_interval, settings.event_interval)
        listening = Listening(self._draining)
        watches = Watches(database, wakeups, tenancy, pace, listening, measures)
        logs = Logs(database, wakeups, blobs, settings.heartbeat, settings.last_words, listening)
        work = WorkService(
            database,
            wakeups,
            WorkSettings(settings.lease, settings.inline_value_limit, blobs.root, platform),
            measures,
            spans,
        )
        dispatcher = Dispatcher(work, wakeups, slow_scan=settings.slow_scan)
        references = References(blobs.root)
        executions = Executions(
            database,
            wakeups,
            tenancy,
            self._ids,
            settings.wait_limit,
            dispatcher,
            listening,
            references,
            measures,
            spans,
            platform,
            settings.slow_scan,
        )
        calls = CallMeasures()
        sources = Sources(
            measures,
            calls,
            database=lambda write: database.measures(write=write),
            streams=lambda: len(dispatcher.sessions()),
            now=time.time,
        )
        health = EngineHealth(database, measures, Pulse(lambda: sources.totals(time.monotonic())))
        info = GetServerInfoResponse(
            version=version("volery-controlplane"),
            installation_id=database.installation_id(),
            inline_value_limit=settings.inline_value_limit,
            message_size_limit=settings.message_size_limit,
            storage_uri=data.storage_uri,
        )
        streams = WorkStreams(work, dispatcher)
        servicers = Servicers(
            registry=RegistryServicer(
                Registry(database, tenancy),
                Registration(database, tenancy, settings.message_size_limit, references),
            ),
            executions=ExecutionServicer(executions, watches, logs, settings.wait_default),
            projects=ProjectServicer(projects, info),
            data=DataServicer(data, signing),
            workers=WorkerServicer(work, streams),
            engine=EngineServicer(health, self._described(info, database.dialect, sources)),
        )
        limits = Limits(
            settings.message_size_limit,
            settings.status_size_limit,
            settings.slow_reader_limit,
            AdmissionLimits(
                calls=settings.calls_limit,
                calls_per_caller=settings.calls_per_caller_limit,
                queue=settings.queue_limit,
                queue_wait=settings.queue_wait_limit,
                transfers=settings.transfers_limit,
                listeners=settings.listeners_limit,
                listeners_per_caller=settings.listeners_per_caller_limit,
            ),
            ContentLimits(
                workflow_nodes=settings.workflow_nodes_limit,
                package_entities=settings.package_entities_limit,
                value_size=settings.value_size_limit,
                inputs_size=settings.inputs_size_limit,
                string_length=settings.string_length_limit,
                text_length=settings.text_length_limit,
                elements=settings.elements_limit,
                nesting=settings.nesting_limit,
                labels=settings.labels_limit,
                label_length=settings.label_length_limit,
            ),
        )
        return _Parts(
            server=Server(entrance, servicers, limits, calls, tracing),
            local=LocalListener(
                beside(entrance.listen),
                streams.serve,
                local.Limits(
                    settings.message_size_limit,
                    settings.status_size_limit,
                    settings.slow_reader_limit,
                    settings.listeners_limit,
                ),
                entrance.authentication,
            ),
            projects=projects,
            dispatcher=dispatcher,
            work=work,
            wakeups=wakeups,
            health=health,
            sources=sources,
            spans=spans,
            pruner=pruner_of(settings, database, storage),
            storage=storage,
            signing=signing,
            info=info,
            calls=calls,
            database=database,
            authentication=entrance.authentication,
        )

    @staticmethod
    def _described(
        info: GetServerInfoResponse, dialect: str, sources: Sources
    ) -> Callable[[], ControlPlaneStatus]:
        """What a control plane tells of itself at a moment."""
        started = Timestamp()
        started.FromNanoseconds(time.time_ns())
        return lambda: ControlPlaneStatus(
            version=info.version,
            installation_id=info.installation_id,
            start_time=started,
            database=dialect,
            worker_streams=sources.streams(),
            calls=sum(sources.calls.under_way.values()),
            watches=sources.calls.watches(),
        )


def pruner_of(
    settings: Settings, database: Database, storage: Storage | None = None, *, rest: float = 9.0
) -> Pruner:
    """What removes what the settings say is no longer kept."""
    storage = storage or open_storage(settings.storage)
    references = References(storage.blobs.root)
    return Pruner(
        database, storage.sweep, references, settings.policy(), Monotonic(), RandomIds().uid(), rest
    )


async def _clear_parts(sweep: Sweep) -> None:
    """Clears what was left by writers to the object store that are gone; others may be writing."""
    removed = await sweep.remove_parts(timedelta(hours=1))
    if removed:
        log.info("parts of objects were cleared that killed writers had left", parts=removed)


def _tls(settings: Settings) -> ServerTls:
    assert settings.tls_certificate is not None, "the settings are checked"
    assert settings.tls_key is not None, "the settings are checked"
    return ServerTls(TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca))


def _authentication(settings: Settings, database: SqlDatabase) -> Authentication:
    """Who says who callers are. An attempt's token narrows what a task may do wherever it is shown."""
    attempts = AttemptTokens(database)
    if settings.authentication == "off":
        return Authentication([attempts], otherwise=ANONYMOUS)
    roles = [text.rpartition("=") for text in settings.certificate_roles]
    certificates = Certificates([CertificateRole(name, Role(role)) for name, _, role in roles])
    return Authentication([attempts, CallerTokens(database), certificates])


def _tuning(settings: Settings) -> Tuning:
    return Tuning(
        writers=settings.database_writers,
        readers=settings.database_readers,
        queue=settings.database_queue_limit,
        queue_wait=settings.database_queue_wait_limit,
        statement=settings.database_statement_limit,
        lock=settings.database_lock_limit,
        idle=settings.database_idle_limit,
        connect=settings.database_connect_limit,
        silence=settings.database_silence_limit,
        direct=settings.database_direct,
    )


def _without_secrets(url: str) -> str:
    """A database's URL without user and password."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
