"""Which subnet a message is about, and which of our addresses its sender reaches (RFC 2131, 3011, 3527, 5107)."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address

from app.model.subnet import Subnet
from app.netboot.exchange import Exchange
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import ZERO, MessageType

_BOUND_MESSAGES = frozenset({MessageType.REQUEST, MessageType.RELEASE, MessageType.INFORM})


def usable(address: IPv4Address) -> bool:
    """An address one host can have: not zero, loopback, multicast or broadcast."""
    return not (
        address.is_unspecified or address.is_loopback or address.is_multicast or int(address) >= 0xF0000000
    ) and bool(int(address) >> 24)


def _serves(subnet: Subnet, interface: str) -> bool:
    return subnet.interface in ("", interface)


def _containing(exchange: Exchange, address: IPv4Address) -> Subnet | None:
    return next(
        (
            subnet
            for subnet in exchange.view.subnets()
            if address in subnet.cidr and _serves(subnet, exchange.arrival.interface)
        ),
        None,
    )


def _on_the_segment(exchange: Exchange) -> Sequence[Subnet]:
    """The subnets the arrival interface has addresses in."""
    own = [item.ip for item in exchange.arrival.addresses]
    return [
        subnet
        for subnet in exchange.view.subnets()
        if _serves(subnet, exchange.arrival.interface) and any(address in subnet.cidr for address in own)
    ]


def _preferred(exchange: Exchange, subnets: Sequence[Subnet]) -> Subnet | None:
    """Of several subnets on one segment, the one this client belongs to, else the first that is served."""
    if len(subnets) < 2:
        return subnets[0] if subnets else None
    request, client, view = exchange.request, exchange.client, exchange.view
    wanted: list[IPv4Address] = []
    asked = request.address(opt.REQUESTED_ADDRESS)
    if asked is not None and request.message is not MessageType.DISCOVER:
        wanted.append(asked)
    if not request.ciaddr.is_unspecified:
        wanted.append(request.ciaddr)
    if (reservation := view.reservation_for(client.mac)) is not None:
        wanted.append(reservation.address)
    wanted += [
        record.address
        for subnet in subnets
        if (record := exchange.table.find(client, subnet, view, exchange.now)) is not None
    ]
    for address in wanted:
        for subnet in subnets:
            if address in subnet.cidr:
                return subnet
    return next((subnet for subnet in subnets if subnet.enabled and not subnet.hold), subnets[0])


def locate(exchange: Exchange) -> tuple[str, str]:
    """Fill in subnet, server and server identifier. Returns a reason and words where there is none, else empty texts.

    A relay's choice of link comes before its own address (RFC 3527), the client's choice of subnet (RFC 3011) too; a
    client that renews through a router is found by the address it has.
    """
    request, arrival, relay = exchange.request, exchange.arrival, exchange.relay
    link: IPv4Address | None = None
    selected = request.address(opt.SUBNET_SELECTION)
    where = f"interface {arrival.interface}"
    if not request.giaddr.is_unspecified:
        if not usable(request.giaddr) or request.giaddr in arrival.local:
            return "bad-relay", f"{request.giaddr} cannot be a relay's address"
        link = opt.address(relay.get(opt.RELAY_LINK_SELECTION)) or selected or request.giaddr
        where = f"relay {request.giaddr}" + (f" for {link}" if link != request.giaddr else "")
    elif request.message in _BOUND_MESSAGES and usable(request.ciaddr) and arrival.unicast:
        link = request.ciaddr
        where = f"address {link}"
    elif selected is not None:
        link = selected
        where = f"the chosen subnet {link}"
    subnet = _containing(exchange, link) if link is not None else _preferred(exchange, _on_the_segment(exchange))
    exchange.subnet = subnet
    exchange.server = _server(exchange, subnet)
    # Only a relay can stand in for us; what a client, or a switch that snoops, puts there is no relay's word.
    override = relay.get(opt.RELAY_SERVER_OVERRIDE) if not request.giaddr.is_unspecified else None
    exchange.server_id = opt.address(override) or exchange.server
    if subnet is None:
        return "no-subnet", f"no subnet is defined for {where}"
    if exchange.server == ZERO:
        return "no-address", f"interface {arrival.interface} has no IPv4 address"
    return "", ""


def _server(exchange: Exchange, subnet: Subnet | None) -> IPv4Address:
    arrival = exchange.arrival
    if subnet is not None:
        for item in arrival.addresses:
            if item.ip in subnet.cidr:
                return item.ip
    if arrival.unicast:
        return arrival.destination
    return arrival.addresses[0].ip if arrival.addresses else ZERO


def is_ours(exchange: Exchange, server: IPv4Address) -> bool:
    """The server a client names in option 54 is this one."""
    return server in exchange.arrival.local or server == exchange.server_id
