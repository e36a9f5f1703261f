"""Many rows into one table at once: what every lease and event goes through."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

_SIZES = (64, 16, 4, 1)


class BulkInsert:
    """An INSERT of whole rows, compiled once for the database it runs on.

    To SQLite rows go in statements of many: the driver lets go of the interpreter once for each statement, and a thread
    that gets it back row by row waits for the one that answers machines each time.
    """

    def __init__(self, statement: sa.Insert, table: sa.Table, dialect: Dialect) -> None:
        """`statement` inserts into `table` and names no values."""
        self._statement = statement
        self._names = [column.name for column in table.columns]
        self._compiled: dict[int, str] = {}
        if dialect.name == "sqlite":
            for size in _SIZES:
                row = dict.fromkeys(self._names)
                self._compiled[size] = str(statement.values([row] * size).compile(dialect=dialect))

    def run(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Put rows into the open transaction; each has every column, in the table's order."""
        if not self._compiled:
            connection.execute(self._statement, [dict(zip(self._names, row, strict=True)) for row in rows])
            return
        at = 0
        for size in _SIZES:
            while len(rows) - at >= size:
                values = tuple(chain.from_iterable(rows[at : at + size]))
                connection.exec_driver_sql(self._compiled[size], values)
                at += size
