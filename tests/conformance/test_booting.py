"""Firmware and what it is told to boot, where this server gives the addresses (P items)."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import Lan
from tests.conformance.station import ACK, GUID, Options, Reply, ip, ipxe, new_mac, pxe, walk

pytestmark = pytest.mark.root

SERVER = "10.7.0.1"
BIOS = "undionly.kpxe"
RASPBERRY_PI: Options = [
    (60, b"PXEClient:Arch:00000:UNDI:002001"),
    (93, b"\0\0"),
    (94, b"\x01\x02\x01"),
    (97, bytes(1) + b"RPi4" + bytes(12)),
    (55, bytes((1, 3, 43, 60, 66, 67, 128, 129, 130, 131, 132, 133, 134, 135))),
]


def told(lan: Lan, words: Options) -> Reply:
    """The OFFER to a client of this kind."""
    return lan.client(words=words).discover()


def parts(value: bytes) -> dict[int, bytes]:
    """The parts of option 43, which END must close."""
    listed, ended = walk(value)
    assert ended
    return dict(listed)


def test_p01_bios_firmware(lan: Lan) -> None:
    offer = told(lan, pxe(0))

    assert (offer.boot, offer.bootp.siaddr, offer.options[66]) == (BIOS, SERVER, SERVER.encode())


def test_p02_uefi_x64(lan: Lan) -> None:
    assert told(lan, pxe(7)).boot == "ipxe.efi"


def test_p03_uefi_x64_that_says_it_is_byte_code(lan: Lan) -> None:
    assert told(lan, pxe(9)).boot == "ipxe.efi"


def test_p04_uefi_arm64(lan: Lan) -> None:
    assert told(lan, pxe(11)).boot == "ipxe-arm64.efi"


def test_p05_uefi_ia32(lan: Lan) -> None:
    offer = told(lan, pxe(6))

    assert offer.boot == "ipxe-ia32.efi"


def test_p06_uefi_riscv64(lan: Lan) -> None:
    assert told(lan, pxe(27)).boot in ("", "ipxe-riscv64.efi")


@pytest.mark.parametrize("user_class", [b"", b"iPXE"], ids=["firmware", "iPXE in the firmware"])
def test_p07_http_boot_on_x64(lan: Lan, user_class: bytes) -> None:
    words = pxe(16, "HTTPClient")
    offer = told(lan, [*words, (77, user_class)] if user_class else words)

    assert offer.options[60].startswith(b"HTTPClient")
    assert offer.boot.startswith(f"http://{SERVER}:8090/")
    assert user_class or offer.boot.endswith("/ipxe.efi")


def test_p08_http_boot_on_arm64(lan: Lan) -> None:
    offer = told(lan, pxe(19, "HTTPClient"))

    assert offer.options[60].startswith(b"HTTPClient")
    assert offer.boot == f"http://{SERVER}:8090/ipxe-arm64.efi"


@pytest.mark.parametrize("arch", [None, 0, 6, 7, 9, 10, 11, 27, 0xFF])
def test_p09_who_is_told_pxeclient_is_told_where_to_go(lan: Lan, arch: int | None) -> None:
    for words in (pxe(arch), ipxe(arch or 0), RASPBERRY_PI):
        offer = told(lan, words)
        if offer.options.get(60, b"").startswith(b"PXEClient"):
            assert {6, 8, 9, 71} & set(parts(offer.options[43]))


def test_p10_the_guid_comes_back(lan: Lan) -> None:
    client = lan.client(words=pxe(7))
    offer = client.discover()

    assert (offer.options[97], client.take(offer).options[97]) == (GUID, GUID)


@pytest.mark.parametrize("arch", [0, 7, 11])
@pytest.mark.parametrize(
    ("user_class", "features"),
    [(b"iPXE", b"\x13\x01\x01"), (b"iPXE", b""), (b"", b"\x13\x01\x01")],
    ids=["class and features", "class", "features"],
)
def test_p11_ipxe_gets_its_script(lan: Lan, arch: int, user_class: bytes, features: bytes) -> None:
    client = lan.client(words=ipxe(arch, user_class, features))
    offer = client.discover()

    for boot in (offer.boot, client.take(offer).boot):
        assert boot == f"http://{SERVER}:8090/boot/{client.mac.replace(':', '-')}.ipxe"


def test_p12_ipxe_with_a_class_that_has_its_length(lan: Lan) -> None:
    assert told(lan, ipxe(7, b"\x04iPXE", b"")).boot.endswith(".ipxe")
    assert told(lan, ipxe(7, b"\x05other\x04iPXE", b"")).boot.endswith(".ipxe")


@pytest.mark.parametrize("words", [[], [(60, b"MSFT 5.0")], [(60, b"udhcp 1.35.0")]], ids=["none", "MSFT", "udhcp"])
def test_p13_who_does_not_boot_is_told_nothing_of_it(lan: Lan, words: Options) -> None:
    client = lan.client(words=[*words, (55, bytes((1, 3, 43, 60, 66, 67)))])
    offer = client.discover()

    for reply in (offer, client.take(offer)):
        assert {43, 60, 66, 67} & set(reply.options) == set()
        assert (reply.boot, reply.bootp.siaddr) == ("", "0.0.0.0")


def test_p14_pxeclient_that_says_no_more(lan: Lan) -> None:
    assert told(lan, pxe(None)).boot == BIOS


@pytest.mark.parametrize("archs", [b"\0\x07\0\x09", b"\0\x09\0\x07", b"\0\x06\0\x07"], ids=lambda text: text.hex())
def test_p15_several_architectures(lan: Lan, archs: bytes) -> None:
    words = [(code, value) for code, value in pxe(7) if code != 93]

    assert told(lan, [*words, (93, archs)]).boot == "ipxe.efi"


def test_p16_an_architecture_nobody_knows(lan: Lan) -> None:
    client = lan.client(words=pxe(0x00FF))
    offer = client.discover()

    assert (offer.boot, client.take(offer).kind) == ("", ACK)
    lan.unharmed()


@pytest.mark.parametrize(
    "words", [pxe(0), pxe(7), ipxe(7), pxe(16, "HTTPClient")], ids=["bios", "uefi", "ipxe", "http"]
)
def test_p17_the_file_field_is_closed(lan: Lan, words: Options) -> None:
    offer = told(lan, words)
    field = offer.octets[108:236]

    assert b"\0" in field
    assert field.rstrip(b"\0") == offer.options[67]


@pytest.mark.parametrize("words", [pxe(0), pxe(7), ipxe(0)], ids=["bios", "uefi", "ipxe"])
def test_p18_the_ack_names_what_the_offer_named(lan: Lan, words: Options) -> None:
    client = lan.client(words=words)
    offer = client.discover()
    ack = client.take(offer)

    assert (ack.boot, ack.file, ack.bootp.siaddr) == (offer.boot, offer.file, offer.bootp.siaddr)
    assert ack.options.get(66) == offer.options.get(66)


def test_p19_a_raspberry_pi(lan: Lan) -> None:
    mac = "dc:a6:32" + new_mac()[8:]
    client = lan.client(words=RASPBERRY_PI, mac=mac)
    offer = client.discover()
    # Its REQUEST does not say what it is.
    client.words = []
    ack = client.take(offer)

    for reply in (offer, ack):
        assert reply.options[60] == b"PXEClient"
        assert b"Raspberry Pi Boot" in parts(reply.options[43])[9]
    assert offer.options[66] == SERVER.encode() or offer.bootp.siaddr == SERVER
    assert ip(SERVER) == offer.options[54]
