"""Remote: the friendly, synchronous face of a server.

    remote = Remote("localhost:8470", project="demo", domain="development")
    remote.register(search, nightly)
    run = remote.launch(nightly, {"name": "penguins"})
    print(run.wait().outputs)

Server, project and domain come from the arguments, the environment or the configuration file
(`volery.config`). Entities are named by themselves or by their registered name.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar

from volery import _raw_values
from volery._addresses import Address
from volery._catalog import Catalog, paged
from volery._idl.voleryidl.core import v1 as core
from volery._idl.voleryidl.event import v1 as event
from volery._idl.voleryidl.execution import v1 as wire
from volery._loop_thread import LoopThread
from volery._transfer import LARGE, ServerTransfer
from volery._values import Reader, RemoteWorkspace, literals_by_annotation, literals_by_type, serialised
from volery._wire_types import WireInterface
from volery.client import Client, new_request_id
from volery.config import Config
from volery.credentials import Credentials
from volery.entities import KINDS, EntityFacts
from volery.errors import ConfigurationError
from volery.executions import Execution, execution_from_wire
from volery.launch_plan import interface_of
from volery.register import Registration, prepare, registered_name, send
from volery.run import Run
from volery.task import Task
from volery.workflow import Workflow

if TYPE_CHECKING:
    from volery._compile.translate import Entity
    from volery.health import EngineHealth

T = TypeVar("T")

LONGEST_FIRST_WAIT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class LaunchOptions:
    """Settings of one execution, laid over those of its launch plan.

    Attributes:
        labels: for selection.
        annotations: for tools.
        environment: laid over the tasks' environment.
        tags: free words to find executions by.
        max_parallelism: how many attempts run at a time; 0 means no limit of its own.
        interruptible: vetoes or allows machines that can be taken away; None inherits.
        overwrite_cache: skip cache lookups and replace entries.
        timeout: the longest it may take.
        service_account: of its pods; empty leaves it to the launch plan.
    """

    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    environment: Mapping[str, str] | None = None
    tags: Sequence[str] = ()
    max_parallelism: int = 0
    interruptible: bool | None = None
    overwrite_cache: bool = False
    timeout: timedelta | None = None
    service_account: str = ""

    def to_wire(self) -> core.ExecutionOptions | None:
        """The message; None where nothing is set."""
        if self == LaunchOptions():
            return None
        return core.ExecutionOptions(
            labels=dict(self.labels or {}),
            annotations=dict(self.annotations or {}),
            environment=dict(self.environment or {}),
            tags=list(self.tags),
            max_parallelism=self.max_parallelism,
            interruptible=self.interruptible,
            overwrite_cache=self.overwrite_cache,
            timeout=self.timeout,
            service_account=self.service_account,
        )


class Remote(Catalog):
    """A server, one project and one domain.

    Attributes:
        config: which server, project and domain.
        client: the asynchronous client below; its methods run in this object's own event loop.
    """

    def __init__(
        self,
        server: str | None = None,
        *,
        project: str | None = None,
        domain: str | None = None,
        credentials: Credentials | None = None,
        patience: float = 30.0,
        first_patience: float = 2.0,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            server: `host:port`, `https://host:port` or `unix:///path`; several control planes of one
                installation are separated by commas.
            project: the tenant.
            domain: the second axis of tenancy.
            credentials: what is shown to the server, and which servers are trusted; by default what the
                environment and the configuration file say.
            patience: how many seconds a call is repeated for while the server is away.
            first_patience: the same until the server was reached for the first time, so that a wrong
                address is told soon.
        """
        self.config = Config.load(server=server, project=project, domain=domain, credentials=credentials)
        if not self.config.server:
            raise ConfigurationError(
                "no server is configured: pass one, set VOLERY_SERVER, or write it into the configuration "
                "file; `volery up` starts one"
            )
        self._credentials = self.config.credentials
        self._address = Address.parse(self.config.server, tls=self._credentials.wants_tls)
        self._patience = {"patience": patience, "first_patience": first_patience}
        self._loop = LoopThread()
        self._clients: list[Client] = []
        self._versions: dict[tuple[str, str], str] = {}
        self._entities: dict[tuple[str, str, str], EntityFacts] = {}
        self._transfer = ServerTransfer(self)
        self._workspace = RemoteWorkspace(self._transfer, reaches_files=self._address.path is not None)
        self._finalizer = weakref.finalize(self, _shut_down, self._loop, self._clients)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Remote {self._address} {self.config.project}/{self.config.domain}>"

    def close(self) -> None:
        """Close the connection; safe to repeat."""
        self._finalizer()

    @property
    def client(self) -> Client:
        """The asynchronous client of this object's event loop."""
        if not self._loop.is_running:
            self._clients.clear()
        if not self._clients:

            async def make() -> Client:
                return Client(self._address, credentials=self._credentials, **self._patience)

            self._clients.append(self._loop.call(make()))
            if not self._finalizer.alive:
                self._finalizer = weakref.finalize(self, _shut_down, self._loop, self._clients)
        return self._clients[0]

    def health(self, listed: int = 10) -> EngineHealth:
        """How the engine is doing: its workers, queues and rates, what runs and what failed lately.

        Args:
            listed: how many running executions, and how many failures.
        """
        from volery._idl.voleryidl.engine import v1 as engine
        from volery.health import health_from_wire

        request = engine.GetEngineStatusRequest(listed=listed)
        return health_from_wire(self._loop.call(self.client.get_engine_status(request)))

    def register(
        self,
        *entities: Entity,
        version: str = "",
        activate: bool = False,
        dry_run: bool = False,
        include: Sequence[str] = (),
        everything: bool = False,
    ) -> Registration:
        """Register entities and all that they reach, all or nothing.

        Args:
            *entities: tasks, workflows and launch plans.
            version: of all of them; by default a hash of their source and declarations.
            activate: whether the launch plans become active.
            dry_run: compile and compare only; nothing is stored.
            include: patterns of files to pack beside the source, relative to the import root.
            everything: pack all files below the import root.

        Raises:
            CompilationError: when something does not compile; every complaint is listed.
            VersionConflictError: when the version is registered with other content.
        """
        project, domain = self.config.project, self.config.domain
        prepared = prepare(
            entities,
            project=project,
            domain=domain,
            version=version,
            include=include,
            everything=everything,
        )
        bundle = prepared.bundle
        if bundle is not None and len(bundle) >= LARGE and not dry_run:
            self._transfer.upload(bundle.content)  # so that it is there, and is not sent over gRPC
        sending = send(
            self.client, prepared, project=project, domain=domain, activate=activate, dry_run=dry_run
        )
        registration = self._loop.call(sending)
        if not dry_run:
            for each in registration.entities:
                self._versions[each.kind, each.name] = each.version
        return registration

    def launch(
        self,
        target: Entity | str,
        inputs: Mapping[str, Any] | None = None,
        *,
        name: str = "",
        version: str = "",
        kind: str = "",
        options: LaunchOptions | None = None,
        plain: bool = False,
        wait: float | timedelta = 0,
    ) -> Run:
        """Start an execution.

        Args:
            target: what to run: a declared task, workflow or launch plan, or the registered name of one.
            inputs: by name; defaults and fixed inputs are added.
            name: of the execution; the same name with the same intention is answered with the first one.
            version: of the target. By default the one this object registered; else the active one of a
                launch plan, the newest of anything else.
            kind: what a name names: `task`, `workflow` or `launch_plan`; by default whatever there is.
            options: laid over the launch plan's.
            plain: whether inputs are what JSON has, and not what the annotations say; always so for names.
            wait: how long the answer may wait for the end; saves a call when the execution is short.

        Raises:
            NotFoundError: when the server knows no such target.
            UnfitValueError: when an input does not fit.
        """
        first = wait if isinstance(wait, timedelta) else timedelta(seconds=wait)
        return self._create(target, inputs or {}, name, version, kind, options, first or None, plain)

    def run(
        self,
        target: Entity | str,
        inputs: Mapping[str, Any] | None = None,
        *,
        name: str = "",
        version: str = "",
        kind: str = "",
        options: LaunchOptions | None = None,
        timeout: float | timedelta | None = None,
        check: bool = True,
        plain: bool = False,
    ) -> Run:
        """Start an execution and wait for its end, in one call where it is short.

        Takes what `launch` and `Run.wait` take.
        """
        limit = timedelta(seconds=timeout) if isinstance(timeout, int | float) else timeout
        first = LONGEST_FIRST_WAIT if limit is None else min(limit, LONGEST_FIRST_WAIT)
        run = self._create(target, inputs or {}, name, version, kind, options, first, plain)
        left = None if limit is None else limit - first
        return run.wait(left, check=check)

    def execution(self, name: str) -> Run:
        """An execution by its name."""
        id_ = event.ExecutionId(project=self.config.project, domain=self.config.domain, name=name)
        answer = self._loop.call(self.client.get_execution(wire.GetExecutionRequest(id=id_)))
        assert answer.execution is not None
        return Run(self, execution_from_wire(answer.execution), Reader(self._workspace))

    def executions(
        self, *, filter: str = "", order_by: str = "", limit: int | None = None
    ) -> Iterator[Execution]:
        """Executions, newest first unless ordered otherwise.

        Args:
            filter: for example `phase = FAILED AND target.name = "pipelines.train"`.
            order_by: for example `create_time`.
            limit: at most this many; None reads all, page by page.
        """

        def page(size: int, token: str) -> tuple[Sequence[wire.Execution], str]:
            request = wire.ListExecutionsRequest(
                project=self.config.project,
                domain=self.config.domain,
                page_size=size,
                page_token=token,
                filter=filter,
                order_by=order_by,
            )
            answer = self._loop.call(self.client.list_executions(request))
            return answer.executions, answer.next_page_token

        return map(execution_from_wire, paged(page, limit))

    def _create(
        self,
        target: Entity | str,
        given: Mapping[str, Any],
        name: str,
        version: str,
        kind: str,
        options: LaunchOptions | None,
        wait: timedelta | None,
        plain: bool,
    ) -> Run:
        if isinstance(target, str):
            facts = self._known(kind, target, version)
            id_ = self._identifier(KINDS[facts.kind], target, facts.version if version else "")
            literals = literals_by_type(given, facts.interface, self._workspace, target)
            reader = Reader(self._workspace)
        else:
            id_ = self._identifier_of(target, version)
            interface = interface_of(target)
            if plain:
                declared = WireInterface(*interface.variables())
                literals = literals_by_type(given, declared, self._workspace, id_.name)
            else:
                literals = literals_by_annotation(given, interface, self._workspace, id_.name)
            reader = Reader(self._workspace, interface)
        request = _raw_values.CreateExecutionRequest(
            project=self.config.project,
            domain=self.config.domain,
            name=name,
            target=id_,
            inputs=serialised(literals, self._transfer),
            options=options.to_wire() if options is not None else None,
            request_id=new_request_id(),
            wait_timeout=wait,
        )
        answer = self._loop.call(self.client.create_execution(request))
        assert answer.execution is not None
        return Run(self, execution_from_wire(answer.execution), reader, answer.outputs)

    def _known(self, kind: str, name: str, version: str) -> EntityFacts:
        """The facts of a version, kept; those of the newest are asked for anew each time."""
        if not version:
            return self.entity(name, kind=kind)
        key = (kind, name, version)
        if key not in self._entities:
            self._entities[key] = self.entity(name, version=version, kind=kind)
        return self._entities[key]

    def _identifier_of(self, entity: Entity, version: str) -> core.Identifier:
        name = registered_name(entity)
        match entity:
            case Task():
                kind = core.EntityKind.TASK
            case Workflow():
                kind = core.EntityKind.WORKFLOW
            case _:
                kind = core.EntityKind.LAUNCH_PLAN
        return self._identifier(kind, name, version or self._versions.get((kind.name or "", name), ""))


def _shut_down(loop: LoopThread, clients: list[Client]) -> None:
    if loop.is_running:

        async def close() -> None:
            while clients:
                clients.pop().close()

        loop.call(close())
        loop.close()
