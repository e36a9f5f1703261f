"""Objects made from what an operator sent: new ones, and changed copies of those there are."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from app.errors import InvalidError
from app.model.engine import Preference
from app.model.fields import Model, normal_mac
from app.model.machine import Machine, machine_id_for, machine_name_for
from app.model.profile import Profile
from app.model.subnet import Reservation, Subnet
from app.model.subnet6 import Subnet6
from app.netboot import optionset
from app.netboot.wire import catalogue
from app.services.commands.objects import key_of
from app.services.commands.parsing import parse
from app.services.commands.rules import machines
from app.store.directory import Directory
from app.store.documents import to_body

ModelT = TypeVar("ModelT", bound=Model)

_KINDS: dict[str, type[Model]] = {
    "machines": Machine,
    "profiles": Profile,
    "subnets": Subnet,
    "reservations": Reservation,
}


def _kind(noun: str, body: Mapping[str, Any]) -> type[Model] | None:
    """What an object of a noun is made as: a network with a colon is one of IPv6."""
    of_ipv6 = noun == "subnets" and ":" in str(body.get("cidr", ""))
    return Subnet6 if of_ipv6 else _KINDS.get(noun)


# A reservation's address can be changed: nothing else names it.
_KEYS = {"machines": "id", "profiles": "name", "subnets": "name"}


def new(noun: str, body: Mapping[str, Any], directory: Directory, now: float) -> Model:
    """A new object from its JSON. Raises InvalidError."""
    kind = _kind(noun, body)
    if kind is None:
        hint = "set it: bootcart prefs set NAME VALUE" if noun == "prefs" else "they come by themselves"
        raise InvalidError(f"{noun} cannot be created", hint=hint)
    if kind is not Machine:
        return _checked(parse(kind, body))
    fields = machines.writable(body, {"registered": True, "created": 0.0, "heartbeat": 0.0, "reboot_wanted": False})
    first = _first_mac(fields.get("macs"))
    if fields.get("id") is None:
        # A machine seen on the wire and then described by hand stays the same machine.
        derived = machine_id_for(first) if first else uuid.uuid4()
        fields["id"] = derived if directory.machine(derived) is None else uuid.uuid4()
    if fields.get("name") is None and first:
        fields["name"] = machine_name_for(first)
    made = parse(Machine, fields)
    if directory.machine(made.id) is not None:
        raise InvalidError(f"there is already a machine with the id {made.id}", hint="leave the id out", field="id")
    return _checked(made.model_copy(update={"created": now}))


def changed(noun: str, current: Model, changes: Mapping[str, Any]) -> Model:
    """`current` with `changes` laid over it; null gives a field its default. Raises InvalidError."""
    kind = type(current) if noun in _KINDS else None
    if kind is None:
        hint = "delete it instead" if noun == "leases" else "they come with the content"
        raise InvalidError(f"{noun} cannot be changed", hint=hint)
    body = to_body(current)
    wanted = machines.writable(changes, body) if isinstance(current, Machine) else dict(changes)
    key = _KEYS.get(noun, "")
    if key in wanted and str(wanted[key]) != key_of(current):
        raise InvalidError(
            f"the {key} is what the object is known by and cannot be changed",
            hint="create another and delete this one",
            field=key,
        )
    for name, value in wanted.items():
        if value is None:
            body.pop(name, None)
            if name not in kind.model_fields:
                parse(kind, {**body, name: value})
        elif name == "options" and not (isinstance(value, str) and value):
            body[name] = _merged(body.get(name, {}), value)
        else:
            body[name] = value
    return _checked(parse(kind, body))


def _merged(now: Mapping[str, Any], changes: Any) -> Any:
    """Options with changes laid over them: null, or an empty value, takes one away (RFC 7396)."""
    if isinstance(changes, (list, tuple)):
        given = cast("Sequence[Any]", changes)
        pairs = [str(each).partition("=") for each in given]
        if not all(equals for _, equals, _ in pairs):
            return given
        changes = {name.strip(): value.strip() for name, _, value in pairs} if pairs else None
    if changes is None or changes == "":
        return {}
    if not isinstance(changes, dict):
        return changes
    kept = dict(now)
    for name, value in cast("dict[str, Any]", changes).items():
        option = catalogue.find(str(name))
        known = option.name if option is not None else str(name)
        kept.pop(known, None)
        if value is not None and value != "":
            kept[known] = value
    return kept


def _checked(made: ModelT) -> ModelT:
    """The object with its DHCP options under their own names. Raises InvalidError for one that cannot be set."""
    options: dict[str, str] = getattr(made, "options", {})
    return made.model_copy(update={"options": optionset.checked(options)}) if options else made


def preference_value(preference: Preference, changes: Mapping[str, Any]) -> str:
    """The new value in a change of a preference: only that can be changed; null means the default."""
    for name, value in changes.items():
        if name != "value" and (name not in Preference.model_fields or value != getattr(preference, name)):
            raise InvalidError(f"{name!r} of a preference cannot be changed", hint="give `value`", field=name)
    if "value" not in changes:
        raise InvalidError("no value is given", hint='for example {"value": "discovery"}', field="value")
    value = changes["value"]
    if value is None:
        return preference.default
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InvalidError("the value must be text or a number", hint="put it in quotes", field="value")
    return str(value)


def _first_mac(macs: Any) -> str:
    """The first MAC of a body that is not validated yet, empty when there is none to be read."""
    given = cast("Sequence[Any]", macs) if isinstance(macs, (list, tuple)) else ()
    try:
        return normal_mac(str(given[0])) if given else ""
    except ValueError:
        return ""
