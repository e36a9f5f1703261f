"""Which schema a database has, and bringing it to ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.errors import BootcartError

# Oldest first; a test holds this against the revision files. Known here, so that a start on a current database
# needs no Alembic, whose import takes longer than all else the store does.
REVISIONS: tuple[str, ...] = ("0001", "0002", "0003", "0004", "0005", "0006")
HEAD = REVISIONS[-1]
_FOLDER = Path(__file__).parent / "migrations"


def revision_of(connection: Connection) -> str | None:
    """The database's revision, None for an empty one.

    Raises BootcartError when a newer program wrote it, or when it holds something that is not ours.
    """
    names = set(sa.inspect(connection).get_table_names())
    if "alembic_version" not in names:
        ours = names & {"machines", "subnets", "leases", "events"}
        if names and (ours or connection.dialect.name == "sqlite"):
            raise BootcartError(
                f"the database holds tables, but none that says its schema: {', '.join(sorted(names)[:5])}",
                hint="it was not made by Bootcart; move it away or give another --data-dir",
            )
        return None
    found: Sequence[str] = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all()
    if not found:
        return None
    if found[0] not in REVISIONS:
        raise BootcartError(
            f"the database has schema {found[0]}, written by a newer Bootcart; this one knows {REVISIONS[0]} to {HEAD}",
            hint="start the newer Bootcart, or restore the backup it made before it changed the schema",
        )
    return found[0]


def upgrade(connection: Connection) -> None:
    """Bring the database to HEAD inside the caller's transaction."""
    # Imported on need: see REVISIONS.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
