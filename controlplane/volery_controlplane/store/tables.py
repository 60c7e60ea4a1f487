"""Every table, as SQLModel classes; the migrations arrive at exactly these.

Times are microseconds in BIGINT columns; messages that nobody queries by are serialised bytes; lists and
maps that nobody queries by are JSON text. Text that is ordered or ranged over is compared byte by byte on
both engines, so that a page means the same everywhere.

`sort_path` is a node's path with item indexes padded (`volery_rules.paths.sort_key`): the order of keys is
the order of paths, and a subtree is one range of keys.

It is long since it is the whole schema, to be read beside the migrations.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, SmallInteger, Table, Text, false, text
from sqlmodel import Field, SQLModel

_KEY_TEXT = Text().with_variant(Text(collation="C"), "postgresql")
_SERIAL = BigInteger().with_variant(Integer(), "sqlite")


class Standing(IntEnum):
    """Who may act on an execution: decides what is claimable."""

    ENDED = 0
    READY = 1
    HELD = 2
    PARKED = 3


def _text(**options: Any) -> Any:
    return Field(sa_type=_KEY_TEXT, **options)


def _big(**options: Any) -> Any:
    return Field(sa_type=BigInteger, **options)


def _key() -> Any:
    # never made up by the database
    return Field(sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})


def _small(**options: Any) -> Any:
    return Field(sa_type=SmallInteger, **options)


def _small_key() -> Any:
    return Field(sa_type=SmallInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})


def _serial() -> Any:
    return Field(default=None, sa_type=_SERIAL, primary_key=True)


def _blob() -> Any:
    return Field(sa_type=LargeBinary)


def _empty() -> dict[str, Any]:
    # Added after the first release: who knows nothing of the column may go on inserting.
    return {"sa_column_kwargs": {"server_default": text("''")}}


def _zero() -> dict[str, Any]:
    return {"sa_column_kwargs": {"server_default": text("0")}}


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


def _no() -> Any:
    return Field(sa_column_kwargs={"server_default": false()})


_OVER = ("project", "domain", "close_time", "key")
# PostgreSQL writes a changed row beside the old one, without touching indexes, where the page has room.
_ROOM = {"postgresql_with": {"fillfactor": 60}}
_CLUSTERED = {"sqlite_with_rowid": False}
_COUNTED = {"sqlite_autoincrement": True}


class Installation(SQLModel, table=True):
    """One row: who this database belongs to."""

    __tablename__ = "installation"
    singleton: int = _small_key()
    installation_id: str = _text()


class InstallationSecret(SQLModel, table=True):
    """One row: what keys of attempts are derived from."""

    __tablename__ = "installation_secret"
    singleton: int = _small_key()
    secret: bytes = _blob()


class Token(SQLModel, table=True):
    """A caller's token; of the secret only its digest. Revoked ones stay, so that their use is told apart."""

    __tablename__ = "token"
    token_id: str = _text(primary_key=True)
    name: str = _text()
    role: str = _text()
    projects: str = _text()
    digest: bytes = _blob()
    create_time: int = _big()
    expire_time: int | None = _big(nullable=True)
    revoke_time: int | None = _big(nullable=True)


class Project(SQLModel, table=True):
    """A tenant."""

    __tablename__ = "project"
    project_id: str = _text(primary_key=True)
    display_name: str = _text()
    description: str = _text()
    labels: str = _text()
    archived: bool
    create_time: int = _big()


class ProjectLabel(SQLModel, table=True):
    """A label of a project, for filters."""

    __tablename__ = "project_label"
    __table_args__ = (_CLUSTERED,)
    project_id: str = _text(primary_key=True)
    name: str = _text(primary_key=True)
    value: str = _text()


class Entity(SQLModel, table=True):
    """One version of a task, workflow or launch plan."""

    __tablename__ = "entity"
    __table_args__ = (
        Index("ux_entity_version", "kind", "project", "domain", "name", "version", unique=True),
        Index("ix_entity_name", "kind", "project", "domain", "name", "create_time", "version"),
        Index("ix_entity_time", "kind", "project", "domain", "create_time", "name", "version"),
        _COUNTED,
    )
    id: int | None = _serial()
    kind: int = _small()
    project: str = _text()
    domain: str = _text()
    name: str = _text()
    version: str = _text()
    digest: str = _text()
    content: bytes = _blob()
    closure_digest: str = _text()
    summary: str = _text()
    create_time: int = _big()


class EntityHead(SQLModel, table=True):
    """The newest version of a name, so that names are listed without reading all versions."""

    __tablename__ = "entity_head"
    __table_args__ = (_CLUSTERED,)
    kind: int = _small_key()
    project: str = _text(primary_key=True)
    domain: str = _text(primary_key=True)
    name: str = _text(primary_key=True)
    newest_id: int = _big()


class Closure(SQLModel, table=True):
    """A compiled workflow with all it refers to."""

    __tablename__ = "closure"
    digest: str = _text(primary_key=True)
    content: bytes = _blob()


class Activation(SQLModel, table=True):
    """A span in which a version of a launch plan was the active one."""

    __tablename__ = "activation"
    __table_args__ = (
        _partial(
            "ux_activation_standing",
            "kind",
            "project",
            "domain",
            "name",
            where="deactivate_time IS NULL",
            unique=True,
        ),
        _CLUSTERED,
    )
    kind: int = _small_key()
    project: str = _text(primary_key=True)
    domain: str = _text(primary_key=True)
    name: str = _text(primary_key=True)
    activate_time: int = _key()
    version: str = _text()
    deactivate_time: int | None = _big()
    principal: str = _text()


class Execution(SQLModel, table=True):
    """One run: its intention, where it stands, and who holds it."""

    __tablename__ = "execution"
    __table_args__ = (
        Index("ux_execution_name", "project", "domain", "name", unique=True),
        Index("ix_execution_time", "project", "domain", "create_time", "key"),
        _partial("ix_execution_ready", "pool", "key", where=f"standing = {Standing.READY.value}"),
        _partial("ix_execution_held", "session_id", "key", where=f"standing = {Standing.HELD.value}"),
        _partial("ix_execution_parked", "wake_time", "key", where=f"standing = {Standing.PARKED.value}"),
        # So that the newest failures of all projects are found without a scan; written when one fails.
        _partial(
            "ix_execution_failed",
            "end_time",
            "key",
            where=f"standing = {Standing.ENDED.value} AND length(failure) > 0",
        ),
        _partial("ix_execution_over", *_OVER, where="close_time IS NOT NULL"),
        _partial("ix_execution_journal", *_OVER, where="close_time IS NOT NULL AND NOT journal_cut"),
        _partial("ix_execution_logs", *_OVER, where="close_time IS NOT NULL AND NOT logs_cut"),
        {**_COUNTED, **_ROOM},
    )
    key: int | None = _serial()
    uid: str = _text()
    project: str = _text()
    domain: str = _text()
    name: str = _text()
    fingerprint: str = _text()
    target_kind: int = _small()
    target_project: str = _text()
    target_domain: str = _text()
    target_name: str = _text()
    target_version: str = _text()
    closure_digest: str = _text()
    options: bytes = _blob()
    principal: str = _text()
    warnings: str = _text()
    pool: str = _text()
    create_time: int = _big()
    start_time: int | None = _big()
    end_time: int | None = _big()
    phase: int = _small()
    failure: bytes = _blob()
    abort: bytes = _blob()
    counts: bytes = _blob()
    last_sequence: int = _big()
    last_report: int = _big()
    inbox_last: int = _big()
    inbox_acknowledged: int = _big()
    standing: int = _small()
    fencing_token: int = _big()
    session_id: str = _text()
    worker_id: str = _text()
    wake_time: int | None = _big()
    traceparent: str = _text(**_empty())
    close_time: int | None = _big()  # when the end was committed, by the database's clock
    journal_cut: bool = _no()
    logs_cut: bool = _no()


class ExecutionLabel(SQLModel, table=True):
    """A label of an execution, for filters."""

    __tablename__ = "execution_label"
    __table_args__ = (Index("ix_execution_label_value", "name", "value", "execution_key"), _CLUSTERED)
    execution_key: int = _key()
    name: str = _text(primary_key=True)
    value: str = _text()


class ExecutionTag(SQLModel, table=True):
    """A tag of an execution, for filters."""

    __tablename__ = "execution_tag"
    __table_args__ = (Index("ix_execution_tag_tag", "tag", "execution_key"), _CLUSTERED)
    execution_key: int = _key()
    tag: str = _text(primary_key=True)


class Node(SQLModel, table=True):
    """A node execution as it stands."""

    __tablename__ = "node"
    __table_args__ = (
        Index("ix_node_parent", "execution_key", "parent", "sort_path"),
        {**_CLUSTERED, **_ROOM},
    )
    execution_key: int = _key()
    sort_path: str = _text(primary_key=True)
    parent: str = _text()
    kind: int = _small()
    phase: int = _small()
    attempt: int = _big()
    name: str = _text()
    target_name: str = _text()
    queue_time: int | None = _big()
    start_time: int | None = _big()
    end_time: int | None = _big()
    failure: bytes = _blob()
    waiting_reason: int = _small()
    wake_time: int | None = _big()
    cache_status: int = _small()
    cache_source: bytes = _blob()
    item_count: int = _big()
    user_failures: int = _big()
    infrastructure_failures: int = _big()
    counts: bytes = _blob()
    waiting_message: str = _text(**_empty())


class Attempt(SQLModel, table=True):
    """One try at a task as it stands."""

    __tablename__ = "attempt"
    __table_args__ = (_CLUSTERED,)
    execution_key: int = _key()
    sort_path: str = _text(primary_key=True)
    attempt: int = _key()
    phase: int = _small()
    queue_time: int | None = _big()
    start_time: int | None = _big()
    end_time: int | None = _big()
    failure: bytes = _blob()
    retry_decision: str = _text()
    infrastructure_failure: bool
    worker_id: str = _text()
    launch_time: int | None = _big()
    code_time: int | None = _big()
    commit_time: int | None = _big()


class NodeValue(SQLModel, table=True):
    """One value of a node or an execution, or one chunk of a collection."""

    __tablename__ = "node_value"
    __table_args__ = (_CLUSTERED,)
    execution_key: int = _key()
    sort_path: str = _text(primary_key=True)
    direction: int = _small_key()
    name: str = _text(primary_key=True)
    chunk: int = _key()
    chunk_count: int = _big()
    content: bytes = _blob()


class Journal(SQLModel, table=True):
    """What one report told. Keyed by its last sequence, so that "after" is one range."""

    __tablename__ = "journal"
    __table_args__ = (_CLUSTERED,)
    execution_key: int = _key()
    last_sequence: int = _key()
    first_sequence: int = _big()
    time: int = _big()
    compressed: bool
    content: bytes = _blob()


class Inbox(SQLModel, table=True):
    """What an execution must learn from outside."""

    __tablename__ = "inbox"
    __table_args__ = (_CLUSTERED,)
    execution_key: int = _key()
    position: int = _key()
    content: bytes = _blob()
    time: int = _big(**_zero())


class Change(SQLModel, table=True):
    """An execution's phase changed. `transaction_id` is 0 on SQLite, where ids are in commit order."""

    __tablename__ = "change"
    __table_args__ = (
        Index("ix_change_cursor", "project", "domain", "transaction_id", "id"),
        _COUNTED,
    )
    id: int | None = _serial()
    transaction_id: int = _big()
    project: str = _text()
    domain: str = _text()
    execution_key: int = _big()


class WorkerSession(SQLModel, table=True):
    """A worker's session and the end of its lease."""

    __tablename__ = "worker_session"
    __table_args__ = (
        _partial("ix_worker_session_worker", "worker_id", where="NOT ended"),
        _partial("ix_worker_session_expire", "expire_time", where="NOT ended"),
    )
    session_id: str = _text(primary_key=True)
    worker_id: str = _text()
    expire_time: int = _big()
    ended: bool
    version: str = _text(**_empty())
    pools: str = _text(**_empty())
    slots: int = _big(**_zero())
    executions: int = _big(**_zero())
    open_time: int = _big(**_zero())
    renew_time: int = _big(**_zero())
    busy_slots: int = _big(**_zero())
    waiting_attempts: int = _big(**_zero())


class CacheEntry(SQLModel, table=True):
    """A result kept under a key."""

    __tablename__ = "cache_entry"
    __table_args__ = (Index("ix_cache_entry_use", "last_use_time"),)
    key: str = _text(primary_key=True)
    project: str = _text()
    domain: str = _text()
    execution_name: str = _text()
    node_path: str = _text()
    attempt: int = _big()
    create_time: int = _big()
    expire_time: int | None = _big()
    key_parts: str = _text()
    task: str = _text()
    outputs: bytes = _blob()
    last_use_time: int = Field(sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})


class LogHead(SQLModel, table=True):
    """The last serial given to a log piece of an execution; its lock keeps serials in commit order."""

    __tablename__ = "log_head"
    execution_key: int = _key()
    last_serial: int = _big()


class LogPiece(SQLModel, table=True):
    """A piece of a log, or a reference to a whole one."""

    __tablename__ = "log_piece"
    __table_args__ = (
        Index(
            "ux_log_piece_place",
            "execution_key",
            "sort_path",
            "attempt",
            "stream",
            "position",
            unique=True,
        ),
        _CLUSTERED,
    )
    execution_key: int = _key()
    serial: int = _key()
    sort_path: str = _text()
    attempt: int = _big()
    stream: int = _small()
    position: int = _big()
    data: bytes = _blob()
    uri: str = _text()
    size: int = _big()
    time: int = _big()


class Request(SQLModel, table=True):
    """The answer given to a request id."""

    __tablename__ = "request"
    __table_args__ = (Index("ix_request_time", "create_time"),)
    request_id: str = _text(primary_key=True)
    method: str = _text()
    fingerprint: str = _text()
    response: bytes = _blob()
    create_time: int = _big()


class ObjectUse(SQLModel, table=True):
    """Somebody refers to an object that another execution made, or that was uploaded.

    `target` is a path below the root of the object store, of an object or of all that lies below it. What an
    execution refers to below its own prefix needs no row: it lives as long as the execution.
    """

    __tablename__ = "object_use"
    __table_args__ = (Index("ix_object_use_holder", "holder_kind", "holder"), _CLUSTERED)
    target: str = _text(primary_key=True)
    holder_kind: int = _small_key()
    holder: str = _text(primary_key=True)


class Tombstone(SQLModel, table=True):
    """Something whose owner is gone and that is still to be removed."""

    __tablename__ = "tombstone"
    __table_args__ = (Index("ix_tombstone_kind", "kind", "id"), _COUNTED)
    id: int | None = _serial()
    kind: int = _small()
    target: str = _text()


class ChangeMark(SQLModel, table=True):
    """Where the log of changes stood at a time. What lies before a mark that is cut is no longer kept."""

    __tablename__ = "change_mark"
    __table_args__ = (_COUNTED,)
    id: int | None = _serial()
    time: int = _big()
    transaction_id: int = _big()
    change_id: int = _big()
    is_cut: bool


class Pruning(SQLModel, table=True):
    """One row: which control plane prunes, and from where on it knows who refers to what."""

    __tablename__ = "pruning"
    singleton: int = _small_key()
    holder: str = _text()
    expire_time: int = _big()
    indexed_through: int = _big()  # entities whose references are known, by id
    legacy_key: int = _big()  # executions up to this key may refer to objects without a row


def table_of(model: type[SQLModel]) -> Table:
    """The Core table behind a class."""
    table: Table = model.__table__  # type: ignore[attr-defined] # given by SQLModel's metaclass
    return table


metadata = SQLModel.metadata
