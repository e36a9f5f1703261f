"""The archive writer against literal bytes and against cpio; the ELF reader against the image's own programs."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest

from tests.packaging import discovery_image
from tests.packaging.discovery_image import Unpacked

cpio = discovery_image.module("cpio")
elf = discovery_image.module("elf")

# The format's fields as eight hexadecimal digits: ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor,
# rdevmajor, rdevminor, namesize, check; then the name with its NUL and the data, each padded to four bytes.
GOLDEN = (
    b"070701" b"00000001" b"000041ED" b"00000000" b"00000000" b"00000002" b"5F5E1000" b"00000000"
    b"00000000" b"00000000" b"00000000" b"00000000" b"00000004" b"00000000" b"dev\0" b"\0\0"
    b"070701" b"00000002" b"00002180" b"00000000" b"00000000" b"00000001" b"5F5E1000" b"00000000"
    b"00000000" b"00000000" b"00000005" b"00000001" b"0000000C" b"00000000" b"dev/console\0" b"\0\0"
    b"070701" b"00000003" b"000081ED" b"00000000" b"00000000" b"00000001" b"5F5E1000" b"00000005"
    b"00000000" b"00000000" b"00000000" b"00000000" b"00000005" b"00000000" b"init\0" b"\0"
    b"hello" b"\0\0\0"
    b"070701" b"00000004" b"0000A1FF" b"00000000" b"00000000" b"00000001" b"5F5E1000" b"00000007"
    b"00000000" b"00000000" b"00000000" b"00000000" b"00000004" b"00000000" b"lib\0" b"\0\0"
    b"usr/lib" b"\0"
    b"070701" b"00000000" b"00000000" b"00000000" b"00000000" b"00000001" b"5F5E1000" b"00000000"
    b"00000000" b"00000000" b"00000000" b"00000000" b"0000000B" b"00000000" b"TRAILER!!!\0" b"\0\0\0"
)  # fmt: skip


def entries() -> dict[str, object]:
    return {
        "lib": cpio.link("usr/lib"),
        "init": cpio.file(b"hello", 0o755),
        "dev/console": cpio.device(5, 1),
        "dev": cpio.directory(),
    }


def test_archive_is_these_bytes() -> None:
    assert cpio.archive(entries()) == GOLDEN


def test_order_of_entries_does_not_matter() -> None:
    assert cpio.archive(dict(reversed(entries().items()))) == GOLDEN


def test_second_archive_has_inode_numbers_of_its_own() -> None:
    first = cpio.archive({"a": cpio.file(b"")}, first_inode=41)
    assert first[6:14] == b"00000029"


def test_parents_are_added() -> None:
    whole = cpio.with_parents({"usr/lib/x": cpio.file(b"")})
    assert sorted(whole) == ["usr", "usr/lib", "usr/lib/x"]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 4095])
def test_cpio_reads_every_padding(size: int, tmp_path: Path) -> None:
    content = bytes(range(256)) * 16
    names = ["a", "ab", "abc", "abcd"]
    archive = cpio.archive({name: cpio.file(content[:size]) for name in names})
    subprocess.run(["cpio", "-id", "--quiet"], cwd=tmp_path, input=archive, capture_output=True, check=True)
    assert {name: (tmp_path / name).read_bytes() for name in names} == dict.fromkeys(names, content[:size])


def test_image_has_one_owner_one_time_and_sorted_names() -> None:
    folder = discovery_image.built()
    for archive in discovery_image.segments((folder / "initrd.img").read_bytes()):
        listed = subprocess.run(
            ["cpio", "-tv", "--numeric-uid-gid", "--quiet"], input=archive, capture_output=True, check=True,
            env={**os.environ, "TZ": "UTC", "LC_ALL": "C"},
        ).stdout.decode().splitlines()  # fmt: skip
        fields = [line.split() for line in listed]
        # Devices have "5, 1" where files have their size.
        assert {tuple(words[2:4]) for words in fields} == {("0", "0")}
        assert all(" Sep 13  2020 " in line for line in listed)
        names = [line.split(" 2020 ", 1)[1].split(" -> ")[0] for line in listed]
        assert names == sorted(names)


# --- ELF -------------------------------------------------------------------------------------------------------------


def test_not_elf_is_refused() -> None:
    for data in (b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01" + bytes(60)):
        with pytest.raises(ValueError, match="not a 64-bit"):
            elf.needs(data)
        with pytest.raises(ValueError, match="not a 64-bit"):
            elf.section(data, ".modinfo")


def test_foreign_architecture_is_read_without_running_it() -> None:
    """A minimal aarch64 file: one LOAD and one DYNAMIC segment that names two libraries."""
    strings = b"\0libone.so.1\0libtwo.so\0"
    base, dynamic_at, strings_at = 0x40_0000, 0x200, 0x300
    dynamic = b"".join(
        struct.pack("<QQ", tag, value) for tag, value in ((1, 1), (1, 13), (5, base + strings_at), (0, 0))
    )
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 3, 183, 1, 0, 0x40, 0, 0, 64, 56, 2, 64, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, 0x400, 0x400, 0x1000)
    points = struct.pack("<IIQQQQQQ", 2, 6, dynamic_at, base + dynamic_at, 0, len(dynamic), len(dynamic), 8)
    data = (header + load + points).ljust(dynamic_at, b"\0") + dynamic
    data = data.ljust(strings_at, b"\0") + strings
    found = elf.needs(data.ljust(0x400, b"\0"))
    assert (found.machine, found.interpreter, found.libraries) == (183, "", ("libone.so.1", "libtwo.so"))


def test_every_program_finds_its_libraries(image: Unpacked) -> None:
    """The image's own dynamic loader is asked, which finds what it lacks by itself."""
    loader = next((image.tree / "usr").glob("lib*/ld-linux-x86-64.so.2")).resolve()
    libraries = image.tree / "usr/lib/x86_64-linux-gnu"
    checked = 0
    for path in sorted((image.tree / "usr").glob("*bin/*")):
        if path.is_symlink() or path == image.busybox:
            continue
        done = subprocess.run(
            [str(loader), "--library-path", str(libraries), "--list", str(path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{path.name}: {done.stdout}{done.stderr}"
        outside = [line for line in done.stdout.splitlines() if "=> /" in line and str(image.tree) not in line]
        assert not outside, path.name
        checked += 1
    assert checked >= 14
