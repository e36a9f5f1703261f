"""The boot disk, read by programs that are not ours where the host has them, and by its fields where not."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from app.services.lab import disk

TEXT = "bootcart lab: bios1 booted from its own disk"


def _applications() -> dict[bytes, bytes]:
    return {one.file: disk.efi_application(TEXT, one) for one in (disk.X64, disk.ARM64)}


def test_the_disk_is_small_and_the_same_every_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        disk.write(tmp_path / name, 64 << 20, TEXT)
    one = tmp_path / "one"

    assert one.stat().st_size == 64 * 1024 * 1024
    assert one.stat().st_blocks * 512 < 128 * 1024
    with one.open("rb") as first, (tmp_path / "two").open("rb") as second:
        assert first.read(4 << 20) == second.read(4 << 20)


def test_the_boot_record_has_its_signature_and_an_efi_partition() -> None:
    record = disk.boot_record(TEXT)

    assert len(record) == 512
    assert record[510:] == b"\x55\xaa"
    status, kind, start, count = struct.unpack("<B3xB3xII", record[446:462])
    assert (status, kind, start, count) == (0, 0xEF, 2048, 4096)
    assert record[462:510] == bytes(48)


def test_the_program_points_at_its_text() -> None:
    record = disk.boot_record(TEXT)
    text = record.index(TEXT.encode()) - 2

    assert [struct.unpack_from("<H", record, at)[0] - 0x7C00 for at in (12, 35)] == [text, text]


def test_a_text_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="fit"):
        disk.boot_record("x" * 400)
    with pytest.raises(ValueError, match="fit"):
        disk.efi_application("x" * 600)


def test_a_disk_without_a_text_is_blank(tmp_path: Path) -> None:
    disk.write(tmp_path / "blank", 8 << 30, "")

    assert (tmp_path / "blank").stat().st_size == 8 << 30
    assert (tmp_path / "blank").stat().st_blocks == 0


@pytest.mark.parametrize(("processor", "machine"), [(disk.X64, 0x8664), (disk.ARM64, 0xAA64)])
def test_the_application_is_pe_for_the_firmware_of_its_processor(processor: disk.Processor, machine: int) -> None:
    image = disk.efi_application(TEXT, processor)
    (pe,) = struct.unpack_from("<I", image, 60)
    found, sections = struct.unpack_from("<HH", image, pe + 4)
    magic, subsystem = struct.unpack_from("<H", image, pe + 24)[0], struct.unpack_from("<H", image, pe + 24 + 68)[0]

    assert image[:2] == b"MZ"
    assert image[pe : pe + 4] == b"PE\0\0"
    assert (found, sections, magic, subsystem) == (machine, 1, 0x20B, 10)


def test_the_code_points_at_its_text() -> None:
    x64, arm64 = (disk.efi_application(TEXT, one)[512:] for one in (disk.X64, disk.ARM64))
    # lea rdx,[rip+n] is relative to the instruction after it, adr to itself.
    (distance,) = struct.unpack_from("<i", x64, 11)
    (adr,) = struct.unpack_from("<I", arm64, 8)
    line = f"\r\n{TEXT}\r\n\0"

    assert adr & 0x9F00001F == 0x10000001
    assert x64[15 + distance :].decode("utf-16-le").startswith(line)
    assert arm64[8 + (adr >> 5 & 0x7FFFF) * 4 + (adr >> 29 & 3) :].decode("utf-16-le").startswith(line)


@pytest.mark.skipif(shutil.which("file") is None, reason="file is not installed")
def test_file_recognises_the_application(tmp_path: Path) -> None:
    path = tmp_path / "bootx64.efi"
    path.write_bytes(disk.efi_application(TEXT))

    said = subprocess.run(["file", "-b", path], capture_output=True, text=True, check=True).stdout

    assert "PE32+" in said
    assert "EFI application" in said


@pytest.mark.skipif(shutil.which("fsck.vfat") is None, reason="dosfstools is not installed")
def test_fsck_finds_nothing_wrong_with_the_file_system(tmp_path: Path) -> None:
    path = tmp_path / "esp"
    path.write_bytes(disk.esp(_applications()).ljust(disk.ESP_SECTORS * 512, b"\0"))

    done = subprocess.run(["fsck.vfat", "-n", "-v", path], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_each_file_is_found_through_its_cluster_chain() -> None:
    applications = _applications()
    image = disk.esp(applications)
    sector, reserved, fats, roots, fat_size = (
        struct.unpack_from("<H", image, 11)[0],
        struct.unpack_from("<H", image, 14)[0],
        image[16],
        struct.unpack_from("<H", image, 17)[0],
        struct.unpack_from("<H", image, 22)[0],
    )
    fat = image[reserved * sector :]
    root = (reserved + fats * fat_size) * sector
    data = root + roots * 32

    def after(cluster: int) -> int:
        pair = struct.unpack_from("<H", fat, cluster * 3 // 2)[0]
        return pair >> 4 if cluster % 2 else pair & 0xFFF

    def content(cluster: int) -> bytes:
        found = b""
        while cluster < 0xFF8:
            found += image[data + (cluster - 2) * sector :][:sector]
            cluster = after(cluster)
        return found

    def entry(folder: bytes, name: bytes) -> tuple[int, int]:
        found = next(folder[at : at + 32] for at in range(0, len(folder), 32) if folder[at : at + 11] == name)
        return struct.unpack("<HI", found[26:32])

    efi = content(entry(image[root:data], b"EFI        ")[0])
    boot = content(entry(efi, b"BOOT       ")[0])
    for name, application in applications.items():
        first, size = entry(boot, name)
        assert content(first)[:size] == application
