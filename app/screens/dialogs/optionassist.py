"""Typing DHCP options by name: the rest of a name is proposed, and the line below says what its value is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.suggester import Suggester

if TYPE_CHECKING:
    from app.model.optionhelp import OptionHelp

_PART = re.compile(r"(?:\\.|[^;\\])*$")
SHOWN = 5


class OptionAssist(Suggester):
    """Knows the engine's options once `options` is set. Right takes what is proposed."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.options: Sequence[OptionHelp] = ()

    async def get_suggestion(self, value: str) -> str | None:
        """The whole text with the name at its end completed, and the sign that a value follows."""
        part = _last(value)
        if not part or "=" in part:
            return None
        found = self._named(part)
        return value + found[0].name[len(part) :] + "=" if found and found[0].name.startswith(part) else None

    def about(self, value: str) -> str:
        """What is told of the option at the end of the text; empty: nothing."""
        name = _last(value).partition("=")[0]
        found = self._named(name.strip())
        if not name.strip() or not self.options:
            return ""
        if not found:
            return f"no option is called {name.strip()}; a number does too, and a type, like 224=ip:10.7.0.9"
        exact = next((one for one in found if name.strip() in (one.name, str(one.code))), None)
        if exact is None:
            more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            others = ", ".join(one.name for one in found[1:SHOWN])
            return f"Right: {found[0].name}=" + (f"  also {others}{more}" if others else "")
        one = exact
        head = f"{one.code} {one.name}" + (f" (RFC {one.rfc})" if one.rfc else "")
        if one.computed:
            return f"{head} cannot be set: {one.computed}"
        return f"{head}, {one.kind}, like {one.example}"

    def _named(self, name: str) -> list[OptionHelp]:
        """Options whose name begins so, those that can be set first; or of this number."""
        if name.isdecimal():
            return [one for one in self.options if str(one.code) == name]
        found = [one for one in self.options if one.name.startswith(name.lower())]
        return sorted(found, key=lambda one: (bool(one.computed), one.name))


def _last(text: str) -> str:
    """The option being typed: what follows the last semicolon that is none of a value's."""
    found = _PART.search(text)
    return found[0].lstrip() if found is not None else ""
