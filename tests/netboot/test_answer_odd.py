"""Odd and hostile messages: the checklist's items M, and properties over anything that decodes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.netboot.answer import Arrival, Policy, answer, begin
from app.netboot.proxy import answer_boot
from app.netboot.scope import usable
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import DhcpPacket, MessageType, decode
from tests.netboot.dhcpworld import MAC, SERVER, Bench, pxe, request


@pytest.mark.parametrize(
    ("name", "packet", "reason"),
    [
        ("M03 a reply", request(op=2), "not-for-a-server"),
        ("M07 an OFFER", request(MessageType.OFFER), "not-for-a-server"),
        ("M07 an ACK", request(MessageType.ACK), "not-for-a-server"),
        ("M07 a NAK", request(MessageType.NAK), "not-for-a-server"),
        ("M06 type of two octets", request(options={opt.MESSAGE_TYPE: b"\1\1"}), "not-for-a-server"),
        ("M06 type 99", request(options={opt.MESSAGE_TYPE: b"\x63"}), "not-for-a-server"),
        ("N04 LEASEQUERY", request(options={opt.MESSAGE_TYPE: b"\x0a"}), "not-for-a-server"),
        ("M18 BOOTP", DhcpPacket(1, 7, bytes.fromhex("525400000007")), "not-for-a-server"),
        ("M17 multicast card", request(chaddr=b"\1\0\x5e\0\0\1"), "bad-hardware-address"),
        ("M17 broadcast card", request(chaddr=b"\xff" * 6), "bad-hardware-address"),
        ("M17 no card, no identifier", request(chaddr=bytes(6)), "no-identity"),
        ("M09 no card, a short identifier", request(chaddr=b"", options={opt.CLIENT_ID: b"\1"}), "no-identity"),
    ],
)
def test_ignored(name: str, packet: DhcpPacket, reason: str) -> None:
    found = Bench().ask(packet)

    assert (found.reply, found.reason, found.events, found.lease_changes) == (None, reason, (), ())


HOSTILE = [b"", b"\0", b"../../etc/passwd", b"$(reboot)`id`", b"\x1b]0;owned\x07\x1b[2J", b"\xff\xfe" * 100, b"a" * 255]


@pytest.mark.parametrize("code", [12, 43, 55, 57, 60, 61, 66, 67, 77, 81, 90, 93, 94, 97, 118, 121, 124, 175])
@pytest.mark.parametrize("value", HOSTILE)
def test_m15_m16_n03_n08_hostile_options_are_data(code: int, value: bytes) -> None:
    bench = Bench()
    found = bench.ask(request(options={**pxe(7), code: value}))

    assert found.reply is not None or found.reason == "no-subnet"
    for event in bench.events:
        assert event.message.isprintable()
        assert all(str(item).isprintable() for item in event.data.values())


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.7.0.1", True),
        ("0.0.0.0", False),
        ("0.0.0.1", False),
        ("127.0.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("169.254.0.1", True),
    ],
)
def test_usable(address: str, expected: bool) -> None:
    assert usable(IPv4Address(address)) is expected


some_addresses = st.sampled_from(
    ["0.0.0.0", "10.7.0.1", "10.7.0.100", "10.7.0.109", "10.8.0.1", "127.0.0.1", "255.255.255.255", "192.168.1.1"]
).map(IPv4Address)
interesting = st.sampled_from([12, 43, 50, 51, 54, 55, 57, 60, 61, 77, 82, 93, 97, 118, 175])
values = st.one_of(
    st.binary(max_size=20),
    some_addresses.map(lambda item: item.packed),
    st.sampled_from(
        [b"PXEClient:Arch:00007", b"HTTPClient:Arch:00016", b"iPXE", b"\x00\x07", b"\x05\x04\x0a\x07\x00\x01"]
    ),
)
messages = st.builds(
    lambda kind, options, **fields: request(kind, options=options, **fields),
    kind=st.sampled_from(list(MessageType)),
    options=st.dictionaries(interesting, values, max_size=6),
    op=st.sampled_from([1, 1, 1, 2]),
    htype=st.sampled_from([0, 1, 6, 32]),
    chaddr=st.sampled_from(
        [bytes.fromhex(MAC.replace(":", "")), bytes.fromhex("525400000008"), bytes(6), b"", b"\1" * 16]
    ),
    flags=st.sampled_from([0, 0x8000, 0xFFFF]),
    ciaddr=some_addresses,
    giaddr=some_addresses,
)


@settings(max_examples=300, deadline=None)
@given(
    packets=st.lists(messages, min_size=1, max_size=8),
    ceiling=st.sampled_from(["authoritative", "authoritative", "proxy", "off"]),
    unicast=st.booleans(),
)
def test_whatever_comes_in(packets: list[DhcpPacket], ceiling: str, unicast: bool) -> None:
    bench = Bench(policy=Policy(ceiling=ceiling))
    for packet in packets:
        arrival: dict[str, Any] = {"destination": SERVER, "source": IPv4Address("10.7.0.100")} if unicast else {}
        found = bench.ask(packet, **arrival)
        if found.reply is None:
            continue
        sent = decode(found.octets())
        assert found.destination is not None
        assert (sent.op, sent.xid, sent.chaddr, sent.giaddr) == (2, packet.xid, packet.chaddr, packet.giaddr)
        assert (sent.hops, sent.secs) == (0, 0)
        assert sent.message in (MessageType.OFFER, MessageType.ACK, MessageType.NAK)
        assert sent.address(opt.SERVER_ID) is not None
        assert not {opt.REQUESTED_ADDRESS, opt.PARAMETERS, opt.MAX_SIZE} & set(sent.options)
        assert len(found.octets()) <= max(found.limit, 600)
        # Nothing is ever sent to this host itself, to loopback or to a group.
        to = found.destination.address
        assert to == IPv4Address("255.255.255.255") or (usable(to) and to != SERVER)
        if sent.message is MessageType.ACK and not sent.yiaddr.is_unspecified:
            assert [lease.address for lease in found.lease_changes] == [sent.yiaddr]
            assert ceiling == "authoritative"
        if ceiling != "authoritative":
            assert (found.lease_changes, sent.yiaddr) == ((), IPv4Address(0))


@settings(max_examples=200, deadline=None)
@given(packet=messages, source=some_addresses)
def test_whatever_comes_in_on_4011(packet: DhcpPacket, source: IPv4Address) -> None:
    bench = Bench()
    where = Arrival("eth0", (IPv4Interface("10.7.0.1/24"),), frozenset({SERVER}), source, 68, SERVER)
    found = answer_boot(begin(decode(packet.encode()), where, bench.world, bench.table, Policy(), bench.now))

    if found.reply is not None:
        assert decode(found.octets()).yiaddr == IPv4Address(0)
        assert found.lease_changes == ()


def test_a_host_without_an_address_stays_silent() -> None:
    bench = Bench()
    found = answer(
        request(options=pxe(7)), Arrival("eth0", (), frozenset()), bench.world, bench.table, bench.policy, bench.now
    )

    assert (found.reply, found.reason) == (None, "no-subnet")
