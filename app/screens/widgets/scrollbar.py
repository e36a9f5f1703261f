"""Scroll bars of Textual's own containers, drawn with glyphs a VT has."""

from __future__ import annotations

from rich.color import Color
from rich.segment import Segment, Segments
from rich.style import Style
from textual.scrollbar import ScrollBarRender


class PlainScrollBar(ScrollBarRender):
    """Full blocks instead of eighths."""

    @classmethod
    def render_bar(
        cls,
        size: int = 25,
        virtual_size: float = 50,
        window_size: float = 20,
        position: float = 0,
        thickness: int = 1,
        vertical: bool = True,
        back_color: Color = Color.parse("#555555"),  # noqa: B008
        bar_color: Color = Color.parse("bright_magenta"),  # noqa: B008
    ) -> Segments:
        """A bar of `size` cells whose thumb stands for what is visible."""
        length = max(1, round(size * window_size / virtual_size)) if virtual_size else size
        free = max(1, virtual_size - window_size)
        start = round((size - length) * min(1, position / free))
        style = Style(color=bar_color, bgcolor=back_color)
        cells = [("█" if start <= n < start + length else "░") for n in range(size)]
        if vertical:
            return Segments([Segment(cell * thickness, style) for cell in cells], new_lines=True)
        return Segments([Segment("".join(cells), style), Segment.line()] * thickness, new_lines=False)
