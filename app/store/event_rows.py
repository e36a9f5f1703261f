"""Events as rows: written, read back, searched."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.model.event import Event, EventDraft, Level
from app.model.query import LIMIT_MAX, Page, Query, apply
from app.store import tables

_columns = tables.events.c
INSERT = sa.insert(tables.events)
_TEXTS = ("kind", "level", "message", "mac", "machine", "address", "interface", "actor", "data")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events: of one machine (by id and MACs), of kinds that begin with `kind`, between two ids."""

    machine: str = ""
    macs: tuple[str, ...] = ()
    kind: str = ""
    after: int | None = None
    before: int | None = None

    def matches(self, event: EventDraft) -> bool:
        """The event is of this machine and kind; the ids are not looked at."""
        if (self.machine or self.macs) and event.mac not in self.macs and str(event.machine) != self.machine:
            return False
        return event.kind.startswith(self.kind)

    def where(self) -> list[sa.ColumnElement[bool]]:
        """The same for the table."""
        terms: list[sa.ColumnElement[bool]] = []
        if self.machine or self.macs:
            terms.append(sa.or_(_columns.machine == self.machine, _columns.mac.in_(self.macs)))
        if self.kind:
            terms.append(_columns.kind.startswith(self.kind, autoescape=True))
        if self.after is not None:
            terms.append(_columns.id > self.after)
        if self.before is not None:
            terms.append(_columns.id < self.before)
        return terms


def number(draft: EventDraft, event_id: int, machine: uuid.UUID | None) -> Event:
    """The event a draft becomes when it is stored: its facts as JSON gives them back."""
    # Facts come from many hands: what JSON does not know is kept as its text, what UTF-8 does not know is replaced.
    facts = json.dumps(draft.data, ensure_ascii=False, default=str)
    return Event.model_construct(
        id=event_id,
        time=draft.time,
        kind=draft.kind,
        message=_storable(draft.message),
        level=draft.level,
        mac=draft.mac,
        machine=draft.machine or machine,
        address=draft.address,
        interface=draft.interface,
        actor=draft.actor,
        data=json.loads(_storable(facts)),
    )


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def row(event: Event) -> dict[str, Any]:
    """The columns of an event."""
    return {
        "id": event.id,
        "time": event.time,
        "kind": event.kind,
        "level": event.level.value,
        "message": event.message,
        "mac": event.mac,
        "machine": str(event.machine) if event.machine else "",
        "address": event.address,
        "interface": event.interface,
        "actor": event.actor,
        "data": json.dumps(event.data, ensure_ascii=False),
    }


def read(
    connection: Connection, wanted: Selection, *, limit: int, offset: int = 0, newest: bool = False
) -> list[Event]:
    """At most `limit` events in ascending order: the oldest of the selection, or its newest."""
    order = _columns.id.desc() if newest else _columns.id
    found = connection.execute(
        sa.select(tables.events).where(*wanted.where()).order_by(order).limit(limit).offset(offset)
    ).all()
    return [_event(each) for each in (reversed(found) if newest else found)]


def search(connection: Connection, wanted: Selection, query: Query) -> Page[Event]:
    """A page of events. Without `after` and `sort` it counts from the newest back; items are always oldest first.

    Raises InvalidError for an unknown sort field.
    """
    limit = min(query.limit, LIMIT_MAX)
    if not query.filter and not query.sort:
        counted = sa.select(sa.func.count()).select_from(tables.events).where(*wanted.where())
        total = connection.execute(counted).scalar_one()
        items = read(connection, wanted, limit=limit, offset=query.offset, newest=wanted.after is None)
        return Page(tuple(items), total=total, offset=query.offset)
    statement = sa.select(tables.events).where(*wanted.where(), *_likely(query.filter)).order_by(_columns.id)
    candidates = [_event(each) for each in connection.execute(statement)]
    if query.sort:
        return apply(candidates, query)
    matched: list[Event] = []
    for start in range(0, len(candidates), LIMIT_MAX):
        matched += apply(candidates[start : start + LIMIT_MAX], Query(query.filter)).items
    if wanted.after is not None:
        kept = matched[query.offset : query.offset + limit]
    else:
        end = max(0, len(matched) - query.offset)
        kept = matched[max(0, end - limit) : end]
    return Page(tuple(kept), total=len(matched), offset=query.offset)


def _likely(terms: Iterable[str]) -> list[sa.ColumnElement[bool]]:
    """Conditions every match fulfils, and most others do not, so that few rows are made into events to be looked at."""
    text = sa.literal("")
    for name in _TEXTS:
        text = text + " " + _columns[name]
    likely: list[sa.ColumnElement[bool]] = []
    for term in terms:
        operator = next((each for each in "~=" if each in term), "")
        wanted = term.partition(operator)[2] if operator else term
        # SQL folds the case of ASCII letters alone, JSON escapes quotes and backslashes, numbers may be ids or times.
        plain = wanted.isascii() and wanted.isprintable() and not set(wanted) & set('"\\')
        if term.startswith("!") or not plain or not wanted.strip("0123456789."):
            continue
        likely.append(text.icontains(wanted, autoescape=True))
    return likely


def _event(each: sa.Row[Any]) -> Event:
    return Event.model_construct(
        id=each.id,
        time=each.time,
        kind=each.kind,
        message=each.message,
        level=Level(each.level),
        mac=each.mac,
        machine=uuid.UUID(each.machine) if each.machine else None,
        address=each.address,
        interface=each.interface,
        actor=each.actor,
        data=json.loads(each.data),
    )


def ids(connection: Connection, limit: int) -> Sequence[int]:
    """The newest `limit` ids, ascending."""
    newest = connection.execute(sa.select(_columns.id).order_by(_columns.id.desc()).limit(limit)).scalars().all()
    return newest[::-1]
