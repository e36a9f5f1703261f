"""Two palettes on a blue and yellow axis: no state rests on telling red from green."""

from __future__ import annotations

from textual.theme import Theme

_VARIABLES = ("busy", "calm", "warn", "bad", "good", "dim", "key", "chip", "cursor", "on-cursor")


def _named(*colours: str) -> dict[str, str]:
    return {f"bc-{name}": colour for name, colour in zip(_VARIABLES, colours, strict=True)}


FULL = Theme(
    name="bootcart",
    primary="#5fafff",
    secondary="#87afd7",
    warning="#ffd75f",
    error="#ffaf00",
    success="#87d7ff",
    accent="#ffd75f",
    foreground="#d0d4dc",
    background="#12161e",
    surface="#12161e",
    panel="#1d2430",
    boost="#1d2430",
    dark=True,
    variables=_named(
        "#5fafff", "#87afd7", "#ffd75f", "#ffaf00", "#afd7ff", "#7f8a9c", "#ffd75f", "#ffd75f", "#2f5f9f", "#ffffff"
    ),
)

CONSOLE = Theme(
    name="bootcart-console",
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_cyan",
    warning="ansi_yellow",
    error="ansi_yellow",
    success="ansi_cyan",
    accent="ansi_yellow",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    dark=True,
    variables=_named(
        "ansi_bright_cyan",
        "ansi_cyan",
        "ansi_bright_yellow",
        "ansi_bright_yellow",
        "ansi_bright_white",
        "ansi_cyan",
        "ansi_bright_yellow",
        "ansi_bright_yellow",
        "ansi_white",
        "ansi_black",
    )
    | {
        # Textual's own style sheets ask for these two of every theme, and give them no default where colours are ANSI.
        "ansi-background": "ansi_default",
        "ansi-foreground": "ansi_default",
        "input-cursor-background": "ansi_white",
        "input-cursor-foreground": "ansi_black",
        "block-cursor-foreground": "ansi_black",
        "block-cursor-background": "ansi_white",
        "input-selection-background": "ansi_cyan",
        "input-selection-foreground": "ansi_black",
    },
)
