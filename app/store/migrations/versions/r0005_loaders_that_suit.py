"""The boot loader that suits a machine or a model of network card is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "loaders",
        sa.Column("subject", sa.String(), primary_key=True),
        sa.Column("loader", sa.String(), nullable=False),
        sa.Column("tried", sa.String(), nullable=False),
        sa.Column("works", sa.Integer(), nullable=False),
    )
