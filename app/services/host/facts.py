"""What this host is like before it is prepared: links, addresses, who manages them, which firewall is in force."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any, Literal

from app.errors import BootcartError
from app.services.host.changes import PORTS, sysctl_key

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]
Hook = Literal["input", "forward"]


@dataclass(frozen=True, slots=True)
class Link:
    """One network interface."""

    name: str
    index: int
    up: bool
    addresses: tuple[IPv4Interface, ...] = ()


@dataclass(frozen=True, slots=True)
class DroppingChain:
    """An nftables base chain that drops or rejects some of what passes it."""

    family: str
    table: str
    chain: str
    hook: Hook


@dataclass(frozen=True, slots=True)
class HostFacts:
    """All that decides which changes a plan comes to. `zone` maps interfaces to firewalld's zones."""

    links: dict[str, Link]
    networkmanager: frozenset[str] = frozenset()
    networkd: frozenset[str] = frozenset()
    firewall: Literal["", "firewalld", "ufw"] = ""
    zones: dict[str, str] = field(default_factory=dict[str, str])
    open_ports: frozenset[tuple[str, str, int]] = frozenset()
    ufw_rules: tuple[str, ...] = ()
    dropping: tuple[DroppingChain, ...] = ()
    forwarding: frozenset[str] = frozenset()


def run(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run one command with its words in English; never raises for its exit code."""
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(
        list(argv), capture_output=True, text=True, timeout=60, check=False, env=environment, stdin=subprocess.DEVNULL
    )


def _links(ask: Run) -> dict[str, Link]:
    done = ask(["ip", "-j", "address", "show"])
    if done.returncode:
        raise BootcartError(f"the interfaces cannot be listed: {done.stderr.strip()}", hint="is iproute2 installed?")
    found: dict[str, Link] = {}
    for entry in json.loads(done.stdout or "[]"):
        name = entry.get("ifname", "")
        addresses = tuple(
            IPv4Interface(f"{item['local']}/{item['prefixlen']}")
            for item in entry.get("addr_info", ())
            if item.get("family") == "inet" and "local" in item
        )
        if name:
            found[name] = Link(name, int(entry.get("ifindex", 0)), "UP" in entry.get("flags", ()), addresses)
    return found


def _networkmanager(ask: Run) -> frozenset[str]:
    """Interfaces NetworkManager manages; none where it does not run."""
    done = ask(["nmcli", "--terse", "--escape", "no", "--fields", "DEVICE,STATE", "device", "status"])
    if done.returncode:
        return frozenset()
    pairs = (line.rpartition(":") for line in done.stdout.splitlines())
    return frozenset(device for device, _, state in pairs if device and state != "unmanaged")


def _networkd(links: Iterable[Link], root: Path) -> frozenset[str]:
    """Interfaces systemd-networkd has configured."""
    names: set[str] = set()
    for link in links:
        state = root / "run/systemd/netif/links" / str(link.index)
        if state.is_file() and "ADMIN_STATE=configured" in state.read_text(errors="replace"):
            names.add(link.name)
    return frozenset(names)


def _zone(ask: Run, interface: str) -> str:
    done = ask(["firewall-cmd", f"--get-zone-of-interface={interface}"])
    if done.returncode or not done.stdout.strip():
        done = ask(["firewall-cmd", "--get-default-zone"])
    return done.stdout.strip()


def _ruleset(ask: Run) -> list[dict[str, Any]]:
    done = ask(["nft", "-j", "list", "ruleset"])
    return list(json.loads(done.stdout).get("nftables", ())) if done.returncode == 0 and done.stdout.strip() else []


def _stops(rule: dict[str, Any]) -> bool:
    expressions: list[dict[str, Any]] = rule.get("expr", [])
    return any(
        "drop" in expression or "reject" in expression or expression.get("xt", {}).get("name") in ("DROP", "REJECT")
        for expression in expressions
    )


def dropping_chains(ruleset: Iterable[dict[str, Any]]) -> tuple[DroppingChain, ...]:
    """Base chains at input and forward for IPv4 whose policy, or a rule anywhere in their table, drops or rejects."""
    items = list(ruleset)
    stopping = {
        (rule["family"], rule["table"]) for rule in (item.get("rule", {}) for item in items) if rule and _stops(rule)
    }
    found: list[DroppingChain] = []
    for chain in (item.get("chain", {}) for item in items):
        hook = chain.get("hook")
        if hook not in ("input", "forward") or chain.get("type") != "filter" or chain["family"] not in ("ip", "inet"):
            continue
        if chain.get("policy") == "drop" or (chain["family"], chain["table"]) in stopping:
            found.append(DroppingChain(chain["family"], chain["table"], chain["name"], hook))
    return tuple(found)


def tagged_rules(ruleset: Iterable[dict[str, Any]]) -> dict[tuple[str, str, str, str], tuple[int, ...]]:
    """Handles of the rules that bear a comment, by family, table, chain and comment."""
    found: dict[tuple[str, str, str, str], tuple[int, ...]] = {}
    for rule in (item.get("rule", {}) for item in ruleset):
        if rule.get("comment"):
            key = (rule["family"], rule["table"], rule["chain"], rule["comment"])
            found[key] = (*found.get(key, ()), int(rule["handle"]))
    return found


def handles_of(ask: Run, family: str, table: str, chain: str, comment: str) -> tuple[int, ...]:
    """The rules of ours in a chain, as they are now."""
    return tagged_rules(_ruleset(ask)).get((family, table, chain, comment), ())


def gather(
    interfaces: Sequence[str],
    ask: Run = run,
    which: Callable[[str], str | None] = shutil.which,
    root: Path = Path("/"),
) -> HostFacts:
    """Look at the host; `interfaces` are the ones a plan names. Raises BootcartError when `ip` cannot be asked."""
    links = _links(ask)
    firewall: Literal["", "firewalld", "ufw"] = ""
    zones: dict[str, str] = {}
    open_ports: set[tuple[str, str, int]] = set()
    ufw_rules: tuple[str, ...] = ()
    if which("firewall-cmd") and ask(["firewall-cmd", "--state"]).returncode == 0:
        firewall = "firewalld"
        zones = {name: zone for name in interfaces if (zone := _zone(ask, name))}
        for zone in set(zones.values()):
            for protocol, port in PORTS:
                if ask(["firewall-cmd", f"--zone={zone}", f"--query-port={port}/{protocol}"]).returncode == 0:
                    open_ports.add((zone, protocol, port))
    elif which("ufw") and "Status: active" in ask(["ufw", "status"]).stdout:
        firewall = "ufw"
        ufw_rules = tuple(line.strip() for line in ask(["ufw", "show", "added"]).stdout.splitlines())
    ruleset = _ruleset(ask) if which("nft") else []
    switches = {name: root / "proc/sys" / sysctl_key(name) for name in interfaces}
    return HostFacts(
        links=links,
        networkmanager=_networkmanager(ask) if which("nmcli") else frozenset(),
        networkd=_networkd(links.values(), root),
        firewall=firewall,
        zones=zones,
        open_ports=frozenset(open_ports),
        ufw_rules=ufw_rules,
        dropping=() if firewall else dropping_chains(ruleset),
        forwarding=frozenset(name for name, path in switches.items() if path.is_file() and path.read_text()[:1] == "1"),
    )
