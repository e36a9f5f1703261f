"""All of the store that boot policy needs, in memory: loaded at the start, kept current after every commit."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType

from app.clock import Clock
from app.model.bootenv import BootEnv
from app.model.engine import PREFERENCES, Preference
from app.model.machine import Machine
from app.model.profile import Profile
from app.model.subnet import Lease, LeaseState, Reservation, Subnet
from app.model.subnet6 import AnyLease, Subnet6
from app.store import lease6_rows, lease_rows, records
from app.store.database import Database
from app.store.directory6 import Directory6
from app.store.records import Stored

DEFAULTS = MappingProxyType({preference.name: preference.default for preference in PREFERENCES})
HOLDING = ".holding"
LEARNED_MAX = 4096
LEARNED_SECONDS = 86_400.0


class Directory:
    """The live view of subnets, reservations, machines, leases, boot environments and preferences.

    Reads may come from any thread and never wait for the disk. It satisfies `app.netboot.view.NetworkView`.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        """Load everything. Raises BootcartError naming an object that cannot be read."""
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._subnets: dict[str, Subnet] = {}
        self._subnets_sorted: tuple[Subnet, ...] = ()
        self._reservations: dict[IPv4Address, Reservation] = {}
        self._reserved: dict[str, tuple[Reservation, ...]] = {}
        self._profiles: dict[str, Profile] = {}
        self._machines: dict[uuid.UUID, Machine] = {}
        self._machine_macs: dict[str, Machine] = {}
        self._machine_names: dict[str, Machine] = {}
        self._machine_addresses: dict[IPv4Address, dict[uuid.UUID, Machine]] = {}
        self._leases: dict[IPv4Address, Lease] = {}
        self._leases_of: dict[str, dict[IPv4Address, Lease]] = {}
        self._learned: dict[IPv4Address, Lease] = {}
        self._bootenvs: dict[str, BootEnv] = {}
        self.six = Directory6(clock)
        with database.read() as connection:
            self._prefs = records.load_prefs(connection)
            stored = (
                *records.load(connection, Subnet),
                *records.load(connection, Subnet6),
                *records.load(connection, Reservation),
                *records.load(connection, Profile),
                *records.load(connection, Machine),
            )
            for model in stored:
                self._put(model)
            self.put_leases(lease_rows.load(connection))
            self.six.put_leases(lease6_rows.load(connection))

    def subnets(self) -> Sequence[Subnet]:
        """Every subnet, by network address."""
        return self._subnets_sorted

    def subnet(self, name: str) -> Subnet | None:
        """The subnet of this name."""
        return self._subnets.get(name)

    def subnet_of(self, address: IPv4Address) -> Subnet | None:
        """The subnet an address is in; subnets do not overlap."""
        return next((subnet for subnet in self._subnets_sorted if address in subnet.cidr), None)

    def subnets6(self) -> Sequence[Subnet6]:
        """Every subnet of IPv6, by network address."""
        return self.six.subnets()

    def reservations(self) -> Sequence[Reservation]:
        """Every reservation."""
        with self._lock:
            return tuple(self._reservations.values())

    def reservations_for(self, token: str) -> Sequence[Reservation]:
        """The addresses kept for a MAC address, or for `id:` and a client identifier in hexadecimal."""
        return self._reserved.get(token, ())

    def reservation_at(self, address: IPv4Address) -> Reservation | None:
        """For whom this address is kept."""
        return self._reservations.get(address)

    def profiles(self) -> Sequence[Profile]:
        """Every profile, by name."""
        with self._lock:
            return tuple(sorted(self._profiles.values(), key=lambda each: each.name))

    def profile(self, name: str) -> Profile | None:
        """The profile of this name."""
        return self._profiles.get(name)

    def machines(self) -> Sequence[Machine]:
        """Every stored machine."""
        with self._lock:
            return tuple(self._machines.values())

    def machine(self, key: uuid.UUID) -> Machine | None:
        """The stored machine with this id."""
        return self._machines.get(key)

    def machine_by_mac(self, mac: str) -> Machine | None:
        """The stored machine that has this MAC."""
        return self._machine_macs.get(mac)

    def machine_named(self, name: str) -> Machine | None:
        """The stored machine of this name, in capitals or not."""
        return self._machine_names.get(name.casefold())

    def machines_at(self, address: IPv4Address | None) -> Sequence[Machine]:
        """The stored machines that are recorded with this address."""
        if address is None:
            return ()
        with self._lock:
            return tuple(self._machine_addresses.get(address, {}).values())

    def leases(self) -> Sequence[Lease]:
        """Every stored lease, of any state, expired ones too."""
        with self._lock:
            return tuple(self._leases.values())

    def lease(self, address: IPv4Address) -> Lease | None:
        """The stored lease of this address, of any state."""
        return self._leases.get(address)

    def lease_at(self, address: IPv4Address) -> Lease | None:
        """Who holds this address now: a bound lease that has not expired, else what `learn` was told, else None."""
        now = self._clock.now()
        lease = self._leases.get(address)
        if lease is not None and lease.state is LeaseState.BOUND and lease.expires > now:
            return lease
        heard = self._learned.get(address)
        return heard if heard is not None and heard.expires > now else None

    def holder_of(self, address: IPv4Address | IPv6Address) -> AnyLease | None:
        """Who holds an address of either protocol now."""
        return self.lease_at(address) if isinstance(address, IPv4Address) else self.six.lease_at(address)

    def lease_of(self, mac: str) -> Lease | None:
        """The address this MAC holds now (the newest, where it holds several), as `lease_at` understands it."""
        now = self._clock.now()
        with self._lock:
            held = list(self._leases_of.get(mac, {}).values())
            held += [lease for lease in self._learned.values() if lease.mac == mac]
        live = [lease for lease in held if lease.state is LeaseState.BOUND and lease.expires > now]
        return max(live, key=lambda lease: lease.since, default=None)

    def learn(self, mac: str, address: IPv4Address) -> None:
        """Another DHCP server gave `address` to `mac` (proxy mode): show it as a lease for a day, in memory only."""
        now = self._clock.now()
        with self._lock:
            before = self._learned.pop(address, None)
            # The same machine heard again keeps its beginning: tokens are bound to it.
            since = before.since if before is not None and before.mac == mac and before.expires > now else now
            self._learned[address] = Lease(address=address, mac=mac, since=since, expires=now + LEARNED_SECONDS)
            while len(self._learned) > LEARNED_MAX:
                del self._learned[next(iter(self._learned))]

    def bootenvs(self) -> Sequence[BootEnv]:
        """Every boot environment, by name."""
        return tuple(self._bootenvs.values())

    def bootenv(self, name: str) -> BootEnv | None:
        """The boot environment of this name."""
        return self._bootenvs.get(name)

    def set_bootenvs(self, bootenvs: Sequence[BootEnv]) -> None:
        """The content service has read them (again)."""
        self._bootenvs = {bootenv.name: bootenv for bootenv in sorted(bootenvs, key=lambda each: each.name)}

    def preference(self, name: str) -> str:
        """The value of a preference, its default where none was set. Raises KeyError for a name that is none."""
        return self._prefs.get(name, DEFAULTS[name])

    def preferences(self) -> Sequence[Preference]:
        """Every preference with its value now."""
        return tuple(each.model_copy(update={"value": self.preference(each.name)}) for each in PREFERENCES)

    def internal(self, name: str) -> str:
        """What the engine keeps for itself under a name that begins with a dot; empty where nothing was kept."""
        return self._prefs.get(name, "")

    def holding(self) -> bool:
        """The hold switch is on: no boot service answers anyone."""
        return self._prefs.get(HOLDING) == "yes"

    def set_holding(self, on: bool) -> None:
        """Turn the hold switch; it survives a restart. Blocks until it is durable."""
        value = "yes" if on else None
        self._database.write(
            lambda connection: records.save_pref(connection, HOLDING, value),
            lambda _: self.put_pref(HOLDING, value),
        )

    # What follows is called after a commit, by the store and the command layer.

    def put(self, before: Stored | None, after: Stored | None) -> None:
        """`after` was stored in place of `before`; None: there is none."""
        with self._lock:
            # The new one first: a reader of an object that only changed must not miss it in between.
            if after is not None:
                self._put(after)
            if before is not None:
                self._take(before, after)

    def put_pref(self, name: str, value: str | None) -> None:
        """A preference was set, or (None) forgotten."""
        with self._lock:
            if value is None:
                self._prefs.pop(name, None)
            else:
                self._prefs[name] = value

    def put_leases(self, leases: Iterable[Lease]) -> None:
        """Leases were stored."""
        with self._lock:
            for lease in leases:
                self._drop_lease(lease.address)
                self._leases[lease.address] = lease
                self._leases_of.setdefault(lease.mac, {})[lease.address] = lease

    def drop_lease(self, address: IPv4Address) -> None:
        """A lease was deleted."""
        with self._lock:
            self._drop_lease(address)

    def _drop_lease(self, address: IPv4Address) -> None:
        lease = self._leases.pop(address, None)
        if lease is not None:
            held = self._leases_of[lease.mac]
            del held[address]
            if not held:
                del self._leases_of[lease.mac]

    def _put(self, model: Stored) -> None:
        if isinstance(model, Machine):
            self._machines[model.id] = model
            for mac in model.macs:
                self._machine_macs[mac] = model
            self._machine_names[model.name.casefold()] = model
            if model.address is not None:
                self._machine_addresses.setdefault(model.address, {})[model.id] = model
        elif isinstance(model, Subnet):
            self._subnets[model.name] = model
            self._sort()
        elif isinstance(model, Subnet6):
            self.six.put_subnet(model, model)
        elif isinstance(model, Profile):
            self._profiles[model.name] = model
        else:
            self._reservations[model.address] = model
            others = (each for each in self._reserved.get(model.token, ()) if each.address != model.address)
            self._reserved[model.token] = (*others, model)

    def _take(self, before: Stored, after: Stored | None) -> None:
        """Remove the keys of `before` that `after` did not take over."""
        if isinstance(before, Machine):
            kept = after.macs if isinstance(after, Machine) else ()
            for mac in before.macs:
                if mac not in kept:
                    self._machine_macs.pop(mac, None)
            name = before.name.casefold()
            named = self._machine_names.get(name)
            if named is not None and named.id == before.id and (after is None or named is not after):
                del self._machine_names[name]
            if before.address is not None and (not isinstance(after, Machine) or after.address != before.address):
                held = self._machine_addresses.get(before.address, {})
                held.pop(before.id, None)
                if not held:
                    self._machine_addresses.pop(before.address, None)
            if after is None:
                self._machines.pop(before.id, None)
        elif isinstance(before, Subnet):
            if after is None:
                self._subnets.pop(before.name, None)
                self._sort()
        elif isinstance(before, Subnet6):
            if after is None:
                self.six.put_subnet(before, None)
        elif isinstance(before, Profile):
            if after is None:
                self._profiles.pop(before.name, None)
        else:
            kept = after if isinstance(after, Reservation) else None
            if kept is None or kept.address != before.address:
                self._reservations.pop(before.address, None)
            if kept is None or (kept.token, kept.address) != (before.token, before.address):
                left = tuple(each for each in self._reserved.get(before.token, ()) if each.address != before.address)
                if left:
                    self._reserved[before.token] = left
                else:
                    self._reserved.pop(before.token, None)

    def _sort(self) -> None:
        self._subnets_sorted = tuple(sorted(self._subnets.values(), key=lambda each: each.cidr))
