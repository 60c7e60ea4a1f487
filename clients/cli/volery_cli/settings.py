"""Settings: the options that commands share, and the server they lead to.

A command without a server talks to the embedded engine of the state directory: the one that runs, or one of
its own for as long as the command lasts.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from volery._engine import Engine
    from volery.config import Config
    from volery.remote import Remote

R = TypeVar("R")

LAST_PATIENCE = 3.0
"""How long tasks of other executions, which an own engine went on with too, may still take at its end."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command acts.

    Attributes:
        server: the server named; None where none is.
        project: the tenant; None for the configured one.
        domain: the second axis of tenancy; None for the configured one.
        state: the state directory named; None for the default.
        token_file: holds the token to show; None for what is configured.
        tls_ca: the authorities that sign the server; None for what is configured.
    """

    server: str | None
    project: str | None
    domain: str | None
    state: str | None
    token_file: str | None = None
    tls_ca: str | None = None

    @property
    def state_directory(self) -> Path:
        """Where the embedded engine keeps its state."""
        from volery._engine import state_directory

        return state_directory(self.state)

    def configured_server(self) -> str:
        """The server that is named or configured; "" where none is. A state directory named wins."""
        if self.state is not None and self.server is None:
            return ""
        return self._config().server

    def remote(self, server: str, *, is_engine: bool = False) -> Remote:
        """The server, for this project and domain. An engine that runs may be starting still."""
        from volery.credentials import Credentials
        from volery.remote import Remote

        # An engine asks nobody who they are; tokens for other servers are none of its business.
        credentials = Credentials() if is_engine else self._config().credentials
        return Remote(
            server,
            project=self.project,
            domain=self.domain,
            credentials=credentials,
            first_patience=30.0 if is_engine else 2.0,
        )

    def _config(self) -> Config:
        """What is configured; the options of the command stand for variables of the environment."""
        from volery.config import Config

        environment = dict(os.environ)
        if self.token_file is not None:
            environment.pop("VOLERY_TOKEN", None)
            environment["VOLERY_TOKEN_FILE"] = self.token_file
        if self.tls_ca is not None:
            environment["VOLERY_TLS_CA"] = self.tls_ca
        return Config.load(
            server=self.server, project=self.project, domain=self.domain, environment=environment
        )

    @contextmanager
    def connected(self, *, worker: bool = False, create: bool = False) -> Iterator[Remote]:
        """The server that is configured, or the engine of the state directory; see `session`."""
        with self.session(worker=worker, create=create) as session, session.remote() as remote:
            yield remote

    @contextmanager
    def session(self, *, worker: bool, create: bool, slots: int = 0) -> Iterator[Session]:
        """The server that is configured, else the engine that runs on the state directory, else an own one.

        An own one is starting while the block begins. Where another process runs the engine and a worker is
        needed, an own one stands by to take over when that process ends.

        Args:
            worker: whether executions must proceed.
            create: whether a state directory may be made.
            slots: task processes of an own engine; 0 leaves it to the engine.
        """
        from volery._engine import Engine, EngineIsRunning, EngineSettings
        from volery.errors import UnavailableError

        server = self.configured_server()
        if server:
            yield Session(self, server, None)
            return
        state = self.state_directory
        if not create and not (state / "volery.db").exists():
            raise UnavailableError(
                f"no server is configured, and no engine has run here: {state} is empty. "
                "Start one with `volery up`, or name a server with --server",
                code="UNAVAILABLE",
            )
        engine = Engine(state, EngineSettings(slots=slots, worker=worker))
        try:
            engine.begin()
        except EngineIsRunning as running:
            with _standing_by(engine if worker else None):
                yield Session(self, running.server, None, is_engine=True)
            return
        try:
            yield Session(self, "", engine)
        finally:
            engine.stop(LAST_PATIENCE)


@dataclass(frozen=True, slots=True)
class Session:
    """A server for the time of a command.

    Attributes:
        place: project and domain.
        server: its address; "" while an own engine is starting.
        engine: the own engine; None for a server of somebody else.
        is_engine: whether that is an engine on this machine.
    """

    place: Place
    server: str
    engine: Engine | None
    is_engine: bool = False

    def remote(self) -> Remote:
        """The server, once it is ready."""
        if self.engine is not None:
            from volery_cli.starting import transient

            with transient("starting the engine"):
                self.engine.wait_ready()
            return self.place.remote(self.engine.server, is_engine=True)
        return self.place.remote(self.server, is_engine=self.is_engine)


@contextmanager
def _standing_by(engine: Engine | None) -> Iterator[None]:
    """Let an engine wait in a thread for the end of the one that runs."""
    if engine is None:
        yield
        return
    dismissed = threading.Event()
    threading.Thread(target=engine.stand_by, args=(dismissed,), name="stands-by", daemon=True).start()
    try:
        yield
    finally:
        dismissed.set()
        engine.stop()


class Count(click.ParamType[int]):
    """A whole number from some least one on, called N in the help."""

    name = "N"

    def __init__(self, least: int) -> None:
        self._range = click.IntRange(least)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        return int(self._range.convert(value, param, ctx))


def place_options(function: Callable[..., R]) -> Callable[..., R]:
    """Give a command the options of where it acts, as one argument `place`."""

    @functools.wraps(function)
    def placed(
        *args: Any,
        server: str | None,
        project: str | None,
        domain: str | None,
        state: str | None,
        token_file: str | None,
        tls_ca: str | None,
        **more: Any,
    ) -> R:
        return function(*args, place=Place(server, project, domain, state, token_file, tls_ca), **more)

    command: Callable[..., R] = placed
    for option in (
        click.option("--tls-ca", metavar="FILE", help="Authorities that sign the server, in PEM."),
        click.option("--token-file", metavar="FILE", help="Holds the token to show."),
        click.option("--state", metavar="DIR", help="State of the embedded engine. [default: .volery]"),
        click.option("--domain", metavar="NAME", help="The domain."),
        click.option("--project", metavar="NAME", help="The project."),
        click.option("--server", metavar="ADDRESS", help="host:port, https://host:port or unix:///path."),
    ):
        command = option(command)
    return command


def execution_options(function: Callable[..., R]) -> Callable[..., R]:
    """Give a command the options that say how an execution is found and where its tasks run."""
    command = function
    for option in (
        click.option(
            "--interruptible/--no-interruptible",
            default=None,
            help="Allow, or forbid, machines that can be taken away. [default: what tasks say]",
        ),
        click.option("--service-account", default="", metavar="NAME", help="Service account of its pods."),
        click.option(
            "--env", "environment", multiple=True, metavar="KEY=VALUE", help="Set a variable for its tasks."
        ),
        click.option("--tag", "tags", multiple=True, metavar="WORD", help="Tag the execution."),
        click.option(
            "--annotation", "annotations", multiple=True, metavar="KEY=VALUE", help="Note for tools."
        ),
        click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Label the execution."),
    ):
        command = option(command)
    return command


def output_option(function: Callable[..., R]) -> Callable[..., R]:
    """Give a command the option of how it prints its result."""
    option = click.option(
        "-o", "--output", type=click.Choice(["text", "json", "yaml"]), default="text", help="How to print."
    )
    return option(function)
