"""Strings from the wire made safe to show: no control characters, no escapes, no markup, bounded length."""

from __future__ import annotations

from app.model.inert import inert

LIMIT = 255


def plain(raw: bytes | str, limit: int = LIMIT) -> str:
    """`raw` as inert text (see app.model.inert), at most `limit` characters; undecodable bytes become dots."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    return inert(text.rstrip("\0")[:limit])[:limit]
