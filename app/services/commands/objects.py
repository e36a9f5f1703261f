"""The nouns: their models, their keys, how one is found, stored and shown in the directory."""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, ip_address
from typing import Any, Protocol, cast, overload

from sqlalchemy.engine import Connection

from app.errors import ConflictError, InvalidError, NotFoundError
from app.model.engine import Preference
from app.model.fields import Model, normal_mac
from app.model.machine import Machine
from app.model.profile import Profile
from app.model.subnet import Lease, Reservation, Subnet
from app.model.subnet6 import Lease6, Subnet6
from app.store import lease6_rows, lease_rows, records
from app.store.directory import DEFAULTS, Directory
from app.store.documents import noun_of

NOUNS = ("machines", "profiles", "subnets", "reservations", "leases", "bootenvs", "prefs")


class Roster(Protocol):
    """The machines as an operator sees them: records, and those only seen on the wire."""

    def known(self) -> Sequence[Machine]:
        """All of them, without status."""
        ...

    def seen(self, machine: Machine) -> Machine:
        """One with its status, address and heartbeat as they are now."""
        ...

    def revealed(self, machine: Machine) -> Machine:
        """One with the password of its console."""
        ...

    def alive(self, machine: uuid.UUID) -> bool:
        """Its agent heartbeats."""
        ...

    def forget(self, machine: uuid.UUID) -> None:
        """Drop a machine that was only seen on the wire."""
        ...


@dataclass(frozen=True, slots=True)
class RecordsAlone:
    """A roster of the stored machines, for an engine that watches no wire."""

    directory: Directory

    def known(self) -> Sequence[Machine]:
        return self.directory.machines()

    def seen(self, machine: Machine) -> Machine:
        return machine

    def revealed(self, machine: Machine) -> Machine:
        return machine

    def alive(self, machine: uuid.UUID) -> bool:
        return False

    def forget(self, machine: uuid.UUID) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Index:
    """A unique index of a noun: `Name:`, `Mac:` and so on."""

    title: str
    key: Callable[[Any, str], bool]


def _name(item: Any, value: str) -> bool:
    return str(item.name).casefold() == value.casefold()


@lru_cache(maxsize=16)
def _as_id(value: str) -> uuid.UUID | None:
    """What somebody wrote, as an id; read once, however many objects it is compared with."""
    try:
        return uuid.UUID(value)
    except ValueError:
        return None


def _id(item: Any, value: str) -> bool:
    return item.id == _as_id(value)


def _uuid(item: Machine, value: str) -> bool:
    if _id(item, value):
        return True
    return item.inventory is not None and bool(value) and item.inventory.system.uuid.casefold() == value.casefold()


def _mac_of(item: Any, value: str) -> bool:
    try:
        mac = normal_mac(value)
    except ValueError:
        return False
    return mac in item.macs if isinstance(item, Machine) else item.mac == mac


def _address(item: Any, value: str) -> bool:
    return item.address is not None and str(item.address) == _written(value)


def _written(address: str) -> str:
    """An address as we write it: IPv6 can be written in many ways."""
    try:
        return str(ip_address(address.strip()))
    except ValueError:
        return address.strip()


_INDEXES: dict[str, tuple[Index, ...]] = {
    "machines": (
        Index("Id", _id),
        Index("Name", _name),
        Index("Mac", _mac_of),
        Index("Address", _address),
        Index("Uuid", _uuid),
    ),
    "profiles": (Index("Name", _name),),
    "subnets": (Index("Name", _name), Index("Cidr", lambda item, value: str(item.cidr) == value.strip())),
    "reservations": (Index("Address", _address), Index("Mac", _mac_of)),
    "leases": (Index("Address", _address), Index("Mac", _mac_of)),
    "bootenvs": (Index("Name", _name),),
    "prefs": (Index("Name", _name),),
}
# What a key without `Index:` may be.
_BARE = {"machines": ("Id", "Name"), "reservations": ("Address",), "leases": ("Address",)}


def _by_address(item: Reservation | Lease) -> int:
    # A hundred thousand addresses compare a second long.
    return int(item.address)


class Looked(Sequence[Model]):
    """Machines with their status, worked out for each when it is taken: a page costs what is on it."""

    def __init__(self, known: Sequence[Model], look: Callable[[Any], Model]) -> None:
        self._known = known
        self._look = look

    def __len__(self) -> int:
        return len(self._known)

    @overload
    def __getitem__(self, index: int) -> Model: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Model]: ...

    def __getitem__(self, index: int | slice) -> Model | Sequence[Model]:
        if isinstance(index, slice):
            return [self._look(each) for each in self._known[index]]
        return self._look(self._known[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(cast("Sequence[object]", other))

    __hash__ = None  # pyright: ignore[reportAssignmentType]


def listing(noun: str, directory: Directory, roster: Roster) -> Sequence[Model]:
    """Every object of a noun. Raises NotFoundError for a noun that is none."""
    match noun:
        case "machines":
            return roster.known()
        case "profiles":
            return directory.profiles()
        case "subnets":
            return (*directory.subnets(), *directory.subnets6())
        case "reservations":
            return sorted(directory.reservations(), key=_by_address)
        case "leases":
            leases6 = sorted(directory.six.leases(), key=lambda lease: lease.address)
            return (*sorted(directory.leases(), key=_by_address), *leases6)
        case "bootenvs":
            return directory.bootenvs()
        case "prefs":
            return directory.preferences()
        case _:
            raise NotFoundError(f"there is nothing called {noun!r}", hint="one of " + ", ".join(NOUNS))


def find(noun: str, key: str, directory: Directory, roster: Roster) -> Model:
    """The object with this id, name or `Index:value`. Raises NotFoundError, or ConflictError when it fits several."""
    items = listing(noun, directory, roster)
    title, colon, value = key.partition(":")
    if noun == "machines" and title.lower() == "address":
        items = [_with_address(item, directory) for item in items if isinstance(item, Machine)]
    indexes = {index.title.lower(): index for index in _INDEXES[noun]}
    # No name holds a colon, but a MAC address does: what is before it must be an index to be taken for one.
    if colon and title.isalpha() and len(title) > 2:
        index = indexes.get(title.lower())
        if index is None:
            known = ", ".join(f"{each.title}:" for each in indexes.values())
            raise InvalidError(f"{noun} have no index {title!r}", hint=f"they have {known}", field="key")
        found = [item for item in items if index.key(item, value)]
    else:
        bare = _BARE.get(noun, ("Name",))
        # The id comes first: a machine may be named like another's id, but is never hidden by it.
        for each in bare:
            found = [item for item in items if indexes[each.lower()].key(item, key)]
            if found:
                break
        else:
            found = []
    return _one(noun, key, found, items)


def _one(noun: str, key: str, found: Sequence[Model], items: Sequence[Model]) -> Model:
    one = noun.removesuffix("s")
    if not found:
        # An address that is near another is not meant for it.
        names = [] if noun in ("reservations", "leases") else [str(getattr(item, "name", "")) for item in items]
        close = difflib.get_close_matches(key, names, n=1)
        hint = f"did you mean {close[0]}?" if close else _how(noun, key)
        raise NotFoundError(f"no {one} {key!r}", hint=hint)
    if noun == "leases" and len(found) > 1:
        # A machine that moved leaves older leases behind; its newest is meant.
        return max((item for item in found if isinstance(item, (Lease, Lease6))), key=lambda lease: lease.since)
    if len(found) > 1:
        ids = ", ".join(str(key_of(item)) for item in found[:5])
        raise ConflictError(f"{key!r} fits several {noun}: {ids}", hint="name one by its id")
    return found[0]


def _how(noun: str, key: str) -> str:
    if noun == "machines":
        try:
            return f"write Mac:{normal_mac(key)} to find it by its MAC address"
        except ValueError:
            pass
        try:
            return f"write Address:{IPv4Address(key)} to find it by its address"
        except ValueError:
            pass
    return f"see: bootcart {noun} list"


def _with_address(machine: Machine, directory: Directory) -> Machine:
    """The machine with the address it holds now, for `Address:`."""
    for mac in machine.macs:
        lease = directory.lease_of(mac)
        if lease is not None:
            return machine.model_copy(update={"address": lease.address})
    return machine


def key_of(model: Model) -> str:
    """What names an object in the command log and in URLs."""
    if isinstance(model, Machine):
        return str(model.id)
    if isinstance(model, (Reservation, Lease, Lease6)):
        return str(model.address)
    # An internal preference's name begins with a dot.
    return str(getattr(model, "name", "")).lstrip(".")


def store(connection: Connection, before: Model | None, after: Model | None) -> None:
    """Write `after` in place of `before` inside the transaction; one of the two is given at least."""
    match after or before:
        case Machine() | Subnet() | Subnet6() | Reservation() | Profile():
            if isinstance(after, (Machine, Subnet, Subnet6, Reservation, Profile)):
                records.save(connection, before if isinstance(before, type(after)) else None, after)
            elif isinstance(before, (Machine, Subnet, Subnet6, Reservation, Profile)):
                records.remove(connection, before)
        case Preference(name=name):
            records.save_pref(connection, name, _set_value(after))
        case Lease(address=address):
            if isinstance(after, Lease):
                lease_rows.restore(connection, after)
            else:
                lease_rows.forget(connection, address)
        case Lease6(address=address):
            if isinstance(after, Lease6):
                lease6_rows.save(connection, [after])
            else:
                lease6_rows.forget(connection, address)
        case other:
            raise TypeError(f"{type(other).__name__} is not stored")


def show(directory: Directory, before: Model | None, after: Model | None) -> None:
    """Let the directory see what was committed."""
    match after or before:
        case Preference(name=name):
            directory.put_pref(name, _set_value(after))
        case Lease(address=address):
            if isinstance(after, Lease):
                directory.put_leases([after])
            else:
                directory.drop_lease(address)
        case Lease6(address=address):
            if isinstance(after, Lease6):
                directory.six.put_leases([after])
            else:
                directory.six.drop_lease(address)
        case _:
            directory.put(
                before if isinstance(before, (Machine, Subnet, Subnet6, Reservation, Profile)) else None,
                after if isinstance(after, (Machine, Subnet, Subnet6, Reservation, Profile)) else None,
            )


def _set_value(preference: Model | None) -> str | None:
    """What is stored of a preference: nothing when it has its default."""
    if not isinstance(preference, Preference) or preference.value == DEFAULTS.get(preference.name):
        return None
    return preference.value


def named(models: Iterable[Model | None]) -> str:
    """The first of the models as words: `subnet rack7`."""
    for model in models:
        if isinstance(model, (Machine, Subnet, Subnet6, Profile)):
            return f"{noun_of(model)} {model.name}"
        if isinstance(model, Reservation):
            return f"reservation {model.address} for {model.whose}"
        if isinstance(model, (Lease, Lease6)):
            return f"lease of {model.address} to {model.mac or model.client_id}"
        if isinstance(model, Preference):
            return f"preference {model.name}"
    return "nothing"
