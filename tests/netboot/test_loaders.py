"""Every registered architecture type: what it is served, or why nothing is (IANA registry, checked to 41)."""

from __future__ import annotations

import pytest

from app.model.engine import PREFERENCES
from app.netboot.decide import Withheld
from app.netboot.loaders import LOADERS, SHIMS, loader_of, signed_loader, started_by_shim
from app.netboot.wire import options as opt
from app.netboot.wire.pxe import ARCHITECTURES
from tests.netboot.dhcpworld import Bench, World, pxe

HTTP = "http://10.7.0.1:8090"
CHOSEN = {
    "loader-ia32": "ipxe-ia32.efi",
    "loader-arm32": "ipxe-arm32.efi",
    "loader-riscv64": "tree/riscv64.efi",
    "loader-loong64": "tree/ipxe-loong64.efi",
}
# Type → the file of a fresh Bootcart, the file where an operator has named one, or words of why there is none.
TABLE: dict[int, tuple[str, str, str]] = {
    0: ("undionly.kpxe", "undionly.kpxe", ""),
    1: ("", "", "nothing boots on it any more"),
    2: ("", "", "nothing boots on it any more"),
    3: ("", "", "nothing boots on it any more"),
    4: ("", "", "nothing boots on it any more"),
    5: ("", "", "nothing boots on it any more"),
    6: ("", "ipxe-ia32.efi", "preference loader-ia32"),
    7: ("ipxe.efi", "ipxe.efi", ""),
    8: ("", "", "nothing boots on it any more"),
    9: ("ipxe.efi", "ipxe.efi", ""),
    10: ("", "ipxe-arm32.efi", "preference loader-arm32"),
    11: ("ipxe-arm64.efi", "ipxe-arm64.efi", ""),
    12: ("", "", "GRUB's core.elf"),
    13: ("", "", "GRUB's core.elf"),
    14: ("menus/ppc64el/pxelinux.cfg", "menus/ppc64el/pxelinux.cfg", ""),
    15: ("", f"{HTTP}/ipxe-ia32.efi", "preference loader-ia32"),
    16: (f"{HTTP}/ipxe.efi", f"{HTTP}/ipxe.efi", ""),
    17: (f"{HTTP}/ipxe.efi", f"{HTTP}/ipxe.efi", ""),
    18: ("", f"{HTTP}/ipxe-arm32.efi", "preference loader-arm32"),
    19: (f"{HTTP}/ipxe-arm64.efi", f"{HTTP}/ipxe-arm64.efi", ""),
    20: (f"{HTTP}/undionly.kpxe", f"{HTTP}/undionly.kpxe", ""),
    21: ("menus/armhf/pxelinux.cfg", "menus/armhf/pxelinux.cfg", ""),
    22: ("menus/arm64/pxelinux.cfg", "menus/arm64/pxelinux.cfg", ""),
    23: ("", "", "as type 21"),
    24: ("", "", "as type 22"),
    25: ("", "", "iPXE is not built for it"),
    26: ("", "", "iPXE is not built for it"),
    27: ("ipxe-riscv64.efi", "tree/riscv64.efi", ""),
    28: (f"{HTTP}/ipxe-riscv64.efi", f"{HTTP}/tree/riscv64.efi", ""),
    29: ("", "", "iPXE is not built for it"),
    30: ("", "", "iPXE is not built for it"),
    31: ("", "", "none of Bootcart's is for it"),
    32: ("", "", "(.ins)"),
    33: ("", "", "iPXE is not built for it"),
    34: ("", "", "iPXE is not built for it"),
    35: ("", "", "iPXE is not built for it"),
    36: ("", "", "iPXE is not built for it"),
    37: ("", "", "iPXE is not built for it"),
    38: ("", "", "iPXE is not built for it"),
    39: ("ipxe-loong64.efi", "tree/ipxe-loong64.efi", ""),
    40: (f"{HTTP}/ipxe-loong64.efi", f"{HTTP}/tree/ipxe-loong64.efi", ""),
    41: ("bootcode.bin", "bootcode.bin", ""),
    0xFF: ("", "", "nobody has registered it"),
}


def _kind(number: int) -> str:
    known = ARCHITECTURES.get(number)
    return "HTTPClient" if known is not None and known.transport == "http" else "PXEClient"


def test_the_tables_hold_the_same_types() -> None:
    assert [*ARCHITECTURES] == [*LOADERS] == [*range(42)]
    assert {*TABLE} == {*LOADERS, 0xFF}
    for number, loader in LOADERS.items():
        served = any(one.default for one in PREFERENCES if one.name == loader.preference)
        assert [bool(loader.why), served, loader.menu].count(True) == 1, number


@pytest.mark.parametrize("number", TABLE)
def test_what_each_type_is_offered(number: int) -> None:
    fresh, chosen, why = TABLE[number]
    for prefs, file in (({}, fresh), (CHOSEN, chosen)):
        bench = Bench(World(prefs=prefs))
        options = bench.offer(options=pxe(number, kind=_kind(number))).options
        told = bench.last("dhcp.offer")

        assert options.get(opt.BOOT_FILE, b"").decode() == file == told.data["bootfile"]
        assert (told.data["reason"] == Withheld.UNSUPPORTED_ARCH.value) is not bool(file)
        if not file:
            # The event says why, and the firmware is not kept waiting for a boot server.
            assert why in told.data["why"]
            assert why in told.message
            assert opt.TFTP_SERVER not in options
            assert opt.VENDOR_CLASS not in options


@pytest.mark.parametrize("number", [6, 10, 11, 27, 39, 0xFF])
def test_p16_nothing_but_bios_is_given_bios_code(number: int) -> None:
    for prefs in ({}, CHOSEN):
        assert b"kpxe" not in Bench(World(prefs=prefs)).offer(options=pxe(number)).options.get(opt.BOOT_FILE, b"")


def test_bios_code_is_not_given_by_http_to_who_names_no_bios_that_can() -> None:
    file, why = loader_of(0, "http", lambda name: name)
    assert (file, "HTTP" in why) == ("", True)
    assert loader_of(20, "http", lambda name: name) == ("loader-bios", "")
    assert loader_of(None, "http", lambda name: name)[0] == ""


def test_a_loader_that_an_operator_took_away_is_missed_by_its_preference() -> None:
    assert loader_of(27, "tftp", lambda _: "") == ("", "the preference loader-riscv64 names none")


def test_each_chain_has_a_signed_loader_for_x64_and_arm64() -> None:
    for chain in ("grub", "ipxe"):
        found = {arch: signed_loader(arch, chain) for arch in (*LOADERS, None, 0xFF)}
        assert {arch for arch, file in found.items() if file} == {7, 9, 11, 16, 17, 19}
        assert {*found.values()} - {""} <= SHIMS
        assert (found[7], found[11]) == (found[16], found[19])
    assert signed_loader(7, "") == ""
    assert (signed_loader(7, "grub"), signed_loader(11, "grub")) == ("shimx64.efi", "shimaa64.efi")


def test_what_shim_looks_at_is_no_matter_of_the_firmware() -> None:
    second = ("grubx64.efi", "sub/grubaa64.efi", "mmx64.efi", "signed-ipxe/amd64/ipxe.efi")
    assert all(started_by_shim(path) for path in second)
    assert not any(started_by_shim(path) for path in (*SHIMS, "ipxe.efi", "snponly.efi", "ipxe-arm64.efi"))
