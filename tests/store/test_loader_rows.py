"""Which loader suits whom outlives a restart, and nobody waits for it."""

from __future__ import annotations

from pathlib import Path

from app.errors import BootcartError
from app.store.database import Database
from app.store.loader_rows import Kept, LoaderRows

MAC, CARD = "mac 52:54:00:00:00:07", "card bios 52:54:00"


def test_kept_changed_and_forgotten(tmp_path: Path) -> None:
    first = {MAC: Kept("snponly", ("ipxe", "shim")), CARD: Kept("snponly")}
    second = {MAC: Kept("grub", ("ipxe",), works=True), CARD: None}
    found: list[dict[str, Kept]] = []
    for given in (first, second, {}):
        database = Database.open(tmp_path)
        rows = LoaderRows(database)
        found.append(rows.load())
        for subject, kept in given.items():
            rows.keep(subject, kept)
        database.close()

    assert found == [{}, first, {MAC: second[MAC]}]


def test_what_could_not_be_stored_is_tried_again_but_newer_words_stand(tmp_path: Path) -> None:
    database = Database.open(tmp_path)
    rows = LoaderRows(database)
    database.close()
    rows.keep(MAC, Kept("ipxe"))
    batch = rows.take()
    assert batch is not None
    rows.keep(CARD, Kept("snponly"))
    rows.settle({MAC: Kept("ipxe"), CARD: Kept("shim")}, BootcartError("the disk is full"))

    assert rows.take() == {MAC: Kept("ipxe"), CARD: Kept("snponly")}
    assert rows.take() is None
