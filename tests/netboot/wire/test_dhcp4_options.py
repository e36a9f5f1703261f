"""Options, sub-options and PXE's own encodings."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.netboot.wire import options as opt
from app.netboot.wire import pxe
from app.netboot.wire.options import DhcpError


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("bare iPXE", b"iPXE", [b"iPXE"]),
        ("P12 length-prefixed", b"\x04iPXE", [b"iPXE"]),
        ("two classes", b"\x04iPXE\x03abc", [b"iPXE", b"abc"]),
        ("M16 overrun is bare text", b"\x09iPXE", [b"\x09iPXE"]),
        ("M16 zero length is bare text", b"\x00abc", [b"\x00abc"]),
        ("empty", b"", []),
    ],
)
def test_user_classes(name: str, value: bytes, expected: list[bytes]) -> None:
    assert opt.classes(value) == expected


def test_suboptions_join_and_refuse() -> None:
    assert opt.suboptions(b"\x01\x02ab\x05\x04\x0a\x07\x00\x00") == {1: b"ab", 5: b"\x0a\x07\x00\x00"}
    for broken in (b"\x01", b"\x01\x05ab", b"\x01\x02ab\x05"):
        with pytest.raises(DhcpError):
            opt.suboptions(broken)


@given(st.binary(max_size=255))
def test_m08_any_octets_are_suboptions_or_a_dhcp_error(value: bytes) -> None:
    for padded in (False, True):
        found: dict[int, bytes] = {}
        with contextlib.suppress(DhcpError):
            found = opt.suboptions(value, padded=padded)

        assert sum(len(item) for item in found.values()) <= len(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (b"", None),
        (b"\x0a\x07\x00", None),
        (b"\x0a\x07\x00\x01", IPv4Address("10.7.0.1")),
        (bytes(5), None),
    ],
)
def test_n17_addresses_of_wrong_length_are_ignored(value: bytes | None, expected: IPv4Address | None) -> None:
    assert opt.address(value) == expected


def test_seconds_never_mean_infinity() -> None:
    assert opt.seconds(0xFFFFFFFF) == b"\xff\xff\xff\xfe"
    assert opt.seconds(-1) == bytes(4)


def test_raspberry_pi_octets() -> None:
    golden = bytes.fromhex("0601030a040050584509140000 11".replace(" ", "")) + b"Raspberry Pi Boot\xff"

    assert golden == pxe.RASPBERRY_PI_OPTIONS


def test_use_this_file_octets() -> None:
    assert bytes.fromhex("060108ff") == pxe.USE_THIS_FILE


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("one", b"\x00\x07", (7,)),
        ("two", b"\x00\x07\x00\x09", (7, 9)),
        ("odd", b"\x00\x07\x00", (7,)),
        ("one octet", b"\x07", ()),
        ("none", b"", ()),
    ],
)
def test_architectures(name: str, value: bytes, expected: tuple[int, ...]) -> None:
    assert pxe.architectures(value) == expected


def test_architecture_table_is_whole() -> None:
    assert sorted(pxe.ARCHITECTURES) == list(range(42))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"PXEClient:Arch:00007:UNDI:003016", 7),
        (b"HTTPClient:Arch:00016:UNDI:003001", 16),
        (b"PXEClient", None),
        (b"PXEClient:Arch:000x7", None),
        (b"PXEClient:Arch:", None),
    ],
)
def test_class_architecture(value: bytes, expected: int | None) -> None:
    assert pxe.class_architecture(value) == expected


def test_ipxe_features() -> None:
    # What Debian 12's iPXE sends: pxeext, version 1.0.0, http, dns, bzimage … (captured, shortened).
    value = bytes.fromhex("b105011af41000eb03010000 170101 150101 130101 110101 270101 190101 100102 210101 180101")

    names, version = pxe.ipxe_features(value)
    assert {"http", "tftp", "dns", "bzimage", "pxe", "menu"} <= set(names)
    assert version == "1.0.0"
    assert pxe.ipxe_features(b"\x13\x05") == ((), "")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (bytes.fromhex("00 33221100 5544 7766 8899 aabbccddeeff"), "00112233-4455-6677-8899-aabbccddeeff"),
        (bytes(17), ""),
        (b"\0" + b"\xff" * 16, ""),
        (b"\x01" + bytes(range(16)), ""),
        (bytes(range(16)), ""),
    ],
)
def test_guid(value: bytes, expected: str) -> None:
    assert pxe.guid(value) == expected


def test_boot_item() -> None:
    assert pxe.boot_item(bytes.fromhex("470480000000ff")) == bytes.fromhex("80000000")
    assert pxe.boot_item(b"\x47\x02\x80\x00\xff") is None
    assert pxe.boot_item(b"\x47\x09\x80") is None
