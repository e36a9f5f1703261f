"""A machine may have a reservation on each subnet, and one may be for a client identifier: no MAC is unique there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table anew: the constraint has no name everywhere, and SQLite drops none."""
    op.create_table(
        "reservations_without_constraint",
        sa.Column("address", sa.String(), primary_key=True),
        sa.Column("mac", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
    )
    op.execute(
        "INSERT INTO reservations_without_constraint (address, mac, version, body) "
        "SELECT address, mac, version, body FROM reservations"
    )
    op.drop_table("reservations")
    op.rename_table("reservations_without_constraint", "reservations")
    op.create_index("ix_reservations_mac", "reservations", ["mac"])
