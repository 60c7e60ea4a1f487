"""What it takes to remove what is no longer kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OVER = ["project", "domain", "close_time", "key"]
INDEXES = {
    "ix_execution_over": "close_time IS NOT NULL",
    "ix_execution_journal": "close_time IS NOT NULL AND NOT journal_cut",
    "ix_execution_logs": "close_time IS NOT NULL AND NOT logs_cut",
}


def upgrade() -> None:
    # Plain ADD COLUMN: a batch would write the table anew and lose its partial indexes.
    op.add_column("execution", sa.Column("close_time", sa.BigInteger(), nullable=True))
    for name in ("journal_cut", "logs_cut"):
        op.add_column("execution", sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute("UPDATE execution SET close_time = end_time WHERE end_time IS NOT NULL")
    for name, where in INDEXES.items():
        op.create_index(name, "execution", OVER, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    # Nobody noted which objects these entries refer to; a cache may forget.
    op.execute("DELETE FROM cache_entry")
    op.add_column(
        "cache_entry",
        sa.Column("last_use_time", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.create_index("ix_cache_entry_use", "cache_entry", ["last_use_time"])
    op.create_index("ix_request_time", "request", ["create_time"])
    op.create_table(
        "object_use",
        sa.Column("target", TEXT, nullable=False),
        sa.Column("holder_kind", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("holder", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("target", "holder_kind", "holder"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_object_use_holder", "object_use", ["holder_kind", "holder"])
    op.create_table(
        "tombstone",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("target", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tombstone_kind", "tombstone", ["kind", "id"])
    op.create_table(
        "change_mark",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("transaction_id", sa.BigInteger(), nullable=False),
        sa.Column("change_id", sa.BigInteger(), nullable=False),
        sa.Column("is_cut", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "pruning",
        sa.Column("singleton", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("holder", TEXT, nullable=False),
        sa.Column("expire_time", sa.BigInteger(), nullable=False),
        sa.Column("indexed_through", sa.BigInteger(), nullable=False),
        sa.Column("legacy_key", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("singleton"),
    )
    op.execute(
        "INSERT INTO pruning (singleton, holder, expire_time, indexed_through, legacy_key) "
        "SELECT 1, '', 0, 0, coalesce(max(key), 0) FROM execution"
    )


def downgrade() -> None:
    for name in ("pruning", "change_mark", "tombstone", "object_use"):
        op.drop_table(name)
    op.drop_index("ix_request_time", "request")
    op.drop_index("ix_cache_entry_use", "cache_entry")
    op.drop_column("cache_entry", "last_use_time")
    for name in INDEXES:
        op.drop_index(name, "execution")
    for name in ("logs_cut", "journal_cut", "close_time"):
        op.drop_column("execution", name)
