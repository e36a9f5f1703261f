"""An entry of the command log that takes back or does again names the command it is about."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the column; entries written before it stay as they are, and their digests hold."""
    op.add_column("commands", sa.Column("undoes", _ROW_ID))
