"""The last gate before the terminal: on a console every glyph a VT lacks is replaced, whoever drew it."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from app.screens.words import console_text


class GlyphFilter(LineFilter):
    """Maps text to ASCII and CP437, cell for cell."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """`segments` with mapped text; `background` plays no part."""
        return [
            segment if segment.text.isascii() else Segment(console_text(segment.text), segment.style, segment.control)
            for segment in segments
        ]
