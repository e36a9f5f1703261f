"""The DHCPv6 codec: golden octets, odd input, properties."""

from __future__ import annotations

import contextlib
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.netboot.wire import dhcp6, options6
from app.netboot.wire.dhcp6 import HOP_LIMIT, DhcpError, Kind, Message, RelayMessage, decode, unwrap, wrap
from app.netboot.wire.options6 import Ia, IaAddress, Status

ADDRESS = IPv6Address("fd00:7::100")
MAC = "52:54:00:00:00:07"
OPTIONS = st.lists(st.tuples(st.integers(100, 0xFFFF), st.binary(max_size=40)), max_size=6).map(tuple)
MESSAGES = st.builds(Message, st.sampled_from(tuple(Kind)[:11]), st.integers(0, 0xFFFFFF), OPTIONS)
ADDRESSES = st.integers(0, 2**128 - 1).map(IPv6Address)


def test_golden_reply() -> None:
    address = IaAddress(ADDRESS, 1800, 3600)
    ia = Ia(7, 900, 1440, ((dhcp6.IA_ADDRESS, address.encode()),))
    message = Message(
        Kind.REPLY,
        0x123456,
        (
            (dhcp6.CLIENT_ID, bytes.fromhex("00030001525400000007")),
            (dhcp6.IA_NA, ia.encode()),
            (dhcp6.BOOTFILE_URL, b"tftp://[fd00:7::1]/ipxe.efi"),
            (dhcp6.VENDOR_CLASS, options6.vendor_class(options6.INTEL, b"HTTPClient")),
        ),
    )
    assert message.encode().hex() == (
        "07123456"
        "0001000a00030001525400000007"
        "00030028" "00000007" "00000384" "000005a0"
        "00050018" "fd000007000000000000000000000100" "00000708" "00000e10"
        "003b001b" "746674703a2f2f5b666430303a373a3a315d2f697078652e656669"
        "00100010" "00000157" "000a" "48545450436c69656e74"
    )  # fmt: skip


@given(MESSAGES)
def test_what_is_written_is_read_again(message: Message) -> None:
    assert decode(message.encode()) == message


@given(MESSAGES, st.lists(st.tuples(ADDRESSES, ADDRESSES, st.binary(min_size=1, max_size=8)), min_size=1, max_size=4))
def test_a_reply_goes_back_the_way_the_message_came(
    message: Message, ways: list[tuple[IPv6Address, IPv6Address, bytes]]
) -> None:
    octets = message.encode()
    for hops, (link, peer, name) in enumerate(ways):
        options = ((dhcp6.INTERFACE_ID, name), (dhcp6.REMOTE_ID, b"rack"), (dhcp6.RELAY_MESSAGE, octets))
        octets = RelayMessage(Kind.RELAY_FORWARD, hops, link, peer, options).encode()
    inner, relays = unwrap(octets)
    assert (inner, len(relays)) == (message, len(ways))
    back = decode(wrap(inner, relays))
    for hops, (link, peer, name) in reversed(list(enumerate(ways))):
        assert isinstance(back, RelayMessage)
        assert (back.kind, back.hops, back.link, back.peer) == (Kind.RELAY_REPLY, hops, link, peer)
        assert back.get(dhcp6.INTERFACE_ID) == name
        assert back.get(dhcp6.REMOTE_ID) is None
        back = decode(back.get(dhcp6.RELAY_MESSAGE) or b"")
    assert back == message


@given(st.binary(max_size=200))
def test_m08_any_octets_are_a_message_or_a_dhcp_error(octets: bytes) -> None:
    with contextlib.suppress(DhcpError):
        unwrap(octets)
    with contextlib.suppress(DhcpError):
        options6.ia(octets)
    with contextlib.suppress(DhcpError):
        options6.ia_address(octets)
    for read in (options6.items, options6.numbers, options6.duid_link, options6.duid_uuid, options6.vendor_classes):
        read(octets)
    options6.link_address(octets)
    options6.interface_version(octets)


@pytest.mark.parametrize(
    ("name", "octets", "why"),
    [
        ("nothing", b"", "no octets"),
        ("unknown kind", b"\x63\0\0\0", "message type 99"),
        ("short head", b"\x01\0\0", "too few"),
        ("short relay", b"\x0c" + bytes(32), "too few"),
        ("overrun", b"\x01\0\0\1\0\1\0\4ab", "runs over"),
        ("trailing octets", b"\x01\0\0\1\0\1\0", "are left"),
        ("two client ids", b"\x01\0\0\1" + b"\0\1\0\1a" * 2, "comes twice"),
    ],
)
def test_what_is_broken_is_refused(name: str, octets: bytes, why: str) -> None:
    with pytest.raises(DhcpError, match=why):
        decode(octets)


def test_relays_have_an_end() -> None:
    octets = Message(Kind.SOLICIT, 1).encode()
    link = IPv6Address("fd00::1")
    for hops in range(HOP_LIMIT + 1):
        octets = RelayMessage(Kind.RELAY_FORWARD, min(hops, 7), link, link, ((dhcp6.RELAY_MESSAGE, octets),)).encode()
    with pytest.raises(DhcpError, match="more than 8 relays"):
        unwrap(octets)
    deep = RelayMessage(Kind.RELAY_FORWARD, HOP_LIMIT, link, link, ((dhcp6.RELAY_MESSAGE, b"\x01\0\0\1"),)).encode()
    with pytest.raises(DhcpError, match="more than 8 relays"):
        unwrap(deep)
    for odd in (RelayMessage(Kind.RELAY_REPLY, 0, link, link, ((dhcp6.RELAY_MESSAGE, b"\x01\0\0\1"),)),
                RelayMessage(Kind.RELAY_FORWARD, 0, link, link)):  # fmt: skip
        with pytest.raises(DhcpError, match="passes on nothing"):
            unwrap(odd.encode())


@pytest.mark.parametrize(
    ("name", "duid", "mac"),
    [
        ("LLT", "00010001 2a2b2c2d 525400000007", MAC),
        ("LL", "00030001 525400000007", MAC),
        ("UUID", "0004" + "11" * 16, ""),
        ("EN", "0002 00000009 0a0b0c0d", ""),
        ("LL of InfiniBand", "00030020" + "22" * 20, ""),
        ("LL of no card", "00030001 000000000000", ""),
        ("LL multicast", "00030001 535400000007", ""),
        ("LL cut", "00030001 5254", ""),
        ("nothing", "", ""),
    ],
)
def test_n25_the_address_in_a_duid(name: str, duid: str, mac: str) -> None:
    assert options6.duid_link(bytes.fromhex(duid)) == mac


def test_n25_the_address_its_relay_or_its_own_address_tells() -> None:
    assert options6.link_address(bytes.fromhex("0001525400000007")) == MAC
    assert options6.link_address(bytes.fromhex("0020525400000007")) == ""
    assert options6.link_address(None) == ""
    assert options6.eui64_mac(IPv6Address("fe80::5054:ff:fe00:7")) == MAC
    for other in ("fe80::1", "fd00::5054:ff:fe00:7", "fe80::1234:5678:9abc:def0"):
        assert options6.eui64_mac(IPv6Address(other)) == ""


def test_n22_lists_and_their_lengths() -> None:
    assert options6.numbers(bytes.fromhex("00070010")) == (7, 16)
    assert options6.numbers(b"\0") == ()
    assert options6.items(options6.sized([b"iPXE", b"", b"x"])) == (b"iPXE", b"", b"x")
    assert options6.items(b"\0\5ab") == ()
    assert options6.interface_version(b"\x01\x03\x10") == (1, 3, 16)
    assert options6.interface_version(b"\x01\x03") is None
    assert options6.vendor_classes(options6.vendor_class(343, b"a", b"b")) == (343, (b"a", b"b"))
    assert options6.vendor_classes(b"\0\0") == (0, ())


def test_values() -> None:
    assert options6.domains("rack.test") == b"\x04rack\x04test\0"
    for bad in ("", "a..b", "x" * 64, ".".join(["abcdefgh"] * 40)):
        with pytest.raises(DhcpError):
            options6.domains(bad)
    assert options6.duid_uuid(options6.duid_of_uuid(bytes(range(16)))) == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert options6.status_of((options6.status(Status.NO_BINDING, "none"),)) is Status.NO_BINDING
    assert options6.status_of(()) is Status.SUCCESS
    assert options6.status_of(((dhcp6.STATUS_CODE, b"\x03\xe7"),)) is Status.UNSPEC_FAIL
    read = options6.ia_address(IaAddress(ADDRESS, 60, 120).encode())
    assert (read.address, read.preferred, read.valid) == (ADDRESS, 60, 120)
    for cut in (b"", bytes(11)):
        with pytest.raises(DhcpError):
            options6.ia(cut)
    with pytest.raises(DhcpError, match="24 bits"):
        Message(Kind.SOLICIT, 1 << 24).encode()
    with pytest.raises(DhcpError, match="65535"):
        Message(Kind.SOLICIT, 1, ((1, bytes(65536)),)).encode()
