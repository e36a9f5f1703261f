"""Firmware that says it has no PXE class, and installers of switches: as what they are known, and what they get."""

from __future__ import annotations

import pytest

from app.netboot.firmware import classify
from app.netboot.wire import options as opt
from tests.netboot.dhcpworld import Bench, request

CONFIG, PREFIX, REBOOT, DEFAULT_URL, SERVERS = 209, 210, 211, 114, 150
# What petitboot's udhcpc sends (discover/pxe-parser, platform-powerpc): a type, and the options it wants.
PETITBOOT = {
    opt.VENDOR_CLASS: b"udhcp 1.35.0",
    opt.ARCHITECTURE: b"\x00\x0e",
    opt.PARAMETERS: bytes((1, 3, 6, 12, 15, 28, 42, CONFIG, PREFIX, REBOOT)),
}
U_BOOT = {opt.VENDOR_CLASS: b"U-Boot.armv8", opt.ARCHITECTURE: b"\x00\x16", opt.PARAMETERS: bytes((1, 3, 6, 66, 67))}
ONIE = {
    opt.VENDOR_CLASS: b"onie_vendor:x86_64-dell_s6100-r0",
    opt.USER_CLASS: b"onie_dhcp_user_class",
    opt.PARAMETERS: bytes((1, 3, 6, 7, 12, 15, 42, 43, 54, 66, 67, 72, DEFAULT_URL, 125, SERVERS)),
}
POAP = {opt.VENDOR_CLASS: b"Cisco N9K-C93180YC", opt.PARAMETERS: bytes((1, 3, 6, 15, 43, 66, 67, SERVERS))}


@pytest.mark.parametrize(
    ("options", "stage", "title"),
    [
        (PETITBOOT, "rom", "PowerPC OPAL v3 firmware"),
        (U_BOOT, "rom", "U-Boot ARM 64 firmware"),
        ({opt.VENDOR_CLASS: b"U-Boot", opt.ARCHITECTURE: b"\x00\x1b"}, "rom", "U-Boot riscv64 firmware"),
        ({opt.VENDOR_CLASS: b"U-Boot"}, "rom", "U-Boot firmware"),
        (ONIE, "os", "ONIE (onie_vendor:x86_64-dell_s6100-r0)"),
        (POAP, "os", "Cisco power-on provisioning (Cisco N9K-C93180YC)"),
        ({opt.VENDOR_CLASS: b"Arista;DCS-7050S-64;01.06;X"}, "os", "Arista zero-touch provisioning"),
        ({opt.VENDOR_CLASS: b"ciscopnp"}, "os", "Cisco plug and play"),
    ],
    ids=["petitboot", "u-boot", "u-boot riscv64", "u-boot x86", "onie", "poap", "arista", "pnp"],
)
def test_as_what_it_is_known(options: dict[int, bytes], stage: str, title: str) -> None:
    found = classify(request(options=options))

    assert found.stage == stage
    assert found.title.startswith(title)


@pytest.mark.parametrize("options", [ONIE, POAP], ids=["onie", "poap"])
def test_switches_get_no_loader_and_are_told_why(options: dict[int, bytes]) -> None:
    bench = Bench()
    offered = bench.offer(options=options)

    assert not {opt.BOOT_FILE, opt.TFTP_SERVER, opt.VENDOR_CLASS, DEFAULT_URL, SERVERS} & {*offered.options}
    assert "options 67, 114 and 150" in bench.last("dhcp.offer").data["why"]
