"""From an agreed plan and the facts of the host to the changes in order, and the warnings an operator should read."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.errors import InvalidError
from app.model.hostplan import HostPlan
from app.services.host.changes import (
    PORTS,
    AddressAdded,
    Argv,
    ChainAccept,
    Change,
    Forwarding,
    LinkUp,
    Masquerade,
    TablesAccept,
    UfwPort,
    UfwRoute,
    Unmanaged,
    ZoneForward,
    ZonePort,
    commands,
    reversals,
)
from app.services.host.facts import DroppingChain, HostFacts

_NFT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,63}")


@dataclass(frozen=True, slots=True)
class Step:
    """One change with its commands and the ones that take it back (a ChainAccept's need the handles it gets)."""

    change: Change
    commands: tuple[Argv, ...]
    reversals: tuple[Argv, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a plan comes to on this host."""

    steps: tuple[Step, ...]
    warnings: tuple[str, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """The commands as an operator would type them."""
        return tuple(shlex.join(argv) for step in self.steps for argv in step.commands)


def _uplink_accepts(plan: HostPlan, facts: HostFacts) -> Iterator[Change]:
    if facts.firewall == "firewalld":
        yield ZoneForward(interface=plan.interface, uplink=plan.nat_uplink)
    elif facts.firewall == "ufw":
        yield UfwRoute(interface=plan.interface, uplink=plan.nat_uplink)
    else:
        yield from _chain_accepts(plan, facts, "forward")


def _chain_accepts(plan: HostPlan, facts: HostFacts, hook: str) -> Iterator[Change]:
    uplink = plan.nat_uplink if hook == "forward" else ""
    for chain in facts.dropping:
        if chain.hook != hook:
            continue
        if _made_by_iptables(chain):
            yield TablesAccept(
                chain="FORWARD" if hook == "forward" else "INPUT", interface=plan.interface, uplink=uplink
            )
        elif _writable(chain):
            family = "ip" if chain.family == "ip" else "inet"
            yield ChainAccept(
                family=family, table=chain.table, chain=chain.chain, interface=plan.interface, uplink=uplink
            )


def _made_by_iptables(chain: DroppingChain) -> bool:
    return (chain.family, chain.table) == ("ip", "filter") and chain.chain in ("INPUT", "FORWARD")


def _writable(chain: DroppingChain) -> bool:
    return all(_NFT_NAME.fullmatch(name) for name in (chain.table, chain.chain))


def _changes(plan: HostPlan, facts: HostFacts) -> Iterator[Change]:
    name = plan.interface
    if plan.networkmanager_unmanaged and name in facts.networkmanager:
        yield Unmanaged(interface=name)
    if not facts.links[name].up:
        yield LinkUp(interface=name)
    if plan.address is not None and plan.address not in facts.links[name].addresses:
        yield AddressAdded(interface=name, address=plan.address)
    if plan.firewall_ports:
        yield from _ports(plan, facts)
    if plan.nat_uplink:
        yield from _uplink_accepts(plan, facts)
        for link in (name, plan.nat_uplink):
            if link not in facts.forwarding:
                yield Forwarding(interface=link)
        addresses = {*facts.links[name].addresses, *([plan.address] if plan.address else [])}
        networks = tuple(sorted({address.network for address in addresses}))
        yield Masquerade(interface=name, uplink=plan.nat_uplink, networks=networks)


def _ports(plan: HostPlan, facts: HostFacts) -> Iterator[Change]:
    for protocol, port in PORTS:
        kind = "udp" if protocol == "udp" else "tcp"
        if facts.firewall == "firewalld" and (zone := facts.zones.get(plan.interface, "")):
            if (zone, protocol, port) not in facts.open_ports:
                yield ZonePort(zone=zone, protocol=kind, port=port)
        elif facts.firewall == "ufw":
            rule = UfwPort(interface=plan.interface, protocol=kind, port=port)
            wanted = f"allow in on {plan.interface} to any port {port} proto {protocol}"
            if not any(wanted in line for line in facts.ufw_rules):
                yield rule
    if not facts.firewall:
        yield from _chain_accepts(plan, facts, "input")


def _warnings(plan: HostPlan, facts: HostFacts) -> Iterator[str]:
    name = plan.interface
    if name in facts.networkd:
        yield (
            f"systemd-networkd configures {name} and may take the address away again; "
            f"give {name} a .network file with Unmanaged=yes, or the address itself"
        )
    if plan.address is not None:
        for link in facts.links.values():
            for address in link.addresses:
                if link.name != name and address.network.overlaps(plan.address.network):
                    yield f"{link.name} already has {address}, in the same network as {plan.address}: routes will clash"
    unreachable = [chain for chain in facts.dropping if not _made_by_iptables(chain) and not _writable(chain)]
    for chain in unreachable if plan.firewall_ports or plan.nat_uplink else ():
        yield (
            f"the nftables chain {chain.family} {chain.table} {chain.chain} drops packets and has a name that cannot "
            f"be written to; let UDP 67, 69, 4011 and TCP 8090 in on {name} there by hand"
        )
    if plan.nat_uplink and plan.nat_uplink in facts.links and not facts.links[plan.nat_uplink].up:
        yield f"the uplink {plan.nat_uplink} is down"


def prepare(plan: HostPlan, facts: HostFacts, already: Sequence[Change] = ()) -> Prepared:
    """The steps a plan comes to on a host with these facts; what is so already, or was done before, is left out.

    Raises InvalidError when the plan names an interface this host has not, or asks for NAT without a network.
    """
    if plan.interface not in facts.links:
        raise InvalidError(f"this host has no interface {plan.interface}", hint="see `ip link`", field="interface")
    if plan.nat_uplink and plan.nat_uplink not in facts.links:
        raise InvalidError(f"this host has no interface {plan.nat_uplink}", hint="see `ip link`", field="nat_uplink")
    if plan.nat_uplink and plan.address is None and not facts.links[plan.interface].addresses:
        raise InvalidError(
            f"{plan.interface} has no address, so there is no network to translate",
            hint="give it one in the plan",
            field="address",
        )
    steps = tuple(
        Step(change, commands(change), reversals(change)) for change in _changes(plan, facts) if change not in already
    )
    return Prepared(steps, tuple(_warnings(plan, facts)))
