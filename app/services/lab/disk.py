"""A disk that boots in BIOS and in UEFI and prints one line: proof that a machine booted from it.

Everything on it is made here, byte by byte: a boot record whose program speaks through the BIOS, and an EFI system
partition (FAT12, Microsoft's "FAT: General Overview of On-Disk Format") with a one-page EFI application (PE/COFF, UEFI
2.10 §2.1) for each processor. Nothing on it is signed: Secure Boot refuses it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SECTOR = 512
ESP_START, ESP_SECTORS = 2048, 4096
_FAT_SECTORS, _ROOT_ENTRIES = 12, 224
_ROOT_SECTORS = _ROOT_ENTRIES * 32 // SECTOR
_DIRECTORY, _ARCHIVE, _END = 0x10, 0x20, 0xFFF


def boot_record(text: str) -> bytes:
    """A master boot record whose program prints `text` (at most 300 ASCII characters), then rests for good.

    It speaks to the screen (INT 10h AH=0Eh) and, some timer ticks later, to the first serial port (INT 14h AH=01h).
    Firmware that mirrors its screen to the serial line shows it twice; SeaBIOS at the next tick, hence the wait.
    """
    line = f"\r\n{text}\r\n".encode("ascii") + b"\0"
    program = bytearray.fromhex(
        "31c0 8ed8 8ed0 bc007c fb fc"  # xor ax,ax; ds = ss = 0; sp = 7c00; sti; cld
        "be0000 ac 84c0 7409 b40e bb0700 cd10 ebf2"  # si = text; for each byte: int 10h
        "b90500 f4 e2fd"  # five times: hlt until an interrupt
        "be0000 ac 84c0 7408 b401 31d2 cd14 ebf3"  # si = text; for each byte: int 14h, port 0
        "f4 ebfd"  # hlt for ever
    )
    place = struct.pack("<H", 0x7C00 + len(program))
    for at in (12, 35):
        program[at : at + 2] = place
    if len(program) + len(line) > 440:
        raise ValueError("the text does not fit a boot record")
    # One partition, type EF (EFI system); its CHS fields say "beyond CHS" as UEFI 2.10 §5.2.1 has it.
    partition = struct.pack("<B3sB3sII", 0, b"\x00\x02\x00", 0xEF, b"\xff\xff\xff", ESP_START, ESP_SECTORS)
    return (bytes(program) + line).ljust(446, b"\0") + partition.ljust(64, b"\0") + b"\x55\xaa"


@dataclass(frozen=True, slots=True)
class Processor:
    """What an EFI application for one processor differs in; the text follows its `code` at once."""

    file: bytes
    """Its 8.3 name in \\EFI\\BOOT, where firmware looks on a disk it knows nothing of (UEFI 2.10 §3.5.1.1)."""
    machine: int
    """IMAGE_FILE_HEADER.Machine."""
    code: bytes


# Each prints SystemTable->ConOut->OutputString(ConOut, text) and rests. With interrupts off neither the firmware's
# five-minute watchdog fires nor does the idle machine use the host's processor.
X64 = Processor(
    b"BOOTX64 EFI",
    0x8664,
    # sub rsp,28h; mov rcx,[rdx+40h]; lea rdx,[rip+7]; call [rcx+8]; cli; hlt; jmp to the hlt
    bytes.fromhex("4883ec28 488b4a40 488d15 07000000 ff5108 fa f4 ebfd"),
)
ARM64 = Processor(
    b"BOOTAA64EFI",
    0xAA64,
    struct.pack(
        "<10I",
        0xF9402020,  # ldr x0, [x1, #64]
        0xF9400402,  # ldr x2, [x0, #8]
        0x10000101,  # adr x1, 32 bytes on
        0xD63F0040,  # blr x2
        0xD5034FDF,  # msr daifset, #15
        0xD51BE33F,  # msr cntv_ctl_el0, xzr: a pending timer would end every wfi at once
        0xD51BE23F,  # msr cntp_ctl_el0, xzr
        0xD503207F,  # wfi
        0x17FFFFFF,  # b to the wfi
        0xD503201F,  # nop
    ),
)


def efi_application(text: str, processor: Processor = X64) -> bytes:
    """An EFI application that prints `text` on the console, then rests for good."""
    line = f"\r\n{text}\r\n".encode("utf-16-le") + b"\0\0"
    text_section = (processor.code + line).ljust(2 * SECTOR, b"\0")
    if len(text_section) > 2 * SECTOR:
        raise ValueError("the text does not fit the EFI application")
    dos = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    # One section; EXECUTABLE_IMAGE | LARGE_ADDRESS_AWARE.
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", processor.machine, 1, 0, 0, 0, 240, 0x0022)
    optional = struct.pack("<HBBIIIII", 0x20B, 1, 0, len(text_section), 0, 0, 0x1000, 0x1000)
    optional += struct.pack("<QIIHHHHHHIIII", 0, 0x1000, SECTOR, 0, 0, 0, 0, 0, 0, 0, 0x2000, SECTOR, 0)
    optional += struct.pack("<HHQQQQII", 10, 0, 0x10000, 0x1000, 0x10000, 0x1000, 0, 16) + bytes(16 * 8)
    # Code, executable, readable.
    sizes = (len(text_section), 0x1000, len(text_section), SECTOR)
    section = struct.pack("<8sIIIIIIHHI", b".text", *sizes, 0, 0, 0, 0, 0x60000020)
    return (dos + coff + optional + section).ljust(SECTOR, b"\0") + text_section


def _entry(name: bytes, attributes: int, cluster: int, size: int = 0) -> bytes:
    # Times are zero and the date is 1980-01-01: the same lab makes the same bytes.
    return struct.pack("<11sBBBHHHHHHHI", name, attributes, 0, 0, 0, 0x21, 0x21, 0, 0, 0x21, cluster, size)


def esp(applications: Mapping[bytes, bytes]) -> bytes:
    """A FAT12 file system with these applications in \\EFI\\BOOT, by 8.3 name, up to its last used sector."""
    # Cluster 2 is \EFI, 3 is \EFI\BOOT, the files follow.
    chain = [0xFF8, _END, _END, _END]
    folder = _entry(b".          ", _DIRECTORY, 3) + _entry(b"..         ", _DIRECTORY, 2)
    files = b""
    for name, application in applications.items():
        first, count = len(chain), -(-len(application) // SECTOR)
        chain += [*range(first + 1, first + count), _END]
        folder += _entry(name, _ARCHIVE, first, len(application))
        files += application.ljust(count * SECTOR, b"\0")
    fat = bytearray(_FAT_SECTORS * SECTOR)
    for number, value in enumerate(chain):
        at = number * 3 // 2
        pair = fat[at] | fat[at + 1] << 8
        pair = (pair & 0x000F) | value << 4 if number % 2 else (pair & 0xF000) | value
        fat[at : at + 2] = struct.pack("<H", pair)
    boot = b"\xeb\x3c\x90" + struct.pack(
        "<8sHBHBHHBHHHIIBBBI11s8s",
        *(b"BOOTCART", SECTOR, 1, 1, 2, _ROOT_ENTRIES, ESP_SECTORS, 0xF8, _FAT_SECTORS, 32, 64, ESP_START, 0),
        *(0x80, 0, 0x29, 0xB007CA27, b"NO NAME    ", b"FAT12   "),
    )
    boot = boot.ljust(510, b"\0") + b"\x55\xaa"
    root = _entry(b"EFI        ", _DIRECTORY, 2).ljust(_ROOT_SECTORS * SECTOR, b"\0")
    efi = _entry(b".          ", _DIRECTORY, 2) + _entry(b"..         ", _DIRECTORY, 0)
    efi += _entry(b"BOOT       ", _DIRECTORY, 3)
    data = efi.ljust(SECTOR, b"\0") + folder.ljust(SECTOR, b"\0") + files
    return boot + bytes(fat) * 2 + root + data


def write(path: Path, size: int, text: str) -> None:
    """Make a disk of `size` bytes, of which some kilobytes are really there; without a text it is blank."""
    with path.open("wb") as file:
        if text:
            file.write(boot_record(text))
            file.seek(ESP_START * SECTOR)
            file.write(esp({one.file: efi_application(text, one) for one in (X64, ARM64)}))
            file.flush()
        os.ftruncate(file.fileno(), size)
