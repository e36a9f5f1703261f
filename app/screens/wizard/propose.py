"""What to propose for an interface: pure functions of what the host's interfaces are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from app.model.engine import Interface
from app.model.hostplan import HostPlan
from app.model.subnet import SubnetMode

FIRST_CHOICE = 7
"""10.7.0.0/24 unless it is taken."""
KINDS = frozenset({"ethernet", "bridge", "bond", "vlan", "veth", "tap", ""})
"""Kinds machines can be cabled to."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """The wizard's answer for one interface; texts as the form shows them."""

    interface: str
    name: str
    mode: SubnetMode
    cidr: str
    ranges: str = ""
    router: str = ""
    dns: str = ""
    address: str = ""
    """Address for this host; empty: the interface has one."""
    nat: str = ""
    """The uplink that machines could reach a mirror through; empty: none or not needed."""
    why: str = ""


def span_in(address: IPv4Interface) -> str:
    """A range of the network that leaves its own address out, `.100-.200` in a /24; empty where none fits."""
    network = address.network
    if network.prefixlen > 30:
        return ""
    first, last = int(network.network_address) + 1, int(network.broadcast_address) - 1
    if network.num_addresses >= 256:
        start = int(network.network_address) + 100
        end = start + 100
    else:
        start, end = first + (last - first) // 4, last
    own = int(address.ip)
    if start <= own <= end:
        # The longer side of our own address.
        start, end = (own + 1, end) if end - own >= own - start else (start, own - 1)
    return f"{IPv4Address(start)}-{IPv4Address(end)}" if first <= start <= end <= last else ""


def free_network(taken: Iterable[IPv4Network]) -> IPv4Network:
    """A private /24 that overlaps none of these: 10.7.0.0/24, then 10.8.0.0/24 and so on."""
    known = list(taken)
    for second in (*range(FIRST_CHOICE, 256), *range(FIRST_CHOICE)):
        candidate = IPv4Network(f"10.{second}.0.0/24")
        if not any(candidate.overlaps(one) for one in known):
            return candidate
    return IPv4Network("192.168.77.0/24")


def usable(interface: Interface) -> bool:
    """Machines could be cabled to it."""
    return interface.kind in KINDS and interface.kind != "loopback" and interface.mac is not None


def free(interface: Interface) -> bool:
    """A segment that could be served: cable in, not the uplink, nobody else answers."""
    return usable(interface) and interface.link and not interface.uplink and not interface.foreign


def best(interfaces: Sequence[Interface]) -> str:
    """The name of the interface to begin with; empty where none will do."""
    for test in (free, lambda one: usable(one) and not one.uplink, usable):
        if (found := next((one for one in interfaces if test(one)), None)) is not None:
            return found.name
    return ""


def propose(
    interface: Interface,
    interfaces: Sequence[Interface],
    taken: Iterable[IPv4Network],
    resolvers: Sequence[IPv4Address] = (),
) -> Proposal:
    """What the form of this interface starts with; `resolvers` are the name servers this host asks."""
    known = [*taken, *(address.network for one in interfaces for address in one.addresses)]
    uplink = next((one.name for one in interfaces if one.uplink and one.name != interface.name), "")
    # Without a way out nobody outside can be asked.
    dns = ", ".join(map(str, resolvers)) if uplink or interface.uplink else ""
    if interface.foreign:
        server = interface.foreign[0]
        network = _network_of(interface)
        return Proposal(
            interface.name,
            interface.name,
            SubnetMode.PROXY,
            str(network or ""),
            router=str(server.router or ""),
            # On another's network no address can be taken by guessing: the operator gives one.
            why=f"{server.server} gives addresses here: Bootcart only adds what to boot (proxy)",
        )
    if interface.addresses:
        own = interface.addresses[0]
        return Proposal(
            interface.name,
            interface.name,
            SubnetMode.AUTHORITATIVE,
            str(own.network),
            span_in(own),
            router=str(own.ip) if uplink and not interface.uplink else "",
            dns=dns,
            nat=uplink if not interface.uplink else "",
            why=f"from the interface's own address {own}",
        )
    network = free_network(known)
    own = IPv4Interface(f"{network.network_address + 1}/{network.prefixlen}")
    return Proposal(
        interface.name,
        interface.name,
        SubnetMode.AUTHORITATIVE,
        str(network),
        span_in(own),
        router=str(own.ip) if uplink else "",
        dns=dns,
        address=str(own),
        nat=uplink,
        why="the interface has no address: a private network that is free on this host",
    )


def _network_of(interface: Interface) -> IPv4Network | None:
    if interface.addresses:
        return interface.addresses[0].network
    server = interface.foreign[0]
    mask = server.subnet_mask or IPv4Address("255.255.255.0")
    return IPv4Network(f"{server.offered or server.server}/{mask}", strict=False)


def plan_for(interface: str, address: str, nat: str, *, firewall: bool, network_manager: bool) -> HostPlan:
    """The host changes of what was chosen. Raises ValueError (pydantic) for a bad address."""
    bare = HostPlan(
        interface=interface,
        address=IPv4Interface(address) if address else None,
        networkmanager_unmanaged=network_manager,
        firewall_ports=firewall,
        nat_uplink=nat,
    )
    return bare.model_copy(update={"preview": bare.describe()})
