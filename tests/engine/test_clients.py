"""The DHCP clients of operating systems and the whole engine: an address, options by name, renewals, releases."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.model.event import Event
from tests import netns
from tests.engine.clients import KINDS, Peer, Told, peer
from tests.engine.networkmanager import NetworkManager
from tests.engine.process import Engine, running

pytestmark = pytest.mark.root

OPTIONS = {"ntp-servers": "10.7.0.1", "interface-mtu": 1400}
NEAR = {"domain": "near.example", "options": {**OPTIONS, "classless-routes": "10.99.0.0/16 via 10.7.0.3"}}
FAR = {
    "name": "far",
    "cidr": "10.8.0.0/24",
    "ranges": ["10.8.0.100-10.8.0.200"],
    "router": "10.8.0.1",
    "dns": ["10.7.0.1"],
    "domain": "far.example",
    "options": {**OPTIONS, "classless-routes": "10.99.0.0/16 via 10.8.0.3"},
}
NAMES = [kind.__name__.lower() for kind in KINDS]


@dataclass(frozen=True, slots=True)
class Net:
    """An engine, a namespace for each kind of client on its segment, and as many behind ISC's relay agent."""

    engine: Engine
    near: tuple[str, ...]
    far: tuple[str, ...]


@pytest.fixture(scope="module")
def net(artefacts: Path) -> Iterator[Net]:
    with contextlib.ExitStack() as stack:
        segment = stack.enter_context(netns.segment("10.7.0.1/24", clients=len(KINDS)))
        relay, branch = (stack.enter_context(netns.namespace(name, ipv6=False)) for name in ("relay", "branch"))
        netns.bridge(branch, "br0")
        netns.attach(segment.switch, "br0", relay, "outside", address="10.7.0.2/24")
        netns.attach(branch, "br0", relay, "inside", address="10.8.0.1/24")
        netns.run(relay, ["sysctl", "-qw", "net.ipv4.ip_forward=1"])
        netns.run(segment.server, ["ip", "route", "add", "10.8.0.0/24", "via", "10.7.0.2"])
        behind: list[str] = []
        for name in NAMES:
            behind.append(stack.enter_context(netns.namespace(f"far-{name}", ipv6=False)))
            netns.attach(branch, "br0", behind[-1], "eth0", mac=netns.new_mac())
        agent = ["dhcrelay", "-4", "-d", "-a", "-id", "inside", "-iu", "outside", "10.7.0.1"]
        stack.enter_context(netns.running(relay, agent))
        engine = stack.enter_context(running(segment.server, "--interface", "eth0", "--artefacts", str(artefacts)))
        for fields in (NEAR, FAR):
            engine.served(engine.subnet(**fields).name)
        yield Net(engine, segment.clients, tuple(behind))
        engine.sound()


def mac_of(ns: str) -> str:
    return netns.run(ns, ["cat", "/sys/class/net/eth0/address"]).stdout.strip()


def is_renewal(event: Event) -> bool:
    return event.data["state"] == "renewing"


def check(told: Told, lan: int) -> None:
    """Everything that was set for a subnet stands in what the client says, by the names the client has for it."""
    domain = {7: "near.example", 8: "far.example"}[lan]
    assert (told.domain, told.ntp, told.mtu) == (domain, "10.7.0.1", "1400")
    assert told.routes == (f"10.99.0.0/16 10.{lan}.0.3", f"0.0.0.0/0 10.{lan}.0.1")


def lives(engine: Engine, client: Peer, lan: int) -> None:
    """It gets its address, has it again after a power cut, gives it back, and has it once more."""
    mac = mac_of(client.ns)
    told = client.start()
    check(told, lan)
    assert told.address.startswith(f"10.{lan}.0.1")
    assert netns.addresses(client.ns)[0].startswith(f"{told.address}/")
    assert engine.event("dhcp.ack", mac=mac).address == told.address
    assert (engine.lease(told.address).mac, engine.lease(told.address).state.value) == (mac, "bound")

    client.cut()
    assert client.start() == told
    if not client.releases:
        return
    before = engine.newest()
    client.release()
    assert engine.event("dhcp.release", mac=mac, after=before).address == told.address
    netns.until(lambda: engine.leases()[told.address] == "released", what="the lease is shown as released")
    assert client.start() == told


@pytest.mark.parametrize("number", range(len(KINDS)), ids=NAMES)
def test_a_client_gets_what_was_set_and_keeps_its_address(net: Net, tmp_path: Path, number: int) -> None:
    with peer(KINDS[number], net.near[number], tmp_path / "peer") as client:
        lives(net.engine, client, 7)


@pytest.mark.parametrize("number", range(len(KINDS)), ids=NAMES)
def test_a_client_behind_a_relay_does_too(net: Net, tmp_path: Path, number: int) -> None:
    with peer(KINDS[number], net.far[number], tmp_path / "peer") as client:
        lives(net.engine, client, 8)
        asked = net.engine.event("dhcp.discover", mac=mac_of(client.ns))
        assert asked.data["relay"] == "10.8.0.1"


@pytest.mark.full
@pytest.mark.timeout(240)
def test_each_client_renews_by_itself(net: Net, tmp_path: Path) -> None:
    """A minute is the shortest lease there is; all clients are waited for at once."""
    for name in ("rack7", "far"):
        net.engine.told("subnets", "update", name, "--lease-time", "60")
    before = net.engine.newest()
    with contextlib.ExitStack() as stack:
        places = [*zip(KINDS, net.near, strict=True), *zip(KINDS, net.far, strict=True)]
        made: list[tuple[Callable[[str, Path], Peer], str]] = list(places)
        clients = [stack.enter_context(peer(kind, ns, tmp_path / ns)) for kind, ns in made]
        told = [client.start() for client in clients]
        for client, first in zip(clients, told, strict=True):
            renewed = net.engine.event(
                "dhcp.ack",
                mac=mac_of(client.ns),
                after=before,
                match=lambda e: e.data["state"] == "renewing",
                timeout=90,
            )
            assert renewed.address == first.address
    for name in ("rack7", "far"):
        net.engine.told("subnets", "update", name, "--lease-time", "3600")


@pytest.mark.full
def test_networkmanager(net: Net, tmp_path: Path) -> None:
    for ns, lan in ((net.near[0], 7), (net.far[0], 8)):
        with peer(NetworkManager, ns, tmp_path / str(lan)) as client:
            lives(net.engine, client, lan)


@pytest.mark.full
def test_nmap_discovers_the_server(net: Net) -> None:
    """It asks for an address and never takes it: it is told all the same, and nothing of it is kept."""
    ns, mac = net.near[0], "de:ad:c0:de:ca:fe"
    netns.run(ns, ["ip", "address", "replace", "10.7.0.250/24", "dev", "eth0"])
    words = ["--script", "broadcast-dhcp-discover", "--script-args", "broadcast-dhcp-discover.timeout=4s"]
    said = netns.run(ns, ["nmap", "-n", "-e", "eth0", *words]).stdout
    netns.run(ns, ["ip", "-4", "address", "flush", "dev", "eth0"])
    facts = dict(re.findall(r"^\|[ _]+([^:\n]+): (.+?)\s*$", said, re.MULTILINE))

    assert facts["DHCP Message Type"] == "DHCPOFFER"
    assert facts["IP Offered"].startswith("10.7.0.1")
    assert (facts["Server Identifier"], facts["Subnet Mask"]) == ("10.7.0.1", "255.255.255.0")
    assert facts["Router"] == "10.7.0.1"
    assert net.engine.event("dhcp.offer", mac=mac).address == facts["IP Offered"]
    assert facts["IP Offered"] not in net.engine.leases()
