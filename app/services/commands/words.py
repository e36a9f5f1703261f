"""Commands in words: what an operator reads in the log."""

from __future__ import annotations

from typing import Any, cast

from pydantic import BaseModel

from app.model.engine import Preference
from app.model.fields import Model
from app.model.machine import Machine
from app.model.profile import Profile
from app.model.subnet import Lease, Reservation, Subnet
from app.model.subnet6 import Lease6, Subnet6
from app.netboot.words import plain
from app.store.documents import to_body

SHOWN = 4

_KINDS = {
    "create": "create",
    "delete": "delete",
    "forget": "delete",
    "redo": "undo",
    "undo": "undo",
    "update": "update",
}


def kind_of(verb: str) -> str:
    """The kind of the audit event that a verb makes."""
    return _KINDS.get(verb, "action")


def full(model: Model) -> str:
    """An object with what tells it from others: `subnet rack7 (10.7.0.0/24)`."""
    match model:
        case Machine(name=name, macs=macs):
            return f"machine {name}" + (f" ({macs[0]})" if macs else "")
        case Profile(name=name):
            return f"profile {name}"
        case Subnet(name=name, cidr=cidr) | Subnet6(name=name, cidr=cidr):
            return f"subnet {name} ({cidr})"
        case Reservation(address=address):
            return f"the reservation of {address} for {model.whose}"
        case Lease(address=address, mac=mac, state=state):
            return f"the {state.value} lease of {address} ({mac})"
        case Lease6(address=address, mac=mac, client_id=duid, state=state):
            return f"the {state.value} lease of {address} ({mac or duid})"
        case Preference(name=name):
            return f"preference {name}"
        case _:
            return type(model).__name__.lower()


def changed_fields(before: BaseModel | None, after: BaseModel | None) -> list[str]:
    """The names of the fields that differ."""
    old = to_body(before) if before is not None else {}
    new = to_body(after) if after is not None else {}
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def difference(before: Model, after: Model) -> str:
    """What changed: `changed subnet rack7: lease_time 3600 → 7200`."""
    old, new = to_body(before), to_body(after)
    names = changed_fields(before, after)
    said = [f"{name} {_value(old.get(name))} → {_value(new.get(name))}" for name in names[:SHOWN]]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"changed {full(before)}: {', '.join(said)}{more}"


def line(text: str) -> str:
    """One line fit to be shown, however odd what an operator typed."""
    return plain(text, 500)


def _value(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return "[" + ", ".join(_value(item) for item in items[:3]) + (", …" if len(items) > 3 else "") + "]"
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        if fields.keys() == {"start", "end"}:
            return f"{fields['start']}-{fields['end']}"
        if all(isinstance(item, str) for item in fields.values()):
            return plain("; ".join(f"{name}={item}" for name, item in fields.items()), 80) or "none"
        return "…"
    return plain(str(value), 40)
