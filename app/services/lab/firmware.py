"""Where firmware images for virtual machines lie, and which Debian package brings them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.services.lab.build import Build

NETWORK_ROM = Path("/usr/lib/ipxe/qemu/pxe-virtio.rom")
"""iPXE for QEMU's network card under BIOS."""

_OVMF, _AAVMF = Path("/usr/share/OVMF"), Path("/usr/share/AAVMF")


@dataclass(frozen=True, slots=True)
class Pair:
    """UEFI: its code, and a variable store to start from."""

    code: Path
    variables: Path


# By architecture and Secure Boot, the best first; distributions name them differently.
PAIRS: dict[tuple[str, bool], tuple[Pair, ...]] = {
    ("amd64", False): (
        Pair(_OVMF / "OVMF_CODE_4M.fd", _OVMF / "OVMF_VARS_4M.fd"),
        Pair(_OVMF / "OVMF_CODE.fd", _OVMF / "OVMF_VARS.fd"),
    ),
    ("amd64", True): (
        Pair(_OVMF / "OVMF_CODE_4M.secboot.fd", _OVMF / "OVMF_VARS_4M.ms.fd"),
        Pair(_OVMF / "OVMF_CODE.secboot.fd", _OVMF / "OVMF_VARS.ms.fd"),
    ),
    # The newer packages have a build without Secure Boot, whose boot menu is reached sooner.
    ("arm64", False): (
        Pair(_AAVMF / "AAVMF_CODE.no-secboot.fd", _AAVMF / "AAVMF_VARS.fd"),
        Pair(_AAVMF / "AAVMF_CODE.fd", _AAVMF / "AAVMF_VARS.fd"),
    ),
    ("arm64", True): (
        Pair(_AAVMF / "AAVMF_CODE.secboot.fd", _AAVMF / "AAVMF_VARS.ms.fd"),
        Pair(_AAVMF / "AAVMF_CODE.fd", _AAVMF / "AAVMF_VARS.ms.fd"),
    ),
}

PACKAGES = {"amd64": "ovmf", "arm64": "qemu-efi-aarch64"}


def find(build: Build, is_file: Callable[[Path], bool] = Path.is_file) -> Pair | None:
    """The UEFI images this machine starts with, where they are installed; None for a BIOS too."""
    if not build.sort.uefi:
        return None
    pairs = PAIRS[build.sort.architecture, build.secureboot]
    return next((pair for pair in pairs if is_file(pair.code) and is_file(pair.variables)), None)
