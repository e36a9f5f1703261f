"""Strings from the wire made safe to show: no control characters, no escapes, no markup, bounded length."""

from __future__ import annotations

import unicodedata

LIMIT = 255


def plain(raw: bytes | str, limit: int = LIMIT) -> str:
    """`raw` as printable text, at most `limit` characters.

    Undecodable bytes and control, bidi and other format characters become `.`.
    """
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    text = text.rstrip("\0")[:limit]
    return "".join("." if unicodedata.category(char)[0] == "C" or char == "\ufffd" else char for char in text)
