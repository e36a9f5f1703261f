"""Which boot file each processor architecture type is given, or why none is (IANA registry; option 93, RFC 4578)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.netboot.wire.pxe import ARCHITECTURES

SIGNED_PREFERENCE = "loader-signed"
GRUB_CHAIN, IPXE_CHAIN = "grub", "ipxe"
"""What that preference may say: Debian's shim and GRUB, or iPXE's own shim and iPXE, which an operator brings."""
SIGNED_IPXE = "signed-ipxe"
"""The folder of the virtual tree where iPXE's signed release lies, by architecture."""
SHIM = "shimx64.efi"
_SECOND = frozenset({"grubx64.efi", "grubaa64.efi", "mmx64.efi", "mmaa64.efi"})


@dataclass(frozen=True, slots=True)
class Loader:
    """What one architecture type is given: the file `preference` names; where that is empty, nothing.

    `why` tells, in words that go on from "there is no boot loader for …", why nothing is given.
    """

    preference: str = ""
    why: str = ""
    menu: bool = False
    """It takes no loader: it reads a menu of PXELINUX's kind, and starts the kernel that it names."""


_BIOS = Loader(preference="loader-bios")
_X64 = Loader(preference="loader-uefi")
_ARM64 = Loader(preference="loader-arm64")

# Signed with Microsoft's key: firmware with Secure Boot starts these, and they what lies beside them. iPXE's shim makes
# the name of what it starts out of its own: `shim` and what follows goes out of it (its README).
_SIGNED = {
    GRUB_CHAIN: {_X64: SHIM, _ARM64: "shimaa64.efi"},
    IPXE_CHAIN: {
        _X64: f"{SIGNED_IPXE}/amd64/ipxe-shimx64.efi",
        _ARM64: f"{SIGNED_IPXE}/arm64/ipxe-shimaa64.efi",
    },
}
SHIMS = frozenset(file for chain in _SIGNED.values() for file in chain.values())
"""Every signed loader that firmware itself can be given, as a path of the virtual tree."""


def _named(preference: str) -> Loader:
    return Loader(preference=preference, why=f"none comes with Bootcart; the preference {preference} can name one")


_IA32, _ARM32 = _named("loader-ia32"), _named("loader-arm32")
_RISCV64, _LOONG64 = Loader(preference="loader-riscv64"), Loader(preference="loader-loong64")
_OWN = "option 67 of the machine, or of its subnet, can name a file of yours"
_GONE = Loader(why="nothing boots on it any more")
_NO_BUILD = Loader(why=f"iPXE is not built for it; {_OWN}")
_MENU = Loader(menu=True)
_OPEN_FIRMWARE = Loader(why=f"it starts GRUB's core.elf, and none comes with Bootcart; {_OWN}")

LOADERS: dict[int, Loader] = {
    0: _BIOS,
    1: _GONE,
    2: _GONE,
    3: _GONE,
    4: _GONE,
    5: _GONE,
    6: _IA32,
    7: _X64,
    8: _GONE,
    9: _X64,
    10: _ARM32,
    11: _ARM64,
    12: _OPEN_FIRMWARE,
    13: _OPEN_FIRMWARE,
    14: _MENU,
    15: _IA32,
    16: _X64,
    17: _X64,
    18: _ARM32,
    19: _ARM64,
    20: _BIOS,
    21: _MENU,
    22: _MENU,
    23: Loader(why=f"U-Boot takes a menu by TFTP only, as type 21, or UEFI's loaders, as type 18; {_OWN}"),
    24: Loader(why=f"U-Boot takes a menu by TFTP only, as type 22, or UEFI's loaders, as type 19; {_OWN}"),
    25: _NO_BUILD,
    26: _NO_BUILD,
    27: _RISCV64,
    28: _RISCV64,
    29: _NO_BUILD,
    30: _NO_BUILD,
    31: Loader(why=f"it starts a kernel by its own loader, and none of Bootcart's is for it; {_OWN}"),
    32: Loader(why=f"it reads a list of files (.ins), and none of Bootcart's is for it; {_OWN}"),
    33: _NO_BUILD,
    34: _NO_BUILD,
    35: _NO_BUILD,
    36: _NO_BUILD,
    37: _NO_BUILD,
    38: _NO_BUILD,
    39: _LOONG64,
    40: _LOONG64,
    41: Loader(why="only a Raspberry Pi sends it, which fetches its own files"),
}
"""Every registered type. What is not in it is unknown, and given nothing."""

MENUS = frozenset(number for number, loader in LOADERS.items() if loader.menu)

UNKNOWN = Loader(why=f"nobody has registered it; {_OWN}")


def signed_loader(arch: int | None, chain: str) -> str:
    """The signed loader for firmware of this architecture type, of the chain the preference names; empty: none."""
    return _SIGNED.get(chain, {}).get(LOADERS[arch], "") if arch in LOADERS else ""


def started_by_shim(path: str) -> bool:
    """The firmware has nothing to say about this file: shim looks at its signature."""
    return path.rpartition("/")[2] in _SECOND or signed_ipxe(path)


def leads_to_grub(path: str) -> bool:
    """What a machine runs after this boot file is GRUB."""
    return path in _SIGNED[GRUB_CHAIN].values() or path.rpartition("/")[2].startswith("grub")


def signed_ipxe(path: str) -> bool:
    """This file is iPXE as its own shim starts it."""
    return path.startswith(f"{SIGNED_IPXE}/") and path not in SHIMS


def loader_of(arch: int | None, transport: str, preference: Callable[[str], str]) -> tuple[str, str]:
    """The boot file for an architecture type, and why there is none where it is empty.

    `transport` is how the firmware says that it takes its file: BIOS code is of no use to one that says HTTP without
    the type of a BIOS that can.
    """
    if arch is None:
        return "", "it does not say what it is"
    loader = LOADERS.get(arch, UNKNOWN)
    known = ARCHITECTURES.get(arch)
    if loader is _BIOS and known is not None and known.transport != transport:
        return "", "it says BIOS and HTTP, and BIOS code cannot be started by UEFI"
    file = preference(loader.preference) if loader.preference else ""
    return file, "" if file else loader.why or f"the preference {loader.preference} names none"
