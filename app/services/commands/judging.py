"""Which rules hold for which kind of object when it is stored, and when it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address

from app.model.engine import Preference
from app.model.fields import Model
from app.model.machine import Machine
from app.model.profile import Profile
from app.model.subnet import Lease, Reservation, Subnet
from app.model.subnet6 import Lease6, Subnet6
from app.services.commands.rules import machines, prefs, profiles, reservations, subnets, subnets6
from app.store.directory import HOLDING, Directory

Left = Sequence[Lease] | Sequence[Lease6]
"""Live leases of a subnet that it does not extend any more."""


def check(
    after: Model,
    before: Model | None,
    directory: Directory,
    now: float,
    own: Mapping[IPv4Address, str],
    *,
    drain: bool = False,
) -> None:
    """`after` may be stored in place of `before`. Raises InvalidError or ConflictError.

    `own` has this host's addresses; with `drain` live leases that a subnet leaves behind are no hindrance.
    """
    match after:
        case Subnet():
            subnets.check(after, before if isinstance(before, Subnet) else None, directory)
        case Subnet6():
            subnets6.check(after, before if isinstance(before, Subnet6) else None, directory)
        case Reservation():
            earlier = before if isinstance(before, Reservation) else None
            reservations.check(after, earlier, directory, now, own)
        case Profile():
            profiles.check(after, before if isinstance(before, Profile) else None, directory)
        case Machine():
            machines.check(after, before if isinstance(before, Machine) else None, directory)
        case Preference(name=name) if name != HOLDING and after.value != after.default:
            prefs.check(prefs.find(name), after.value, directory, now)
        case _:
            pass
    if isinstance(before, (Subnet, Subnet6)) and isinstance(after, (Subnet, Subnet6)) and not drain:
        subnets.refuse_left(left(before, after, directory, now), before, after, now)


def check_gone(model: Model, directory: Directory, now: float, *, drain: bool = False) -> None:
    """An object may be deleted. Raises ConflictError naming its users."""
    if isinstance(model, Profile):
        profiles.check_delete(model, directory)
    if isinstance(model, Subnet):
        subnets.check_delete(model, directory)
    if isinstance(model, (Subnet, Subnet6)) and not drain:
        subnets.refuse_left(left(model, None, directory, now), model, None, now)


def left(before: Model | None, after: Model | None, directory: Directory, now: float) -> Left:
    """The live leases that a change of a subnet leaves behind."""
    if isinstance(before, Subnet6):
        return subnets6.outside(before, after if isinstance(after, Subnet6) else None, directory, now)
    if isinstance(before, Subnet):
        return subnets.outside(before, after if isinstance(after, Subnet) else None, directory, now)
    return ()
