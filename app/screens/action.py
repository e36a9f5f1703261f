"""What an operator can do, as the registry holds it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """Something an operator can do.

    `keys` work on the screens named in `areas` (none named: everywhere). `words` is the command line's form of it,
    `aliases` are shorter forms for the `:` line; upper-case words in them are arguments.
    """

    id: str
    help: str
    label: str = ""
    keys: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    group: str = "General"
    words: str = ""
    aliases: tuple[str, ...] = ()
    footer: int = 0
