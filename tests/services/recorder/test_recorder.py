"""What is kept of whom, for how long, and what it costs who answers machines."""

from __future__ import annotations

import statistics
import time
from ipaddress import IPv4Address, ip_address

import pytest

from app.clock import SystemClock
from app.netboot.wire.dhcp4 import MessageType
from app.services.dhcp.sockets import Datagram
from app.services.recorder import Recorder, recorder, recording
from app.services.recorder.packet import HeardDhcp, dhcp_type
from app.services.recorder.recording import Shelf
from tests.netboot.dhcpworld import MAC, OTHER, ipxe, pxe, request
from tests.services.recorder.wire import BROADCAST, ZERO, Wire


def told(wire: Wire, *macs: str) -> list[list[tuple[str, bool]]]:
    """Protocol and direction of each packet, boot by boot."""
    return [
        [(packet.protocol, packet.incoming) for packet in boot.packets] for boot in wire.recorder.boots(macs or (MAC,))
    ]


DORA = [("dhcp", True), ("dhcp", False)] * 2


def test_a_boot_is_kept_both_ways() -> None:
    wire = Wire()
    address = wire.dora()
    wire.recorder.heard("tftp", True, b"\0\1ipxe.efi\0octet\0", (address, 2070), ("10.7.0.1", 69))
    wire.recorder.heard("http", True, b"GET / HTTP/1.1\r\n\r\n", (address, 40000), ("10.7.0.1", 8090))

    assert told(wire) == [[*DORA, ("tftp", True), ("http", True)]]
    first = wire.recorder.boots([MAC])[0].packets[0]
    assert (first.interface, first.machine, first.machine_port) == ("eth0", ZERO, 68)
    assert (first.our, first.our_port, first.time) == (BROADCAST, 67, 1_000_000.0)


def test_another_boot_begins_with_the_firmware() -> None:
    wire = Wire()
    for number in range(5):
        wire.dora(xid=number)
        wire.dora(options=ipxe(7), xid=100 + number)
        wire.dora(options={}, xid=200 + number)
        wire.bench.now += 60

    assert told(wire) == [DORA * 3] * recording.BOOTS


@pytest.mark.parametrize(
    ("options", "seconds", "boots"),
    [(pxe(7), 4, 1), (pxe(7), 300, 2), (ipxe(7), 60, 1), ({}, 60, 1), ({}, 300, 2)],
    ids=["asks again", "asks later", "ipxe after the loader", "the system it started", "a system of its own"],
)
def test_a_discover_belongs_to_the_boot_it_follows(options: dict[int, bytes], seconds: float, boots: int) -> None:
    wire = Wire()
    wire.ask(request(options=pxe(7)))
    wire.bench.now += seconds
    wire.ask(request(options=options))

    assert len(told(wire)) == boots


def test_of_a_long_boot_the_beginning_and_the_end_are_kept() -> None:
    wire = Wire()
    address = wire.dora()
    for number in range(1000):
        wire.recorder.heard("http", True, b"POST /%d" % number, (address, 40000), ("10.7.0.1", 8090))
    (boot,) = wire.recorder.boots([MAC])

    assert len(boot.packets) == recording.FIRST + recording.LAST
    assert boot.omitted == 1004 - len(boot.packets)
    assert (boot.packets[4].octets, boot.packets[-1].octets) == (b"POST /0", b"POST /999")


def test_a_flood_of_strangers_costs_strangers_alone() -> None:
    wire = Wire()
    wire.dora()
    wire.dora(OTHER)
    packet = request(options=pxe(7)).encode()
    for number in range(20_000):
        wire.hear(packet[:28] + b"\x02\0" + number.to_bytes(4, "big") + packet[34:])
        if number % 1000 == 0:
            wire.recorder.sort()

    assert told(wire) == [DORA]
    assert told(wire, OTHER) == []
    assert wire.recorder.size < recorder.KNOWN_OCTETS + recorder.STRANGER_OCTETS


def test_what_is_waiting_to_be_sorted_is_bounded() -> None:
    wire = Wire()
    for _ in range(recorder.INBOX + 100):
        wire.hear(b"nonsense")
    wire.hear(request().encode())

    assert told(wire) == [[("dhcp", True)]]


def test_a_stranger_that_becomes_known_keeps_its_recording() -> None:
    wire = Wire()
    wire.dora(OTHER)
    wire.recorder.sort()
    wire.machines.add(OTHER)
    wire.ask(request(MessageType.RELEASE, OTHER))

    assert told(wire, OTHER) == [[*DORA, ("dhcp", True)]]


def test_memory_is_bounded_and_who_was_silent_for_longest_gives_way() -> None:
    shelf = Shelf(100_000)
    entry = HeardDhcp(0.0, 67, "eth0", request().encode(), None)
    for number in range(500):
        shelf.add(f"{number}", entry._replace(way=Datagram(b"", ZERO, 68, 2, BROADCAST)))
        shelf.add("0", entry._replace(way=Datagram(b"", ZERO, 68, 2, BROADCAST)))

    assert shelf.size <= 100_000
    assert "0" in shelf
    assert "499" in shelf
    assert "1" not in shelf
    assert shelf.size == sum(one.size for one in shelf)


def test_the_thread_sorts_and_survives_what_it_is_told() -> None:
    broken = Recorder(lambda mac: 1 / 0 > 0, lambda address: "", SystemClock())
    broken.start()
    try:
        broken.dhcp(67)("eth0", request().encode(), Datagram(b"", ZERO, 68, 2, BROADCAST))
        broken.dhcp(67)("eth0", b"nonsense", Datagram(b"", ZERO, 68, 2, BROADCAST))
        deadline = time.monotonic() + 10
        while not broken._malformed and time.monotonic() < deadline:
            time.sleep(0.01)
        assert broken._malformed
    finally:
        broken.stop()


def test_the_request_and_the_reply_of_an_event_are_found() -> None:
    wire = Wire()
    wire.ask(request(options=pxe(7)))
    wire.bench.now += 0.99
    wire.dora()
    found = {
        kind: wire.recorder.exchange(MAC, "11223344", kind, wire.event(kind).time)
        for kind in ("dhcp.discover", "dhcp.offer", "dhcp.request", "dhcp.ack")
    }

    times = {kind: tuple(one and round(one.time - 1_000_000, 2) for one in both) for kind, both in found.items()}
    assert times["dhcp.offer"] == (1.0, 1.01)
    assert times["dhcp.ack"] == (1.01, 1.02)
    assert times["dhcp.discover"] == (1.0, 1.01)
    assert wire.recorder.exchange(MAC, "00000000", "dhcp.offer", wire.now()) == (None, None)


def test_a_reply_that_came_late_is_the_replys_all_the_same() -> None:
    wire = Wire()
    wire.hear(request(MessageType.INFORM, options=pxe(7)).encode())
    asked = wire.now()
    # The client asks again before the disk has written its lease.
    wire.bench.now += 1
    wire.hear(request(MessageType.INFORM, options=pxe(7)).encode())
    wire.bench.now += 1
    wire.send(request(MessageType.ACK))

    found, reply = wire.recorder.exchange(MAC, "11223344", "dhcp.ack", asked)
    assert found is not None
    assert reply is not None
    assert (found.time, reply.time) == (asked, asked + 2)


def test_a_malformed_datagram_is_found_by_its_time() -> None:
    wire = Wire()
    wire.hear(b"nonsense")
    # Filed under its machine, for its head is in order; its options are not.
    wire.bench.now += 10
    cut = request().encode()[:240] + b"\x35\x01\x01\x37\xf0\x01"
    wire.hear(cut)

    assert wire.recorder.malformed(1_000_000.0) == wire.recorder.malformed(1_000_001.0)
    first = wire.recorder.malformed(1_000_000.0)
    assert first is not None
    assert first.octets == b"nonsense"
    found = wire.recorder.malformed(wire.now())
    assert found is not None
    assert found.octets == cut
    assert wire.recorder.malformed(wire.now() + 60) is None


def test_the_address_of_a_machine_nobody_knows_yet_is_a_name() -> None:
    wire = Wire()
    wire.recorder.heard("tftp", True, b"\0\1x\0octet\0", ("10.7.0.200", 2070), ("10.7.0.1", 69))

    assert wire.recorder.boots([MAC]) == ()
    (boot,) = wire.recorder.boots([MAC], IPv4Address("10.7.0.200"))
    assert [packet.octets for packet in boot.packets] == [b"\0\1x\0octet\0"]


def test_a_head_is_made_once_somebody_looks() -> None:
    made: list[bytes] = []

    def head() -> bytes:
        made.append(b"GET / HTTP/1.1\r\n\r\n")
        return made[-1]

    wire = Wire()
    wire.recorder.heard("http", True, head, ("fe80::7%2", 40000), ("fe80::1%2", 8090))
    wire.recorder.sort()
    assert made == []

    (boot,) = wire.recorder.boots([], ip_address("fe80::7"))
    assert [packet.octets for packet in boot.packets] == made


@pytest.mark.timing
def test_the_tap_costs_two_microseconds_at_most() -> None:
    tap = Recorder(lambda mac: True, lambda address: "", SystemClock()).dhcp(67)
    octets, way = request().encode(), Datagram(b"", ZERO, 68, 2, BROADCAST)
    costs: list[float] = []
    for _ in range(21):
        began = time.perf_counter()
        for _ in range(2000):
            tap("eth0", octets, way)
        costs.append((time.perf_counter() - began) / 2000)

    assert statistics.median(costs) < 2e-6


@pytest.mark.parametrize(
    ("area", "kind"),
    [("350105ff", 5), ("00350103", 3), ("3501", 0), ("35", 0), ("", 0), ("35020505ff", 0), ("0cff", 0)],
)
def test_the_kind_of_a_message_that_may_be_cut_off(area: str, kind: int) -> None:
    assert dhcp_type(bytes(236) + b"\x63\x82\x53\x63" + bytes.fromhex(area)) == kind
