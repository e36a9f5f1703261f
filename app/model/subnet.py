"""Subnets, ranges, reservations and leases."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from app.model.fields import Epoch, Mac, Model, Name
from app.model.options import OptionValues


class SubnetMode(StrEnum):
    """What Bootcart does on a subnet."""

    AUTHORITATIVE = "authoritative"
    PROXY = "proxy"
    UNMANAGED = "unmanaged"
    OFF = "off"


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


NetworkField = Annotated[IPv4Network, BeforeValidator(_network)]
RangeField = Annotated[Range, BeforeValidator(_range)]


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
    reservations_only: bool = False
    interface: str = Field(
        default="", description="serve it on this interface only; empty: any that has an address in it"
    )
    confirmed: bool = Field(default=False, description="the operator accepts another DHCP server on the segment")
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
        if self.router is not None and self.router not in self.cidr:
            raise ValueError(f"router: {self.router} is not in {self.cidr}")
        return self


class Reservation(Model):
    """An address kept for one machine."""

    address: IPv4Address
    mac: Mac
    hostname: str = ""
    never_boot: bool = Field(default=False, description="gets its address, never a boot file")
    options: OptionValues = Field(default_factory=dict, description="DHCP options by name or number")
    description: str = ""


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
