"""What an operator sent, made into a model or into an error that names the field and the remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.errors import InvalidError
from app.model.fields import Model
from app.model.subnet import SubnetMode
from app.model.subnet6 import Subnet6
from app.netboot.words import plain

ModelT = TypeVar("ModelT", bound=Model)

_HINTS = {
    "name": "letters, digits, `.`, `_` and `-`, at most 63, beginning with a letter or digit",
    "cidr": "write it like 10.7.0.0/24",
    "mac": "write it like 52:54:00:00:00:07",
    "macs": "write each like 52:54:00:00:00:07",
    "address": "write it like 10.7.0.50",
    "router": "write it like 10.7.0.1",
    "dns": "write each like 10.7.0.1",
    "next_server": "write it like 10.7.0.1",
    "ranges": "write each like 10.7.0.100-10.7.0.200",
    "mode": "one of " + ", ".join(mode.value for mode in SubnetMode),
    "kept_for_known": "so many addresses, of the last range; 0: none",
    "lease_time": "seconds, from 60 to 31536000",
    "pickers": "some of hint, next-free, most-expired, point-to-point, none, in order",
    "identity": "one of mac, client-id",
    "scope": "one of subnet, global",
    "prefix": "the length of the network's prefix, for example 24",
    "client_id": "write its octets, like 01:52:54:00:00:00:07",
    "reserved_lease_time": "seconds, from 60 to 31536000",
    "options": "write each like ntp-servers=10.7.0.1; names and types: docs/reference/options.md",
    "profiles": "names of profiles, the first counts: bootcart profiles list",
    "id": "a UUID; leave it out to have one made",
}
_HINTS6 = {
    "cidr": "write it like fd00:7::/64",
    "dns": "write each like fd00:7::1",
    "next_server": "write it like fd00:7::1",
    "ranges": "write each like fd00:7::100-fd00:7::1ff",
    "mode": "one of authoritative, unmanaged, off",
}
# Of ranges that are written well and cannot be all the same.
_REMEDIES = (
    (" overlaps ", "make one of the two, or part them"),
    (" network or broadcast address of ", "begin one later, or end one earlier"),
    (" is not in ", "choose addresses of that network"),
)
# A validator of a whole model names the field in its text: "ranges.0.end: 10.8.0.1 is not in 10.7.0.0/24".
_NAMED = re.compile(r"^([a-z_]+(?:\.[a-z0-9_]+)*): (.+)$", re.DOTALL)


def parse(kind: type[ModelT], body: Mapping[str, Any]) -> ModelT:
    """The model `body` describes. Raises InvalidError for the first field at fault; the others follow in the hint."""
    try:
        return kind.model_validate(dict(body))
    except ValidationError as error:
        said = [_one(kind, details) for details in error.errors(include_url=False)]
        field, message, hint = said[0]
        others = [f"{name}: {text}" for name, text, _ in said[1:4]]
        if others:
            hint = "; ".join(filter(None, [hint, "also " + ", ".join(others)]))
        raise InvalidError(message, hint=hint, field=field) from error


def _one(kind: type[Model], details: ErrorDetails) -> tuple[str, str, str]:
    field = ".".join(str(part) for part in details["loc"])
    top = field.partition(".")[0]
    hint = _hint(kind, top)
    match details["type"]:
        case "extra_forbidden":
            return field, f"there is no field {plain(field)!r}", _known(kind, field)
        case "missing":
            return field, "is missing", hint
        case "value_error":
            message = details["msg"].removeprefix("Value error, ")
            named = _NAMED.match(message) if not field else None
            if named and named[1].partition(".")[0] in kind.model_fields:
                remedy = next((said for words, said in _REMEDIES if words in named[2]), "")
                return named[1], plain(named[2]), remedy or _hint(kind, named[1].partition(".")[0])
            return field, plain(message), hint
        case "string_pattern_mismatch":
            return field, f"{plain(str(details['input']))!r} is not a name", hint
        case _:
            return field, f"{plain(str(details['input']), 80)!r}: {details['msg'].lower()}", hint


def _hint(kind: type[Model], field: str) -> str:
    """How a field is written."""
    return (_HINTS6.get(field) if kind is Subnet6 else None) or _HINTS.get(field, "")


def _known(kind: type[Model], field: str) -> str:
    names = list(kind.model_fields)
    close = difflib.get_close_matches(field, names, n=1)
    return f"did you mean {close[0]}?" if close else "the fields are " + ", ".join(names)
