"""Authoritative DHCP keeps off a segment where dnsmasq answers, until the operator says otherwise."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.model.event import Level
from tests import netns
from tests.engine.card import card, ipxe, pxe
from tests.engine.conftest import new_mac
from tests.engine.process import Engine, running
from tests.services.dhcp.lan import Dhclient

pytestmark = pytest.mark.root

OTHER = "10.7.0.2"
OTHER_MAC = "52:54:00:00:01:02"
HEARD = f"another DHCP server answers on eth0: {OTHER} ({OTHER_MAC})"


@pytest.fixture
def lan() -> Iterator[netns.Segment]:
    """The engine's segment: the first client asks, the second is the other server's host."""
    with netns.segment("10.7.0.1/24", clients=2) as segment:
        netns.run(segment.clients[1], ["ip", "address", "add", f"{OTHER}/24", "dev", "eth0"])
        yield segment


@contextlib.contextmanager
def dnsmasq(ns: str) -> Iterator[subprocess.Popen[str]]:
    """Another DHCP server, which gives 10.7.0.30 to 10.7.0.40."""
    argv = ["dnsmasq", "-d", "-C/dev/null", "-p0", "--no-ping", "--dhcp-leasefile=/dev/null", "--dhcp-authoritative"]
    with netns.running(ns, [*argv, "--dhcp-range=10.7.0.30,10.7.0.40"]) as process:
        netns.until(lambda: ":67 " in netns.run(ns, ["ss", "-lunH"]).stdout, what="dnsmasq listens")
        yield process


def held(engine: Engine, reason: str = HEARD) -> None:
    netns.until(lambda: engine.hold_of() == reason, what=f"rack7 is held: {engine.hold_of()}")


def test_beside_another_server(lan: netns.Segment, artefacts: Path, tmp_path: Path) -> None:
    ns, mac = lan.clients[0], new_mac()
    flags = ("--interface", "eth0", "--artefacts", str(artefacts))
    with dnsmasq(lan.clients[1]), running(lan.server, *flags) as engine:
        # Held from the first moment, whatever the probe will find.
        assert engine.subnet().hold == "checking for other DHCP servers"
        held(engine)
        assert engine.told("subnets", "list").rstrip("\n").split("\t")[-1] == HEARD
        foreign = engine.event("dhcp.foreign")
        assert (foreign.data["server"], foreign.data["server_mac"], foreign.interface) == (OTHER, OTHER_MAC, "eth0")
        notice = engine.event("subnet.held")
        assert (notice.level, notice.data["subnet"], notice.data["why"]) == (Level.ERROR, "rack7", HEARD)
        assert "use proxy mode, or confirm" in notice.message
        [server] = engine.ask(engine.client.interfaces.show("eth0")).foreign
        assert (str(server.server), server.mac) == (OTHER, OTHER_MAC)

        with card(ns, mac, pxe(7)) as firmware:
            firmware.say("discover", new=True)
            assert firmware.hear().source == OTHER
            silent = engine.event("dhcp.silent", mac=mac)
            assert (silent.data["reason"], HEARD in silent.message) == ("subnet-held", True)
            assert [reply.source for reply in firmware.waiting() if reply.source != OTHER] == []

        # Proxy mode: boot information from us, addresses from the other.
        engine.told("subnets", "update", "rack7", "--mode", "proxy")
        assert engine.hold_of() == ""
        with card(ns, mac, pxe(0)) as firmware:
            firmware.say("discover", new=True)
            ours = firmware.hear(match=lambda reply: reply.source == "10.7.0.1")
            assert (ours.address, ours.boot, ours.siaddr) == ("0.0.0.0", "undionly.kpxe", "10.7.0.1")
            assert ours.options["vendor_class_id"] == b"PXEClient"
            assert "lease_time" not in ours.options
        assert engine.event("proxy.offer", mac=mac).data["bootfile"] == "undionly.kpxe"
        plain = Dhclient(ns, tmp_path / "plain")
        address = plain.bind()
        plain.stop()
        assert address in {f"10.7.0.{last}" for last in range(30, 41)}
        assert engine.leases() == {}
        first = "52:54:00:00:01:01"
        ignored = engine.event("dhcp.silent", mac=first, match=lambda e: e.data["reason"] != "subnet-held")
        assert ignored.data["reason"] == "not-booting"

        boots_by_the_others_address(engine, lan)

        # Authoritative again: asked again, held again; confirmed: served.
        engine.told("subnets", "update", "rack7", "--mode", "authoritative")
        held(engine)
        engine.told("subnets", "update", "rack7", "--confirmed")
        assert engine.hold_of() == ""
        with card(ns, mac, pxe(7)) as firmware:
            firmware.say("discover", new=True)
            ours = firmware.hear(match=lambda reply: reply.source == "10.7.0.1")
            assert (ours.address, ours.boot) == ("10.7.0.100", "ipxe.efi")


def boots_by_the_others_address(engine: Engine, lan: netns.Segment) -> None:
    """In proxy mode a machine is known by the REQUEST that was overheard, else by the ARP table."""
    ns, url = lan.clients[0], "http://10.7.0.1:8090"

    def fetch(address: str, path: str) -> tuple[str, str]:
        argv = ["curl", "-sS", "--interface", address, "-w", "\n%{http_code}", f"{url}/{path}"]
        text, _, status = netns.run(ns, argv).stdout.rpartition("\n")
        return status, text

    def script(mac: str) -> str:
        return f"boot/{mac.replace(':', '-')}.ipxe"

    overheard, proven = new_mac(), "52:54:00:00:01:01"
    with card(ns, overheard, ipxe(7)) as it:
        it.say("discover", new=True)
        offers = {(found := it.hear()).source: found for _ in range(2)}
        assert offers["10.7.0.1"].boot == f"{url}/{script(overheard)}"
        theirs = offers[OTHER]
        it.say("request", ("server_id", OTHER), ("requested_addr", theirs.address))
        assert it.hear(match=lambda reply: reply.kind == 5).source == OTHER
    netns.run(ns, ["ip", "address", "replace", f"{theirs.address}/24", "dev", "eth0"])
    status, text = fetch(theirs.address, script(overheard))
    assert (status, "bootcart.token=" in text) == ("200", True)
    seen = netns.until(lambda: engine.machine(overheard), what="the machine is on record")
    assert str(seen.address) == theirs.address

    # On an address nobody was heard asking for.
    netns.run(ns, ["ip", "address", "replace", "10.7.0.99/24", "dev", "eth0"])
    assert fetch("10.7.0.99", script(overheard))[0] == "404"
    status, text = fetch("10.7.0.99", script(proven))
    assert (status, "bootcart.token=" in text) == ("200", True)
    # The loader the other server may hand to iPXE again and again leads to the script.
    status, text = fetch("10.7.0.99", "autoexec.ipxe")
    assert (status, f"chain --replace {url}/{script(proven)}" in text) == ("200", True)
    netns.run(ns, ["ip", "-4", "address", "flush", "dev", "eth0"])


def test_a_late_server_holds_a_served_subnet(lan: netns.Segment, artefacts: Path) -> None:
    """Spanning tree kept the other server away from the probe; its first reply to anybody gives it away."""
    ns = lan.clients[0]
    with running(lan.server, "--interface", "eth0", "--artefacts", str(artefacts)) as engine:
        engine.subnet()
        engine.served()
        with card(ns, new_mac(), pxe(7)) as firmware:
            assert firmware.lease().address == "10.7.0.100"
        with dnsmasq(lan.clients[1]):
            with card(ns, new_mac(), pxe(7), broadcast=True) as firmware:
                firmware.say("discover", new=True)
                firmware.hear(match=lambda reply: reply.source == OTHER)
            netns.until(lambda: engine.hold_of() == HEARD, timeout=5, what="rack7 is held within seconds")
            assert engine.event("subnet.held").data["why"] == HEARD
            late = new_mac()
            with card(ns, late, pxe(7)) as firmware:
                firmware.say("discover", new=True)
                assert engine.event("dhcp.silent", mac=late).data["reason"] == "subnet-held"
        # It is gone; the operator asks the segment again, and the subnet is served without a restart.
        found = engine.told("interfaces", "probe", "eth0")
        assert found == "interface eth0: no other DHCP server heard\n"
        engine.served()
        with card(ns, late, pxe(7)) as firmware:
            assert firmware.lease().kind == 5


def test_a_server_that_comes_later_is_heard_though_no_machine_asks(lan: netns.Segment, artefacts: Path) -> None:
    flags = ("--interface", "eth0", "--artefacts", str(artefacts), "--probe-seconds", "1")

    def probed(times: int) -> None:
        wanted = engine.service("probe").counters["probes"] + times
        netns.until(lambda: engine.service("probe").counters["probes"] >= wanted, timeout=30, what=f"{times} probes")

    with running(lan.server, *flags) as engine:
        engine.subnet()
        engine.served()
        own = str(engine.ask(engine.client.interfaces.show("eth0")).mac)
        probed(2)
        assert engine.events("dhcp.foreign") == []
        with dnsmasq(lan.clients[1]):
            found = engine.event("dhcp.foreign")
            assert (found.data["server"], found.data["server_mac"], found.interface) == (OTHER, OTHER_MAC, "eth0")
            assert found.data["offered"] in {f"10.7.0.{last}" for last in range(30, 41)}
            assert engine.event("subnet.held").data["why"] == HEARD
            engine.told("subnets", "update", "rack7", "--confirmed")
            # It is known and meant to be there: asked again and again, it is told of no more.
            probed(3)
            assert [event.id for event in engine.events("dhcp.foreign")] == [found.id]
            assert [str(one.server) for one in engine.ask(engine.client.interfaces.show("eth0")).foreign] == [OTHER]
        # What asks leaves no trace, even where it comes back by another interface or a relay.
        with card(lan.clients[0], own, pxe(7)) as probe, card(lan.clients[0], new_mac(), pxe(7)) as firmware:
            probe.say("discover", new=True)
            assert firmware.lease().address == "10.7.0.100"
        assert engine.events(mac=own) == []
        assert engine.machine(own) is None
        assert list(engine.leases()) == ["10.7.0.100"]


def test_take_over_serves_beside_another_server(lan: netns.Segment, artefacts: Path) -> None:
    flags = ("--interface", "eth0", "--artefacts", str(artefacts), "--take-over")
    with dnsmasq(lan.clients[1]), running(lan.server, *flags) as engine:
        assert engine.subnet().hold == ""
        with card(lan.clients[0], new_mac(), pxe(7)) as firmware:
            firmware.say("discover", new=True)
            offers = {(found := firmware.hear()).source: found for _ in range(2)}
        assert (offers["10.7.0.1"].address, offers["10.7.0.1"].boot) == ("10.7.0.100", "ipxe.efi")
        assert OTHER in offers


def test_the_ceiling_of_a_run_is_never_exceeded(lan: netns.Segment, artefacts: Path) -> None:
    """A run that gives no addresses contends with nobody: an authoritative subnet is proxied, and need not be held."""
    flags = ("--interface", "eth0", "--artefacts", str(artefacts), "--dhcp", "proxy")
    with dnsmasq(lan.clients[1]), running(lan.server, *flags) as engine:
        assert engine.subnet().hold == ""
        with card(lan.clients[0], new_mac(), pxe(7)) as firmware:
            firmware.say("discover", new=True)
            ours = firmware.hear(match=lambda reply: reply.source == "10.7.0.1")
        assert (ours.address, ours.boot) == ("0.0.0.0", "ipxe.efi")
        assert engine.leases() == {}
