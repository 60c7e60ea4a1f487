"""Settings: every knob of the control plane, its default and its environment name.

A knob `message_size_limit` is read from `VOLERY_MESSAGE_SIZE_LIMIT`; command-line arguments win over the
environment, which wins over the defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from voleryidl.core.v1.task_pb2 import ResourceSet
from voleryidl.worker.v1.worker_service_pb2 import PlatformResources

from volery_controlplane.domain.platform_resources import amounts
from volery_controlplane.domain.principals import GRANTABLE
from volery_controlplane.domain.retention import Policy, Rules, Span
from volery_controlplane.private_files import NotPrivate, require_private

T = TypeVar("T")

MIB = 1024 * 1024


class BadSetting(ValueError):
    """A setting's text cannot be read, or settings contradict each other."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a control plane is told before it starts.

    Attributes:
        database: `sqlite:///path` or `postgresql://…`.
        database_file: a file that holds it instead, for a URL with a password; for its owner's eyes only.
        synchronous: SQLite's durability: `full` survives power loss, `normal` may lose the last commits on
            power loss (never on a crash of a process), `off` is for tests.
        migrate: whether to bring the database to head before serving.
        database_direct: where the connection that hears other control planes goes, where `database` leads
            through a pooler that lends connections out by the transaction; empty for the same.
        database_writers: connections to PostgreSQL that write.
        database_readers: connections to PostgreSQL that only read.
        database_queue_limit: how many intentions may wait for a connection that writes, and for one that
            reads.
        database_queue_wait_limit: how long one waits before its caller is refused.
        database_connect_limit: the longest wait for a connection to PostgreSQL.
        database_statement_limit: the longest statement.
        database_lock_limit: the longest wait for a lock.
        database_idle_limit: how long PostgreSQL keeps a transaction in which nothing happens.
        database_silence_limit: how long the network may leave data unacknowledged before a connection to
            PostgreSQL counts as lost.
        listen: `unix:///path` or `host:port`; port 0 takes a free one.
        authentication: `off`, everybody is an administrator, or `required`, callers show a token or a
            client certificate.
        tls_certificate: the server's certificate, in PEM; None for no TLS.
        tls_key: its private key.
        tls_client_ca: the authorities whose client certificates every client must have one of; None asks
            for none.
        certificate_roles: what those with a client certificate are, as `NAME=ROLE`; `*` stands for any part
            of a name.
        public_address: where tasks reach this server; what it listens on where not given.
        reflection: whether clients may ask for the services offered.
        storage: the object store: a directory, or `s3://bucket/prefix`, `gs://…`, `az://…`.
        storage_public_endpoint: the object store's service as tasks and clients know it, where they know it
            by another URL than this server.
        unheld_uploads: which way content goes that the object store cannot hold to its size and SHA-256 by a
            signed URL: `store`, straight there, and its reader checks; `data-server`, which verifies it.
        data_listen: `host:port` of the data server, over which content is read and written by signed URLs;
            empty for none.
        data_public_address: the URL by which tasks and clients know the data server; what it listens on where
            not given.
        data_transfers_limit: how many requests the data server serves at a time.
        projects: made at the first start.
        domains: the domains that every project has, in order.
        lease: how long a worker's lease lasts.
        inline_value_limit: values above this many bytes go to the object store.
        message_size_limit: the largest request or answer, in bytes.
        blob_size_limit: the largest upload, in bytes.
        status_size_limit: how many bytes of error details a client gets that does not announce its limit;
            most gRPC clients refuse more than 8 KiB of trailers.
        workflow_nodes_limit: the most nodes of a workflow.
        package_entities_limit: the most tasks, workflows and launch plans of a package.
        value_size_limit: the largest value that travels in a message, in bytes.
        inputs_size_limit: the largest inputs of an execution together, in bytes.
        string_length_limit: the longest string in a value, in characters.
        text_length_limit: the longest text elsewhere, such as a description, in characters.
        elements_limit: the most elements of a list or map.
        nesting_limit: how deep messages may lie within each other; Protobuf itself reads 100.
        labels_limit: the most labels, and tags, of an execution or project.
        label_length_limit: the longest name or value of a label, and the longest tag, in characters.
        calls_limit: how many short calls are served at a time; others wait in turn.
        calls_per_caller_limit: how many of them may be one caller's.
        queue_limit: how many calls may wait, of each kind.
        queue_wait_limit: how long a call waits for its turn before it is refused.
        transfers_limit: how many uploads and downloads are served at a time.
        listeners_limit: how many calls may listen for news at a time: watches, waits, logs being followed;
            and how many workers may be connected to the local socket.
        listeners_per_caller_limit: how many of them may be one caller's.
        slow_reader_limit: how long a client may take to read one message of a stream, or to send one of an
            upload.
        wait_default: how long WaitExecution waits when not told.
        wait_limit: the longest wait of one call.
        resource_defaults: what an attempt requests whose task does not say: `cpu=500m,memory=1Gi`; kinds are
            `cpu`, `memory`, `gpu` and `ephemeral_storage`.
        resource_default_limits: what such an attempt may not exceed.
        resource_maximum: the most that any attempt gets; what is above it is lowered, with a warning.
        heartbeat: the longest silence of a watch.
        slow_scan: how often work, inboxes and ends are looked for though nobody gave a hint of them.
        summary_interval: the shortest time between two messages of a SUMMARY watch.
        event_interval: the same for a FULL one.
        last_words: how long after an attempt's end its logs are waited for.
        drain: how long a shutdown waits for calls under way.
        drain_delay: how long before that the server says that it is not ready, and goes on serving.
        prune: whether this control plane removes what is no longer kept.
        prune_interval: how long it pauses after a round of that.
        keep_executions: how long executions are kept after their end: a span (`30d`, `12h`, seconds) or
            `never`, and exceptions such as `shop/production=never` or `*/development=7d`.
        keep_journal: the same for what happened to them in which order.
        keep_logs: the same for what they wrote.
        keep_requests: how long a repeat of a request is recognised.
        keep_changes: how far back watches of projects can resume.
        keep_cache: how long cached results are kept after their last use.
        cache_entries: how many cached results are kept at most; 0 is any number.
        keep_uploads: how long files are kept that were uploaded and that nothing refers to.
        metrics: `host:port` of Prometheus metrics, loopback only; empty for none.
        metrics_open: whether others than users of this machine may read them.
        log_format: `console` or `json`.
        log_level: `debug`, `info`, `warning` or `error`.
    """

    database: str = "sqlite:///volery.db"
    database_file: Path | None = None
    synchronous: str = "full"
    migrate: bool = False
    database_direct: str = ""
    database_writers: int = 4
    database_readers: int = 4
    database_queue_limit: int = 10_000
    database_queue_wait_limit: timedelta = timedelta(seconds=10)
    database_connect_limit: timedelta = timedelta(seconds=5)
    database_statement_limit: timedelta = timedelta(seconds=20)
    database_lock_limit: timedelta = timedelta(seconds=5)
    database_idle_limit: timedelta = timedelta(seconds=30)
    database_silence_limit: timedelta = timedelta(seconds=10)
    listen: str = "127.0.0.1:8470"
    authentication: str = "off"
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    certificate_roles: tuple[str, ...] = ()
    public_address: str = ""
    reflection: bool = True
    storage: Path | str = Path("storage")
    storage_public_endpoint: str = ""
    unheld_uploads: str = "store"
    data_listen: str = ""
    data_public_address: str = ""
    data_transfers_limit: int = 64
    projects: tuple[str, ...] = ("demo",)
    domains: tuple[str, ...] = ("development", "staging", "production")
    lease: timedelta = timedelta(seconds=15)
    inline_value_limit: int = 16 * 1024
    message_size_limit: int = 16 * MIB
    blob_size_limit: int = 5 * 1024 * MIB
    status_size_limit: int = 6 * 1024
    workflow_nodes_limit: int = 20_000
    package_entities_limit: int = 10_000
    value_size_limit: int = 12 * MIB
    inputs_size_limit: int = 14 * MIB
    string_length_limit: int = 10_000_000
    text_length_limit: int = 100_000
    elements_limit: int = 2_000_000
    nesting_limit: int = 64
    labels_limit: int = 64
    label_length_limit: int = 256
    calls_limit: int = 64
    calls_per_caller_limit: int = 48
    queue_limit: int = 2_000
    queue_wait_limit: timedelta = timedelta(seconds=20)
    transfers_limit: int = 32
    listeners_limit: int = 5_000
    listeners_per_caller_limit: int = 2_000
    slow_reader_limit: timedelta = timedelta(seconds=60)
    wait_default: timedelta = timedelta(seconds=30)
    wait_limit: timedelta = timedelta(minutes=10)
    resource_defaults: str = ""
    resource_default_limits: str = ""
    resource_maximum: str = ""
    heartbeat: timedelta = timedelta(seconds=15)
    slow_scan: timedelta = timedelta(seconds=15)
    summary_interval: timedelta = timedelta(milliseconds=250)
    event_interval: timedelta = timedelta(milliseconds=20)
    last_words: timedelta = timedelta(milliseconds=500)
    drain: timedelta = timedelta(seconds=10)
    drain_delay: timedelta = timedelta(0)
    prune: bool = True
    prune_interval: timedelta = timedelta(minutes=1)
    keep_executions: str = "40d"
    keep_journal: str = "10d"
    keep_logs: str = "40d"
    keep_requests: str = "7d"
    keep_changes: str = "7d"
    keep_cache: str = "40d"
    cache_entries: int = 1_000_000
    keep_uploads: str = "1d"
    metrics: str = ""
    metrics_open: bool = False
    log_format: str = "console"
    log_level: str = "info"

    @classmethod
    def load(cls, environment: Mapping[str, str], **given: object) -> Settings:
        """Lays what is given (None means not given) over the environment over the defaults.

        Args:
            environment: where `VOLERY_…` names are looked up.
            **given: knobs by name.

        Returns:
            The settings, checked.

        Raises:
            BadSetting: when a text cannot be read or a value is not allowed.
        """
        knobs: dict[str, Any] = {}
        for knob in fields(cls):
            text = environment.get(environment_name(knob.name))
            value = given.pop(knob.name, None)
            if value is not None:
                knobs[knob.name] = value
            elif text is not None:
                knobs[knob.name] = _read(knob.name, str(knob.type), text)
        if given:
            raise BadSetting(f"no such setting: {', '.join(sorted(given))}")
        if knobs.get("database_file") is not None:
            if "database" in knobs:
                raise BadSetting("database and database_file are two ways to say one thing; keep one of them")
            knobs["database"] = _secret_line(knobs["database_file"], "database_file")
        return replace(cls(), **knobs).checked()

    def checked(self) -> Settings:
        """Gives the settings themselves.

        Raises:
            BadSetting: when a value is not allowed.
        """
        if self.synchronous not in ("full", "normal", "off"):
            raise BadSetting(f"synchronous must be full, normal or off, not {self.synchronous!r}")
        if self.log_format not in ("console", "json"):
            raise BadSetting(f"log_format must be console or json, not {self.log_format!r}")
        if self.log_level not in ("debug", "info", "warning", "error"):
            raise BadSetting(f"log_level must be debug, info, warning or error, not {self.log_level!r}")
        if self.authentication not in ("off", "required"):
            raise BadSetting(f"authentication must be off or required, not {self.authentication!r}")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise BadSetting("tls_certificate and tls_key go together: name both, or neither")
        if self.tls_certificate is not None and self.listen.startswith("unix:"):
            raise BadSetting("tls_certificate is for TCP; a Unix socket is protected by its file's mode")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise BadSetting("tls_client_ca is a part of TLS, so it takes tls_certificate and tls_key")
        if self.tls_client_ca is not None and self.authentication == "off":
            raise BadSetting("tls_client_ca says who clients are, so it takes authentication=required")
        if self.certificate_roles and self.tls_client_ca is None:
            raise BadSetting("certificate_roles are for client certificates, so they take tls_client_ca")
        for text in self.certificate_roles:
            name, equals, role = text.rpartition("=")
            if not equals or not name or role not in GRANTABLE:
                raise BadSetting(
                    f"certificate_roles: {text!r} is not NAME=ROLE with a role of {', '.join(GRANTABLE)}"
                )
        if self.data_public_address and not self.data_listen:
            raise BadSetting("data_public_address is of the data server, so it takes data_listen")
        if self.data_listen.startswith("unix:"):
            raise BadSetting("data_listen is host:port; the data server is for those who have no Unix socket")
        if self.data_public_address and not self.data_public_address.startswith(("http://", "https://")):
            raise BadSetting("data_public_address is a URL, http:// or https://")
        if isinstance(self.storage, str) and "://" not in self.storage:
            raise BadSetting(f"storage is a directory or a URL, not {self.storage!r}")
        if self.storage_public_endpoint and isinstance(self.storage, Path):
            raise BadSetting("storage_public_endpoint is of an object store, and storage is a directory")
        if self.unheld_uploads not in ("store", "data-server"):
            raise BadSetting(f"unheld_uploads must be store or data-server, not {self.unheld_uploads!r}")
        if self.unheld_uploads == "data-server" and not self.data_listen:
            raise BadSetting("unheld_uploads=data-server takes a data server: data_listen")
        if not self.domains:
            raise BadSetting("domains must name at least one domain")
        self.policy()
        self.platform_resources()
        if self.cache_entries < 0:
            raise BadSetting("cache_entries must be 0 (any number) or above")
        if self.nesting_limit > 80:
            raise BadSetting("nesting_limit must be at most 80: Protobuf reads 100, and answers need some")
        limits = [knob.name for knob in fields(self) if knob.name.endswith("_limit")]
        for name in (
            *("lease", "heartbeat", "slow_scan", "summary_interval", "prune_interval"),
            *("database_writers", "database_readers"),
            *limits,
        ):
            value = getattr(self, name)
            if isinstance(value, timedelta):
                if value <= timedelta(0):
                    raise BadSetting(f"{name} must be longer than nothing")
            elif value <= 0:
                raise BadSetting(f"{name} must be above 0")
        return self

    def policy(self) -> Policy:
        """What is kept for how long.

        Raises:
            BadSetting: when a text cannot be read.
        """

        def read(name: str, parse: Callable[[str], T]) -> T:
            try:
                return parse(getattr(self, name))
            except ValueError as error:
                raise BadSetting(f"{name}: {error}") from error

        return Policy(
            executions=read("keep_executions", Rules.parse),
            journal=read("keep_journal", Rules.parse),
            logs=read("keep_logs", Rules.parse),
            requests=read("keep_requests", Span.parse),
            changes=read("keep_changes", Span.parse),
            cache=read("keep_cache", Span.parse),
            cache_entries=self.cache_entries,
            uploads=read("keep_uploads", Span.parse),
        )

    def platform_resources(self) -> PlatformResources:
        """What attempts get that ask for nothing, and the most they may have.

        Raises:
            BadSetting: when a text cannot be read.
        """

        def read(name: str) -> ResourceSet:
            try:
                return amounts(getattr(self, name))
            except ValueError as error:
                raise BadSetting(f"{name}: {error}") from error

        return PlatformResources(
            default_requests=read("resource_defaults"),
            default_limits=read("resource_default_limits"),
            maximum=read("resource_maximum"),
        )


def environment_name(knob: str) -> str:
    """The name of a knob in the environment."""
    return f"VOLERY_{knob.upper()}"


def _secret_line(path: Path, knob: str) -> str:
    """What a file holds that others than its owner must not read."""
    try:
        require_private(path, "the database")
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{knob}: {path} cannot be read: {error}") from error
    except NotPrivate as error:
        raise BadSetting(f"{knob}: {error}") from error
    if not text:
        raise BadSetting(f"{knob}: {path} is empty")
    return text


def _read_boolean(text: str) -> bool:
    match text.strip().lower():
        case "1" | "true" | "yes" | "on":
            return True
        case "0" | "false" | "no" | "off" | "":
            return False
    raise ValueError("neither true nor false")


def _read_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def read_storage(text: str) -> Path | str:
    """A directory, also as a `file://` URL, or the URL of an object store."""
    if text.startswith("file://"):
        return Path(unquote(urlsplit(text).path))
    return text if "://" in text else Path(text)


_READERS: Mapping[str, Callable[[str], object]] = {
    "str": str,
    "int": int,
    "bool": _read_boolean,
    "Path": Path,
    "Path | str": read_storage,
    "Path | None": lambda text: None if text in ("", "None") else Path(text),
    "timedelta": lambda text: timedelta(seconds=float(text)),
    "tuple[str, ...]": _read_list,
}


def _read(name: str, kind: str, text: str) -> object:
    try:
        return _READERS[kind](text)
    except ValueError as error:
        raise BadSetting(f"{environment_name(name)}={text!r} cannot be read: {error}") from error
