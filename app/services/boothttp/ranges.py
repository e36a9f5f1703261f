"""Which part of a file a request is for (RFC 9110 section 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime

_RANGE = re.compile(r"^bytes=\s*(?:(\d{1,19})-(\d{0,19})|-(\d{1,19}))\s*$", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """What to answer: `status` 200, 206, 304 or 416; octets from `start`, `count` of them."""

    status: int
    start: int
    count: int


def etag(modified_ns: int, size: int) -> str:
    """A strong validator of a file that is replaced, never edited in place."""
    return f'"{modified_ns:x}-{size:x}"'


def http_date(modified_ns: int) -> str:
    """A time as HTTP writes it."""
    return formatdate(modified_ns // 1_000_000_000, usegmt=True)


def choose(headers: Mapping[str, str], size: int, modified_ns: int) -> Part:
    """The part a GET or HEAD is for. A Range that is not one plain span of bytes is ignored, as section 14.2 allows."""
    whole = Part(200, 0, size)
    if _fresh(headers, size, modified_ns):
        return Part(304, 0, 0)
    found = _RANGE.match(headers.get("Range", ""))
    if found is None or not _same(headers.get("If-Range", ""), size, modified_ns):
        return whole
    first, last, suffix = found.groups()
    if suffix is not None:
        count = min(int(suffix), size)
        return Part(206, size - count, count) if count else Part(416, 0, 0)
    start = int(first)
    end = int(last) if last else size - 1
    if last and end < start:
        return whole  # section 14.1.1: an invalid range is ignored
    if start >= size:
        return Part(416, 0, 0)
    return Part(206, start, min(end, size - 1) - start + 1)


def _fresh(headers: Mapping[str, str], size: int, modified_ns: int) -> bool:
    """The client has this already."""
    known = headers.get("If-None-Match")
    if known is not None:
        tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
        return "*" in tags or etag(modified_ns, size) in tags
    since = _seconds(headers.get("If-Modified-Since", ""))
    return since is not None and modified_ns // 1_000_000_000 <= since


def _same(condition: str, size: int, modified_ns: int) -> bool:
    """An If-Range that holds, or none (section 13.1.5)."""
    if not condition:
        return True
    if condition.startswith('"'):
        return condition == etag(modified_ns, size)
    return _seconds(condition) == modified_ns // 1_000_000_000


def _seconds(date: str) -> int | None:
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None
