"""A running TFTP service over a folder of files."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.tftp.peer import Service, serving

SIZES = {
    "s513.bin": 513,
    "s512.bin": 512,
    "s1024.bin": 1024,
    "empty.bin": 0,
    "loader.efi": 996_864,
    "seventy.bin": 70_000,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "boot/x64").mkdir(parents=True)
    for name, size in SIZES.items():
        (folder / name).write_bytes(os.urandom(size))
    (folder / "boot/x64/wds.bin").write_bytes(b"w" * 2000)
    (folder / "text.txt").write_bytes(b"one\ntwo\rthree\n")
    (tmp_path / "beside.txt").write_bytes(b"not yours")
    (folder / "out").symlink_to(tmp_path / "beside.txt")
    (folder / "in").symlink_to("s513.bin")
    return folder


@pytest.fixture
async def service(root: Path) -> AsyncIterator[Service]:
    async with serving(root) as started:
        yield started
