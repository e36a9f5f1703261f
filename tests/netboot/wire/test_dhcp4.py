"""The DHCP codec: golden octets, tables of odd input, properties."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import COOKIE, ZERO, DhcpError, DhcpPacket, MessageType, decode, payload_limit

MAC = bytes.fromhex("525400000007")


def discover(options: dict[int, bytes] | None = None, **fields: object) -> DhcpPacket:
    known: dict[str, object] = {"op": 1, "xid": 0x11223344, "chaddr": MAC, **fields}
    return DhcpPacket(options={opt.MESSAGE_TYPE: b"\x01", **(options or {})}, **known)  # type: ignore[arg-type]


def raw(
    area: bytes, *, sname: bytes = b"", file: bytes = b"", hlen: int = 6, op: int = 1, cookie: bytes = COOKIE
) -> bytes:
    head = bytes((op, 1, hlen, 0)) + bytes.fromhex("11223344") + bytes(20) + MAC.ljust(16, b"\0")
    return head + sname.ljust(64, b"\0") + file.ljust(128, b"\0") + cookie + area


def test_golden_offer() -> None:
    packet = DhcpPacket(
        op=2,
        xid=0x39F8A1C2,
        chaddr=MAC,
        flags=0x8000,
        yiaddr=IPv4Address("10.7.0.101"),
        siaddr=IPv4Address("10.7.0.1"),
        file=b"ipxe.efi",
        options={
            opt.ROUTER: bytes((10, 7, 0, 1)),
            opt.SUBNET_MASK: bytes((255, 255, 255, 0)),
            opt.BOOT_FILE: b"ipxe.efi",
            opt.RELAY_AGENT: b"\x01\x02ab",
            opt.LEASE_TIME: opt.seconds(3600),
            opt.SERVER_ID: bytes((10, 7, 0, 1)),
            opt.MESSAGE_TYPE: b"\x02",
        },
    )
    golden = (
        "02010600 39f8a1c2 0000 8000 00000000 0a070065 0a070001 00000000"
        + "525400000007" + "00" * 10 + "00" * 64 + b"ipxe.efi".hex() + "00" * 120
        + "63825363"
        + "350102" + "36040a070001" + "330400000e10" + "0104ffffff00" + "03040a070001"
        + "4308" + b"ipxe.efi".hex() + "520401026162" + "ff"
    )  # fmt: skip
    octets = packet.encode()

    assert octets == bytes.fromhex(golden).ljust(300, b"\0")
    assert decode(octets) == packet


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("M01 empty", b""),
        ("M01 one octet", b"\x01"),
        ("M01 43 octets", bytes(43)),
        ("M01 235 octets", bytes(235)),
        ("M02 cookie", raw(b"\x35\x01\x01\xff", cookie=b"\x63\x82\x53\x64")),
        ("M03-like operation 3", raw(b"\x35\x01\x01\xff", op=3)),
        ("M04 hlen 17", raw(b"\x35\x01\x01\xff", hlen=17)),
        ("M04 hlen 255", raw(b"\x35\x01\x01\xff", hlen=255)),
        ("M05 option overruns", raw(b"\x35\x01\x01\x0c\x40abc")),
        ("M05 option without length", raw(b"\x35\x01\x01\x0c")),
        ("M05 overruns inside file", raw(b"\x35\x01\x01\x34\x01\x01\xff", file=b"\x01" * 127 + b"\xff")),
    ],
)
def test_refused(name: str, octets: bytes) -> None:
    with pytest.raises(DhcpError):
        decode(octets)


@pytest.mark.parametrize(
    ("name", "octets", "code", "value"),
    [
        (
            "A25 pads between options",
            raw(b"\0\0\x35\x01\x01\0\0\0\x32\x04\x0a\x07\x00\x65\xff"),
            50,
            b"\x0a\x07\x00\x65",
        ),
        ("A25 no END", raw(b"\x35\x01\x01\x32\x04\x0a\x07\x00\x65"), 50, b"\x0a\x07\x00\x65"),
        ("A26 split client id", raw(b"\x35\x01\x01\x3d\x02\x00ab\x3d\x02cd\xff".replace(b"\x00a", b"a")), 61, b"abcd"),
        (
            "A27 in file",
            raw(b"\x35\x01\x01\x34\x01\x01\xff", file=b"\x32\x04\x0a\x07\x00\x65\xff"),
            50,
            b"\x0a\x07\x00\x65",
        ),
        (
            "A28 in sname",
            raw(b"\x35\x01\x01\x34\x01\x02\xff", sname=b"\x32\x04\x0a\x07\x00\x65"),
            50,
            b"\x0a\x07\x00\x65",
        ),
        (
            "M10 nested overload",
            raw(b"\x35\x01\x01\x34\x01\x03\xff", sname=b"\x34\x01\x03\x0c\x01b", file=b"\x34\x01\x03\x0c\x01a"),
            12,
            b"ab",
        ),
        ("M12 1200 pads", raw(b"\x35\x01\x01" + bytes(1200)), 53, b"\x01"),
        ("M11 empty option", raw(b"\x35\x01\x01\x0c\x00\xff"), 12, b""),
        ("after END nothing counts", raw(b"\x35\x01\x01\xff\x0c\x01a"), 53, b"\x01"),
    ],
)
def test_tolerated(name: str, octets: bytes, code: int, value: bytes) -> None:
    packet = decode(octets)

    assert packet.options[code] == value
    assert packet.message is MessageType.DISCOVER
    assert opt.OVERLOAD not in packet.options


def test_m11_every_code_with_no_length() -> None:
    packet = decode(raw(b"".join(bytes((code, 0)) for code in range(1, 255)) + b"\xff"))

    assert packet.message is None
    assert len(packet.options) == 253  # all but overload, which the codec keeps to itself


@pytest.mark.parametrize("value", [b"", b"\x01\x01", b"\x00", b"\x09", b"\x63", b"\xff"])
def test_m06_odd_message_types_are_none(value: bytes) -> None:
    assert decode(discover({opt.MESSAGE_TYPE: value}).encode()).message is None


def test_a05_a12_layout_of_a_small_reply() -> None:
    octets = discover({opt.SERVER_ID: bytes(4)}).encode()

    assert len(octets) == 300
    assert octets[240:] == b"\x35\x01\x01\x36\x04\0\0\0\0\xff".ljust(60, b"\0")


def test_r04_relay_option_is_last_whatever_the_order() -> None:
    octets = discover({opt.RELAY_AGENT: b"\x01\x01x", opt.HOST_NAME: b"a"}).encode()

    assert octets[240:].rstrip(b"\0").endswith(b"\x52\x03\x01\x01x\xff")


def test_a22_fits_and_keeps_what_matters() -> None:
    wide = {code: bytes(40) for code in (15, 66, 67, 43, 60, 97, 119, 121)}
    kept = {opt.SERVER_ID: bytes(4), opt.LEASE_TIME: bytes(4), opt.CLIENT_ID: bytes(100), opt.RELAY_AGENT: bytes(20)}
    request = discover({opt.MAX_SIZE: (576).to_bytes(2, "big")})
    octets = discover({**wide, **kept}).encode(payload_limit(request))
    found = decode(octets).options

    assert len(octets) <= 548
    assert set(kept) <= set(found)
    # The mapping's order is the order of importance.
    assert 15 in found
    assert 121 not in found


@pytest.mark.parametrize(
    ("value", "limit"),
    [(b"", 548), (b"\x02", 548), (b"\x00\x64", 548), (b"\x02\x40", 548), (b"\x04\xec", 1232), (b"\xff\xff", 1472)],
)
def test_payload_limit(value: bytes, limit: int) -> None:
    assert payload_limit(discover({opt.MAX_SIZE: value})) == limit


def test_long_values_are_split() -> None:
    value = bytes(range(256)) * 2
    octets = discover({119: value}).encode()

    assert b"\x77\xff" + value[:255] + b"\x77\xff" + value[255:510] + b"\x77\x02" + value[510:] in octets
    assert decode(octets).options[119] == value


@pytest.mark.parametrize(
    ("name", "packet"),
    [
        ("chaddr", discover(chaddr=bytes(17))),
        ("file", discover(file=b"x" * 129)),
        ("sname", discover(sname=b"x" * 65)),
        ("xid", discover(xid=1 << 32)),
        ("option 0", discover({0: b""})),
        ("option 255", discover({255: b""})),
        ("option 52", discover({52: b"\x01"})),
    ],
)
def test_values_that_cannot_be_sent(name: str, packet: DhcpPacket) -> None:
    with pytest.raises(DhcpError):
        packet.encode()


addresses = st.integers(0, 0xFFFFFFFF).map(IPv4Address)
codes = st.integers(1, 254).filter(lambda code: code != opt.OVERLOAD)
texts = st.binary(max_size=60).filter(lambda text: b"\0" not in text)
packets = st.builds(
    DhcpPacket,
    op=st.sampled_from((1, 2)),
    xid=st.integers(0, 0xFFFFFFFF),
    chaddr=st.binary(max_size=16),
    htype=st.integers(0, 255),
    hops=st.integers(0, 255),
    secs=st.integers(0, 65535),
    flags=st.integers(0, 65535),
    ciaddr=addresses,
    yiaddr=addresses,
    siaddr=addresses,
    giaddr=addresses,
    sname=texts,
    file=texts,
    options=st.dictionaries(codes, st.binary(max_size=300), max_size=12),
)


def read(octets: bytes) -> DhcpPacket | DhcpError:
    """What decoding gave; an exception of any other kind fails the test."""
    try:
        return decode(octets)
    except DhcpError as error:
        return error


@given(packets)
def test_round_trip(packet: DhcpPacket) -> None:
    assert decode(packet.encode(limit=65507)) == packet


@given(st.binary(max_size=700))
def test_any_octets_give_a_packet_or_a_dhcp_error(octets: bytes) -> None:
    for candidate in (
        octets,
        raw(octets),
        raw(b"\x35\x01\x01\x34\x01\x03" + octets, file=octets[:128], sname=octets[:64]),
    ):
        found = read(candidate)

        assert str(found)
        if isinstance(found, DhcpPacket):
            assert decode(found.encode(limit=65507)) == found


@given(packets, st.integers(0, 600), st.binary(min_size=1, max_size=4))
def test_damaged_messages_give_a_packet_or_a_dhcp_error(packet: DhcpPacket, at: int, damage: bytes) -> None:
    octets = bytearray(packet.encode(limit=65507))
    octets[at : at + len(damage)] = damage

    assert str(read(bytes(octets)))


@given(packets, st.integers(548, 1472))
def test_limit_is_kept_where_the_indispensable_fits(packet: DhcpPacket, limit: int) -> None:
    kept = sum(
        len(opt.pack({code: value}, 0)) - 1 for code, value in packet.options.items() if code in (53, 54, 51, 61, 82)
    )

    assert len(packet.encode(limit)) <= max(limit, 241 + kept)


def test_defaults_are_empty() -> None:
    packet = DhcpPacket(op=1, xid=0)

    assert (packet.ciaddr, packet.mac, packet.message, packet.broadcast) == (ZERO, "", None, False)
