"""What a machine says when it registers, and which record it is."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from app.errors import ConflictError, InvalidError
from app.model.fields import normal_mac
from app.model.machine import Machine
from app.netboot.words import plain

MACS_MAX = 64
# What boards carry whose maker never set a UUID or a serial number.
_TRIVIAL_UUIDS = frozenset({"03000200-0400-0500-0006-000700080009", "12345678-1234-5678-90ab-cddeefaabbcc"})
_TRIVIAL_SERIALS = frozenset(
    {"", "0", "none", "unknown", "not specified", "not available", "default string", "system serial number",
     "to be filled by o.e.m.", "0123456789", "123456789", "n/a"}
)  # fmt: skip


def _usable_macs(raw: Any) -> Any:
    """The Ethernet addresses in a list; a card with another kind of address must not keep its machine out."""
    if not isinstance(raw, (list, tuple)):
        return raw
    kept: list[str] = []
    for each in cast("Sequence[object]", raw)[:MACS_MAX]:
        try:
            kept.append(normal_mac(str(each)))
        except ValueError:
            continue
    return tuple(dict.fromkeys(kept))


_Text = Annotated[str, BeforeValidator(lambda raw: plain(raw, 128) if isinstance(raw, str) else raw)]


class Registration(BaseModel):
    """The body of `POST /agent/register`."""

    # The agent of another version may say more than we know.
    model_config = ConfigDict(extra="ignore", frozen=True)

    macs: Annotated[tuple[str, ...], BeforeValidator(_usable_macs)] = ()
    boot_mac: str = ""
    uuid: _Text = ""
    serial: _Text = ""
    architecture: Annotated[_Text, Field(pattern=r"^[a-z0-9_]{0,16}$")] = ""
    firmware: Annotated[_Text, Field(pattern=r"^(bios|uefi|)$")] = ""


def read(report: Mapping[str, Any]) -> Registration:
    """The report of an agent. Raises InvalidError naming the field at fault."""
    try:
        return Registration.model_validate(dict(report))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidError(first["msg"], hint="the discovery image is of another version", field=field) from error


@lru_cache(maxsize=1 << 16)
def telling_uuid(raw: str) -> str:
    """The UUID in normal form where it tells one machine from another, else empty."""
    try:
        value = uuid.UUID(raw)
    except ValueError:
        return ""
    # Boards without one carry a single repeated byte, most often 00 or FF.
    return "" if len(set(value.bytes)) < 4 or str(value) in _TRIVIAL_UUIDS else str(value)


def telling_serial(raw: str) -> str:
    """The serial number where it is one, else empty."""
    value = raw.strip()
    return "" if value.lower() in _TRIVIAL_SERIALS or len(set(value)) < 2 else value


def identify(
    mac: str,
    report: Registration,
    machines: Sequence[Machine],
    alive: Callable[[uuid.UUID], bool],
) -> Machine | None:
    """The record of the machine that registers with the token of `mac`; None: it has none yet.

    Only the token's MAC is proven. Another record is taken for this machine's only if its firmware UUID agrees and
    its own agent is silent; else a machine could name its neighbour's MAC and be given the neighbour's record.
    Raises ConflictError naming the machines when the report fits several, or one that it may not take.
    """
    holders = {each: machine for machine in machines for each in machine.macs}
    own = holders.get(mac)
    others = {
        holders[each].id: (holders[each], each)
        for each in report.macs
        if each in holders and (own is None or holders[each].id != own.id)
    }
    if own is not None:
        if others:
            other, shared = next(iter(others.values()))
            raise ConflictError(
                f"machine {own.name} reports {shared}, which belongs to machine {other.name}",
                hint=f"take the address from {other.name}, or delete {other.name} if it is the same machine",
                field="macs",
            )
        return own
    if len(others) > 1:
        names = " and ".join(machine.name for machine, _ in list(others.values())[:2])
        raise ConflictError(
            f"the machine with {mac} reports addresses of {names}", hint="delete all but one of them", field="macs"
        )
    if others:
        other, shared = next(iter(others.values()))
        if _same(other, report) and not alive(other.id):
            return other
        raise ConflictError(
            f"the machine with {mac} reports {shared}, which belongs to machine {other.name}",
            hint=f"add {mac} to {other.name} if it is the same machine",
            field="macs",
        )
    twins = [machine for machine in machines if _same(machine, report) and not alive(machine.id)]
    return twins[0] if len(twins) == 1 else None


def _same(machine: Machine, report: Registration) -> bool:
    """The record's inventory names the firmware UUID of the report, and no other serial number."""
    if machine.inventory is None:
        return False
    system = machine.inventory.system
    told = telling_uuid(report.uuid)
    if not told or telling_uuid(system.uuid) != told:
        return False
    ours, theirs = telling_serial(system.serial), telling_serial(report.serial)
    return not ours or not theirs or ours == theirs
