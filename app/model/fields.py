"""Field types that several objects share: names, MAC addresses, times."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""Letters, digits, `.`, `_`, `-`; at most 63; starts with a letter or a digit."""

_MAC = re.compile(r"^[0-9a-f]{2}([:-]?)(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}$")

# As it is kept: what nearly every one that is looked at is.
_NORMAL = re.compile(r"(?!00:00:00:00:00:00)[0-9a-f][02468ace](?::[0-9a-f]{2}){5}\Z")


def normal_mac(text: str) -> str:
    """A MAC address in the form `52:54:00:00:00:07`; accepts dashes, no separator, Cisco dots, upper case.

    Raises ValueError for anything else and for multicast or all-zero addresses.
    """
    if _NORMAL.match(text):
        return text
    raw = text.strip().lower()
    if re.fullmatch(r"(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}", raw):
        raw = raw.replace(".", "")
    if not _MAC.match(raw):
        raise ValueError(f"{text!r} is not a MAC address; write it like 52:54:00:00:00:07")
    digits = re.sub("[:-]", "", raw)
    if digits == "0" * 12 or int(digits[:2], 16) & 1:
        raise ValueError(f"{text!r} is not one machine's MAC address (all zero, multicast or broadcast)")
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


Mac = Annotated[str, AfterValidator(normal_mac)]
"""A MAC address, kept in lower case with colons."""

# RFC 1123 2.1: a host name's labels.
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")


def is_host_name(text: str) -> bool:
    """Letters, digits and `-` in labels of at most 63, at most 253 in all (RFC 1123 2.1, RFC 1035 2.3.4)."""
    return len(text) <= 253 and _HOST_NAME.fullmatch(text) is not None


Epoch = float
"""Wall-clock seconds since 1970, UTC."""


_NAMES: dict[type[BaseModel], set[str]] = {}


def _named(kind: type[BaseModel]) -> set[str]:
    """The fields of a kind of object, all of them set."""
    return _NAMES.setdefault(kind, set(kind.model_fields))


class Model(BaseModel):
    """What every object is made of: strict about unknown fields, so that a misspelt one is told, not lost."""

    # What checks and writes a kind of object is built when one is first met, not with the import: a start needs few.
    model_config = ConfigDict(extra="forbid", validate_assignment=False, frozen=True, defer_build=True)

    @classmethod
    def trusted(cls, values: dict[str, Any]) -> Self:
        """One made of values that are known to be right, every field among them: to look at each takes longest."""
        made = cls.__new__(cls)
        object.__setattr__(made, "__dict__", values)
        object.__setattr__(made, "__pydantic_fields_set__", _NAMES.get(cls) or _named(cls))
        object.__setattr__(made, "__pydantic_extra__", None)
        object.__setattr__(made, "__pydantic_private__", None)
        return made
