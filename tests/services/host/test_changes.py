"""Each kind of change: the exact commands that make it and take it back, and names that never reach a command."""

from __future__ import annotations

import shlex
from ipaddress import IPv4Interface, IPv4Network
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from app.services.host import changes
from app.services.host.changes import Change

NFT_IN = 'insert rule inet filter input iifname "eth1"'
FORWARD = ("firewall-cmd", "--direct")


def argv(line: str) -> tuple[str, ...]:
    """A command as it is typed, as its arguments."""
    return tuple(shlex.split(line))


GOLDEN: list[tuple[str, Change, list[tuple[str, ...]], list[tuple[str, ...]]]] = [
    (
        "NetworkManager off",
        changes.Unmanaged(interface="eth1"),
        [("nmcli", "device", "set", "eth1", "managed", "no")],
        [("nmcli", "device", "set", "eth1", "managed", "yes")],
    ),
    (
        "link up",
        changes.LinkUp(interface="eth1"),
        [("ip", "link", "set", "dev", "eth1", "up")],
        [("ip", "link", "set", "dev", "eth1", "down")],
    ),
    (
        "address with its broadcast",
        changes.AddressAdded(interface="eth1", address=IPv4Interface("10.7.0.1/24")),
        [("ip", "address", "add", "10.7.0.1/24", "brd", "+", "dev", "eth1")],
        [("ip", "address", "del", "10.7.0.1/24", "dev", "eth1")],
    ),
    (
        "a point-to-point address has no broadcast (RFC 3021)",
        changes.AddressAdded(interface="eth1", address=IPv4Interface("10.7.0.0/31")),
        [("ip", "address", "add", "10.7.0.0/31", "dev", "eth1")],
        [("ip", "address", "del", "10.7.0.0/31", "dev", "eth1")],
    ),
    (
        "firewalld port",
        changes.ZonePort(zone="public", protocol="udp", port=67),
        [("firewall-cmd", "--zone=public", "--add-port=67/udp")],
        [("firewall-cmd", "--zone=public", "--remove-port=67/udp")],
    ),
    (
        "firewalld forward",
        changes.ZoneForward(interface="eth1", uplink="eth0"),
        [
            (*FORWARD, "--add-rule", *argv("ipv4 filter FORWARD 0 -i eth1 -o eth0 -j ACCEPT")),
            (
                *FORWARD,
                "--add-rule",
                *argv("ipv4 filter FORWARD 0 -i eth0 -o eth1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
            ),
        ],
        [
            (*FORWARD, "--remove-rule", *argv("ipv4 filter FORWARD 0 -i eth1 -o eth0 -j ACCEPT")),
            (
                *FORWARD,
                "--remove-rule",
                *argv("ipv4 filter FORWARD 0 -i eth0 -o eth1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
            ),
        ],
    ),
    (
        "ufw port",
        changes.UfwPort(interface="eth1", protocol="tcp", port=8090),
        [argv("ufw allow in on eth1 to any port 8090 proto tcp comment bootcart")],
        [argv("ufw delete allow in on eth1 to any port 8090 proto tcp")],
    ),
    (
        "ufw forward",
        changes.UfwRoute(interface="eth1", uplink="eth0"),
        [argv("ufw route allow in on eth1 out on eth0 comment bootcart")],
        [argv("ufw route delete allow in on eth1 out on eth0")],
    ),
    (
        "nftables chain, ports in",
        changes.ChainAccept(family="inet", table="filter", chain="input", interface="eth1"),
        [
            ("nft", f'{NFT_IN} tcp dport {{ 8090 }} accept comment "bootcart eth1"'),
            ("nft", f'{NFT_IN} udp dport {{ 67, 69, 4011 }} accept comment "bootcart eth1"'),
        ],
        [
            ("nft", "delete rule inet filter input handle 7"),
            ("nft", "delete rule inet filter input handle 9"),
        ],
    ),
    (
        "iptables chain, ports in",
        changes.TablesAccept(chain="INPUT", interface="eth1"),
        [
            argv(
                "iptables -w 5 -I INPUT -i eth1 -p tcp -m multiport --dports 8090 -m comment --comment bootcart "
                "-j ACCEPT"
            ),
            argv(
                "iptables -w 5 -I INPUT -i eth1 -p udp -m multiport --dports 67,69,4011 -m comment --comment bootcart "
                "-j ACCEPT"
            ),
        ],
        [
            argv(
                "iptables -w 5 -D INPUT -i eth1 -p tcp -m multiport --dports 8090 -m comment --comment bootcart "
                "-j ACCEPT"
            ),
            argv(
                "iptables -w 5 -D INPUT -i eth1 -p udp -m multiport --dports 67,69,4011 -m comment --comment bootcart "
                "-j ACCEPT"
            ),
        ],
    ),
    (
        "forwarding of one interface",
        changes.Forwarding(interface="eth1.100"),
        [("sysctl", "-w", "net/ipv4/conf/eth1.100/forwarding=1")],
        [("sysctl", "-w", "net/ipv4/conf/eth1.100/forwarding=0")],
    ),
    (
        "masquerade in a table of our own",
        changes.Masquerade(interface="eth1.100", uplink="eth0", networks=(IPv4Network("10.7.0.0/24"),)),
        [
            (
                "nft",
                "table ip bootcart_nat_eth1_100; delete table ip bootcart_nat_eth1_100; "
                "table ip bootcart_nat_eth1_100 { chain postrouting { type nat hook postrouting priority 100; "
                'policy accept; ip saddr { 10.7.0.0/24 } oifname "eth0" masquerade; }; }',
            )
        ],
        [("nft", "table ip bootcart_nat_eth1_100; delete table ip bootcart_nat_eth1_100")],
    ),
]


@pytest.mark.parametrize(("change", "made", "unmade"), [row[1:] for row in GOLDEN], ids=[row[0] for row in GOLDEN])
def test_commands_and_reversals(change: Change, made: list[tuple[str, ...]], unmade: list[tuple[str, ...]]) -> None:
    assert list(changes.commands(change)) == made
    assert list(changes.reversals(change, handles=(7, 9))) == unmade


def test_every_kind_has_a_golden() -> None:
    covered = {type(row[1]) for row in GOLDEN}
    kinds = {kind for kind in vars(changes).values() if isinstance(kind, type) and issubclass(kind, changes.Model)}

    assert kinds - {changes.Model} == covered


HOSTILE: list[tuple[str, dict[str, Any]]] = [
    ("an option for a name", {"kind": "link-up", "interface": "-j"}),
    ("a blank in a name", {"kind": "link-up", "interface": "eth1 up; id"}),
    ("a path in a name", {"kind": "forwarding", "interface": "../../kernel"}),
    ("quotes in a name", {"kind": "masquerade", "interface": 'e"', "uplink": "eth0", "networks": ["10.0.0.0/8"]}),
    ("no network", {"kind": "masquerade", "interface": "eth1", "uplink": "eth0", "networks": []}),
    ("a newline in a table", {"kind": "chain-accept", "family": "ip", "table": "a\nb", "chain": "c", "interface": "e"}),
    ("a made-up family", {"kind": "chain-accept", "family": "arp", "table": "a", "chain": "c", "interface": "e"}),
    ("a made-up old value", {"kind": "forwarding", "interface": "eth1", "was": "$(id)"}),
    ("port 0", {"kind": "ufw-port", "interface": "eth1", "protocol": "udp", "port": 0}),
    ("a zone with an option", {"kind": "zone-port", "zone": "--x", "protocol": "udp", "port": 67}),
    ("a command", {"kind": "run", "argv": ["id"]}),
    ("one field more", {"kind": "link-up", "interface": "eth1", "also": "this"}),
]


@pytest.mark.parametrize("body", [row[1] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_hostile_records_are_refused(body: dict[str, Any]) -> None:
    adapter: TypeAdapter[Change] = TypeAdapter(Change)

    with pytest.raises(ValidationError):
        adapter.validate_python(body)
