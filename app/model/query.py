"""The filter, sort and page language that API, command line and screens share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
    """An object, as JSON, is one a filter lets through."""
    pairs = list(_flat(dumped))
    return all(_matches(pairs, term) for term in terms)


def apply(items: Iterable[ModelT], query: Query) -> Page[ModelT]:
    """Filter, sort and page models in memory. Raises InvalidError for an unknown sort field.

    Of a sequence that is neither filtered nor sorted only the page is taken.
    """
    if not query.filter and not query.sort and isinstance(items, Sequence):
        page = items[query.offset : query.offset + min(query.limit, LIMIT_MAX)]
        return Page(tuple(page), total=len(items), offset=query.offset)
    kept: list[tuple[ModelT, dict[str, Any]]] = []
    for item in items:
        dumped = item.model_dump(mode="json")
        if query.filter and not fits(dumped, query.filter):
            continue
        kept.append((item, dumped))
    if query.sort:
        name = query.sort.lstrip("-")
        if kept and all(name not in dumped for _, dumped in kept):
            raise InvalidError(f"no field {name!r} to sort by", hint="one of " + ", ".join(kept[0][1]), field="sort")
        kept.sort(key=lambda pair: _order(pair[1].get(name)), reverse=query.sort.startswith("-"))
    end = query.offset + min(query.limit, LIMIT_MAX)
    return Page(tuple(item for item, _ in kept[query.offset : end]), total=len(kept), offset=query.offset)


def _order(value: Any) -> tuple[int, float, str]:
    if value is None:
        return (0, 0.0, "")
    if isinstance(value, (int, float)):
        return (1, float(value), "")
    text = str(value)
    parts = text.split(".")
    if len(parts) == 4 and all(part.isdigit() for part in parts):
        return (1, float(int("".join(part.zfill(3) for part in parts))), "")
    return (2, 0.0, text.lower())
