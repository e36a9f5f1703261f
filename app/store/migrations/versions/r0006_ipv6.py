"""IPv6: leases of their own kind; subnets of both kinds share their table, and their names."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "leases6",
        sa.Column("address", sa.String(), primary_key=True),
        sa.Column("mac", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("iaid", sa.BigInteger(), nullable=False),
        sa.Column("proven", sa.Integer(), nullable=False),
        sa.Column("subnet", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.Column("hostname", sa.String(), nullable=False),
        sa.Column("interface", sa.String(), nullable=False),
    )
