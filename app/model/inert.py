"""The one rule for text that others wrote: nothing in it can steer a terminal, hide, or take more room than it shows.

Applied where text comes in from the wire, and once more wherever text is drawn or written.
"""

from __future__ import annotations

import unicodedata

DOT = "."
MARKS_MAX = 2
"""Combining marks one letter may carry: Vietnamese and Hebrew need two."""

# Letters and signs that show nothing, or whose width depends on what stands beside them: Hangul fillers, the blank
# Braille cell, the grapheme joiner, regional indicators, skin tones, the replacement character.
_ODD = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0\ufffd") | {
    chr(code) for span in (range(0x1F1E6, 0x1F200), range(0x1F3FB, 0x1F400)) for code in span
}
_SELECTORS = frozenset(chr(code) for span in (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0)) for code in span)


def hidden(char: str) -> bool:
    """The character steers, hides or shows nothing: `inert` makes a dot of it wherever it stands."""
    category = unicodedata.category(char)
    return category[0] == "C" or category in ("Zl", "Zp") or char in _ODD


def inert(text: str) -> str:
    """`text` on one line, as long as it looks: composed (NFC), every blank a space, no variation selectors.

    Control, bidi, zero-width and other format characters, surrogates, what is unassigned or private, line and
    paragraph separators, and marks that pile up or stand on nothing become dots.
    """
    if text.isascii() and text.isprintable():
        return text
    kept: list[str] = []
    marks = MARKS_MAX
    for char in unicodedata.normalize("NFC", text):
        category = unicodedata.category(char)
        if char in _SELECTORS:
            continue
        if category[0] == "M" and not hidden(char):
            marks += 1
            kept.append(char if marks <= MARKS_MAX else DOT)
            continue
        shown = not hidden(char)
        marks = 0 if shown and category != "Zs" else MARKS_MAX
        kept.append(DOT if not shown else " " if category == "Zs" else char)
    return "".join(kept)
