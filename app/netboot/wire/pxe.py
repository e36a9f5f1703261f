"""What PXE and its kin put into DHCP: architectures, option 43, iPXE's option 175 (PXE 2.1, RFC 4578, UEFI 2.10)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from app.netboot.wire import options as opt
from app.netboot.wire.options import DhcpError

PXE_CLIENT = b"PXEClient"
HTTP_CLIENT = b"HTTPClient"

CONFIG_FILE, PATH_PREFIX = 209, 210
"""A menu of PXELINUX's kind and what its files are relative to (RFC 5071); petitboot takes URLs."""

DISCOVERY_CONTROL = 6
BOOT_SERVERS = 8
BOOT_MENU = 9
MENU_PROMPT = 10
BOOT_ITEM = 71

# Discovery control bit 3: take the boot file of this very message and ask no boot server (PXE 2.1 table 2-1).
USE_THIS_FILE = opt.pack_suboptions({DISCOVERY_CONTROL: b"\x08"}, end=True)

# A menu whose only item is type 0, "boot locally", chosen at once (PXE 2.1 section 2.2.3, table 2-1): without it UEFI
# firmware that is given no file asks again for a minute before it goes on in its boot order.
LOCAL_BOOT = opt.pack_suboptions(
    {DISCOVERY_CONTROL: b"\x03", BOOT_MENU: b"\x00\x00\x05local", MENU_PROMPT: b"\x00x"}, end=True
)

# What a Raspberry Pi's ROM looks for: a prompt "PXE" and a menu entry of this name (checklist 7.8).
RASPBERRY_PI_OPTIONS = opt.pack_suboptions(
    {
        DISCOVERY_CONTROL: b"\x03",
        MENU_PROMPT: b"\x00PXE",
        BOOT_MENU: b"\x00\x00\x11Raspberry Pi Boot",
    },
    end=True,
)


@dataclass(frozen=True, slots=True)
class Architecture:
    """A processor architecture type of option 93 (IANA registry); `machine` is Debian's name of it, if it has one."""

    number: int
    name: str
    machine: str = ""
    kind: str = ""
    transport: str = "tftp"


ARCHITECTURES: dict[int, Architecture] = {
    item.number: item
    for item in (
        Architecture(0, "BIOS x86", "amd64", "bios"),
        Architecture(1, "NEC PC-98"),
        Architecture(2, "UEFI Itanium", "ia64", "uefi"),
        Architecture(3, "DEC Alpha", "alpha"),
        Architecture(4, "Arc x86", "i386"),
        Architecture(5, "Intel Lean Client", "i386"),
        Architecture(6, "UEFI IA32", "i386", "uefi"),
        Architecture(7, "UEFI x64", "amd64", "uefi"),
        Architecture(8, "UEFI Xscale", "armel", "uefi"),
        # Registered as EFI byte code, but what sends it is x64 firmware that read RFC 4578 before its erratum.
        Architecture(9, "UEFI x64 (EBC)", "amd64", "uefi"),
        Architecture(10, "UEFI ARM 32", "armhf", "uefi"),
        Architecture(11, "UEFI ARM 64", "arm64", "uefi"),
        Architecture(12, "PowerPC Open Firmware", "ppc64el"),
        Architecture(13, "PowerPC ePAPR", "ppc64el"),
        Architecture(14, "PowerPC OPAL v3", "ppc64el"),
        Architecture(15, "UEFI IA32", "i386", "uefi", "http"),
        Architecture(16, "UEFI x64", "amd64", "uefi", "http"),
        Architecture(17, "UEFI EBC", "", "uefi", "http"),
        Architecture(18, "UEFI ARM 32", "armhf", "uefi", "http"),
        Architecture(19, "UEFI ARM 64", "arm64", "uefi", "http"),
        Architecture(20, "BIOS x86", "amd64", "bios", "http"),
        Architecture(21, "U-Boot ARM 32", "armhf", "uboot"),
        Architecture(22, "U-Boot ARM 64", "arm64", "uboot"),
        Architecture(23, "U-Boot ARM 32", "armhf", "uboot", "http"),
        Architecture(24, "U-Boot ARM 64", "arm64", "uboot", "http"),
        Architecture(25, "UEFI RISC-V 32", "riscv32", "uefi"),
        Architecture(26, "UEFI RISC-V 32", "riscv32", "uefi", "http"),
        Architecture(27, "UEFI RISC-V 64", "riscv64", "uefi"),
        Architecture(28, "UEFI RISC-V 64", "riscv64", "uefi", "http"),
        Architecture(29, "UEFI RISC-V 128", "riscv128", "uefi"),
        Architecture(30, "UEFI RISC-V 128", "riscv128", "uefi", "http"),
        Architecture(31, "s390 basic", "s390x"),
        Architecture(32, "s390 extended", "s390x"),
        Architecture(33, "UEFI MIPS 32", "mipsel", "uefi"),
        Architecture(34, "UEFI MIPS 64", "mips64el", "uefi"),
        Architecture(35, "UEFI Sunway 32", "", "uefi"),
        Architecture(36, "UEFI Sunway 64", "", "uefi"),
        Architecture(37, "UEFI LoongArch 32", "loong32", "uefi"),
        Architecture(38, "UEFI LoongArch 32", "loong32", "uefi", "http"),
        Architecture(39, "UEFI LoongArch 64", "loong64", "uefi"),
        Architecture(40, "UEFI LoongArch 64", "loong64", "uefi", "http"),
        Architecture(41, "Raspberry Pi", "arm64"),
    )
}

# iPXE's encapsulated feature flags (iPXE src/include/ipxe/features.h).
IPXE_FEATURES: dict[int, str] = {
    0x10: "pxeext",
    0x11: "iscsi",
    0x12: "aoe",
    0x13: "http",
    0x14: "https",
    0x15: "tftp",
    0x16: "ftp",
    0x17: "dns",
    0x18: "bzimage",
    0x19: "multiboot",
    0x1A: "slam",
    0x1B: "srp",
    0x20: "nbi",
    0x21: "pxe",
    0x22: "elf",
    0x23: "comboot",
    0x24: "efi",
    0x25: "fcoe",
    0x26: "vlan",
    0x27: "menu",
    0x28: "sdi",
    0x29: "nfs",
}
_IPXE_VERSION = 0xEB


def architectures(value: bytes) -> tuple[int, ...]:
    """The types of option 93 in the order the client prefers; an odd octet at the end is dropped."""
    return struct.unpack(f"!{len(value) // 2}H", value[: len(value) // 2 * 2])


def class_architecture(vendor_class: bytes) -> int | None:
    """The type named in `PXEClient:Arch:00007:UNDI:003016`, for clients without option 93."""
    _, found, rest = vendor_class.partition(b":Arch:")
    digits = rest[:5]
    return int(digits) if found and digits.isdigit() else None


def ipxe_features(value: bytes) -> tuple[tuple[str, ...], str]:
    """Names of the features in option 175 that are on, and the version as text; empty where the option is malformed."""
    try:
        found = opt.suboptions(value, padded=True)
    except DhcpError:
        return (), ""
    names = tuple(name for code, name in IPXE_FEATURES.items() if any(found.get(code, b"")))
    return names, ".".join(str(octet) for octet in found.get(_IPXE_VERSION, b"")[:4])


def guid(value: bytes) -> str:
    """The UUID of option 97 as SMBIOS prints it (first three fields little-endian); empty unless type 0 and 16 octets.

    All zero and all ones are what firmware without an identity sends, and are no UUID.
    """
    if len(value) != 17 or value[0] != 0 or value[1:] in (b"\0" * 16, b"\xff" * 16):
        return ""
    return f"{value[4:0:-1].hex()}-{value[6:4:-1].hex()}-{value[8:6:-1].hex()}-{value[9:11].hex()}-{value[11:].hex()}"


def boot_item(vendor_options: bytes) -> bytes | None:
    """The boot item a client chose (option 43.71), as sent; None when there is none."""
    try:
        item = opt.suboptions(vendor_options, padded=True).get(BOOT_ITEM)
    except DhcpError:
        return None
    return item if item is not None and len(item) == 4 else None
