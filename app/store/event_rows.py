"""Events as rows: written, read back, searched."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect

from app.model.event import Event, EventDraft, Facts, Level
from app.model.inert import inert
from app.model.query import LIMIT_MAX, Page, Query, apply, fits
from app.store import tables
from app.store.bulk import BulkInsert

_columns = tables.events.c
# Facts come from many hands: what JSON does not know is kept as its text.
_json = json.JSONEncoder(ensure_ascii=False, default=str).encode
# What comes back from JSON as it went in.
_SAME = frozenset((str, int, bool, type(None)))
_KEYS = re.compile(r'"(?:[^"\\]|\\.)*": ')
_STRUCTURE = frozenset("!~=,[]{} ")
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
            # A list of none takes the compiler as long as the query takes.
            its = _columns.machine == self.machine
            terms.append(sa.or_(its, _columns.mac.in_(self.macs)) if self.macs else its)
        if self.kind:
            terms.append(_columns.kind.startswith(self.kind, autoescape=True))
        if self.after is not None:
            terms.append(_columns.id > self.after)
        if self.before is not None:
            terms.append(_columns.id < self.before)
        return terms


class Numbered(NamedTuple):
    """An event with its facts as they are stored."""

    event: Event
    facts: str


def number(draft: EventDraft, event_id: int, machine: uuid.UUID | None) -> Numbered:
    """The event a draft becomes when it is stored: its facts as JSON gives them back."""
    data = draft.data
    if type(data) is Facts:
        facts = data.text
    else:
        facts = _json(data)
        if not facts.isascii() or any(type(value) not in _SAME for value in data.values()):
            data = json.loads(_storable(facts))
            facts = _json(data)
    event = Event.trusted(
        {
            **draft.__dict__,
            "id": event_id,
            # One line of plain text, whoever put it together.
            "message": inert(draft.message),
            "machine": draft.machine or machine,
            "data": data,
        }
    )
    return Numbered(event, facts)


def _storable(text: str) -> str:
    """What UTF-8 does not know is replaced."""
    return text.encode("utf-8", "replace").decode()


def insert(dialect: Dialect) -> BulkInsert:
    """What stores events."""
    # One whose commit was in doubt, and is tried again, may be there already.
    statement = (postgresql if dialect.name == "postgresql" else sqlite).insert(tables.events)
    return BulkInsert(statement.on_conflict_do_nothing(index_elements=["id"]), tables.events, dialect)


def row(numbered: Numbered) -> tuple[Any, ...]:
    """The columns of an event, in the table's order."""
    event, facts = numbered
    values = event.__dict__
    machine = values["machine"]
    return (
        values["id"],
        values["time"],
        values["kind"],
        values["level"].value,
        values["message"],
        values["mac"],
        str(machine) if machine else "",
        values["address"],
        values["interface"],
        values["actor"],
        facts,
    )


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
    """A page of events. Without `after` and `sort` it counts from the newest back; items are then oldest first.

    Raises InvalidError for an unknown sort field.
    """
    limit = min(query.limit, LIMIT_MAX)
    backwards = query.sort == "-id"
    newest = backwards or (not query.sort and wanted.after is None)
    if query.sort not in ("", "id", "-id"):
        statement = sa.select(tables.events).where(*wanted.where(), *_likely(query.filter)).order_by(_columns.id)
        return apply([_event(each) for each in connection.execute(statement)], query)
    if query.filter:
        found = _matching(connection, wanted, query.filter)
        total = len(found)
        first = max(0, total - query.offset - limit) if newest else query.offset
        last = max(0, total - query.offset) if newest else query.offset + limit
        items = _of(connection, found[first:last])
    else:
        counted = sa.select(sa.func.count()).select_from(tables.events).where(*wanted.where())
        total = connection.execute(counted).scalar_one()
        items = read(connection, wanted, limit=limit, offset=query.offset, newest=newest)
    return Page(tuple(reversed(items) if backwards else items), total=total, offset=query.offset)


def continued(page: Page[Event], newer: Sequence[Event], wanted: Selection, query: Query) -> Page[Event]:
    """A page of stored events with what belongs to it of `newer` ones that are not; the newest page has some."""
    backwards, limit = query.sort == "-id", min(query.limit, LIMIT_MAX)
    last = max((event.id for event in page.items), default=wanted.after or 0)
    reaches = page.offset == 0 and (backwards or wanted.after is None or len(page.items) == page.total)
    if query.sort not in ("", "-id") or not reaches:
        return page
    more = [
        event
        for event in newer
        if event.id > last
        and (wanted.before is None or event.id < wanted.before)
        and wanted.matches(event)
        and fits(event.model_dump(mode="json"), query.filter)
    ]
    items = (*reversed(more), *page.items) if backwards else (*page.items, *more)
    cut = items[:limit] if backwards or wanted.after is not None else items[-limit:]
    return Page(cut, total=page.total + len(more))


def _matching(connection: Connection, wanted: Selection, terms: Sequence[str]) -> list[int]:
    """The ids of all events a filter lets through, ascending.

    The database tells most of them for sure; only the others are looked at here, and no row is made into an event.
    """
    sure = sa.and_(*(_surely(term) for term in terms))
    statement = sa.select(_columns.id, sure).where(*wanted.where(), *_likely(terms)).order_by(_columns.id)
    told = [(number, bool(known)) for number, known in connection.execute(statement)]
    doubtful = [number for number, known in told if not known]
    fitting: set[int] = set()
    for start in range(0, len(doubtful), LIMIT_MAX):
        some = sa.select(tables.events).where(_columns.id.in_(doubtful[start : start + LIMIT_MAX]))
        for each in connection.execute(some).mappings():
            if _quick(each, terms) or fits(
                {**each, "machine": each["machine"] or None, "data": json.loads(each["data"])}, terms
            ):
                fitting.add(each["id"])
    return [number for number, known in told if known or number in fitting]


def _quick(each: Mapping[Any, Any], terms: Sequence[str]) -> bool:
    """Bare words, each found in what the event says: tells most rows without reading their JSON; false: not told."""
    if any(_STRUCTURE & set(term) or term.lower() in "null" or not _plain(term) for term in terms):
        return False
    texts = [each[name] for name in _TEXTS if name != "data"]
    # What is left of JSON without its keys are values, and signs no word here has.
    text = " ".join((*texts, _KEYS.sub("", each["data"]))).lower()
    return all(term.lower() in text for term in terms)


def _of(connection: Connection, numbers: Sequence[int]) -> list[Event]:
    found = connection.execute(sa.select(tables.events).where(_columns.id.in_(numbers)).order_by(_columns.id))
    return [_event(each) for each in found]


def _plain(wanted: str) -> bool:
    """SQL folds the case of ASCII letters alone, and JSON escapes quotes and backslashes."""
    return bool(wanted) and wanted.isascii() and wanted.isprintable() and not set(wanted) & set('"\\')


def _split(body: str) -> tuple[str, str, str]:
    """Field, operator and what is wanted; a bare word has neither of the first."""
    for operator in "~=":
        name, found, wanted = body.partition(operator)
        if found:
            return name.lower(), operator, wanted
    return "", "", body


def _unlikely(body: str) -> bool:
    """Nothing can be told of a term by looking for its text: numbers may be ids or times."""
    wanted = _split(body)[2]
    return not _plain(wanted) or not wanted.strip("0123456789.")


def _anywhere(wanted: str) -> sa.ColumnElement[bool]:
    text = sa.literal("")
    for name in _TEXTS:
        text = text + " " + _columns[name]
    return text.icontains(wanted, autoescape=True)


def _likely(terms: Iterable[str]) -> list[sa.ColumnElement[bool]]:
    """Conditions every match fulfils, and most others do not, so that few rows have to be looked at."""
    return [_anywhere(_split(term)[2]) for term in terms if not term.startswith("!") and not _unlikely(term)]


def _surely(term: str) -> sa.ColumnElement[bool]:
    """A condition only matches fulfil, and most of them do: what is in `data` alone has to be looked at."""
    if term.startswith("!"):
        return sa.false() if _unlikely(term[1:]) else sa.not_(_anywhere(_split(term[1:])[2]))
    name, operator, wanted = _split(term)
    if not _plain(wanted):
        return sa.false()
    columns = [_columns[each] for each in _TEXTS if each != "data"]
    if not operator:
        return sa.or_(*(column.icontains(wanted, autoescape=True) for column in columns))
    # As `row` writes it; quotes inside texts are escaped, so that this can stand nowhere else.
    told = _columns["data"].icontains(f'"{name}": "{wanted}"', autoescape=True) if operator == "=" else sa.false()
    if name not in _TEXTS or name == "data":
        return told if _plain(name) else sa.false()
    if operator == "=":
        return sa.or_(told, sa.func.lower(_columns[name]) == wanted.lower())
    return _columns[name].icontains(wanted, autoescape=True)


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


def machines(connection: Connection) -> set[uuid.UUID]:
    """Every machine there are events of."""
    found = connection.execute(sa.select(_columns.machine).where(_columns.machine != "").distinct()).scalars()
    return {uuid.UUID(each) for each in found}
