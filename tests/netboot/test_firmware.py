"""Who asks: every client the product boots, and the odd ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.netboot.firmware import classify
from app.netboot.wire import options as opt
from app.netboot.wire.pxe import ARCHITECTURES
from tests.netboot.dhcpworld import ipxe, pxe, request

PI = "dc:a6:32:00:00:07"

CASES: list[tuple[str, dict[int, bytes], dict[str, Any]]] = [
    (
        "BIOS PXE",
        pxe(0),
        {"stage": "rom", "arch": 0, "architecture": "amd64", "kind": "bios", "transport": "tftp", "path": "bios-pxe"},
    ),
    (
        "UEFI x64 PXE",
        pxe(7),
        {"stage": "rom", "kind": "uefi", "title": "UEFI x64 PXE firmware", "path": "uefi-pxe", "arch_name": "UEFI x64"},
    ),
    ("UEFI x64 as EBC", pxe(9), {"architecture": "amd64", "kind": "uefi"}),
    ("UEFI arm64 PXE", pxe(11), {"architecture": "arm64", "kind": "uefi", "path": "uefi-pxe"}),
    (
        "UEFI x64 HTTP",
        pxe(16, kind="HTTPClient"),
        {"stage": "rom", "transport": "http", "title": "UEFI x64 HTTP boot firmware", "path": "uefi-http"},
    ),
    ("UEFI arm64 HTTP", pxe(19, kind="HTTPClient"), {"architecture": "arm64", "transport": "http"}),
    ("iPXE bare class", ipxe(0), {"stage": "ipxe", "path": "bios-ipxe", "features": ("http", "tftp")}),
    (
        "P12 iPXE length-prefixed",
        {**ipxe(7, user_class=b"\x04iPXE", features=b"")},
        {"stage": "ipxe", "user_class": "iPXE"},
    ),
    ("iPXE by option 175 alone", {opt.IPXE: b"\x13\x01\x01"}, {"stage": "ipxe", "arch": None, "path": "unknown-ipxe"}),
    ("iPXE called PXEClient with type 16", ipxe(16), {"stage": "ipxe", "path": "uefi-ipxe"}),
    ("P14 no architecture at all", pxe(None), {"stage": "rom", "arch": 0, "kind": "bios"}),
    ("architecture in the class only", {opt.VENDOR_CLASS: b"PXEClient:Arch:00007:UNDI:003016"}, {"arch": 7}),
    ("HTTPClient without a type", pxe(None, kind="HTTPClient"), {"arch": None, "transport": "http"}),
    ("P15 several types", {**pxe(7), opt.ARCHITECTURE: b"\x00\x06\x00\x09"}, {"arch": 9, "archs": (6, 9)}),
    (
        "P16 unknown type",
        pxe(0xFF),
        {"arch": 255, "arch_name": "architecture 255 (0x00ff)", "kind": "", "architecture": ""},
    ),
    (
        "udhcpc",
        {opt.VENDOR_CLASS: b"udhcp 1.35.0"},
        {"stage": "os", "title": "an operating system (udhcp 1.35.0)", "path": ""},
    ),
    (
        "M16 odd options",
        {opt.ARCHITECTURE: b"\x07", opt.MACHINE_GUID: b"x", opt.USER_CLASS: b"\xff"},
        {"stage": "os", "guid": ""},
    ),
    ("GUID", pxe(7), {"guid": "04030201-0605-0807-090a-0b0c0d0e0f10"}),
    (
        "M15 hostile strings are made plain",
        {opt.HOST_NAME: b"a\x1b[31m\0/$(x)", opt.VENDOR_CLASS: b"PXEClient\x1b]0;x\x07"},
        {"hostname": "a.[31m./$(x)", "vendor_class": "PXEClient.]0;x."},
    ),
]


@pytest.mark.parametrize(("name", "options", "expected"), CASES, ids=[case[0] for case in CASES])
def test_classify(name: str, options: dict[int, bytes], expected: dict[str, Any]) -> None:
    found = classify(request(options=options))

    assert {key: getattr(found, key) for key in expected} == expected


@pytest.mark.parametrize("number", sorted(ARCHITECTURES))
def test_every_registered_type_has_words(number: int) -> None:
    found = classify(request(options=pxe(number)))

    assert found.arch_name == ARCHITECTURES[number].name
    assert found.arch_name in found.title


def test_p19_raspberry_pi_is_no_bios() -> None:
    options = {**pxe(0), opt.VENDOR_CLASS: b"PXEClient:Arch:00000:UNDI:002001"}

    assert classify(request(mac=PI, options=options)).raspberry_pi
    assert classify(request(mac=PI, options=options)).kind == ""
    assert not classify(request(options=options)).raspberry_pi


@given(st.dictionaries(st.sampled_from([12, 43, 60, 77, 93, 94, 97, 175]), st.binary(max_size=300)))
def test_any_options_are_classified_and_safe_to_show(options: dict[int, bytes]) -> None:
    found = classify(request(options=options))

    assert found.stage in ("rom", "ipxe", "os")
    for text in (
        found.title,
        found.vendor_class,
        found.user_class,
        found.hostname,
        found.arch_name,
        found.ipxe_version,
    ):
        assert text.isprintable()
