"""A bar of cells that says how much of something is used."""

from __future__ import annotations

from app.screens.widgets.lines import Span

FULL, BACK, FREE = "█", "▒", "·"
"""Used, kept back, free: in the font of every console."""
TIGHT = 0.9


def meter(used: int, back: int, size: int, width: int) -> Span:
    """`used` and `back` of `size` in so many cells, and the percentage of both; whatever there is of either shows."""
    if size <= 0:
        return "-", "dim"
    share = min(1.0, (used + back) / size)
    cells = min(width, max(round(share * width), bool(used) + bool(back)))
    held = min(cells, max(bool(back), round(min(1.0, back / size) * width))) if back else 0
    bar = FULL * (cells - held) + BACK * held + FREE * (width - cells)
    percent = 100 if share >= 1 else min(99, max(1, round(100 * share))) if share else 0
    return f"{bar}{percent:>4}%", "warn" if share >= TIGHT else "good" if share else "dim"
