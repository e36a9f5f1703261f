"""What is missing is named as the Debian package that brings it."""

from __future__ import annotations

import pytest

from app.errors import BootcartError
from app.services.lab import build, firmware, needs, qemu

BIOS, UEFI, ARM64 = (build.read(kind) for kind in ("bios", "uefi", "arm64"))
SECURE = build.read("uefi:secureboot=on")
QEMU = {architecture: binary for architecture, (binary, _) in qemu.BINARIES.items()}


def _here(_: str) -> str | None:
    return "/usr/bin/it"


def _images(*keys: tuple[str, bool]) -> set[str]:
    return {str(path) for key in keys for pair in firmware.PAIRS[key] for path in (pair.code, pair.variables)}


@pytest.mark.parametrize(
    ("builds", "absent", "packages"),
    [
        ([BIOS, UEFI, ARM64, SECURE], set[str](), []),
        ([BIOS], {QEMU["amd64"], QEMU["arm64"]}, ["qemu-system-x86"]),
        ([ARM64], {QEMU["amd64"], QEMU["arm64"]}, ["qemu-system-arm"]),
        ([UEFI], {"ip", "setpriv", "nsenter"}, ["iproute2", "util-linux"]),
        ([BIOS, UEFI], {str(firmware.NETWORK_ROM)}, ["ipxe-qemu"]),
        ([UEFI, ARM64], {str(firmware.NETWORK_ROM)}, []),
        ([BIOS, UEFI], _images(("amd64", False)), ["ovmf"]),
        ([BIOS, UEFI], _images(("amd64", True), ("arm64", False)), []),
        ([SECURE], _images(("amd64", True)), ["ovmf"]),
        ([ARM64], _images(("arm64", False)), ["qemu-efi-aarch64"]),
        ([], {QEMU["amd64"]}, []),
    ],
)
def test_packages(builds: list[build.Build], absent: set[str], packages: list[str]) -> None:
    found = needs.missing(
        builds, lambda name: None if name in absent else "/usr/bin/it", lambda path: str(path) not in absent
    )

    assert found == packages


def test_half_a_firmware_is_none() -> None:
    codes = {str(pair.code) for pair in firmware.PAIRS["amd64", False]}

    assert needs.missing([UEFI], _here, lambda path: str(path) in codes) == ["ovmf"]


def test_each_architecture_needs_its_own_discovery_image() -> None:
    assert needs.images([BIOS, UEFI]) == ["amd64"]
    assert needs.images([ARM64, UEFI, ARM64]) == ["amd64", "arm64"]


def test_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "missing", lambda _: ["ovmf", "qemu-system-x86"])

    with pytest.raises(BootcartError) as caught:
        needs.check([UEFI])

    assert caught.value.hint == "apt-get install ovmf qemu-system-x86"
