"""Subnets, ranges, reservations and leases."""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from app.model.fields import Epoch, Model, Name, normal_mac
from app.model.options import OptionValues


class SubnetMode(StrEnum):
    """What Bootcart does on a subnet."""

    AUTHORITATIVE = "authoritative"
    PROXY = "proxy"
    UNMANAGED = "unmanaged"
    OFF = "off"


class Picker(StrEnum):
    """A way to find an address for a machine that has none yet; a subnet's are tried in order."""

    HINT = "hint"
    NEXT_FREE = "next-free"
    MOST_EXPIRED = "most-expired"
    POINT_TO_POINT = "point-to-point"
    NONE = "none"


class Identity(StrEnum):
    """What a DHCP client is told apart by on a subnet (docs/adr/0002-dhcp-identity.md)."""

    MAC = "mac"
    CLIENT_ID = "client-id"


class Scope(StrEnum):
    """Where a reservation counts: on the subnet its address is in, or wherever its machine appears."""

    SUBNET = "subnet"
    GLOBAL = "global"


class Range(Model):
    """Addresses given out to machines without a reservation; both ends belong to it."""

    start: IPv4Address
    end: IPv4Address

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if int(self.end) < int(self.start):
            raise ValueError(f"the range ends ({self.end}) before it starts ({self.start})")
        return self

    def __contains__(self, address: object) -> bool:
        return isinstance(address, IPv4Address) and int(self.start) <= int(address) <= int(self.end)

    @property
    def size(self) -> int:
        """How many addresses it holds."""
        return int(self.end) - int(self.start) + 1


def _range(value: object) -> object:
    if isinstance(value, str):
        start, dash, end = value.partition("-")
        if not dash:
            raise ValueError(f"{value!r} is not a range; write it like 10.7.0.100-10.7.0.200")
        return {"start": start.strip(), "end": end.strip()}
    return value


def _network(value: object) -> object:
    if isinstance(value, str):
        try:
            network = IPv4Network(value.strip(), strict=False)
        except ValueError:
            raise ValueError(f"{value!r} is not an IPv4 network; write it like 10.7.0.0/24") from None
        if str(network.network_address) != value.strip().partition("/")[0]:
            raise ValueError(f"{value} is an address in {network}; write {network}")
        return network
    return value


def _words(value: object) -> object:
    return [word for word in value.replace(",", " ").split() if word] if isinstance(value, str) else value


def _client_id(text: str) -> str:
    digits = re.sub("[:. -]", "", text.strip().lower()).removeprefix("0x")
    if digits and (len(digits) < 4 or len(digits) > 510 or len(digits) % 2 or not re.fullmatch("[0-9a-f]+", digits)):
        raise ValueError(f"{text!r} is not a client identifier; write its octets, like 01:52:54:00:00:00:07")
    return digits


OptionalMac = Annotated[str, AfterValidator(lambda text: normal_mac(text) if text else "")]
NetworkField = Annotated[IPv4Network, BeforeValidator(_network)]
RangeField = Annotated[Range, BeforeValidator(_range)]
Pickers = Annotated[tuple[Picker, ...], BeforeValidator(_words)]
PICKERS = (Picker.HINT, Picker.NEXT_FREE, Picker.MOST_EXPIRED)
"""The pickers of a subnet that names none."""
ClientId = Annotated[str, AfterValidator(_client_id)]
"""Option 61 in hexadecimal; may be empty."""


class Subnet(Model):
    """A network segment Bootcart answers on."""

    name: Name
    cidr: NetworkField
    mode: SubnetMode = SubnetMode.AUTHORITATIVE
    enabled: bool = True
    ranges: tuple[RangeField, ...] = ()
    router: IPv4Address | None = None
    dns: tuple[IPv4Address, ...] = ()
    domain: str = ""
    lease_time: int = Field(default=3600, ge=60, le=31_536_000, description="seconds")
    next_server: IPv4Address | None = Field(default=None, description="boot server; none: the address reached")
    reserved_lease_time: int | None = Field(
        default=None, ge=60, le=31_536_000, description="seconds, for machines with a reservation; none: lease_time"
    )
    reservations_only: bool = False
    kept_for_known: int = Field(
        default=0, ge=0, description="the last so many addresses of its last range go to machines on record alone"
    )
    pickers: Pickers = Field(default=PICKERS, description="how an address is found, in this order")
    identity: Identity = Field(default=Identity.MAC, description="what clients are told apart by")
    shared_network: str = Field(
        default="",
        max_length=63,
        description="subnets that share a name here share a link: where one is full, another serves",
    )
    interface: str = Field(
        default="", description="serve it on this interface only; empty: any that has an address in it"
    )
    confirmed: bool = Field(default=False, description="the operator accepts another DHCP server on the segment")
    https: bool = Field(default=False, description="firmware here trusts this appliance: its HTTP boot goes by HTTPS")
    options: OptionValues = Field(default_factory=dict, description="DHCP options by name or number")
    hold: str = Field(default="", description="why the subnet is not answered at the moment; empty: it is")
    description: str = ""

    @model_validator(mode="after")
    def _inside(self) -> Self:
        first, last = self.cidr.network_address, self.cidr.broadcast_address
        usable = self.cidr.prefixlen <= 30
        for number, span in enumerate(self.ranges):
            for end, address in (("start", span.start), ("end", span.end)):
                if address not in self.cidr:
                    raise ValueError(f"ranges.{number}.{end}: {address} is not in {self.cidr}")
                if usable and address in (first, last):
                    raise ValueError(
                        f"ranges.{number}.{end}: {address} is the network or broadcast address of {self.cidr}"
                    )
            for other in self.ranges[:number]:
                if span.start in other or span.end in other or other.start in span:
                    raise ValueError(f"ranges.{number}: {span.start}-{span.end} overlaps {other.start}-{other.end}")
        room = self.ranges[-1].size if self.ranges else 0
        if self.kept_for_known > room:
            raise ValueError(f"kept_for_known: {self.kept_for_known} is more than its last range holds ({room})")
        if self.router is not None and self.router not in self.cidr:
            raise ValueError(f"router: {self.router} is not in {self.cidr}")
        if not self.pickers or len(set(self.pickers)) != len(self.pickers):
            raise ValueError("pickers: name at least one, and each once")
        return self

    @property
    def kept(self) -> range:
        """The addresses, as numbers, that go to machines on record alone."""
        end = int(self.ranges[-1].end) + 1 if self.kept_for_known else 0
        return range(end - self.kept_for_known, end)


class Reservation(Model):
    """An address kept for one machine."""

    address: IPv4Address
    mac: OptionalMac = Field(default="", description="of its machine; or client_id")
    client_id: ClientId = Field(default="", description="option 61 in hexadecimal, where no MAC address tells")
    scope: Scope = Field(default=Scope.SUBNET, description="global: wherever the machine appears")
    prefix: int | None = Field(
        default=None, ge=8, le=32, description="length of the network's prefix, for an address outside any subnet"
    )
    router: IPv4Address | None = Field(default=None, description="for an address outside any subnet")
    next_server: IPv4Address | None = Field(default=None, description="boot server; none: the subnet's")
    lease_time: int | None = Field(default=None, ge=60, le=31_536_000, description="seconds; none: the subnet's")
    hostname: str = ""
    never_boot: bool = Field(default=False, description="gets its address, never a boot file")
    options: OptionValues = Field(default_factory=dict, description="DHCP options by name or number")
    description: str = ""

    @model_validator(mode="after")
    def _whose(self) -> Self:
        if not self.mac and not self.client_id:
            raise ValueError("mac: is missing, and so is a client_id: whose is it?")
        if self.mac and self.client_id:
            raise ValueError("client_id: the MAC address says whose it is; leave one of them out")
        network = self.network
        if self.router is not None and (network is None or self.router not in network or self.router == self.address):
            raise ValueError(f"router: {self.router} is not a router of {network or 'a network: give the prefix too'}")
        if network is not None and network.prefixlen <= 30 and self.address in (network[0], network[-1]):
            raise ValueError(f"address: {self.address} is the network or broadcast address of {network}")
        return self

    @property
    def network(self) -> IPv4Network | None:
        """Its own network, where it has one."""
        return None if self.prefix is None else IPv4Network((int(self.address), self.prefix), strict=False)

    @property
    def token(self) -> str:
        """What it is found by: the MAC address, or `id:` and the client identifier."""
        return self.mac or f"id:{self.client_id}"

    @property
    def whose(self) -> str:
        """For whom it is, in words."""
        return self.mac or f"client {self.client_id}"


class LeaseState(StrEnum):
    """Where a lease is in its life; offers are not leases and are never stored."""

    BOUND = "bound"
    RELEASED = "released"
    EXPIRED = "expired"
    DECLINED = "declined"


class Lease(Model):
    """An address given to a machine for a time (RFC 2131)."""

    address: IPv4Address
    mac: str = Field(description="hardware address, colons; may be of another length than Ethernet's")
    client_id: str = Field(default="", description="option 61 in hexadecimal, empty when none was sent")
    subnet: str = ""
    state: LeaseState = LeaseState.BOUND
    since: Epoch = Field(default=0.0, description="when this binding began")
    expires: Epoch = 0.0
    hostname: str = ""
    interface: str = ""
