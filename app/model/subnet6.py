"""Subnets and leases of IPv6: what DHCPv6 serves (RFC 8415, RFC 5970)."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network
from typing import Annotated, Any, Self, cast

from pydantic import BeforeValidator, Field, model_validator

from app.model.fields import Epoch, Model, Name, is_host_name
from app.model.subnet import Lease, LeaseState, Subnet, SubnetMode

ADDRESSES_MAX = 65_536
"""A segment has fewer machines; and a flood of made-up ones fills no disk with leases."""
PREFIX_MIN, PREFIX_MAX = 8, 127


class Range6(Model):
    """Addresses given out to machines; both ends belong to it."""

    start: IPv6Address
    end: IPv6Address

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if int(self.end) < int(self.start):
            raise ValueError(f"the range ends ({self.end}) before it starts ({self.start})")
        if self.size > ADDRESSES_MAX:
            raise ValueError(f"a range of {self.size} addresses is too large, {ADDRESSES_MAX} at most")
        return self

    def __contains__(self, address: object) -> bool:
        return isinstance(address, IPv6Address) and int(self.start) <= int(address) <= int(self.end)

    @property
    def size(self) -> int:
        """How many addresses it holds."""
        return int(self.end) - int(self.start) + 1


def _range(value: object) -> object:
    if isinstance(value, str):
        start, dash, end = value.partition("-")
        if not dash:
            raise ValueError(f"{value!r} is not a range; write it like fd00:7::100-fd00:7::1ff")
        return {"start": start.strip(), "end": end.strip()}
    return value


def _network(value: object) -> object:
    if isinstance(value, str):
        try:
            network = IPv6Network(value.strip(), strict=False)
        except ValueError:
            raise ValueError(f"{value!r} is not an IPv6 network; write it like fd00:7::/64") from None
        if network.network_address != IPv6Address(value.strip().partition("/")[0]):
            raise ValueError(f"{value} is an address in {network}; write {network}")
        return network
    return value


NetworkField = Annotated[IPv6Network, BeforeValidator(_network)]
RangeField = Annotated[Range6, BeforeValidator(_range)]


class Subnet6(Model):
    """A network segment Bootcart answers on with DHCPv6. Routes and prefixes are the router's to tell."""

    name: Name
    cidr: NetworkField
    mode: SubnetMode = SubnetMode.AUTHORITATIVE
    enabled: bool = True
    ranges: tuple[RangeField, ...] = ()
    stateless: bool = Field(
        default=False, description="gives boot files and DNS, no addresses: those are the router's or another server's"
    )
    dns: tuple[IPv6Address, ...] = ()
    domain: str = ""
    lease_time: int = Field(default=3600, ge=60, le=31_536_000, description="seconds")
    next_server: IPv6Address | None = Field(default=None, description="boot server; none: the address reached")
    interface: str = Field(
        default="", description="serve it on this interface only; empty: any that has an address in it"
    )
    hold: str = Field(default="", description="why the subnet is not answered at the moment; empty: it is")
    description: str = ""

    @model_validator(mode="before")
    @classmethod
    def _not_of_ipv6(cls, data: Any) -> Any:
        if isinstance(data, dict) and cast("dict[str, Any]", data).get("router") is not None:
            raise ValueError("router: DHCPv6 names no router; it tells of itself in its Router Advertisements")
        return cast("Any", data)

    @model_validator(mode="after")
    def _inside(self) -> Self:
        if not PREFIX_MIN <= self.cidr.prefixlen <= PREFIX_MAX:
            raise ValueError(f"cidr: a prefix of {self.cidr.prefixlen} bits is no subnet's, {PREFIX_MIN}-{PREFIX_MAX}")
        if self.cidr.is_multicast or self.cidr.is_link_local or self.cidr.is_loopback:
            raise ValueError(f"cidr: {self.cidr} is no network whose addresses are given out")
        if self.mode is SubnetMode.PROXY:
            raise ValueError("mode: IPv6 has no proxy mode; stateless gives boot files beside whoever gives addresses")
        for number, span in enumerate(self.ranges):
            for end, address in (("start", span.start), ("end", span.end)):
                if address not in self.cidr:
                    raise ValueError(f"ranges.{number}.{end}: {address} is not in {self.cidr}")
                if address == self.cidr.network_address:
                    raise ValueError(f"ranges.{number}.{end}: {address} is every router's address (RFC 4291 2.6.1)")
            for other in self.ranges[:number]:
                if span.start in other or span.end in other or other.start in span:
                    raise ValueError(f"ranges.{number}: {span.start}-{span.end} overlaps {other.start}-{other.end}")
        if sum(span.size for span in self.ranges) > ADDRESSES_MAX:
            raise ValueError(f"ranges: more than {ADDRESSES_MAX} addresses in all")
        if self.domain and not is_host_name(self.domain):
            raise ValueError(f"domain: {self.domain!r} is no domain name")
        if self.stateless and self.ranges:
            raise ValueError("ranges: a stateless subnet gives no addresses; leave out the ranges, or stateless")
        return self


class Lease6(Model):
    """An address given to a machine for a time (RFC 8415)."""

    address: IPv6Address
    mac: str = Field(description="hardware address, colons; empty where nothing told it")
    client_id: str = Field(description="DUID in hexadecimal")
    iaid: int = Field(default=0, description="the identity association the address is in")
    proven: bool = Field(
        default=False, description="the MAC address is its relay's or its link-local address's word, not the DUID's"
    )
    subnet: str = ""
    state: LeaseState = LeaseState.BOUND
    since: Epoch = Field(default=0.0, description="when this binding began")
    expires: Epoch = 0.0
    hostname: str = ""
    interface: str = ""


AnySubnet = Subnet | Subnet6
"""A subnet of either protocol."""
AnyLease = Lease | Lease6
"""A lease of either protocol."""
