"""The filter, sort and page language that API, command line and screens share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel

from app.errors import InvalidError

T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=BaseModel)
LIMIT_MAX = 1000


@dataclass(frozen=True, slots=True)
class Query:
    """Which objects, in which order, which page.

    Each term of `filter` is `word` (anywhere), `field=value` or `field~part`, any with `!` before it; all must hold.
    `sort` is a field name, `-` before it for descending.
    """

    filter: tuple[str, ...] = ()
    sort: str = ""
    limit: int = LIMIT_MAX
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing and how many there are in all."""

    items: tuple[T, ...]
    total: int
    offset: int = 0


def parse_filter(text: str) -> tuple[str, ...]:
    """Split what an operator typed after `/` into terms."""
    return tuple(text.split())


def _flat(value: Any, prefix: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, BaseModel):
        value = value.__dict__
    if isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            yield from _flat(item, f"{prefix}.{key}" if prefix else key)
    elif isinstance(value, (list, tuple)):
        for item in cast("Sequence[Any]", value):
            yield from _flat(item, prefix)
    elif value is not None:
        yield prefix, str(value).lower()


def _matches(pairs: Sequence[tuple[str, str]], term: str) -> bool:
    negate = term.startswith("!")
    body = term[1:] if negate else term
    for operator in ("~", "="):
        name, found, wanted = body.partition(operator)
        if found:
            name, wanted = name.lower(), wanted.lower()
            # `mac~52:54` means the field `macs` too, and `state` the one inside `status`.
            values = [v for key, v in pairs if name in (key, key.rstrip("s"), key.rpartition(".")[2])]
            hit = any(wanted == v if operator == "=" else wanted in v for v in values)
            return hit != negate
    hit = any(body.lower() in value for _, value in pairs)
    return hit != negate


def fits(dumped: Mapping[str, Any], terms: Sequence[str]) -> bool:
    """An object, as a mapping of its fields, is one a filter lets through."""
    pairs = list(_flat(dumped))
    return all(_matches(pairs, term) for term in terms)


@lru_cache(maxsize=64)
def _plain(kind: type[BaseModel]) -> bool:
    """Each of its fields is one value, such as a lease's: there may be very many of them."""
    return all(
        isinstance(field.annotation, type) and issubclass(field.annotation, (str, int, float, IPv4Address, IPv6Address))
        for field in kind.model_fields.values()
    )


def _let_through(item: BaseModel, terms: Sequence[str]) -> bool:
    fields = item.__dict__
    if not _plain(type(item)):
        return fits(fields, terms)
    for term in terms:
        body = term.removeprefix("!").lower()
        name, operator, wanted = next((parts for sign in "~=" if (parts := body.partition(sign))[1]), ("", "", body))
        if not operator:
            hit = wanted in "\n".join(map(str, fields.values())).lower()
        else:
            values = [str(value).lower() for key, value in fields.items() if name in (key, key.rstrip("s"))]
            hit = any(wanted == value if operator == "=" else wanted in value for value in values)
        if hit is term.startswith("!"):
            return False
    return True


def apply(items: Iterable[ModelT], query: Query) -> Page[ModelT]:
    """Filter, sort and page models in memory. Raises InvalidError for an unknown sort field.

    A page of many costs little more than what is on it, unless it is filtered or sorted.
    """
    pool: Sequence[ModelT] = items if isinstance(items, Sequence) else list(items)
    kept = [item for item in pool if _let_through(item, query.filter)] if query.filter else pool
    if query.sort:
        name = query.sort.lstrip("-")
        known = {field: None for kind in {type(item) for item in kept} for field in kind.model_fields}
        if kept and name not in known:
            raise InvalidError(f"no field {name!r} to sort by", hint="one of " + ", ".join(known), field="sort")
        kept = sorted(kept, key=lambda item: _order(getattr(item, name, None)), reverse=query.sort.startswith("-"))
    end = query.offset + min(query.limit, LIMIT_MAX)
    return Page(tuple(kept[query.offset : end]), total=len(kept), offset=query.offset)


def _order(value: Any) -> tuple[int, float, str]:
    if value is None:
        return (0, 0.0, "")
    if isinstance(value, (int, float, IPv4Address)):
        return (1, float(int(value) if isinstance(value, IPv4Address) else value), "")
    text = str(value)
    parts = text.split(".")
    if len(parts) == 4 and all(part.isdigit() for part in parts):
        return (1, float(int("".join(part.zfill(3) for part in parts))), "")
    return (2, 0.0, text.lower())
