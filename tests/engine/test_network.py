"""The network of the host changes under a running engine: addresses, links, interfaces that are made anew."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import netns
from tests.engine.card import card, ipxe, pxe
from tests.engine.conftest import LOADERS, new_mac
from tests.engine.process import Engine, running

pytestmark = pytest.mark.root


@pytest.fixture
def lan() -> Iterator[netns.Segment]:
    with netns.segment("", clients=1) as segment:
        netns.run(segment.clients[0], ["ip", "route", "add", "10.7.0.0/24", "dev", "eth0"])
        yield segment


def ip(ns: str, *words: str) -> None:
    netns.run(ns, ["ip", *words])


def changed(engine: Engine, what: str, after: int) -> None:
    engine.event("interface.changed", after=after, match=lambda event: event.data["what"] == what)


def told(engine: Engine, reason: str, hint: str) -> None:
    """What is wrong with eth0 stands in the event, at the interface and at the services that machines speak to."""
    event = engine.events("interface.changed")[-1]
    assert (event.level.value, event.data["stops"], event.data["hint"]) == ("warning", "rack7", hint)
    assert event.message.endswith(f"; rack7 not served: {hint}")
    shown = engine.ask(engine.client.interfaces.show("eth0"))
    assert (shown.reason, shown.hint) == (reason, hint)
    for name in ("dhcp", "tftp", "http"):
        service = engine.service(name)
        assert service.state.value == "up"
        assert f"{reason}: rack7 not served" in service.reason
        assert hint in service.hint


def boots(engine: Engine, ns: str) -> str:
    """A machine that starts now gets an address and its loader; its address."""
    netns.until(
        lambda: any(each.served and each.link for each in engine.ask(engine.client.interfaces.list()).items),
        what="eth0 is back",
    )
    engine.served()
    with card(ns, new_mac(), pxe(7)) as firmware:
        ack = firmware.boot()
    argv = ["curl", "-sS", "--interface", ack.address, "-o", "/dev/null", "-w", "%{size_download}"]
    for url in (f"tftp://10.7.0.1/{ack.boot}", f"http://10.7.0.1:8090/{ack.boot}"):
        assert netns.run(ns, [*argv, url]).stdout == str(LOADERS["ipxe.efi"])
    return ack.address


def leased(engine: Engine, ns: str, subnet: str = "rack7", interface: str = "eth0") -> str:
    """The address that a machine gets of a subnet, asking again and again as they do."""
    with card(ns, new_mac(), interface=interface) as it:
        it.xid = 1

        def asked() -> str | None:
            it.say("discover")
            with contextlib.suppress(AssertionError):
                return it.take(it.hear(0.3, match=lambda reply: reply.kind == 2)).address
            return None

        address = netns.until(asked, what=f"an address of {subnet}: {engine.hold_of(subnet)}")
        assert engine.lease(address).subnet == subnet
        return address


def test_the_engine_follows_its_interfaces(lan: netns.Segment, artefacts: Path) -> None:
    server, client = lan.server, lan.clients[0]
    with running(server, "--interface", "eth0", "--interface", "eth5", "--artefacts", str(artefacts)) as engine:
        # A name that was mistyped, or a card that comes later: said once, and nothing else is kept waiting.
        assert "bootcart: there is no interface eth5; it is served once it appears\n" in engine.log()
        absent = engine.event("interface.changed")
        assert (absent.level.value, absent.data["name"], absent.data["what"]) == ("warning", "eth5", "is not there")
        # No address yet: the subnet can be made, nobody is answered.
        assert engine.subnet().hold == ""
        early = new_mac()
        with card(client, early, pxe(7)) as firmware:
            firmware.say("discover", new=True)
            assert engine.event("dhcp.silent", mac=early).data["reason"] == "no-subnet"
            assert firmware.waiting() == []
        shown, missed = engine.ask(engine.client.interfaces.list()).items
        assert (shown.name, shown.addresses, shown.served) == ("eth0", (), False)
        assert (missed.name, missed.reason, missed.up) == ("eth5", "eth5 is not there", False)

        mark = engine.newest()
        ip(server, "address", "add", "10.7.0.1/24", "dev", "eth0")
        changed(engine, "got 10.7.0.1/24", mark)
        first = boots(engine, client)
        shown = engine.ask(engine.client.interfaces.show("eth0"))
        assert (shown.subnet, shown.served, shown.link) == ("rack7", True, True)
        assert shown.probed is not None

        # Link down and up: nobody is lost, and the segment is asked again: it may be another one.
        mark = engine.newest()
        ip(server, "link", "set", "eth0", "down")
        changed(engine, "lost its link", mark)
        assert engine.hold_of() == "eth0 has no link"
        told(engine, "eth0 is down", "`ip link set eth0 up`")
        ip(server, "link", "set", "eth0", "up")
        changed(engine, "has link", mark)
        second = boots(engine, client)

        # Deleted and made anew, as a reloaded driver or a USB card does it.
        mark = engine.newest()
        ip(server, "link", "delete", "eth0")
        changed(engine, "is gone", mark)
        told(engine, "eth0 is not there", "plug the card in or load its driver: it is served once it is there")
        engine.sound()
        netns.attach(lan.switch, "br0", server, "eth0", mac="52:54:00:00:00:01", address="10.7.0.1/24")
        third = boots(engine, client)
        assert len({first, second, third}) == 3

        # An address that goes takes the subnet with it, and brings it back.
        mark = engine.newest()
        ip(server, "address", "del", "10.7.0.1/24", "dev", "eth0")
        changed(engine, "lost 10.7.0.1/24", mark)
        told(
            engine, "eth0 has no address in 10.7.0.0/24", "`ip address add ADDRESS/24 dev eth0`, or change subnet rack7"
        )
        ip(server, "address", "add", "10.7.0.1/24", "dev", "eth0")
        changed(engine, "got 10.7.0.1/24", mark)
        boots(engine, client)

        # One that nobody named on the command line is not served, whatever its address.
        with netns.namespace("other", ipv6=False) as other:
            netns.link(server, "eth9", other, "eth0", address="10.9.0.1/24")
            engine.subnet(name="nine", cidr="10.9.0.0/24", ranges=["10.9.0.10-10.9.0.20"], router=None, dns=[])
            netns.until(
                lambda: "nine" in {each.subnet for each in engine.ask(engine.client.interfaces.list()).items},
                what="eth9 is known",
            )
            before = engine.service("dhcp").counters["elsewhere"]
            with card(other, new_mac(), pxe(7)) as firmware:
                firmware.say("discover", new=True)
                netns.until(lambda: engine.service("dhcp").counters["elsewhere"] > before, what="it is counted")
                assert firmware.waiting() == []
            ip(other, "address", "add", "10.9.0.9/24", "dev", "eth0")
            refused = netns.run(other, ["curl", "-sS", "-m", "5", "http://10.9.0.1:8090/ipxe.efi"], check=False)
            assert refused.returncode in (52, 56), refused.stderr  # an empty answer, or a reset
            nine = engine.ask(engine.client.interfaces.show("eth9"))
            assert (nine.served, nine.subnet) == (False, "nine")
        services = engine.ask(engine.client.services.list()).items
        states = {each.state.value for each in services if each.name != "dhcp6"}  # off unless it is asked for
        assert states == {"up"}


def test_an_interface_that_is_renamed(lan: netns.Segment, artefacts: Path) -> None:
    """Named on the command line it is missed; named back it is served, without a restart."""
    server, client = lan.server, lan.clients[0]
    ip(server, "address", "add", "10.7.0.1/24", "dev", "eth0")
    with running(server, "--interface", "eth0", "--artefacts", str(artefacts)) as engine:
        engine.subnet()
        boots(engine, client)
        mark = engine.newest()
        # A link is renamed while it is down, as udev does it.
        ip(server, "link", "set", "eth0", "down")
        ip(server, "link", "set", "eth0", "name", "lan0")
        ip(server, "link", "set", "lan0", "up")
        hint = "start the engine with --interface lan0, or rename it back"
        renamed = engine.event("interface.changed", after=mark, match=lambda e: e.data["what"] == "is now called lan0")
        assert (renamed.data["stops"], renamed.data["hint"]) == ("rack7", hint)
        netns.until(
            lambda: engine.ask(engine.client.interfaces.show("eth0")).reason == "eth0 is now called lan0",
            what="eth0 is missed",
        )
        assert hint in engine.service("dhcp").hint
        ip(server, "link", "set", "lan0", "down")
        ip(server, "link", "set", "lan0", "name", "eth0")
        ip(server, "link", "set", "eth0", "up")
        ip(server, "address", "replace", "10.7.0.1/24", "dev", "eth0")
        boots(engine, client)
        assert engine.service("dhcp").reason == ""


def test_the_served_address_changes(lan: netns.Segment, artefacts: Path) -> None:
    """What machines are told follows: the server's address, where the loader is, and the URLs."""
    server, client = lan.server, lan.clients[0]
    ip(server, "address", "add", "10.7.0.1/24", "dev", "eth0")
    with running(server, "--interface", "eth0", "--artefacts", str(artefacts)) as engine:
        engine.subnet(router=None, dns=[])
        boots(engine, client)
        mark = engine.newest()
        ip(server, "address", "add", "10.7.0.2/24", "dev", "eth0")
        ip(server, "address", "del", "10.7.0.1/24", "dev", "eth0")
        ip(server, "address", "replace", "10.7.0.2/24", "dev", "eth0")
        engine.event("interface.changed", after=mark, match=lambda event: "10.7.0.2/24" in event.data["what"])
        netns.until(
            lambda: (
                [str(each) for each in engine.ask(engine.client.interfaces.show("eth0")).addresses] == ["10.7.0.2/24"]
            ),
            what="the new address alone",
        )
        engine.served()
        with card(client, new_mac(), ipxe(7)) as firmware:
            offer = firmware.discover()
            assert (offer.server, offer.siaddr) == ("10.7.0.2", "10.7.0.2")
            assert offer.boot.startswith("http://10.7.0.2:8090/")


def test_a_vlan_that_is_made_while_it_runs(artefacts: Path) -> None:
    with netns.namespace("server", ipv6=False) as server, netns.namespace("client", ipv6=False) as client:
        netns.link(server, "eth0", client, "eth0", address="10.7.0.1/24")
        vlan = ["ip", "link", "add", "link", "eth0", "name", "eth0.9", "type", "vlan", "id", "9"]
        if netns.run(client, vlan, check=False).returncode:
            pytest.skip("this kernel has no VLANs")
        ip(client, "link", "set", "eth0.9", "up")
        with running(server, "--artefacts", str(artefacts)) as engine:
            engine.subnet()
            engine.subnet(name="nine", cidr="10.9.0.0/24", ranges=["10.9.0.10-10.9.0.20"], router=None, dns=[])
            ip(server, *vlan[1:])
            ip(server, "address", "add", "10.9.0.1/24", "dev", "eth0.9")
            ip(server, "link", "set", "eth0.9", "up")
            assert leased(engine, client, "nine", "eth0.9").startswith("10.9.0.")
            assert engine.ask(engine.client.interfaces.show("eth0.9")).kind == "vlan"
            assert leased(engine, client).startswith("10.7.0.")  # the untagged one goes on as it was


def test_interfaces_that_come_while_it_runs(artefacts: Path) -> None:
    """A second address, a bridge that takes a card into itself, a card moved out of the namespace and back."""
    with netns.namespace("server", ipv6=False) as server, netns.namespace("client", ipv6=False) as client:
        netns.link(server, "eth0", client, "eth0", address="10.7.0.1/24")
        with running(server, "--artefacts", str(artefacts)) as engine:
            engine.subnet()
            assert leased(engine, client).startswith("10.7.0.")

            # A second address on the card: another subnet on the same wire, for who has a reservation there.
            ip(server, "address", "add", "10.10.0.1/24", "dev", "eth0")
            engine.subnet(name="ten", cidr="10.10.0.0/24", ranges=["10.10.0.10-10.10.0.20"], router=None, dns=[])
            engine.served("ten")
            with card(client, new_mac()) as it:
                engine.told("reservations", "create", "10.10.0.50", "--mac", it.mac)
                ack = it.lease()
                assert (ack.address, ack.server) == ("10.10.0.50", "10.10.0.1")

            # The card becomes a port of a bridge, which takes its address.
            ip(server, "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0")
            ip(server, "address", "flush", "dev", "eth0")
            ip(server, "link", "set", "eth0", "master", "br0")
            ip(server, "address", "add", "10.7.0.1/24", "dev", "br0")
            ip(server, "link", "set", "br0", "up")
            engine.event("interface.changed", match=lambda event: event.interface == "br0")
            assert leased(engine, client).startswith("10.7.0.")
            assert engine.ask(engine.client.interfaces.show("br0")).kind == "bridge"

            # Moved to another namespace it is gone, moved back it is another interface of the same name.
            ip(server, "link", "delete", "br0")
            ip(server, "address", "add", "10.7.0.1/24", "dev", "eth0")
            assert leased(engine, client).startswith("10.7.0.")
            before = engine.newest()
            with netns.namespace("elsewhere", ipv6=False) as elsewhere:
                ip(server, "link", "set", "eth0", "netns", elsewhere)
                changed(engine, "is gone", before)
                ip(elsewhere, "link", "set", "eth0", "netns", server)
            ip(server, "address", "add", "10.7.0.1/24", "dev", "eth0")
            ip(server, "link", "set", "eth0", "up")
            assert leased(engine, client).startswith("10.7.0.")
