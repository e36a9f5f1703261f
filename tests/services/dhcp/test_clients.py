"""Debian's DHCP clients against the service, over real sockets in namespaces."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import netns
from tests.services.dhcp.lan import SUBNET, Dhclient, Server, Udhcpc, serving

pytestmark = pytest.mark.root


@pytest.fixture
def lan() -> Iterator[netns.Segment]:
    with netns.segment("10.7.0.1/24", clients=2) as made:
        yield made


@pytest.fixture
def server(lan: netns.Segment, tmp_path: Path) -> Iterator[Server]:
    with serving(lan.server, tmp_path) as running:
        yield running


def test_dhclient_gets_rebinds_and_releases(lan: netns.Segment, server: Server, tmp_path: Path) -> None:
    client = Dhclient(lan.clients[0], tmp_path / "client")

    assert client.bind() == "10.7.0.100"
    assert netns.addresses(lan.clients[0]) == ["10.7.0.100/24"]
    ack = server.wait("dhcp.ack")
    assert (ack["mac"], ack["address"], ack["data"]["state"]) == ("52:54:00:00:01:01", "10.7.0.100", "selecting")
    text = client.leases.read_text()
    assert "option routers 10.7.0.1;" in text
    assert "option subnet-mask 255.255.255.0;" in text
    assert "option dhcp-lease-time 3600;" in text
    assert "option dhcp-renewal-time 1800;" in text

    client.stop()
    assert client.bind() == "10.7.0.100"
    assert server.wait("dhcp.ack")["data"]["state"] == "init-reboot"

    client.release()
    assert server.wait("dhcp.release")["address"] == "10.7.0.100"
    assert client.bind() == "10.7.0.100"
    client.stop()


def test_b10_b11_udhcpc_renews_by_unicast(lan: netns.Segment, server: Server, tmp_path: Path) -> None:
    client = Udhcpc(lan.clients[0], tmp_path / "client")
    with netns.running(lan.clients[0], client.argv("-R")) as process:
        first = server.wait("dhcp.ack")
        netns.until(lambda: netns.addresses(lan.clients[0]) == ["10.7.0.100/24"], what="the address is configured")
        process.send_signal(signal.SIGUSR1)
        renewed = server.wait("dhcp.ack")

    assert first["data"]["state"] == "selecting"
    assert (renewed["address"], renewed["data"]["state"]) == ("10.7.0.100", "renewing")
    assert server.wait("dhcp.release")["address"] == "10.7.0.100"
    counters = server.counters()["dhcp"]
    assert counters["unicast"] == 1
    assert counters["errors"] == 0


def test_a13_a14_replies_by_broadcast_and_by_frame(lan: netns.Segment, server: Server, tmp_path: Path) -> None:
    client = Udhcpc(lan.clients[0], tmp_path / "client")

    assert client.once("-B")
    counters = server.counters()["dhcp"]
    assert (counters["broadcast"], counters["frame"], counters["frame_fallback"]) == (2, 0, 0)

    assert client.once()
    counters = server.counters()["dhcp"]
    assert (counters["broadcast"], counters["frame"], counters["frame_fallback"]) == (2, 2, 0)


def test_two_clients_get_two_addresses_and_a_hint_is_honoured(
    lan: netns.Segment, server: Server, tmp_path: Path
) -> None:
    first, second = (Udhcpc(ns, tmp_path / f"client{number}") for number, ns in enumerate(lan.clients))

    assert first.once() == "10.7.0.100"
    assert second.once("-r", "10.7.0.150") == "10.7.0.150"
    server.wait("dhcp.ack")
    assert server.wait("dhcp.ack")["mac"] == "52:54:00:00:01:02"


def test_reservations_and_boot_information_reach_the_client(lan: netns.Segment, tmp_path: Path) -> None:
    reserved = [{"address": "10.7.0.50", "mac": "52:54:00:00:01:01"}]
    client = Udhcpc(lan.clients[0], tmp_path / "client")
    with serving(lan.server, tmp_path, reservations=reserved) as server:
        # Dressed as the firmware of a BIOS machine: class and architecture are all that tells it.
        done = netns.run(
            lan.clients[0],
            client.argv("-q", "-n", "-V", "PXEClient:Arch:00000:UNDI:002001", "-x", "0x5d:0000", "-O", "bootfile"),
        )
        assert re.search(r"^bound 10\.7\.0\.50 boot=undionly\.kpxe next=10\.7\.0\.1", done.stdout, re.MULTILINE)
        offer = server.wait("dhcp.offer")
        assert offer["data"]["bootfile"] == "undionly.kpxe"
        assert offer["level"] == "info"
        assert server.wait("dhcp.ack")["message"] == "ACK 10.7.0.50 for 3600 s file undionly.kpxe"


def test_an_interface_that_is_not_allowed_is_not_answered(lan: netns.Segment, tmp_path: Path) -> None:
    with netns.namespace("other", ipv6=False) as other:
        netns.link(lan.server, "eth9", other, "eth0", address="10.9.0.1/24")
        nets = [SUBNET, {"name": "nine", "cidr": "10.9.0.0/24", "ranges": ["10.9.0.10-10.9.0.20"]}]
        inside = Udhcpc(lan.clients[0], tmp_path / "inside")
        outside = Udhcpc(other, tmp_path / "outside")
        with serving(lan.server, tmp_path, subnets=nets, allowed=["eth0"]) as server:
            assert inside.once() == "10.7.0.100"
            assert outside.once(tries=1) == ""
            assert server.counters()["dhcp"]["elsewhere"] >= 1
        with serving(lan.server, tmp_path, subnets=nets) as server:
            assert outside.once() == "10.9.0.10"
            assert server.wait("dhcp.ack")["interface"] == "eth9"


def test_f08_an_interface_that_is_made_anew_is_served_again(lan: netns.Segment, server: Server, tmp_path: Path) -> None:
    client = Udhcpc(lan.clients[0], tmp_path / "client")
    assert client.once() == "10.7.0.100"
    netns.run(lan.server, ["ip", "link", "delete", "eth0"])
    netns.attach(lan.switch, "br0", lan.server, "eth0", address="10.7.0.1/24")

    assert client.once(tries=10) == "10.7.0.100"
    assert server.counters()["dhcp"]["errors"] == 0
