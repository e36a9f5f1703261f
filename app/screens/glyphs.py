"""The last gates before the terminal: whoever drew it, text is inert, and on a console of glyphs that a VT has."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from app.model.inert import inert
from app.screens.words import console_text


class InertFilter(LineFilter):
    """Lets nothing through that could steer the terminal, an input's text included; cell for cell."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """`segments` with inert text; `background` plays no part."""
        return [segment if _ours(segment) else _inert(segment) for segment in segments]


def _ours(segment: Segment) -> bool:
    return segment.text.isascii() and segment.text.isprintable()


def _inert(segment: Segment) -> Segment:
    text, width = inert(segment.text), cell_len(segment.text)
    return Segment(text if cell_len(text) == width else set_cell_size(text, width), segment.style, segment.control)


class GlyphFilter(LineFilter):
    """Maps text to ASCII and CP437, cell for cell."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """`segments` with mapped text; `background` plays no part."""
        return [
            segment if segment.text.isascii() else Segment(console_text(segment.text), segment.style, segment.control)
            for segment in segments
        ]
