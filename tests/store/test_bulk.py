"""Rows go into their table in statements of many, each value in its column."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from app.store.bulk import BulkInsert

TABLE = sa.Table("things", sa.MetaData(), sa.Column("name", sa.String, primary_key=True), sa.Column("size", sa.Integer))


@dataclass(frozen=True)
class _Other:
    """A database that rows are handed to as they are."""

    name: str = "other"


@pytest.mark.parametrize("count", [1, 3, 16, 64, 65, 149])
@pytest.mark.parametrize("dialect", ["sqlite", "other"])
def test_every_row_is_stored_as_it_is(count: int, dialect: str) -> None:
    engine = sa.create_engine("sqlite://")
    rows = [(f"thing {number}", number) for number in range(count)]
    with engine.begin() as connection:
        TABLE.metadata.create_all(connection)
        bulk = BulkInsert(sa.insert(TABLE), TABLE, engine.dialect if dialect == "sqlite" else _Other())  # type: ignore[arg-type]
        bulk.run(connection, rows)
        found = connection.execute(sa.select(TABLE).order_by(TABLE.c.size)).all()
    engine.dispose()

    assert [tuple(each) for each in found] == rows
