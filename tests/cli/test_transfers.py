"""`bootcart files`: upload, download, delete, and going on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from app.cli import transfers
from tests.cli.conftest import Running

OCTETS = bytes(range(256)) * 2000
SUM = hashlib.sha256(OCTETS).hexdigest()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.iso"
    path.write_bytes(OCTETS)
    return path


def test_there_and_back(bootcart: Running, image: Path, tmp_path: Path) -> None:
    up = bootcart("files", "upload", str(image), "isos/image.iso")
    assert (up.code, up.out, up.err) == (0, f"file isos/image.iso uploaded, SHA-256 {SUM}\n", "")
    assert bootcart("files", "list", "--quiet", "--filter", "name~isos").lines == ["isos/image.iso"]
    told = bootcart("files", "show", "isos/image.iso", "--json").json
    assert (told["size"], told["sha256"]) == (len(OCTETS), SUM)

    back = tmp_path / "back"
    assert bootcart("files", "download", "isos/image.iso", str(back)).out == f"file isos/image.iso is in {back}\n"
    assert back.read_bytes() == OCTETS
    assert bootcart("files", "download", "isos/image.iso", str(back)).code == 4
    assert bootcart("files", "download", "isos/image.iso", str(back), "--replace").code == 0

    assert bootcart("files", "delete", "isos").code == 4
    assert bootcart("files", "delete", "isos/image.iso").out == "file isos/image.iso deleted\n"
    assert bootcart("files", "exists", "isos/image.iso").code == 3


def test_a_file_in_many_pieces(bootcart: Running, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "PIECE", 70_001)

    assert bootcart("files", "upload", str(image)).code == 0
    assert bootcart("files", "show", "image.iso", "--json").json["sha256"] == SUM


def test_it_goes_on_where_it_stopped(bootcart: Running, image: Path) -> None:
    inbox = bootcart.engine.inbox
    begun = inbox.begin("user:somebody", "image.iso", len(OCTETS))
    sending = inbox.open(begun.id, 0)
    sending.write(OCTETS[:300_000])
    assert bootcart("files", "upload", str(image)).code == 4
    sending.close()

    assert bootcart("files", "unfinished").lines[0].split("\t")[:4] == [
        "image.iso", "300000", str(len(OCTETS)), "user:somebody",
    ]  # fmt: skip
    assert bootcart("files", "upload", str(image)).code == 0
    assert bootcart("files", "unfinished").out == ""
    assert bootcart("files", "show", "image.iso", "--json").json["sha256"] == SUM


def test_what_stopped_was_of_another_file(bootcart: Running, image: Path) -> None:
    inbox = bootcart.engine.inbox
    for size in (len(OCTETS), 5):
        sending = inbox.open(inbox.begin("user:somebody", "image.iso", size).id, 0)
        sending.write(b"other")
        sending.close()
        refused = bootcart("files", "upload", str(image))
        # As long as this one, its beginning is found to be another's at the end: nothing of it is kept.
        assert (refused.code, "SHA-256" in refused.err) == ((2, True) if size > 5 else (4, False))
    assert bootcart("files", "upload", str(image), "--restart").code == 0


def test_a_directory(bootcart: Running, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "images").mkdir(parents=True)
    (tree / ".treeinfo").write_text("[general]")
    (tree / "images" / "install.img").write_bytes(b"image")

    assert bootcart("files", "upload", str(tree), "rocky/9", "--quiet").lines == [
        "rocky/9/.treeinfo",
        "rocky/9/images/install.img",
    ]
    assert bootcart("files", "upload", str(tree), "--sha256", SUM).code == 2
    assert bootcart("files", "delete", "rocky", "--recursive").code == 0


def test_a_checksum_that_is_known(bootcart: Running, image: Path) -> None:
    wrong = bootcart("files", "upload", str(image), "--sha256", "0" * 64)
    assert (wrong.code, SUM in wrong.err) == (2, True)
    assert bootcart("files", "exists", "image.iso").code == 3
    assert bootcart("files", "upload", str(image), "--sha256", SUM).code == 0
    assert bootcart("files", "upload", str(image)).code == 4
    assert bootcart("files", "upload", str(image), "--replace").code == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("upload", "/nonexistent/x"), 3),
        (("upload", "-"), 2),
        (("upload", "/dev/null"), 2),
        (("download", "nothing"), 3),
        (("delete", "nothing"), 3),
        (("show", "../x"), 3),
    ],
)
def test_what_cannot_be(bootcart: Running, words: tuple[str, ...], code: int) -> None:
    done = bootcart("files", *words)

    assert (done.code, done.err.count("\n")) == (code, 1)
    assert "(" in done.err
