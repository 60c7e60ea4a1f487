"""Why a node that was launched does not run yet, in the words of the machine that is to run it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("node", sa.Column("waiting_message", TEXT, nullable=False, server_default=sa.text("''")))


def downgrade() -> None:
    op.drop_column("node", "waiting_message")
