"""Names, drafts, checksums and the disk, without an engine."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from app.errors import BootcartError, ConflictError, InvalidError, NotFoundError, UnavailableError
from app.model.event import EventDraft
from app.services.bootfs import Files
from app.services.files import Inbox, Shelf
from app.services.files.inbox import KEEP_SECONDS

ME = "user:tester"
TEXT = b"a kernel of some length" * 100
SUM = hashlib.sha256(TEXT).hexdigest()


class World:
    """An inbox and its shelf, a clock that is set by hand, and what was told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[EventDraft] = []
        self.ahead = 0.0
        self.restart()

    def restart(self, reserve: int = 0) -> None:
        """Another engine takes over."""
        self.shelf = Shelf(self.folder)
        self.inbox = Inbox(self.shelf, self.events.append, self, reserve=reserve)

    def now(self) -> float:
        return self.folder.parent.stat().st_ctime + self.ahead

    def monotonic(self) -> float:
        return self.now()

    def send(self, key: str, offset: int, octets: bytes, sha256: str = "") -> int:
        sending = self.inbox.open(key, offset)
        try:
            sending.write(octets)
            sending.end(ME, sha256)
            return sending.offset
        finally:
            sending.close()

    def upload(self, name: str, octets: bytes = TEXT, *, replace: bool = False) -> None:
        self.send(self.inbox.begin(ME, name, len(octets), replace=replace).id, 0, octets)

    def kept(self) -> list[str]:
        """What lies in the inbox."""
        drafts = self.folder / "drafts"
        return sorted(path.suffix for path in drafts.iterdir()) if drafts.is_dir() else []


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "files")


def test_a_file_is_there_once_it_is_whole(world: World) -> None:
    tree = Files(world.folder / "none", (), world.shelf.root)
    key = world.inbox.begin(ME, "linux/vmlinuz", len(TEXT)).id

    assert world.send(key, 0, TEXT[:1000]) == 1000
    assert tree.find("files/linux/vmlinuz") is None
    assert world.shelf.listing() == []

    assert world.send(key, 1000, TEXT[1000:], SUM.upper()) == len(TEXT)
    found = tree.find("files/linux/vmlinuz")
    assert found is not None
    assert found.read_bytes() == TEXT
    told = world.shelf.show("Name:linux/vmlinuz")
    assert (told.size, told.sha256) == (len(TEXT), SUM)
    assert world.shelf.listing() == [told]
    assert world.kept() == []
    assert [(each.kind, each.actor, each.data["key"]) for each in world.events] == [
        ("audit.create", ME, "linux/vmlinuz")
    ]


def test_it_goes_on_after_a_kill_and_the_checksum_is_over_all_of_it(world: World) -> None:
    key = world.inbox.begin(ME, "vmlinuz", len(TEXT)).id
    world.send(key, 0, TEXT[:700])

    world.restart()
    assert world.inbox.show(key).offset == 700
    assert [each.name for each in world.inbox.uploads()] == ["vmlinuz"]
    world.send(key, 700, TEXT[700:], SUM)

    assert world.shelf.show("vmlinuz").sha256 == SUM


@pytest.mark.parametrize("promised", [True, False])
def test_what_is_not_what_was_to_be_sent_is_thrown_away(world: World, promised: bool) -> None:
    wrong = "0" * 64
    key = world.inbox.begin(ME, "vmlinuz", len(TEXT), sha256=wrong if promised else "").id

    with pytest.raises(InvalidError, match=SUM):
        world.send(key, 0, TEXT, SUM if promised else wrong)
    assert world.shelf.listing() == []
    assert world.kept() == []


def test_an_empty_file(world: World) -> None:
    world.upload("empty", b"")

    assert world.shelf.show("empty").sha256 == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    "name",
    [
        "", "/", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/", "a\\b", "C:x", "a\0b", "a\nb",
        "a\u202eb",
        "x" * 256, "/".join(["d" * 200] * 6), "a/./b",
    ],
)  # fmt: skip
def test_names_that_cannot_be(world: World, name: str) -> None:
    with pytest.raises(InvalidError) as caught:
        world.inbox.begin(ME, name, 1)
    assert caught.value.hint
    assert world.kept() == []
    with pytest.raises(NotFoundError):
        world.shelf.show(name)
    with pytest.raises(NotFoundError):
        world.inbox.delete(ME, name)


@pytest.mark.parametrize("name", [".treeinfo", "a file (1)+ü.txt", "EFI/BOOT/BOOTX64.EFI", "x" * 255])
def test_names_that_can(world: World, name: str) -> None:
    world.upload(name)
    tree = Files(world.folder / "none", (), world.shelf.root)

    assert tree.find(f"files/{name}") is not None


def test_what_is_in_the_way(world: World) -> None:
    world.upload("linux/vmlinuz")

    for name, why in (
        ("linux/vmlinuz", "already"),
        ("linux", "is a directory"),
        ("linux/vmlinuz/x", "is a file"),
        ("Linux/initrd", "capitals"),
        ("linux/VMLINUZ", "capitals"),
    ):
        with pytest.raises(ConflictError, match=why):
            world.inbox.begin(ME, name, 1)
    first = world.inbox.begin(ME, "iso", 5)
    with pytest.raises(ConflictError, match="user:tester is uploading iso"):
        world.inbox.begin("user:other", "ISO", 5)
    world.inbox.abandon(ME, first.id)
    world.upload("iso")


def test_another_takes_its_place_at_once(world: World) -> None:
    world.upload("vmlinuz")
    with (world.shelf.root / "vmlinuz").open("rb") as old:
        world.upload("vmlinuz", b"newer", replace=True)
        assert old.read() == TEXT

    assert world.shelf.show("vmlinuz").size == 5
    assert world.shelf.path("vmlinuz").read_bytes() == b"newer"


def test_a_file_that_came_meanwhile_stands(world: World) -> None:
    key = world.inbox.begin(ME, "vmlinuz", 3).id
    (world.shelf.root).mkdir(parents=True)
    (world.shelf.root / "vmlinuz").write_bytes(b"mine")

    with pytest.raises(ConflictError, match="already"):
        world.send(key, 0, b"abc")
    assert world.shelf.path("vmlinuz").read_bytes() == b"mine"
    # What was sent is kept: once the other is gone, nothing is sent again.
    world.inbox.delete(ME, "vmlinuz")
    world.send(key, 3, b"")
    assert world.shelf.path("vmlinuz").read_bytes() == b"abc"


def test_no_link_is_followed(world: World, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"no")
    world.upload("a/file")
    (world.shelf.root / "out").symlink_to(outside)
    (world.shelf.root / "a" / "secret").symlink_to(outside / "secret")

    with pytest.raises(ConflictError, match="not a directory"):
        world.inbox.begin(ME, "out/new", 1)
    for name in ("out/secret", "a/secret"):
        with pytest.raises(NotFoundError):
            world.shelf.show(name)
    assert [each.name for each in world.shelf.listing()] == ["a/file"]
    world.inbox.delete(ME, "a", recursive=True)
    assert (outside / "secret").exists()


def test_one_sender_at_a_time_where_the_upload_stands(world: World) -> None:
    key = world.inbox.begin(ME, "vmlinuz", 10).id
    sending = world.inbox.open(key, 0)
    with pytest.raises(ConflictError, match="somebody else"):
        world.inbox.open(key, 0)
    with pytest.raises(ConflictError, match="at the moment"):
        world.inbox.abandon(ME, key)
    sending.write(b"12345")
    with pytest.raises(InvalidError, match="more than the 10 bytes"):
        sending.write(b"678901")
    sending.close()

    with pytest.raises(ConflictError, match="5 bytes are here, not 0"):
        world.inbox.open(key, 0)
    with pytest.raises(InvalidError, match="more than the 10 bytes"):
        world.inbox.open(key, 5, 6)
    world.send(key, 5, b"67890")
    with pytest.raises(NotFoundError):
        world.inbox.open(key, 10)


def test_leases_keep_their_part_of_the_disk(world: World) -> None:
    told = os.statvfs(world.folder.parent)
    world.restart(reserve=told.f_blocks * told.f_frsize)
    with pytest.raises(UnavailableError, match=r"the disk is full: vmlinuz needs 2.3 kB more"):
        world.inbox.begin(ME, "vmlinuz", len(TEXT))
    assert world.kept() == []

    world.restart()
    key = world.inbox.begin(ME, "vmlinuz", len(TEXT)).id
    world.send(key, 0, TEXT[:100])
    world.restart(reserve=told.f_blocks * told.f_frsize)
    with pytest.raises(UnavailableError) as caught:
        world.send(key, 100, TEXT[100:])
    assert "go on" in caught.value.hint
    world.restart()
    world.send(key, 100, TEXT[100:], SUM)
    assert world.shelf.show("vmlinuz").sha256 == SUM


def test_what_nobody_goes_on_with_is_thrown_away_after_a_day(world: World) -> None:
    world.send(world.inbox.begin(ME, "old", 10).id, 0, b"12345")
    (world.folder / "drafts" / "0123.part").write_bytes(b"its facts were never written")
    world.ahead = KEEP_SECONDS - 600
    world.inbox.sweep()
    assert world.kept() == [".json", ".part", ".part"]

    world.ahead = KEEP_SECONDS + 600
    world.inbox.sweep()
    assert world.kept() == []
    assert "for a day" in world.events[-1].message


def test_delete(world: World) -> None:
    for name in ("a/b/one", "a/b/two", "a/three", "four"):
        world.upload(name)

    with pytest.raises(ConflictError, match="a directory with 3 files"):
        world.inbox.delete(ME, "a")
    world.inbox.delete(ME, "a/b/one")
    world.inbox.delete(ME, "a/", recursive=True)
    assert [each.name for each in world.shelf.listing()] == ["four"]
    world.inbox.delete(ME, "four")
    assert list(world.shelf.root.iterdir()) == []
    assert not list((world.folder / "sums").iterdir())
    gone = [each.data["key"] for each in world.events if each.kind == "audit.delete"]
    assert gone == ["a/b/one", "a/b/two", "a/three", "four"]


def test_a_file_that_somebody_changed_has_no_checksum(world: World) -> None:
    world.upload("vmlinuz")
    (world.shelf.root / "vmlinuz").write_bytes(b"by hand")

    assert world.shelf.show("vmlinuz").sha256 == ""


def test_what_is_no_draft_does_not_stop_the_others(world: World) -> None:
    world.send(world.inbox.begin(ME, "old", 10).id, 0, b"12345")
    drafts = world.folder / "drafts"
    (drafts / "x.json").write_text("{")
    (drafts / "y.json").write_text(json.dumps({"id": "y", "name": "y", "odd": 1}))
    world.restart()

    assert [each.name for each in world.inbox.uploads()] == ["old"]


def test_a_disk_that_is_not_there(world: World) -> None:
    world.folder.write_text("a file where the directory should be")

    with pytest.raises(BootcartError) as caught:
        world.inbox.begin(ME, "vmlinuz", 1)
    assert caught.value.message
    assert caught.value.hint
    assert world.shelf.listing() == []
