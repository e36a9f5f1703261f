"""For how long boot services answer: `2h` as an operator writes it, a moment of UTC as it is kept."""

from __future__ import annotations

import re
from datetime import UTC, datetime

SERVE_UNTIL = "serve-until"
"""The preference: when boot services stop to answer; empty: never."""
LONGEST = 30 * 86_400
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def until(text: str, now: float) -> str:
    """The moment that `90m`, `2h` or `1d` from `now` (epoch seconds) is, or that is given; `never` is the empty one.

    Raises ValueError for anything else, and for what is over or more than 30 days away.
    """
    if text in ("", "never"):
        return ""
    if found := re.fullmatch(r"([0-9]{1,7})([smhd])", text):
        moment = now + int(found[1]) * _UNITS[found[2]]
    else:
        moment = ending(text) or 0.0
    if not now < moment <= now + LONGEST:
        raise ValueError(f"{text!r} is no time to come within 30 days")
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ending(kept: str) -> float | None:
    """The epoch seconds of a moment as it is kept; None for the empty one. Raises ValueError for what is none."""
    return datetime.strptime(kept, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp() if kept else None
