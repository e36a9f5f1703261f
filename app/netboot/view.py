"""What boot policy needs to know of the world; the store's directory provides it, in memory, from any thread."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Protocol

from app.model.bootenv import BootEnv
from app.model.machine import Machine
from app.model.profile import Profile
from app.model.subnet import Reservation, Subnet


class NetworkView(Protocol):
    """A live, read-only view; every call is a dictionary access, none blocks."""

    def subnets(self) -> Sequence[Subnet]: ...

    def reservations_for(self, token: str) -> Sequence[Reservation]:
        """The addresses kept for a MAC address, or for `id:` and a client identifier in hexadecimal."""
        ...

    def reservation_at(self, address: IPv4Address) -> Reservation | None: ...

    def machine_by_mac(self, mac: str) -> Machine | None: ...

    def profile(self, name: str) -> Profile | None: ...

    def bootenv(self, name: str) -> BootEnv | None: ...

    def preference(self, name: str) -> str: ...

    def holding(self) -> bool:
        """The operator's hold switch is on: answer no one."""
        ...
