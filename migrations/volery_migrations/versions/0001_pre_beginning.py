"""Everything there is at the first release."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

TABLES = (
    "installation",
    "project",
    "project_label",
    "entity",
    "entity_head",
    "closure",
    "activation",
    "execution",
    "execution_label",
    "execution_tag",
    "node",
    "attempt",
    "node_value",
    "journal",
    "inbox",
    "change",
    "worker_session",
    "cache_entry",
    "log_head",
    "log_piece",
    "request",
)


def upgrade() -> None:
    op.create_table(
        "installation",
        sa.Column("singleton", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("installation_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("singleton"),
    )
    op.create_table(
        "project",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("display_name", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("labels", TEXT, nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id"),
    )
    op.create_table(
        "project_label",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "entity",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("project", TEXT, nullable=False),
        sa.Column("domain", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("closure_digest", TEXT, nullable=False),
        sa.Column("summary", TEXT, nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_entity_name", "entity", ["kind", "project", "domain", "name", "create_time", "version"]
    )
    op.create_index(
        "ix_entity_time", "entity", ["kind", "project", "domain", "create_time", "name", "version"]
    )
    op.create_index(
        "ux_entity_version", "entity", ["kind", "project", "domain", "name", "version"], unique=True
    )
    op.create_table(
        "entity_head",
        sa.Column("kind", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("project", TEXT, nullable=False),
        sa.Column("domain", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("newest_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "project", "domain", "name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "closure",
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "activation",
        sa.Column("kind", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("project", TEXT, nullable=False),
        sa.Column("domain", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("activate_time", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("deactivate_time", sa.BigInteger(), nullable=True),
        sa.Column("principal", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("kind", "project", "domain", "name", "activate_time"),
        sqlite_with_rowid=False,
    )
    _partial_index(
        "ux_activation_standing",
        "activation",
        ["kind", "project", "domain", "name"],
        "deactivate_time IS NULL",
        unique=True,
    )
    op.create_table(
        "execution",
        sa.Column("key", SERIAL, autoincrement=True, nullable=False),
        sa.Column("uid", TEXT, nullable=False),
        sa.Column("project", TEXT, nullable=False),
        sa.Column("domain", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("target_kind", sa.SmallInteger(), nullable=False),
        sa.Column("target_project", TEXT, nullable=False),
        sa.Column("target_domain", TEXT, nullable=False),
        sa.Column("target_name", TEXT, nullable=False),
        sa.Column("target_version", TEXT, nullable=False),
        sa.Column("closure_digest", TEXT, nullable=False),
        sa.Column("options", sa.LargeBinary(), nullable=False),
        sa.Column("principal", TEXT, nullable=False),
        sa.Column("warnings", TEXT, nullable=False),
        sa.Column("pool", TEXT, nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("start_time", sa.BigInteger(), nullable=True),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.Column("phase", sa.SmallInteger(), nullable=False),
        sa.Column("failure", sa.LargeBinary(), nullable=False),
        sa.Column("abort", sa.LargeBinary(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("last_report", sa.BigInteger(), nullable=False),
        sa.Column("inbox_last", sa.BigInteger(), nullable=False),
        sa.Column("inbox_acknowledged", sa.BigInteger(), nullable=False),
        sa.Column("standing", sa.SmallInteger(), nullable=False),
        sa.Column("fencing_token", sa.BigInteger(), nullable=False),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("worker_id", TEXT, nullable=False),
        sa.Column("wake_time", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("key"),
        sqlite_autoincrement=True,
        postgresql_with={"fillfactor": 60},
    )
    _partial_index("ix_execution_held", "execution", ["session_id", "key"], "standing = 2")
    _partial_index("ix_execution_parked", "execution", ["wake_time", "key"], "standing = 3")
    _partial_index("ix_execution_ready", "execution", ["pool", "key"], "standing = 1")
    op.create_index("ix_execution_time", "execution", ["project", "domain", "create_time", "key"])
    op.create_index("ux_execution_name", "execution", ["project", "domain", "name"], unique=True)
    op.create_table(
        "execution_label",
        sa.Column("execution_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("execution_key", "name"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_execution_label_value", "execution_label", ["name", "value", "execution_key"])
    op.create_table(
        "execution_tag",
        sa.Column("execution_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tag", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("execution_key", "tag"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_execution_tag_tag", "execution_tag", ["tag", "execution_key"])
    op.create_table(
        "node",
        sa.Column("execution_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sort_path", TEXT, nullable=False),
        sa.Column("parent", TEXT, nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("phase", sa.SmallInteger(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("target_name", TEXT, nullable=False),
        sa.Column("queue_time", sa.BigInteger(), nullable=True),
        sa.Column("start_time", sa.BigInteger(), nullable=True),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.Column("failure", sa.LargeBinary(), nullable=False),
        sa.Column("waiting_reason", sa.SmallInteger(), nullable=False),
        sa.Column("wake_time", sa.BigInteger(), nullable=True),
        sa.Column("cache_status", sa.SmallInteger(), nullable=False),
        sa.Column("cache_source", sa.LargeBinary(), nullable=False),
        sa.Column("item_count", sa.BigInteger(), nullable=False),
        sa.Column("user_failures", sa.BigInteger(), nullable=False),
        sa.Column("infrastructure_failures", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("execution_key", "sort_path"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 60},
    )
    op.create_index("ix_node_parent", "node", ["execution_key", "parent", "sort_path"])
    op.create_table(
        "attempt",
        sa.Column("execution_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sort_path", TEXT, nullable=False),
        sa.Column("attempt", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("phase", sa.SmallInteger(), nullable=False),
        sa.Column("queue_time", sa.BigInteger(), nullable=True),
        sa.Column("start_time", sa.BigInteger(), nullable=True),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.Column("failure", sa.LargeBinary(), nullable=False),
        sa.Column("retry_decision", TEXT, nullable=False),
        sa.Column("infrastructure_failure", sa.Boolean(), nullable=False),
        sa.Column("worker_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("execution_key", "sort_path", "attempt"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "node_value",
        sa.Column("execution_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sort_path", TEXT, nullable=False),
        sa.Column("direction", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("chunk", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("chunk_count", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("execution_key", "sort_path", "direction", "name", "chunk"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "journal",
        sa.Column("execution_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_sequence", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("compressed", sa.Boolean(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("execution_key", "last_sequence"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "inbox",
        sa.Column("execution_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("execution_key", "position"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "change",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("transaction_id", sa.BigInteger(), nullable=False),
        sa.Column("project", TEXT, nullable=False),
        sa.Column("domain", TEXT, nullable=False),
        sa.Column("execution_key", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_change_cursor", "change", ["project", "domain", "transaction_id", "id"])
    op.create_table(
        "worker_session",
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("worker_id", TEXT, nullable=False),
        sa.Column("expire_time", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("session_id"),
    )
    _partial_index("ix_worker_session_expire", "worker_session", ["expire_time"], "NOT ended")
    _partial_index("ix_worker_session_worker", "worker_session", ["worker_id"], "NOT ended")
    op.create_table(
        "cache_entry",
        sa.Column("key", TEXT, nullable=False),
        sa.Column("project", TEXT, nullable=False),
        sa.Column("domain", TEXT, nullable=False),
        sa.Column("execution_name", TEXT, nullable=False),
        sa.Column("node_path", TEXT, nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("expire_time", sa.BigInteger(), nullable=True),
        sa.Column("key_parts", TEXT, nullable=False),
        sa.Column("task", TEXT, nullable=False),
        sa.Column("outputs", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "log_head",
        sa.Column("execution_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_serial", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("execution_key"),
    )
    op.create_table(
        "log_piece",
        sa.Column("execution_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("serial", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sort_path", TEXT, nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.SmallInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("uri", TEXT, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("execution_key", "serial"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ux_log_piece_place",
        "log_piece",
        ["execution_key", "sort_path", "attempt", "stream", "position"],
        unique=True,
    )
    op.create_table(
        "request",
        sa.Column("request_id", TEXT, nullable=False),
        sa.Column("method", TEXT, nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("request_id"),
    )

    installation = sa.table(
        "installation", sa.column("singleton", sa.SmallInteger()), sa.column("installation_id", sa.Text())
    )
    op.bulk_insert(installation, [{"singleton": 1, "installation_id": uuid.uuid4().hex}])


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _partial_index(name: str, table: str, columns: list[str], where: str, unique: bool = False) -> None:
    op.create_index(
        name, table, columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
    )
