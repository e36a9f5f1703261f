"""The command log: appended to, never rewritten, each entry sealed by a digest over it and the one before."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.model.engine import Command
from app.store import tables

_columns = tables.commands.c


@dataclass(frozen=True, slots=True)
class Entry:
    """A command before the log has given it a number."""

    time: float
    actor: str
    verb: str
    noun: str
    key: str
    summary: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    undoable: bool = True
    undoes: int | None = None


def append(connection: Connection, entry: Entry) -> Command:
    """Write an entry; it is durable with the transaction it belongs to."""
    newest = sa.select(_columns.digest).order_by(_columns.id.desc()).limit(1)
    previous = connection.execute(newest).scalar_one_or_none() or ""
    values = _values(entry)
    inserted = connection.execute(sa.insert(tables.commands).values(**values, digest=_digest(previous, values)))
    key = inserted.inserted_primary_key
    if key is None:
        raise RuntimeError("the database gave the command no number")
    return _command(int(key[0]), None, values)


def mark_undone(connection: Connection, command_id: int, by: int) -> None:
    """Command `command_id`, and what did it again meanwhile, was taken back by `by`."""
    again = sa.and_(_columns.undoes == command_id, _columns.verb == "redo", _columns.undone_by.is_(None))
    connection.execute(sa.update(tables.commands).where(_columns.id == command_id).values(undone_by=by))
    connection.execute(sa.update(tables.commands).where(again).values(undone_by=by))


def mark_redone(connection: Connection, undo_id: int, by: int) -> None:
    """What `undo_id` took back is in force again, through `by`."""
    connection.execute(sa.update(tables.commands).where(_columns.undone_by == undo_id).values(undone_by=None))
    connection.execute(sa.update(tables.commands).where(_columns.id == undo_id).values(undone_by=by))


def get(connection: Connection, command_id: int) -> Command | None:
    """The command of this number."""
    row = connection.execute(sa.select(tables.commands).where(_columns.id == command_id)).one_or_none()
    return _read(row) if row is not None else None


def newest(connection: Connection, limit: int) -> list[Command]:
    """The newest commands, oldest first."""
    rows = connection.execute(sa.select(tables.commands).order_by(_columns.id.desc()).limit(limit)).all()
    return [_read(row) for row in reversed(rows)]


def newest_undoable(connection: Connection) -> Command | None:
    """The newest command that can be taken back and was not; an undo is taken back by its number alone."""
    wanted = sa.select(tables.commands).where(
        _columns.undoable == 1, _columns.undone_by.is_(None), _columns.verb.not_in(("undo", "redo"))
    )
    row = connection.execute(wanted.order_by(_columns.id.desc()).limit(1)).one_or_none()
    return _read(row) if row is not None else None


def newest_of(connection: Connection, noun: str, key: str) -> Command | None:
    """The newest command about an object, that which gave it another key among them."""
    about = sa.or_(_columns.key == key, _columns.before["address"].as_string() == key)
    wanted = sa.select(tables.commands).where(_columns.noun == noun, about)
    row = connection.execute(wanted.order_by(_columns.id.desc()).limit(1)).one_or_none()
    return _read(row) if row is not None else None


def first_altered(connection: Connection) -> int | None:
    """The number of the first entry that is not as it was written, or that follows one taken out; None: all are sound.

    What was taken back since (`undone_by`) is not sealed; the undo's own entry is.
    """
    previous = ""
    for row in connection.execute(sa.select(tables.commands).order_by(_columns.id)):
        values = {name: getattr(row, name) for name in _SEALED}
        if row.digest != _digest(previous, values):
            return int(row.id)
        previous = row.digest
    return None


_SEALED = ("time", "actor", "verb", "noun", "key", "summary", "before", "after", "undoable", "undoes")


def _values(entry: Entry) -> dict[str, Any]:
    values = {name: getattr(entry, name) for name in _SEALED}
    values["undoable"] = int(entry.undoable)
    return values


def _digest(previous: str, values: dict[str, Any]) -> str:
    # Left out where there is none, so that entries from before there was such a column keep their digest.
    told = {name: value for name, value in values.items() if name != "undoes" or value is not None}
    text = json.dumps([previous, told], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _read(row: sa.Row[Any]) -> Command:
    return _command(row.id, row.undone_by, {name: getattr(row, name) for name in _SEALED})


def _command(number: int, undone_by: int | None, values: dict[str, Any]) -> Command:
    return Command.model_validate({"id": number, "undone_by": undone_by, **values})
