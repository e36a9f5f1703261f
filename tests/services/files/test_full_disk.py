"""A disk that fills while a file comes: told, kept, and gone on with once there is room."""

from __future__ import annotations

import hashlib
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.clock import SystemClock
from app.errors import UnavailableError
from app.model.file import File
from app.services.files import Inbox, Shelf

pytestmark = pytest.mark.root

OCTETS = random.Random(9).randbytes(3 << 20)
BLOCK = 100_000


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(tmp_path)], check=True)
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def send(inbox: Inbox, key: str, offset: int) -> File | None:
    """All from `offset` on, in blocks."""
    sending = inbox.open(key, offset)
    try:
        while sending.offset < len(OCTETS):
            sending.write(OCTETS[sending.offset : sending.offset + BLOCK])
        return sending.end("user:tester", hashlib.sha256(OCTETS).hexdigest())
    finally:
        sending.close()


# Seen coming, and met at the write itself: others fill the disk as well.
@pytest.mark.parametrize("reserve", [0, -(1 << 40)])
def test_a_disk_that_fills_while_a_file_comes(small: Path, reserve: int) -> None:
    inbox = Inbox(Shelf(small / "files"), lambda _: None, SystemClock(), reserve=reserve)
    key = inbox.begin("user:tester", "large", len(OCTETS)).id
    (small / "others").write_bytes(bytes(2 << 20))

    with pytest.raises(UnavailableError) as caught:
        send(inbox, key, 0)
    assert "the disk is full" in caught.value.message
    assert "go on" in caught.value.hint
    here = inbox.show(key).offset
    assert 0 < here < len(OCTETS)

    (small / "others").unlink()
    made = send(inbox, key, here)
    assert made is not None
    assert made.size == len(OCTETS)


def test_a_file_there_is_no_room_for_is_refused_at_once(small: Path) -> None:
    inbox = Inbox(Shelf(small / "files"), lambda _: None, SystemClock(), reserve=1 << 20)

    with pytest.raises(UnavailableError, match=r"needs 5.2 MB more, 3.1 MB are left for files"):
        inbox.begin("user:tester", "large", 5 << 20)
