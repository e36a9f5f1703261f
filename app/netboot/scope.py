"""Which subnet a message is about, and which of our addresses its sender reaches (RFC 2131, 3011, 3527, 5107)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address

from app.model.subnet import Identity, Subnet, SubnetMode
from app.netboot.exchange import Exchange
from app.netboot.reserved import home, reservation_of, reservations_of
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import ZERO, MessageType

# A type and one octet (RFC 2132 section 9.14).
_ID_LENGTH_MIN = 4
_GIVES_NONE = (SubnetMode.PROXY, SubnetMode.OFF)
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
    wanted += [kept.address for kept in reservations_of(client, view)]
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
    if link is None:
        on_link = _on_the_segment(exchange)
    else:
        on_link = [found] if (found := _containing(exchange, link)) is not None else []
    on_link = _with_shared(exchange, on_link)
    subnet = _at_home(exchange, _preferred(exchange, on_link))
    exchange.siblings = tuple(other for other in on_link if other is not subnet)
    settle(exchange, subnet)
    if subnet is None:
        return "no-subnet", f"no subnet is defined for {where}"
    if exchange.server == ZERO:
        return "no-address", f"interface {arrival.interface} has no IPv4 address"
    return "", ""


def settle(exchange: Exchange, subnet: Subnet | None) -> None:
    """The message is about this subnet: who we are there, and what its client is told apart by."""
    request, client = exchange.request, exchange.client
    exchange.subnet = subnet
    exchange.server = _server(exchange, subnet)
    # Only a relay can stand in for us; what a client, or a switch that snoops, puts there is no relay's word.
    override = exchange.relay.get(opt.RELAY_SERVER_OVERRIDE) if not request.giaddr.is_unspecified else None
    exchange.server_id = opt.address(override) or exchange.server
    by_id = subnet is not None and subnet.identity is Identity.CLIENT_ID
    if by_id != client.by_id:
        name = client.client_id if not by_id or len(client.client_id) >= _ID_LENGTH_MIN else ""
        exchange.client = replace(client, by_id=by_id, client_id=name)


def _with_shared(exchange: Exchange, subnets: Sequence[Subnet]) -> Sequence[Subnet]:
    """Subnets, and the others that say they are on the same link."""
    shared = {subnet.shared_network for subnet in subnets if subnet.shared_network}
    if not shared:
        return subnets
    others = (
        subnet
        for subnet in exchange.view.subnets()
        if subnet.shared_network in shared and _serves(subnet, exchange.arrival.interface)
    )
    return [*subnets, *(other for other in others if all(other.name != subnet.name for subnet in subnets))]


def _at_home(exchange: Exchange, subnet: Subnet | None) -> Subnet | None:
    """Where the reservation that counts for this client is: it may be elsewhere, and outside any subnet."""
    if subnet is not None and (not subnet.enabled or subnet.hold or subnet.mode in _GIVES_NONE):
        return subnet
    kept = reservation_of(exchange.client, subnet, exchange.view)
    if kept is None or (subnet is not None and kept.address in subnet.cidr):
        return subnet
    return home(kept, exchange.view) or subnet


def link_end(exchange: Exchange) -> IPv4Address:
    """The address at our end of the link the client is on: the relay's, else ours."""
    giaddr = exchange.request.giaddr
    return exchange.server if giaddr.is_unspecified else giaddr


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
