"""DHCPv6 in the recorder: boots, exchanges, captures, relayed and malformed messages."""

from __future__ import annotations

from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import pytest

from app.model.event import Event
from app.netboot.wire import dhcp6
from app.netboot.wire.dhcp6 import Kind, Message, RelayMessage
from tests.netboot.dhcp6world import MAC, OTHER, duid, firmware, ia, ipxe
from tests.netboot.dhcpworld import machine
from tests.services.recorder.wire import Wire

CARD, EVERYBODY, US = ("fe80::5054:ff:fe00:7", 546), ("ff02::1:2", 547), ("fe80::1", 547)


def message(kind: Kind, xid: int = 0x123456, *options: tuple[int, bytes]) -> bytes:
    return Message(kind, xid, ((dhcp6.CLIENT_ID, duid(MAC)), ia(), *options)).encode()


def exchange(wire: Wire, asked: Kind, answered: Kind, xid: int = 0x123456, *options: tuple[int, bytes]) -> None:
    wire.recorder.heard("dhcp6", True, message(asked, xid, *options), CARD, EVERYBODY, mac=MAC, interface="eth0")
    wire.bench.now += 0.01
    wire.recorder.heard("dhcp6", False, message(answered, xid), CARD, US, mac=MAC, interface="eth0")


def event(wire: Wire, kind: str, **data: Any) -> Event:
    facts = {"xid": "123456", "family": 6, **data}
    return Event(id=1, time=wire.now(), kind=kind, message="ADVERTISE", mac=MAC, data=facts)


def test_a_boot_over_ipv6_is_kept_and_another_begins_with_the_firmware(tmp_path: Path) -> None:
    from scapy.layers.dhcp6 import DHCP6_Advertise, DHCP6_Solicit
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether
    from scapy.utils import PcapNgReader

    wire = Wire()
    for number in range(2):
        exchange(wire, Kind.SOLICIT, Kind.ADVERTISE, number, *firmware(7))
        exchange(wire, Kind.REQUEST, Kind.REPLY, 10 + number, *firmware(7))
        exchange(wire, Kind.SOLICIT, Kind.ADVERTISE, 20 + number, *ipxe())
        wire.bench.now += 60

    assert [len(boot.packets) for boot in wire.recorder.boots([MAC])] == [6, 6]
    path = tmp_path / "six.pcapng"
    path.write_bytes(wire.reader.capture(machine()))
    with PcapNgReader(str(path)) as reader:
        first, second, *_ = list(reader)
    assert (first[Ether].dst, first[IPv6].dst) == ("33:33:00:01:00:02", "ff02::1:2")
    assert DHCP6_Solicit in first
    assert DHCP6_Advertise in second
    assert [packet.summary for packet in wire.reader.packets(machine())][:2] == [
        "SOLICIT xid 000000",
        "ADVERTISE xid 000000",
    ]


def test_an_exchange_is_taken_apart() -> None:
    wire = Wire()
    exchange(wire, Kind.REQUEST, Kind.REPLY, 7)
    exchange(wire, Kind.SOLICIT, Kind.ADVERTISE)
    found = wire.reader.exchange(event(wire, "dhcp.offer"))

    assert found.request is not None
    assert found.reply is not None
    assert (found.request.fault, found.why) == ("", "")
    lines = found.request.lines
    assert lines[1] == "IPv6      fe80::5054:ff:fe00:7 > ff02::1:2"
    assert any(line.startswith("DHCPv6 Solicit ") for line in lines)
    assert any(line.startswith("  1   Client Identifier:") for line in lines)
    assert found.reply.source == "[fe80::1]:547"
    assert wire.reader.exchange(event(wire, "dhcp.offer", xid="ffffff")).request is None


def test_what_a_relay_passes_on_is_the_machines() -> None:
    wire = Wire()
    inner = message(Kind.SOLICIT)
    link, peer = IPv6Address("fd00:9::1"), IPv6Address("fe80::7")
    outer = RelayMessage(Kind.RELAY_FORWARD, 0, link, peer, ((dhcp6.RELAY_MESSAGE, inner),)).encode()
    wire.recorder.heard("dhcp6", True, outer, ("fd00:9::1", 547), ("fd00:7::1", 547), mac=MAC, interface="eth0")
    found = wire.reader.exchange(event(wire, "dhcp.silent", why="no subnet holds fd00:9::1"))

    assert found.request is not None
    assert found.request.summary == "SOLICIT xid 123456 by a relay"
    assert found.why == "nothing was sent: no subnet holds fd00:9::1"


@pytest.mark.parametrize("octets", [b"", b"\x01", b"\xff" * 40, message(Kind.SOLICIT)[:-3], b"\x0c" + bytes(33)])
def test_what_is_malformed_is_shown_with_the_reason(octets: bytes) -> None:
    wire = Wire()
    wire.recorder.heard("dhcp6", True, octets, CARD, EVERYBODY, interface="eth0")
    found = wire.reader.exchange(Event(id=1, time=wire.now(), kind="dhcp.malformed", message="", mac=OTHER))

    assert found.request is not None
    assert found.request.fault
    assert "".join(row[6:54].replace(" ", "") for row in found.request.dump) == octets.hex()
