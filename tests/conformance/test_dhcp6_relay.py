"""DHCPv6 through relays: scapy's, one behind another, and Debian's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import netns
from tests.conformance.station6 import codes, firmware, given, layers, link_local, url
from tests.conformance.test_dhcp6 import SIX, served
from tests.engine.process import Engine, running

pytestmark = pytest.mark.root

RELAY, SERVER = "fd00:7::9", "fd00:7::1"
FAR: dict[str, Any] = {"name": "far", "cidr": "fd00:8::/64", "ranges": ["fd00:8::1000-fd00:8::1fff"]}


@dataclass(frozen=True, slots=True)
class Branch:
    """An engine, a relay agent's host between two links, and a client beyond it."""

    engine: Engine
    relay: str
    client: str


@pytest.fixture(scope="module")
def branch() -> Iterator[Branch]:
    with netns.namespace("server") as server, netns.namespace("relay") as relay, netns.namespace("far") as client:
        netns.link(server, "eth0", relay, "outside", mac="52:54:00:00:00:01")
        netns.link(relay, "inside", client, "eth0", peer_mac="52:54:00:06:08:01")
        for ns, address, interface in (
            (server, f"{SERVER}/64", "eth0"),
            (relay, f"{RELAY}/64", "outside"),
            (relay, "fd00:8::1/64", "inside"),
        ):
            netns.run(ns, ["ip", "address", "add", address, "dev", interface, "nodad"])
        netns.run(relay, ["sysctl", "-qw", "net.ipv6.conf.all.forwarding=1"])
        netns.run(server, ["ip", "-6", "route", "add", "fd00:8::/64", "via", RELAY])
        with running(server, "--interface", "eth0", "--dhcp6") as engine:
            for subnet in (SIX, FAR):
                engine.ask(engine.client.subnets.create(subnet))
            served(engine)
            yield Branch(engine, relay, client)
            engine.sound()


def test_g03_n25_relays_are_answered_each_by_its_interface(branch: Branch) -> None:
    """One relay behind another; the nearer to the client tells the link, and the client's card."""
    six, mac = layers(), "52:54:00:06:09:01"
    solicit = (
        six.DHCP6_Solicit(trid=7) / six.DHCP6OptClientId(duid=six.DUID_UUID(uuid="1" * 32)) / six.DHCP6OptIA_NA(iaid=1)
    )
    for each in firmware(7):
        solicit /= each
    near = (
        six.DHCP6_RelayForward(hopcount=0, linkaddr="fd00:8::1", peeraddr="fe80::1234")
        / six.DHCP6OptIfaceId(ifaceid=b"port 3")
        / six.DHCP6OptClientLinkLayerAddr(clladdr=mac)
        / six.DHCP6OptRelayMsg(message=solicit)
    )
    outer = (
        six.DHCP6_RelayForward(hopcount=1, linkaddr="fd00:7::9", peeraddr="fd00:8::1")
        / six.DHCP6OptIfaceId(ifaceid=b"uplink")
        / six.DHCP6OptRelayMsg(message=near)
    )

    def ask() -> bytes:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind((RELAY, 547))
            sock.settimeout(20)
            sock.sendto(bytes(outer), (SERVER, 547))
            octets, peer = sock.recvfrom(4096)
            assert peer[:2] == (SERVER, 547)
            return octets

    back = six.DHCP6_RelayReply(netns.call(branch.relay, ask))
    assert (back.hopcount, back.linkaddr, back.peeraddr) == (1, "fd00:7::9", "fd00:8::1")
    assert back[six.DHCP6OptIfaceId].ifaceid == b"uplink"
    inner = back[six.DHCP6OptRelayMsg].message
    assert (inner.linkaddr, inner.peeraddr) == ("fd00:8::1", "fe80::1234")
    assert inner[six.DHCP6OptIfaceId].ifaceid == b"port 3"
    assert 79 not in codes(inner)
    advertise = inner[six.DHCP6OptRelayMsg].message
    assert given(advertise)[0][0].startswith("fd00:8::1")
    assert url(advertise) == f"tftp://[{SERVER}]/ipxe.efi"
    assert branch.engine.event("dhcp.discover", match=lambda event: event.mac == mac).data["relay"] == RELAY


def test_g08_g03_dhclient_behind_debians_relay(branch: Branch, tmp_path: Path) -> None:
    leases = tmp_path / "leases"
    agent = ["dhcrelay", "-6", "-d", "-l", "inside", "-u", f"{SERVER}%outside"]
    with netns.running(branch.relay, agent):
        argv = [
            "dhclient",
            "-6",
            "-1",
            "-v",
            "-sf",
            "/bin/true",
            "-lf",
            str(leases),
            "-pf",
            str(tmp_path / "pid"),
            "eth0",
        ]
        netns.run(branch.client, argv, timeout=90)
        words = leases.read_text().split()
        address = words[words.index("iaaddr") + 1]
        assert address.startswith("fd00:8::1")
        netns.run(branch.client, [*argv[:2], "-r", *argv[3:]])
        netns.until(lambda: branch.engine.leases()[address] == "released", what="it is released")
    shown = branch.engine.ask(branch.engine.client.leases.show(address))
    assert (shown.mac, shown.subnet) == ("52:54:00:06:08:01", "far")
    assert link_local(shown.mac) in netns.run(branch.client, ["ip", "-6", "address", "show", "dev", "eth0"]).stdout
