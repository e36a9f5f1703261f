"""The first schema: machines, subnets, reservations, prefs, leases, events and the command log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "machines",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False, unique=True),
        sa.Column("address", sa.String(), nullable=True, unique=True),
        sa.Column("bootenv", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
    )
    op.create_index("ix_machines_bootenv", "machines", ["bootenv"])
    op.create_table(
        "machine_macs",
        sa.Column("mac", sa.String(), primary_key=True),
        sa.Column("machine", sa.String(), sa.ForeignKey("machines.id", ondelete="CASCADE"), nullable=False),
    )
    op.create_index("ix_machine_macs_machine", "machine_macs", ["machine"])
    op.create_table(
        "subnets",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("cidr", sa.String(), nullable=False, unique=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
    )
    op.create_table(
        "reservations",
        sa.Column("address", sa.String(), primary_key=True),
        sa.Column("mac", sa.String(), nullable=False, unique=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
    )
    op.create_table(
        "prefs",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("address", sa.String(), primary_key=True),
        sa.Column("mac", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("subnet", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.Column("hostname", sa.String(), nullable=False),
        sa.Column("interface", sa.String(), nullable=False),
    )
    op.create_index("ix_leases_mac", "leases", ["mac"])
    op.create_table(
        "events",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("mac", sa.String(), nullable=False),
        sa.Column("machine", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("interface", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
    )
    op.create_index("ix_events_machine_id", "events", ["machine", "id"])
    op.create_index("ix_events_mac_id", "events", ["mac", "id"])
    op.create_table(
        "commands",
        sa.Column("id", _ROW_ID, primary_key=True),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("verb", sa.String(), nullable=False),
        sa.Column("noun", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("before", sa.JSON()),
        sa.Column("after", sa.JSON()),
        sa.Column("undone_by", _ROW_ID),
        sa.Column("undoable", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sqlite_autoincrement=True,
    )
