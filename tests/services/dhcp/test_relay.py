"""A client behind ISC's relay agent, in another network than the server."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import netns
from tests.services.dhcp.lan import SUBNET, Dhclient, Server, Udhcpc, serving

pytestmark = pytest.mark.root

BEHIND = {
    "name": "behind",
    "cidr": "10.8.0.0/24",
    "ranges": ["10.8.0.100-10.8.0.101"],
    "router": "10.8.0.1",
    "dns": ["10.7.0.1"],
}


@pytest.fixture
def client() -> Iterator[tuple[str, str, str]]:
    """Names of client, relay and server: client - 10.8.0.1 relay 10.7.0.2 - 10.7.0.1 server."""
    with (
        netns.namespace("client", ipv6=False) as client,
        netns.namespace("relay", ipv6=False) as relay,
        netns.namespace("server", ipv6=False) as server,
    ):
        netns.link(relay, "inside", client, "eth0", address="10.8.0.1/24", peer_mac="52:54:00:00:02:01")
        netns.link(relay, "outside", server, "eth0", address="10.7.0.2/24", peer_address="10.7.0.1/24")
        netns.run(relay, ["sysctl", "-qw", "net.ipv4.ip_forward=1"])
        netns.run(server, ["ip", "route", "add", "10.8.0.0/24", "via", "10.7.0.2"])
        yield client, relay, server


def relay_argv(*words: str) -> list[str]:
    # -D drops nothing of ours; -a appends option 82.
    return ["dhcrelay", "-4", "-d", *words, "-id", "inside", "-iu", "outside", "10.7.0.1"]


def test_r01_r12_dhclient_behind_a_relay(client: tuple[str, str, str], tmp_path: Path) -> None:
    ns, relay, server_ns = client
    with netns.running(relay, relay_argv("-a")), serving(server_ns, tmp_path, subnets=[SUBNET, BEHIND]) as server:
        peer = Dhclient(ns, tmp_path / "client")
        assert peer.bind() == "10.8.0.100"
        discover = server.wait("dhcp.discover")
        assert (discover["data"]["relay"], discover["mac"]) == ("10.8.0.1", "52:54:00:00:02:01")
        ack = server.wait("dhcp.ack")
        assert ack["data"]["subnet"] == "behind"
        netns.run(ns, ["ip", "route", "replace", "default", "via", "10.8.0.1"])
        peer.stop()
        assert peer.bind() == "10.8.0.100"
        netns.run(ns, ["ip", "route", "replace", "default", "via", "10.8.0.1"])
        peer.release()
        assert server.wait("dhcp.release")["address"] == "10.8.0.100"
        assert server.counters()["dhcp"]["errors"] == 0


def test_r12_udhcpc_behind_a_relay_renews_through_the_router(client: tuple[str, str, str], tmp_path: Path) -> None:
    ns, relay, server_ns = client
    with netns.running(relay, relay_argv("-a")), serving(server_ns, tmp_path, subnets=[SUBNET, BEHIND]) as server:
        peer = Udhcpc(ns, tmp_path / "client")
        with netns.running(ns, peer.argv("-R")) as process:
            assert server.wait("dhcp.ack")["address"] == "10.8.0.100"
            netns.until(lambda: netns.addresses(ns) == ["10.8.0.100/24"], what="the address is configured")
            process.send_signal(signal.SIGUSR1)
            renewed = server.wait("dhcp.ack", timeout=40)
            assert (renewed["address"], renewed["data"]["state"]) == ("10.8.0.100", "renewing")
        assert server.wait("dhcp.release")["address"] == "10.8.0.100"


def test_r07_an_unknown_relay_gets_silence_and_an_event(client: tuple[str, str, str], tmp_path: Path) -> None:
    ns, relay, server_ns = client
    with netns.running(relay, relay_argv()), serving(server_ns, tmp_path, subnets=[SUBNET]) as server:
        assert Udhcpc(ns, tmp_path / "client").once(tries=1) == ""
        silent = server.wait("dhcp.silent")
        assert silent["data"]["reason"] == "no-subnet"
        assert silent["message"] == "no answer: no subnet is defined for relay 10.8.0.1"
        assert_silent(server)


def assert_silent(server: Server) -> None:
    counters = server.counters()["dhcp"]
    assert (counters["sent"], counters["errors"]) == (0, 0)
