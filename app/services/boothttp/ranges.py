"""Which part of a file a request is for, and whether it is to be sent at all (RFC 9110 sections 13 and 14)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime

RANGES_MAX = 128
"""Ranges that one request may name; one that names more is answered with the whole file (section 14.2)."""

_RANGES = re.compile(r"^bytes=(.+)$", re.IGNORECASE)
_RANGE = re.compile(r"^(?:(\d{1,19})-(\d{0,19})|-(\d{1,19}))$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Piece:
    """`head` as it stands, then `count` octets of the file from `start` on."""

    head: bytes
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class Part:
    """What to answer: `status` 200, 206, 304, 412 or 416, and a body of `count` octets.

    They are the file's from `start` on; with a `boundary` they are the `pieces` of a multipart/byteranges.
    """

    status: int
    start: int
    count: int
    boundary: str = ""
    parts: tuple[Piece, ...] = ()

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The body, in the order it is sent."""
        return self.parts or (Piece(b"", self.start, self.count),)


def etag(modified_ns: int, size: int) -> str:
    """A strong validator of a file that is replaced, never edited in place."""
    return f'"{modified_ns:x}-{size:x}"'


def http_date(modified_ns: int) -> str:
    """A time as HTTP writes it."""
    return formatdate(modified_ns // 1_000_000_000, usegmt=True)


def choose(
    headers: Mapping[str, str],
    size: int,
    modified_ns: int,
    content_type: str = "application/octet-stream",
    *,
    head: bool = False,
) -> Part:
    """The part a GET is for; with `head` a HEAD, which has no ranges (section 14.2).

    Ranges that overlap are sent once, so that no request makes more of a file than there is. A Range that is not
    written as section 14.1.1 asks, or names more than RANGES_MAX, is ignored.
    """
    if _lost(headers, size, modified_ns):
        return Part(412, 0, 0)
    if _fresh(headers, size, modified_ns):
        return Part(304, 0, 0)
    asked = None if head else _asked(headers.get("Range", ""), size)
    if asked is None or not _same(headers.get("If-Range", ""), size, modified_ns):
        return Part(200, 0, size)
    spans = _apart(asked)
    if not spans:
        return Part(416, 0, 0)
    if len(spans) == 1:
        return Part(206, *spans[0])
    return _multipart(spans, size, content_type)


def _asked(text: str, size: int) -> list[tuple[int, int]] | None:
    """Start and count of each range that the file has something of; None where there is no Range to be heeded."""
    found = _RANGES.match(text)
    words = [word.strip(" \t") for word in found[1].split(",")] if found is not None else []
    words = [word for word in words if word]  # empty elements of a list mean nothing (section 5.6.1.2)
    if not 0 < len(words) <= RANGES_MAX:
        return None
    spans: list[tuple[int, int]] = []
    for word in words:
        one = _RANGE.match(word)
        if one is None:
            return None
        first, last, suffix = one.groups()
        start, end = (int(first), int(last or size - 1)) if suffix is None else (max(0, size - int(suffix)), size - 1)
        if last and end < start:
            return None  # section 14.1.1: an invalid range is ignored
        if start < size:
            spans.append((start, min(end, size - 1) - start + 1))
    return spans


def _apart(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those that overlap as one, which stands where the first of them stood (section 15.3.7.2)."""
    joined: list[list[int]] = []  # place, start, end
    for start, count, place in sorted((start, count, place) for place, (start, count) in enumerate(spans)):
        if joined and start < joined[-1][2]:
            joined[-1][0] = min(joined[-1][0], place)
            joined[-1][2] = max(joined[-1][2], start + count)
        else:
            joined.append([place, start, start + count])
    return [(start, end - start) for _, start, end in sorted(joined)]


def _multipart(spans: Sequence[tuple[int, int]], size: int, content_type: str) -> Part:
    """Several ranges as one body (section 14.6)."""
    boundary = secrets.token_hex(16)
    parts = [
        Piece(
            f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n"
            f"Content-Range: bytes {start}-{start + count - 1}/{size}\r\n\r\n".encode(),
            start,
            count,
        )
        for start, count in spans
    ]
    parts.append(Piece(f"\r\n--{boundary}--\r\n".encode(), 0, 0))
    return Part(206, 0, sum(len(piece.head) + piece.count for piece in parts), boundary, tuple(parts))


def _lost(headers: Mapping[str, str], size: int, modified_ns: int) -> bool:
    """The client goes on only with a file that is not there any more."""
    wanted = headers.get("If-Match")
    if wanted is not None:
        tags = [tag.strip() for tag in wanted.split(",")]
        return "*" not in tags and etag(modified_ns, size) not in tags
    since = _seconds(headers.get("If-Unmodified-Since", ""))
    return since is not None and modified_ns // 1_000_000_000 > since


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
