"""Debian's isc-dhcp-relay before the whole engine: several links, link selection, networks that share a link."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import netns
from tests.engine.conftest import new_mac
from tests.engine.process import Engine, running
from tests.services.dhcp.lan import Udhcpc

pytestmark = pytest.mark.root

OUTSIDE = "10.7.0.2"


def behind(name: str, number: int, last: int = 110, **more: object) -> dict[str, object]:
    net = f"10.{number}.0"
    return {"name": name, "cidr": f"{net}.0/24", "ranges": [f"{net}.100-{net}.{last}"], "router": f"{net}.1", **more}


@dataclass(frozen=True, slots=True)
class Branch:
    """An engine, a relay with two links behind it, and a client on each."""

    engine: Engine
    relay: str
    eight: str
    nine: str

    def relaying(self, up: str = "-iu") -> contextlib.AbstractContextManager[object]:
        """The agent, which adds option 82; `up`: what it takes the interface on our side for."""
        links = ["-id", "eight", "-id", "nine", up, "outside"]
        return netns.running(self.relay, ["dhcrelay", "-4", "-d", "-a", *links, "10.7.0.1"])


@pytest.fixture(scope="module")
def branch(artefacts: Path) -> Iterator[Branch]:
    with contextlib.ExitStack() as stack:
        server, relay, eight, nine = (
            stack.enter_context(netns.namespace(name, ipv6=False)) for name in ("server", "relay", "eight", "nine")
        )
        netns.link(server, "eth0", relay, "outside", address="10.7.0.1/24", peer_address=f"{OUTSIDE}/24")
        for number, ns in ((8, eight), (9, nine)):
            name = {8: "eight", 9: "nine"}[number]
            netns.link(relay, name, ns, "eth0", address=f"10.{number}.0.1/24")
            netns.run(server, ["ip", "route", "add", f"10.{number}.0.0/24", "via", OUTSIDE])
        netns.run(relay, ["sysctl", "-qw", "net.ipv4.ip_forward=1"])
        engine = stack.enter_context(running(server, "--interface", "eth0", "--artefacts", str(artefacts)))
        for fields in ({}, behind("eight", 8, shared_network="floor"), behind("nine", 9)):
            engine.served(engine.subnet(dns=[], **fields).name)
        yield Branch(engine, relay, eight, nine)
        engine.sound()


def leased(branch: Branch, ns: str, folder: Path) -> tuple[str, str]:
    """A new machine's address on a link, and its MAC."""
    client, mac = Udhcpc(ns, folder), new_mac()
    client.mac(mac)
    address = client.once(tries=10)
    assert branch.engine.lease(address).mac == mac
    return address, mac


def test_each_link_of_a_relay_has_its_subnet(branch: Branch, tmp_path: Path) -> None:
    with branch.relaying():
        for number, ns in ((8, branch.eight), (9, branch.nine)):
            address, mac = leased(branch, ns, tmp_path)
            asked = branch.engine.event("dhcp.discover", mac=mac)
            assert (address.rpartition(".")[0], asked.data["relay"]) == (f"10.{number}.0", f"10.{number}.0.1")


def test_a_relay_that_is_reached_elsewhere_selects_the_link(branch: Branch, tmp_path: Path) -> None:
    """-U: giaddr is the address on our side, the client's link stands in option 82.5 (RFC 3527)."""
    with branch.relaying("-U"):
        address, mac = leased(branch, branch.nine, tmp_path)
        asked = branch.engine.event("dhcp.discover", mac=mac)
        assert (address.rpartition(".")[0], asked.data["relay"]) == ("10.9.0", OUTSIDE)
        assert branch.engine.lease(address).subnet == "nine"


def test_a_client_chooses_its_subnet_through_the_relay(branch: Branch, tmp_path: Path) -> None:
    """Option 118 (RFC 3011) is heard over the relay's own address."""
    with branch.relaying():
        client = Udhcpc(branch.eight, tmp_path)
        client.mac(new_mac())
        address = client.once("-x", "0x76:0a090000", tries=10)
        assert (address.rpartition(".")[0], branch.engine.lease(address).subnet) == ("10.9.0", "nine")


def test_networks_that_share_a_relays_link(branch: Branch, tmp_path: Path) -> None:
    """Where the relay's own is full, machines get an address of the other; each keeps the one it has."""
    engine = branch.engine
    engine.told("subnets", "update", "eight", "--range", "10.8.0.200-10.8.0.200", "--drain")
    engine.served(engine.subnet(**behind("annex", 18, shared_network="floor", dns=[])).name)
    with branch.relaying():
        client, macs = Udhcpc(branch.eight, tmp_path), [new_mac() for _ in range(3)]
        given: list[str] = []
        for mac in (*macs, *macs):
            client.mac(mac)
            given.append(client.once(tries=10))
        assert given[:3] == given[3:]
        assert [address.rpartition(".")[0] for address in given[:3]] == ["10.8.0", "10.18.0", "10.18.0"]
        assert {engine.lease(address).subnet for address in given} == {"eight", "annex"}
        assert len(set(given)) == 3
