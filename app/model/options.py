"""DHCP options an operator sets, as names (or numbers) and values: on a subnet, a reservation, a machine or for all.

Which options there are, and what a value may be, is checked where they are stored; see docs/reference/options.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import BeforeValidator

OPTIONS_MAX = 64
VALUE_MAX = 2048

_BETWEEN = re.compile(r"(?:\\.|[^;\\])+")


def read_options(text: str) -> dict[str, str]:
    """Options from one line: `ntp-servers=10.7.0.1, 10.7.0.2; interface-mtu=9000`; `\\;` is a semicolon in a value.

    Raises ValueError for a part that is no `name=value`.
    """
    found: dict[str, str] = {}
    for part in _BETWEEN.findall(text):
        item = part.replace("\\;", ";").replace("\\\\", "\\").strip()
        if not item:
            continue
        name, equals, value = item.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"{item!r} is not an option; write it like ntp-servers=10.7.0.1")
        found[name.strip()] = value.strip()
    return found


def write_options(options: Mapping[str, str]) -> str:
    """The one line that `read_options` reads."""
    return "; ".join(f"{name}={value}".replace("\\", "\\\\").replace(";", "\\;") for name, value in options.items())


def _options(value: Any) -> Any:
    if isinstance(value, str):
        value = read_options(value)
    elif isinstance(value, (list, tuple)):
        # As repeated flags give them: each one option, a semicolon in it no separator.
        pairs = [str(each).partition("=") for each in cast("list[Any]", value)]
        for name, equals, _ in pairs:
            if not equals or not name.strip():
                raise ValueError(f"{name!r} is not an option; write it like ntp-servers=10.7.0.1")
        value = {name.strip(): text.strip() for name, _, text in pairs}
    if isinstance(value, dict):
        given = cast("dict[Any, Any]", value)
        if len(given) > OPTIONS_MAX:
            raise ValueError(f"{len(given)} options are too many, {OPTIONS_MAX} at most")
        # JSON's numbers and truth values are what an operator may well write.
        words = {name: _word(text) for name, text in given.items()}
        for name, text in words.items():
            if isinstance(text, str) and len(text) > VALUE_MAX:
                raise ValueError(f"the value of option {name} is longer than {VALUE_MAX} characters")
        return words
    return value


def _word(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(str(each) for each in cast("list[Any]", value))
    return value


OptionValues = Annotated[dict[str, str], BeforeValidator(_options)]
"""By name or number; a mapping, a list of `name=value`, or one line for `read_options`. A value may be a template."""
