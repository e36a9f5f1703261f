"""What asked: the firmware, loader or system behind a DHCP request (RFC 4578, PXE 2.1, UEFI 2.10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from app.netboot.loaders import MENUS
from app.netboot.wire import options as opt
from app.netboot.wire import pxe
from app.netboot.wire.dhcp4 import DhcpPacket
from app.netboot.words import plain

ROM = "rom"
IPXE = "ipxe"
OS = "os"

# Raspberry Pi Ltd.'s and Foundation's address blocks (IEEE registry).
_RASPBERRY_PI = ("b8:27:eb", "dc:a6:32", "e4:5f:01", "d8:3a:dd", "2c:cf:67", "28:cd:c1")
# What a Raspberry Pi's ROM calls itself; its BIOS number is not true of it.
_RASPBERRY_PI_CLASS = b"PXEClient:Arch:00000:UNDI:002001"
# Firmware that names no architecture is older than option 93, and was all BIOS.
_BEFORE_OPTION_93 = 0
# Firmware that names its type and no PXE class: petitboot calls itself udhcp, U-Boot by its processor.
_WITHOUT_CLASS = frozenset({14, 21, 22, 23, 24})
_U_BOOT_CLASS = b"U-Boot"
_RPIBOOT = 41
# Switches whose own installer asks for what to install (vendor class), and what it is called.
ZERO_TOUCH = (
    (b"onie_vendor:", "ONIE"),
    (b"ciscopnp", "Cisco plug and play"),
    (b"Cisco", "Cisco power-on provisioning"),
    (b"Arista;", "Arista zero-touch provisioning"),
    (b"Juniper-", "Juniper zero-touch provisioning"),
    (b"cumulus-linux", "Cumulus zero-touch provisioning"),
)


@dataclass(frozen=True, slots=True)
class Firmware:
    """Who sent a request; all strings are safe to show."""

    stage: str
    """`rom`: network firmware; `ipxe`: iPXE, wherever it came from; `os`: anything else."""
    arch: int | None = None
    """The architecture type that counts; None where none was named."""
    archs: tuple[int, ...] = ()
    arch_name: str = ""
    architecture: str = ""
    """amd64, arm64, …; empty where unknown."""
    kind: str = ""
    """`bios` or `uefi` (or `uboot`); empty where unknown."""
    transport: str = ""
    """How it takes its boot file: `tftp` or `http`; empty for an operating system."""
    vendor_class: str = ""
    user_class: str = ""
    features: tuple[str, ...] = ()
    ipxe_version: str = ""
    guid: str = ""
    hostname: str = ""
    raspberry_pi: bool = False
    menu: bool = False
    """It starts a kernel itself, as a menu of PXELINUX's kind says."""
    zero_touch: str = ""
    """The installer of a switch, in words; it fetches what options 67, 114 and 150 name, no loader."""

    @property
    def boots(self) -> bool:
        """It asks for something to boot."""
        return self.stage != OS

    @property
    def title(self) -> str:
        """In words, for example `UEFI x64 HTTP boot firmware`."""
        if self.zero_touch:
            return f"{self.zero_touch} ({self.vendor_class})"
        if self.stage == OS:
            return f"an operating system ({self.vendor_class})" if self.vendor_class else "an operating system"
        if self.raspberry_pi:
            return "Raspberry Pi firmware"
        if self.stage == IPXE:
            version = f" {self.ipxe_version}" if self.ipxe_version else ""
            return f"iPXE{version} on {self.arch_name or 'unnamed firmware'}"
        if self.menu or self.arch in _WITHOUT_CLASS:
            return f"{self.arch_name} firmware"
        return f"{self.arch_name} {'HTTP boot' if self.transport == 'http' else 'PXE'} firmware"

    @property
    def path(self) -> str:
        """How it boots: bios-pxe, bios-ipxe, uefi-pxe, uefi-ipxe, uefi-http; empty for an operating system."""
        if not self.boots:
            return ""
        how = "ipxe" if self.stage == IPXE else "http" if self.transport == "http" else "pxe"
        return f"{self.kind or 'unknown'}-{how}"


# The types that get a boot file, most wanted first where a client names several.
_SERVED = frozenset({0, 7, 9, 11, 16, 17, 19, 20, 27, 28, 39, 40})


def _chosen(archs: tuple[int, ...]) -> int | None:
    return next((arch for arch in archs if arch in _SERVED), archs[0] if archs else None)


def classify(request: DhcpPacket) -> Firmware:
    """Read who asks from a request's options; total: odd or missing options only leave fields empty."""
    options = request.options
    vendor_class = options.get(opt.VENDOR_CLASS, b"")
    common = _classify(
        vendor_class,
        options.get(opt.USER_CLASS, b""),
        options.get(opt.IPXE, b""),
        options.get(opt.ARCHITECTURE, b""),
        vendor_class.startswith(_RASPBERRY_PI_CLASS) and request.mac.startswith(_RASPBERRY_PI),
    )
    guid = pxe.guid(options.get(opt.MACHINE_GUID, b""))
    hostname = plain(options.get(opt.HOST_NAME, b""), 63)
    return replace(common, guid=guid, hostname=hostname) if guid or hostname else common


def of_classes(
    *, vendor_class: bytes, user_classes: Sequence[bytes], architectures: Sequence[int], guid: str = ""
) -> Firmware:
    """The same from what a DHCPv6 message says (RFC 8415 section 21.15 and 21.16, RFC 5970 section 3.3)."""
    classes = (
        b"iPXE" if b"iPXE" in user_classes else b"".join(bytes((len(each) & 0xFF,)) + each for each in user_classes)
    )
    numbers = b"".join(each.to_bytes(2, "big") for each in architectures)
    return replace(_classify(vendor_class, classes, b"", numbers, pi_card=False), guid=guid)


@lru_cache(maxsize=256)
def _classify(vendor_class: bytes, user_class: bytes, ipxe: bytes, architecture: bytes, pi_card: bool) -> Firmware:
    """What machines of one kind have in common: a rack's all say the same, each several times."""
    user_classes = opt.classes(user_class)
    features, version = pxe.ipxe_features(ipxe)
    is_http = vendor_class.startswith(pxe.HTTP_CLIENT)
    if b"iPXE" in user_classes or features:
        stage = IPXE
    elif is_http or vendor_class.startswith(pxe.PXE_CLIENT):
        stage = ROM
    else:
        stage = OS
    archs = pxe.architectures(architecture)
    arch = _chosen(archs)
    if stage == OS and (arch in _WITHOUT_CLASS or vendor_class.startswith(_U_BOOT_CLASS)):
        stage = ROM
    if arch is None:
        arch = pxe.class_architecture(vendor_class)
    u_boot = stage == ROM and vendor_class.startswith(_U_BOOT_CLASS)
    if arch is None and stage == ROM and not is_http and not u_boot:
        arch = _BEFORE_OPTION_93
    known = pxe.ARCHITECTURES.get(arch) if arch is not None else None
    name = known.name if known else f"architecture {arch} (0x{arch:04x})" if arch is not None else ""
    if u_boot and not name.startswith("U-Boot"):
        # It names the type it would have as UEFI, or none.
        name = f"U-Boot {known.machine}" if known is not None else "U-Boot"
    raspberry_pi = stage == ROM and (pi_card or arch == _RPIBOOT)
    switches = (words for begins, words in ZERO_TOUCH if stage == OS and vendor_class.startswith(begins))
    return Firmware(
        stage=stage,
        arch=arch,
        archs=archs,
        arch_name="Raspberry Pi" if raspberry_pi else name,
        architecture="arm64" if raspberry_pi else known.machine if known else "",
        kind="uboot" if u_boot else "" if raspberry_pi or known is None else known.kind,
        transport="" if stage == OS else "http" if is_http or (known and known.transport == "http") else "tftp",
        vendor_class=plain(vendor_class),
        user_class=plain(b", ".join(user_classes)),
        features=features,
        ipxe_version=version,
        raspberry_pi=raspberry_pi,
        menu=u_boot or (stage == ROM and arch in MENUS),
        zero_touch=next(switches, ""),
    )
