"""What people ask an engine about: where attempts spend their time, what workers do, whose trace it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
FAILED = "standing = 0 AND length(failure) > 0"

TEXTS = (("execution", "traceparent"), ("worker_session", "version"), ("worker_session", "pools"))
TIMES = (("attempt", "launch_time"), ("attempt", "code_time"), ("attempt", "commit_time"))
NUMBERS = (
    ("inbox", "time"),
    ("worker_session", "slots"),
    ("worker_session", "executions"),
    ("worker_session", "open_time"),
    ("worker_session", "renew_time"),
    ("worker_session", "busy_slots"),
    ("worker_session", "waiting_attempts"),
)


def upgrade() -> None:
    for table, name in TEXTS:
        op.add_column(table, sa.Column(name, TEXT, nullable=False, server_default=sa.text("''")))
    for table, name in NUMBERS:
        op.add_column(table, sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    for table, name in TIMES:
        op.add_column(table, sa.Column(name, sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_execution_failed",
        "execution",
        ["end_time", "key"],
        sqlite_where=sa.text(FAILED),
        postgresql_where=sa.text(FAILED),
    )


def downgrade() -> None:
    op.drop_index("ix_execution_failed", "execution")
    for table, name in reversed((*TEXTS, *NUMBERS, *TIMES)):
        op.drop_column(table, name)
