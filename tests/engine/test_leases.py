"""Debian's DHCP clients and the whole engine: leases that last through kill -9, relays, a range that runs dry."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import netns
from tests.engine.card import card, pxe
from tests.engine.conftest import new_mac
from tests.engine.process import Engine, running
from tests.services.dhcp.lan import Dhclient, Udhcpc

pytestmark = pytest.mark.root

WIDE = {"ranges": ["10.7.0.20-10.7.0.250"]}
BEHIND = {
    "name": "behind",
    "cidr": "10.8.0.0/24",
    "ranges": ["10.8.0.100-10.8.0.110"],
    "router": "10.8.0.1",
    "dns": ["10.7.0.1"],
}
SMALL = {"name": "small", "cidr": "10.9.0.0/28", "ranges": ["10.9.0.2-10.9.0.14"], "router": None, "dns": []}
SMALL_SIZE = 13


@dataclass(frozen=True, slots=True)
class Net:
    """A server with two segments, two clients on one, one on the other, one behind a relay."""

    engine: Engine
    first: str
    second: str
    small: str
    relay: str
    behind: str


@pytest.fixture(scope="module")
def _net(artefacts: Path) -> Iterator[Net]:
    with contextlib.ExitStack() as stack:
        segment = stack.enter_context(netns.segment("10.7.0.1/24", clients=2))
        small, relay, behind = (
            stack.enter_context(netns.namespace(name, ipv6=False)) for name in ("small", "relay", "behind")
        )
        netns.link(segment.server, "eth1", small, "eth0", address="10.9.0.1/28")
        netns.attach(segment.switch, "br0", relay, "outside", address="10.7.0.2/24")
        netns.link(relay, "inside", behind, "eth0", address="10.8.0.1/24")
        netns.run(relay, ["sysctl", "-qw", "net.ipv4.ip_forward=1"])
        netns.run(segment.server, ["ip", "route", "add", "10.8.0.0/24", "via", "10.7.0.2"])
        flags = ("--interface", "eth0", "--interface", "eth1", "--artefacts", str(artefacts))
        engine = stack.enter_context(running(segment.server, *flags))
        for fields in (WIDE, BEHIND, SMALL):
            engine.served(engine.subnet(**fields).name)
        first, second = segment.clients
        yield Net(engine, first, second, small, relay, behind)


@pytest.fixture
def net(_net: Net) -> Iterator[Net]:
    yield _net
    _net.engine.sound()


def test_dhclient_gets_renews_and_releases(net: Net, tmp_path: Path) -> None:
    engine, client = net.engine, Dhclient(net.first, tmp_path / "client")
    mac = "52:54:00:00:01:01"
    address = client.bind()
    assert netns.addresses(net.first) == [f"{address}/24"]
    assert engine.lease(address).mac == mac
    line = next(line for line in engine.told("leases", "list").splitlines() if line.startswith(address))
    assert line.split("\t")[1:3] == [mac, "bound"]

    client.stop()
    assert client.bind() == address
    assert engine.event("dhcp.ack", mac=mac, match=lambda each: each.data["state"] == "init-reboot").address == address
    client.release()
    engine.event("dhcp.release", mac=mac)
    netns.until(lambda: engine.leases()[address] == "released", what="the lease is shown as released")


def test_udhcpc_renews_by_unicast_and_releases(net: Net, tmp_path: Path) -> None:
    engine, client = net.engine, Udhcpc(net.second, tmp_path / "client")
    mac, before = "52:54:00:00:01:02", net.engine.newest()
    with netns.running(net.second, client.argv("-R")) as process:
        address = engine.event("dhcp.ack", mac=mac, after=before).address
        netns.until(lambda: netns.addresses(net.second) == [f"{address}/24"], what="the address is configured")
        first = engine.lease(address)
        process.send_signal(signal.SIGUSR1)
        renewed = engine.event("dhcp.ack", mac=mac, match=lambda each: each.data["state"] == "renewing", after=before)
        assert renewed.address == address
        netns.until(lambda: engine.lease(address).expires > first.expires, what="the lease lasts longer")
        assert engine.lease(address).since == first.since
    engine.event("dhcp.release", mac=mac, after=before)


def test_a_client_behind_a_relay_gets_renews_and_releases(net: Net, tmp_path: Path) -> None:
    engine = net.engine
    # -a appends option 82.
    relay = ["dhcrelay", "-4", "-d", "-a", "-id", "inside", "-iu", "outside", "10.7.0.1"]
    with netns.running(net.relay, relay):
        peer = Udhcpc(net.behind, tmp_path / "client")
        with netns.running(net.behind, peer.argv("-R")) as process:
            netns.until(lambda: netns.addresses(net.behind), timeout=30, what="the relayed client has an address")
            address = netns.addresses(net.behind)[0].partition("/")[0]
            lease = engine.lease(address)
            assert (lease.subnet, lease.state.value) == ("behind", "bound")
            assert engine.event("dhcp.discover", mac=lease.mac).data["relay"] == "10.8.0.1"
            process.send_signal(signal.SIGUSR1)
            engine.event("dhcp.ack", mac=lease.mac, match=lambda each: each.data["state"] == "renewing")
        engine.event("dhcp.release", mac=lease.mac)
        netns.until(lambda: engine.leases()[address] == "released", what="the lease is shown as released")

        patient = Dhclient(net.behind, tmp_path / "dhclient")
        assert patient.bind().startswith("10.8.0.1")
        patient.stop()


def test_leases_outlive_kill_9(net: Net, tmp_path: Path) -> None:
    engine = net.engine
    client = Dhclient(net.first, tmp_path / "client")
    other = Udhcpc(net.second, tmp_path / "other")
    strangers = [new_mac() for _ in range(3)]
    with contextlib.ExitStack() as stack:
        renewing = stack.enter_context(netns.running(net.second, other.argv()))
        address = client.bind()
        held = {address: "52:54:00:00:01:01"}
        netns.until(lambda: netns.addresses(net.second), what="udhcpc has an address")
        held[netns.addresses(net.second)[0].partition("/")[0]] = "52:54:00:00:01:02"
        for mac in strangers:
            with card(net.first, mac, pxe(0)) as it:
                held[it.lease().address] = mac
        client.stop()
        before = engine.newest()
        engine.kill()
        engine.start()
        shown = {str(each.address): each.mac for each in engine.ask(engine.client.leases.list()).items}
        assert shown.items() >= held.items()
        # Machines nobody has named yet are still listed, with the address they have.
        seen = {mac: machine for mac in strangers if (machine := engine.machine(mac))}
        assert {str(machine.address): mac for mac, machine in seen.items()}.items() <= held.items()
        assert [machine.registered for machine in seen.values()] == [False] * 3
        engine.served()

        # The same clients keep what they have: by INIT-REBOOT, by renewing.
        assert client.bind() == address
        client.stop()
        assert engine.event("dhcp.ack", mac="52:54:00:00:01:01", after=before).data["state"] == "init-reboot"
        renewing.send_signal(signal.SIGUSR1)
        renewed = engine.event(
            "dhcp.ack", mac="52:54:00:00:01:02", after=before, match=lambda each: each.data["state"] == "renewing"
        )
        assert held[renewed.address] == "52:54:00:00:01:02"
    # Nobody else is offered what is held, even when asking for it.
    for address in held:
        with card(net.first, new_mac(), pxe(0)) as it:
            assert it.discover(("requested_addr", address)).address not in held


def test_kill_9_in_a_storm_loses_nothing_that_was_acknowledged(net: Net) -> None:
    """Machines lease as fast as they can; whatever ACK was heard on the wire is a lease after the crash."""
    engine = net.engine
    acked: list[tuple[str, str]] = []
    stop = threading.Event()

    def storm() -> None:
        while not stop.is_set():
            # The engine dies at any point of this.
            with card(net.first, new_mac(), pxe(0)) as it, contextlib.suppress(AssertionError):
                it.say("discover", new=True)
                offer = it.hear(1, match=lambda reply: reply.kind == 2)
                it.say("request", ("server_id", offer.server), ("requested_addr", offer.address))
                ack = it.hear(1, match=lambda reply: reply.kind in (5, 6))
                if ack.kind == 5:
                    acked.append((ack.address, it.mac))

    with card(net.second, new_mac(), pxe(0)) as slow:
        offer = slow.discover()
        thread = threading.Thread(target=storm)
        thread.start()
        try:
            netns.until(lambda: len(acked) >= 25, what="25 machines have an address")
            engine.kill()
        finally:
            stop.set()
            thread.join(10)
        engine.start()
        shown = {str(each.address): each.mac for each in engine.ask(engine.client.leases.list()).items}
        assert shown.items() >= set(acked)
        assert len({address for address, _ in acked}) == len(acked)
        engine.served()
        # What was offered before is given now: no machine has to begin again because the engine did.
        ack = slow.take(offer)
        assert (ack.kind, ack.address) == (5, offer.address)


def test_a_declined_address_is_kept_from_everybody(net: Net) -> None:
    engine = net.engine
    with card(net.first, new_mac(), pxe(0)) as it:
        address = it.lease().address
        it.say("decline", ("server_id", "10.7.0.1"), ("requested_addr", address), new=True)
        told = engine.event("dhcp.decline", mac=it.mac)
        assert told.message == f"DECLINE {address}: somebody else uses it, it is not given out for 24 h"
        again = it.lease().address
        assert again != address
    assert engine.leases()[address] == "declined"
    with card(net.second, new_mac(), pxe(0)) as it:
        assert it.discover(("requested_addr", address)).address != address
    engine.told("leases", "delete", address)
    with card(net.second, new_mac(), pxe(0)) as it:
        assert it.discover(("requested_addr", address)).address == address


def test_c08_an_address_in_use_is_found_kept_back_and_cleared(net: Net) -> None:
    used = "10.7.0.240"
    hint = ("requested_addr", used)
    netns.run(net.second, ["ip", "address", "add", f"{used}/24", "dev", "eth0"])
    try:
        with card(net.first, new_mac(), pxe(7), broadcast=True) as machine:
            assert machine.discover(hint).address != used
            told = net.engine.event("dhcp.conflict", mac=machine.mac)
    finally:
        netns.run(net.second, ["ip", "address", "delete", f"{used}/24", "dev", "eth0"])
    user = "52:54:00:00:01:02"
    assert told.message == f"{used} is used by {user}, which has no lease of it: it is not given out for 24 h"

    lease = net.engine.lease(used)
    assert (lease.state.value, lease.mac) == ("declined", user)
    net.engine.told("leases", "delete", used)
    with card(net.first, new_mac(), broadcast=True) as machine:
        assert machine.discover(hint).address == used


def test_an_address_of_another_is_refused_with_a_nak(net: Net) -> None:
    with card(net.first, new_mac(), pxe(0)) as owner, card(net.second, new_mac(), pxe(0)) as thief:
        address = owner.lease().address
        offer = thief.discover()
        assert offer.address != address
        thief.say("request", ("server_id", offer.server), ("requested_addr", address))
        assert thief.hear(match=lambda reply: reply.kind != 2).kind == 6
        refused = net.engine.event("dhcp.nak", mac=thief.mac)
        assert f"{address} is leased to another machine" in refused.message


def test_a_full_range_says_so_once_and_recovers(net: Net, tmp_path: Path) -> None:
    engine = net.engine
    cards: list[tuple[str, str]] = []
    for _ in range(SMALL_SIZE):
        with card(net.small, new_mac(), pxe(0)) as it:
            cards.append((it.mac, it.lease().address))
    assert {address for _, address in cards} == {f"10.9.0.{last}" for last in range(2, 15)}

    late = [new_mac() for _ in range(3)]
    for mac in late:
        with card(net.small, mac, pxe(0)) as it:
            it.say("discover", new=True)
            assert engine.event("dhcp.silent", mac=mac).data["reason"] == "pool-exhausted"
            assert it.waiting() == []
    [told] = engine.events("dhcp.exhausted")
    assert (told.data["subnet"], told.data["size"], told.level.value) == ("small", SMALL_SIZE, "warning")
    assert told.message.startswith("subnet small has no free address left of 13; widen its range")

    mac, address = cards[4]
    with card(net.small, mac) as it:
        it.say("release", ("server_id", "10.9.0.1"), ciaddr=address, new=True)
        engine.event("dhcp.release", mac=mac)
    assert Udhcpc(net.small, tmp_path / "client").once() == address
    # Another time, another word.
    with card(net.small, late[0], pxe(0)) as it:
        it.say("discover", new=True)
        netns.until(lambda: len(engine.events("dhcp.silent", mac=late[0])) == 2, what="the second silence")
    netns.until(lambda: len(engine.events("dhcp.exhausted")) == 2, what="it is told again")

    # A lease the operator deletes is free at once.
    engine.told("leases", "delete", cards[0][1])
    with card(net.small, late[1], pxe(0)) as it:
        assert it.lease().address == cards[0][1]
