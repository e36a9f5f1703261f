"""Single changes to the host, as typed records: the commands that make each, and the ones that take it back.

The records are also what is written to disk before a change is made; no command is ever read from a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv4Network
from typing import Annotated, Literal, assert_never

from pydantic import Field, StringConstraints

from app.model.fields import Model
from app.model.hostplan import TCP_PORTS, UDP_PORTS, LinkName, UplinkName

Argv = tuple[str, ...]

# nft(8) "identifiers begin with an alphabetic character"; narrowed to what needs no quoting.
NftName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.]{0,63}$")]
# firewalld.zone(5): at most 17 characters.
Zone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,16}$")]

PORTS: tuple[tuple[str, int], ...] = (*(("udp", port) for port in UDP_PORTS), *(("tcp", port) for port in TCP_PORTS))
COMMENT = "bootcart"


class Unmanaged(Model):
    """NetworkManager leaves an interface alone."""

    kind: Literal["unmanaged"] = "unmanaged"
    interface: LinkName


class LinkUp(Model):
    """An interface that was down is up."""

    kind: Literal["link-up"] = "link-up"
    interface: LinkName


class AddressAdded(Model):
    """An interface has one more address."""

    kind: Literal["address"] = "address"
    interface: LinkName
    address: IPv4Interface


class ZonePort(Model):
    """firewalld lets a port in, until it is reloaded."""

    kind: Literal["zone-port"] = "zone-port"
    zone: Zone
    protocol: Literal["udp", "tcp"]
    port: int = Field(ge=1, le=65535)


class ZoneForward(Model):
    """firewalld lets an interface's packets out through the uplink and their answers back, until it is reloaded."""

    kind: Literal["zone-forward"] = "zone-forward"
    interface: LinkName
    uplink: LinkName


class UfwPort(Model):
    """ufw lets a port in on an interface; ufw keeps its rules over a reboot."""

    kind: Literal["ufw-port"] = "ufw-port"
    interface: LinkName
    protocol: Literal["udp", "tcp"]
    port: int = Field(ge=1, le=65535)


class UfwRoute(Model):
    """ufw forwards from an interface to the uplink; ufw keeps its rules over a reboot."""

    kind: Literal["ufw-route"] = "ufw-route"
    interface: LinkName
    uplink: LinkName


class ChainAccept(Model):
    """Rules at the head of somebody else's nftables chain that would drop; an accept in a table of ours could not.

    Without `uplink` the boot ports arriving on the interface, with it what passes between the two.
    """

    kind: Literal["chain-accept"] = "chain-accept"
    family: Literal["ip", "inet"]
    table: NftName
    chain: NftName
    interface: LinkName
    uplink: UplinkName = ""

    @property
    def comment(self) -> str:
        """How the rules are found again."""
        return f"{COMMENT} {self.interface}"


class TablesAccept(Model):
    """The same in a chain that iptables made, which iptables could not read any more after nft wrote to it."""

    kind: Literal["tables-accept"] = "tables-accept"
    chain: Literal["INPUT", "FORWARD"]
    interface: LinkName
    uplink: UplinkName = ""


class Forwarding(Model):
    """The kernel forwards IPv4 packets that arrive on an interface; `was` is the setting before."""

    kind: Literal["forwarding"] = "forwarding"
    interface: LinkName
    was: Literal["0"] = "0"


class Masquerade(Model):
    """What leaves these networks through the uplink bears the uplink's address; a table of our own."""

    kind: Literal["masquerade"] = "masquerade"
    interface: LinkName
    uplink: LinkName
    networks: tuple[IPv4Network, ...] = Field(min_length=1)

    @property
    def table(self) -> str:
        """One table for each interface."""
        return "bootcart_nat_" + re.sub(r"[^A-Za-z0-9]", "_", self.interface)


Change = Annotated[
    Unmanaged
    | LinkUp
    | AddressAdded
    | ZonePort
    | ZoneForward
    | UfwPort
    | UfwRoute
    | ChainAccept
    | TablesAccept
    | Forwarding
    | Masquerade,
    Field(discriminator="kind"),
]

LASTING = (UfwPort, UfwRoute)
"""Changes that a reboot does not undo by itself."""


def sysctl_key(interface: str) -> str:
    """The forwarding switch of one interface; slashes, since an interface's name may hold dots (sysctl(8))."""
    return f"net/ipv4/conf/{interface}/forwarding"


def _zone_forward(change: ZoneForward, action: str) -> Iterator[Argv]:
    head: Argv = ("firewall-cmd", "--direct", action, "ipv4", "filter", "FORWARD", "0")
    yield (*head, "-i", change.interface, "-o", change.uplink, "-j", "ACCEPT")
    state: Argv = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
    yield (*head, "-i", change.uplink, "-o", change.interface, *state, "-j", "ACCEPT")


def _chain_accept(change: ChainAccept) -> Iterator[Argv]:
    head = f"insert rule {change.family} {change.table} {change.chain}"
    tail = f'accept comment "{change.comment}"'
    if change.uplink:
        answers = f'iifname "{change.uplink}" oifname "{change.interface}" ct state established,related'
        yield "nft", f"{head} {answers} {tail}"
        yield "nft", f'{head} iifname "{change.interface}" oifname "{change.uplink}" {tail}'
        return
    udp, tcp = (", ".join(str(port) for port in ports) for ports in (UDP_PORTS, TCP_PORTS))
    yield "nft", f'{head} iifname "{change.interface}" tcp dport {{ {tcp} }} {tail}'
    yield "nft", f'{head} iifname "{change.interface}" udp dport {{ {udp} }} {tail}'


def _tables_accept(change: TablesAccept, action: str) -> Iterator[Argv]:
    head: Argv = ("iptables", "-w", "5", action, change.chain)
    tail: Argv = ("-m", "comment", "--comment", COMMENT, "-j", "ACCEPT")
    if change.uplink:
        state: Argv = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
        yield (*head, "-i", change.uplink, "-o", change.interface, *state, *tail)
        yield (*head, "-i", change.interface, "-o", change.uplink, *tail)
        return
    for protocol, ports in (("tcp", TCP_PORTS), ("udp", UDP_PORTS)):
        listed = ",".join(str(port) for port in ports)
        yield (*head, "-i", change.interface, "-p", protocol, "-m", "multiport", "--dports", listed, *tail)


def _masquerade(change: Masquerade) -> str:
    networks = ", ".join(str(network) for network in change.networks)
    rule = f'ip saddr {{ {networks} }} oifname "{change.uplink}" masquerade'
    chain = f"chain postrouting {{ type nat hook postrouting priority 100; policy accept; {rule}; }};"
    return f"{_no_table(change)}; table ip {change.table} {{ {chain} }}"


def _no_table(change: Masquerade) -> str:
    # Made before it is deleted, so that a table that is not there is no error: one transaction either way.
    return f"table ip {change.table}; delete table ip {change.table}"


def _ufw_rule(change: UfwPort) -> Argv:
    return "allow", "in", "on", change.interface, "to", "any", "port", str(change.port), "proto", change.protocol


def commands(change: Change) -> tuple[Argv, ...]:
    """What makes the change."""
    match change:
        case Unmanaged():
            return (("nmcli", "device", "set", change.interface, "managed", "no"),)
        case LinkUp():
            return (("ip", "link", "set", "dev", change.interface, "up"),)
        case AddressAdded():
            broadcast = ("brd", "+") if change.address.network.prefixlen <= 30 else ()
            return (("ip", "address", "add", str(change.address), *broadcast, "dev", change.interface),)
        case ZonePort():
            return (("firewall-cmd", f"--zone={change.zone}", f"--add-port={change.port}/{change.protocol}"),)
        case ZoneForward():
            return tuple(_zone_forward(change, "--add-rule"))
        case UfwPort():
            return (("ufw", *_ufw_rule(change), "comment", COMMENT),)
        case UfwRoute():
            route = ("allow", "in", "on", change.interface, "out", "on", change.uplink)
            return (("ufw", "route", *route, "comment", COMMENT),)
        case ChainAccept():
            return tuple(_chain_accept(change))
        case TablesAccept():
            return tuple(_tables_accept(change, "-I"))
        case Forwarding():
            return (("sysctl", "-w", f"{sysctl_key(change.interface)}=1"),)
        case Masquerade():
            return (("nft", _masquerade(change)),)
        case _:
            assert_never(change)


def reversals(change: Change, handles: tuple[int, ...] = ()) -> tuple[Argv, ...]:
    """What takes the change back; harmless where it was never made.

    `handles` are a ChainAccept's rules as they are found now.
    """
    match change:
        case Unmanaged():
            return (("nmcli", "device", "set", change.interface, "managed", "yes"),)
        case LinkUp():
            return (("ip", "link", "set", "dev", change.interface, "down"),)
        case AddressAdded():
            return (("ip", "address", "del", str(change.address), "dev", change.interface),)
        case ZonePort():
            return (("firewall-cmd", f"--zone={change.zone}", f"--remove-port={change.port}/{change.protocol}"),)
        case ZoneForward():
            return tuple(_zone_forward(change, "--remove-rule"))
        case UfwPort():
            return (("ufw", "delete", *_ufw_rule(change)),)
        case UfwRoute():
            return (("ufw", "route", "delete", "allow", "in", "on", change.interface, "out", "on", change.uplink),)
        case ChainAccept():
            place = f"delete rule {change.family} {change.table} {change.chain} handle"
            return tuple(("nft", f"{place} {handle}") for handle in handles)
        case TablesAccept():
            return tuple(_tables_accept(change, "-D"))
        case Forwarding():
            return (("sysctl", "-w", f"{sysctl_key(change.interface)}={change.was}"),)
        case Masquerade():
            return (("nft", _no_table(change)),)
        case _:
            assert_never(change)
