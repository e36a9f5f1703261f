"""The grammar of `--machines`: what it means, what it refuses and in which words."""

from __future__ import annotations

import pytest

from app.errors import InvalidError
from app.services.lab import build
from app.services.lab.build import Build


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("bios", Build("bios")),
        ("uefi-http", Build("uefi-http")),
        ("uefi:memory=1024:disks=2:nics=2", Build("uefi", memory=1024, disks=2, nics=2)),
        (" arm64 : disks=2x20G ", Build("arm64", disks=2, disk_size=20480)),
        ("bios:disks=1x8M:boot=disk", Build("bios", disk_size=8, boot="disk")),
        ("bios:disks=0:boot=network", Build("bios", disks=0)),
        ("uefi:secureboot=on", Build("uefi", secureboot=True)),
        ("bios:secureboot=off", Build("bios")),
        ("uefi-http:ip=6", Build("uefi-http", ip=6)),
    ],
)
def test_a_machine_in_words(words: str, expected: Build) -> None:
    found = build.read(words)

    assert found == expected
    assert build.read(build.write(found), memory=4096) == found


def test_a_machine_that_names_no_memory_gets_the_labs() -> None:
    assert build.read("bios", 768).memory == 768
    assert build.read("bios:memory=384", 768).memory == 384


@pytest.mark.parametrize(
    ("words", "says", "hint"),
    [
        ("amiga", "no machine kind 'amiga'", "one of bios, uefi"),
        ("", "no machine kind ''", "one of bios, uefi"),
        ("bios:ram=1", "'ram=1' is no option", "memory=MIB, disks=COUNT[xSIZE]"),
        ("bios:memory", "'memory' is no option", "memory=MIB"),
        ("bios:memory=1G", "memory cannot be '1G'", "memory=MIB: 128 to 65536"),
        ("bios:memory=64", "memory cannot be '64'", "128"),
        ("bios:nics=0", "nics cannot be '0'", "1 to 8"),
        ("bios:disks=9", "disks cannot be '9'", "0 to 8"),
        ("bios:disks=1x4M", "disks cannot be '1x4M'", "8M to 4096G"),
        ("bios:disks=1x9999G", "disks cannot be '1x9999G'", "4096G"),
        ("bios:disks=2:disks=3", "disks is given twice", "once"),
        ("bios:boot=cd", "boot cannot be 'cd'", "network or disk"),
        ("bios:disks=0:boot=disk", "no disk to boot first", "disks=0"),
        ("bios:secureboot=on", "bios has no Secure Boot", "UEFI"),
        ("bios:ip=6", "bios boots over IPv4 alone", "UEFI"),
        ("uefi:ip=5", "ip cannot be '5'", "4|6"),
        ("uefi:secureboot=yes", "secureboot cannot be 'yes'", "on|off"),
    ],
)
def test_what_cannot_be_is_refused_in_words(words: str, says: str, hint: str) -> None:
    with pytest.raises(InvalidError) as caught:
        build.read(words)

    assert says in caught.value.message
    assert f"--machines {words}" in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.field == "machines"
