"""From plan and facts to changes and warnings, without a host."""

from __future__ import annotations

from ipaddress import IPv4Interface
from typing import Any

import pytest

from app.errors import InvalidError
from app.model.hostplan import HostPlan
from app.services.host.facts import DroppingChain, HostFacts, Link, dropping_chains
from app.services.host.planning import prepare

ETH0 = Link("eth0", 2, True, (IPv4Interface("192.168.1.9/24"),))
ETH1 = Link("eth1", 3, False)


def facts(**other: Any) -> HostFacts:
    return HostFacts(**{"links": {"eth0": ETH0, "eth1": ETH1}, **other})


def plan(**other: Any) -> HostPlan:
    return HostPlan(**{"interface": "eth1", **other})


FULL = {"address": "10.7.0.1/24", "networkmanager_unmanaged": True, "firewall_ports": True, "nat_uplink": "eth0"}
INPUT_DROP = DroppingChain("inet", "filter", "input", "input")
DOCKER = DroppingChain("ip", "filter", "FORWARD", "forward")

ROWS: list[tuple[str, dict[str, Any], dict[str, Any], list[str]]] = [
    ("a bare host needs the link and the address", {"address": "10.7.0.1/24"}, {}, ["link-up", "address"]),
    (
        "what is so already is left out",
        {"address": "10.7.0.1/24", "networkmanager_unmanaged": True, "firewall_ports": True},
        {"links": {"eth1": Link("eth1", 3, True, (IPv4Interface("10.7.0.1/24"),))}},
        [],
    ),
    (
        "everything, no firewall",
        FULL,
        {"networkmanager": frozenset({"eth1"})},
        ["unmanaged", "link-up", "address", "forwarding", "forwarding", "masquerade"],
    ),
    (
        "a chain that drops gets our rules",
        {"firewall_ports": True},
        {"dropping": (INPUT_DROP, DOCKER)},
        ["link-up", "chain-accept"],
    ),
    (
        "iptables' chains are left to iptables",
        {"address": "10.7.0.1/24", "nat_uplink": "eth0"},
        {"dropping": (INPUT_DROP, DOCKER), "forwarding": frozenset({"eth0", "eth1"})},
        ["link-up", "address", "tables-accept", "masquerade"],
    ),
    (
        "firewalld: only the ports that are closed",
        {"firewall_ports": True},
        {"firewall": "firewalld", "zones": {"eth1": "public"}, "open_ports": frozenset({("public", "udp", 67)})},
        ["link-up", "zone-port", "zone-port", "zone-port"],
    ),
    (
        "firewalld forwards",
        {"address": "10.7.0.1/24", "nat_uplink": "eth0"},
        {"firewall": "firewalld", "zones": {"eth1": "public"}, "forwarding": frozenset({"eth0", "eth1"})},
        ["link-up", "address", "zone-forward", "masquerade"],
    ),
    (
        "ufw: a rule of the operator's own is not ours to take back",
        {"firewall_ports": True},
        {"firewall": "ufw", "ufw_rules": ("ufw allow in on eth1 to any port 69 proto udp",)},
        ["link-up", "ufw-port", "ufw-port", "ufw-port"],
    ),
    (
        "ufw forwards",
        {"address": "10.7.0.1/24", "nat_uplink": "eth0"},
        {"firewall": "ufw", "forwarding": frozenset({"eth0", "eth1"})},
        ["link-up", "address", "ufw-route", "masquerade"],
    ),
]


@pytest.mark.parametrize(("asked", "found", "kinds"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_changes(asked: dict[str, Any], found: dict[str, Any], kinds: list[str]) -> None:
    prepared = prepare(plan(**asked), facts(**found))

    assert [step.change.kind for step in prepared.steps] == kinds


def test_what_was_done_before_is_left_out() -> None:
    first = prepare(plan(address="10.7.0.1/24"), facts())

    again = prepare(plan(address="10.7.0.1/24"), facts(), already=[step.change for step in first.steps])

    assert again.steps == ()


def test_lines_are_what_an_operator_would_type() -> None:
    prepared = prepare(plan(**FULL), facts(networkmanager=frozenset({"eth1"})))

    assert prepared.lines() == (
        "nmcli device set eth1 managed no",
        "ip link set dev eth1 up",
        "ip address add 10.7.0.1/24 brd + dev eth1",
        "sysctl -w net/ipv4/conf/eth1/forwarding=1",
        "sysctl -w net/ipv4/conf/eth0/forwarding=1",
        "nft 'table ip bootcart_nat_eth1; delete table ip bootcart_nat_eth1; table ip bootcart_nat_eth1 { chain "
        "postrouting { type nat hook postrouting priority 100; policy accept; ip saddr { 10.7.0.0/24 } "
        'oifname "eth0" masquerade; }; }\'',
    )


WARNINGS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("networkd", {"address": "10.7.0.1/24"}, {"networkd": frozenset({"eth1"})}, "systemd-networkd configures eth1"),
    ("two networks alike", {"address": "192.168.1.1/24"}, {}, "eth0 already has 192.168.1.9/24"),
    (
        "a chain with a name that needs quoting",
        {"firewall_ports": True},
        {"dropping": (DroppingChain("inet", "my-table", "in", "input"),)},
        "inet my-table in drops packets",
    ),
    (
        "the uplink is down",
        {"interface": "eth0", "nat_uplink": "eth1"},
        {},
        "the uplink eth1 is down",
    ),
]


@pytest.mark.parametrize(("asked", "found", "words"), [row[1:] for row in WARNINGS], ids=[row[0] for row in WARNINGS])
def test_warnings(asked: dict[str, Any], found: dict[str, Any], words: str) -> None:
    assert any(words in warning for warning in prepare(plan(**asked), facts(**found)).warnings)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"interface": "eth9"}, "interface"),
        ({"nat_uplink": "eth9"}, "nat_uplink"),
        ({"nat_uplink": "eth0"}, "address"),
    ],
)
def test_impossible_plans_name_the_field(asked: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        prepare(plan(**asked), facts())

    assert caught.value.field == field


def chain(name: str, hook: str, policy: str = "accept", table: str = "filter", family: str = "inet") -> dict[str, Any]:
    body = {"family": family, "table": table, "name": name, "type": "filter", "hook": hook, "policy": policy}
    return {"chain": body}


def rule(*expressions: dict[str, Any], table: str = "filter", family: str = "inet") -> dict[str, Any]:
    return {"rule": {"family": family, "table": table, "chain": "x", "handle": 3, "expr": list(expressions)}}


RULESETS: list[tuple[str, list[dict[str, Any]], list[str]]] = [
    ("nothing", [], []),
    ("accepts all", [chain("input", "input"), rule({"accept": None})], []),
    ("policy drop", [chain("input", "input", "drop"), chain("forward", "forward")], ["input"]),
    ("a rule rejects, wherever it stands", [chain("input", "input"), rule({"reject": {}})], ["input"]),
    ("iptables' REJECT", [chain("input", "input"), rule({"xt": {"type": "target", "name": "REJECT"}})], ["input"]),
    ("another table's drop", [chain("input", "input"), rule({"drop": None}, table="other")], []),
    ("output is not in the way", [chain("output", "output", "drop")], []),
    ("IPv6 is not in the way", [chain("input", "input", "drop", family="ip6")], []),
]


@pytest.mark.parametrize(("ruleset", "names"), [row[1:] for row in RULESETS], ids=[row[0] for row in RULESETS])
def test_dropping_chains(ruleset: list[dict[str, Any]], names: list[str]) -> None:
    assert [found.chain for found in dropping_chains(ruleset)] == names
