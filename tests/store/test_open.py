"""Opening: what is refused, in which words, and that nothing is ever made anew over what was there."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from app.errors import BootcartError, ConflictError, InvalidError
from app.store import command_rows, records, schema, sqlitefile
from app.store.database import Database
from app.store.place import DirectoryLock
from app.store.store import open_store
from tests.store.stores import SetClock, commit, lease


def _made(data_dir: Path) -> Path:
    open_store(data_dir, SetClock()).close()
    return data_dir / "bootcart.db"


def test_the_directory_and_the_file_are_private(data_dir: Path) -> None:
    path = _made(data_dir)

    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(data_dir.glob("*.new*"))


def test_a_directory_open_to_others_is_narrowed(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o755)
    _made(data_dir)

    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def test_commits_survive_a_power_cut(data_dir: Path) -> None:
    """WAL with synchronous=FULL is what makes a returned commit durable (sqlite.org/pragma.html)."""
    database = Database.open(data_dir)
    pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    found = database.write(lambda connection: [connection.exec_driver_sql(f"PRAGMA {p}").scalar() for p in pragmas])
    database.close()

    assert found == ["wal", 2, 1, 5000]


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _noise(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 100)


def _header(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[0:16] = b"\0" * 16
    path.write_bytes(raw)


def _pages(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[4096:] = bytes(0xA5 for _ in raw[4096:])
    path.write_bytes(raw)


def _truncated(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(4096 * 3)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def _log_without_database(path: Path) -> None:
    path.rename(path.with_name("bootcart.db-wal"))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_empty, "0 bytes"),
        (_noise, "not a SQLite database"),
        (_header, "not a SQLite database"),
        (_pages, "damaged"),
        (_truncated, "damaged"),
        (_directory, "not a file"),
        (_dangling, "not a file"),
        (_log_without_database, "deleted or moved"),
    ],
)
def test_damage_is_refused_in_words_and_left_as_it_is(
    data_dir: Path, damage: Callable[[Path], None], words: str
) -> None:
    path = _made(data_dir)
    damage(path)
    before = {each.name: each.lstat().st_size for each in data_dir.iterdir()}

    with pytest.raises(BootcartError, match=words) as caught:
        Database.open(data_dir)

    assert caught.value.hint
    assert {each.name: each.lstat().st_size for each in data_dir.iterdir()} == before
    # The lock was given back.
    DirectoryLock(data_dir).release()


def test_a_newer_schema_is_refused(data_dir: Path) -> None:
    path = _made(data_dir)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    with pytest.raises(BootcartError, match="newer Bootcart"):
        Database.open(data_dir)


def test_somebody_elses_database_is_refused(data_dir: Path) -> None:
    data_dir.mkdir()
    connection = sqlite3.connect(data_dir / "bootcart.db")
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.commit()
    connection.close()

    with pytest.raises(BootcartError, match="recipes"):
        Database.open(data_dir)


def test_an_unreadable_body_names_the_object(data_dir: Path) -> None:
    path = _made(data_dir)
    with sqlite3.connect(path) as connection:
        connection.execute(
            'INSERT INTO subnets VALUES (\'rack7\', \'10.7.0.0/24\', 1, \'{"name": "rack7", "cidr": "x"}\')'
        )
    connection.close()

    with pytest.raises(BootcartError, match="subnet 'rack7' cannot be read: cidr"):
        open_store(data_dir, SetClock())


def test_two_engines_never_share_a_directory(data_dir: Path) -> None:
    """The second is told the pid of the first; a killed one leaves nothing in the way."""
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, pathlib\nfrom app.store.database import Database\n"
            "Database.open(pathlib.Path(sys.argv[1]))\nprint('open', flush=True)\nsys.stdin.read()",
            str(data_dir),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(ConflictError, match=f"pid {holder.pid}"):
            Database.open(data_dir)
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()

    Database.open(data_dir).close()


@pytest.mark.root
def test_another_users_directory_is_refused(data_dir: Path) -> None:
    data_dir.mkdir()
    os.chown(data_dir, 65534, 65534)

    with pytest.raises(BootcartError, match="belongs to nobody"):
        Database.open(data_dir)


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    for path in (tmp_path / "file", tmp_path / "file" / "data"):
        with pytest.raises(BootcartError, match="not a directory"):
            Database.open(path)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "not a database URL"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("nosuch://host/db", "not a known kind"),
        ("oracle+oracledb://host/db", "driver"),
    ],
)
def test_urls_that_cannot_be_opened(data_dir: Path, url: str, words: str) -> None:
    with pytest.raises(InvalidError, match=words):
        Database.open(data_dir, url)


def test_a_sqlite_url_is_a_file_with_every_check(data_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    Database.open(data_dir, f"sqlite:///{path}").close()
    path.write_bytes(b"")

    with pytest.raises(BootcartError, match="0 bytes"):
        Database.open(data_dir, f"sqlite:///{path}")


def test_a_log_that_was_deleted_is_noticed(data_dir: Path, tmp_path: Path) -> None:
    """As after a kill: the files are copied while the engine runs, the copy lacks the log."""
    store = open_store(data_dir, SetClock())
    assert commit(store.leases, [lease(1)]) is None
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    for copy in (whole, torn):
        copy.mkdir(mode=0o700)
        for name in ("bootcart.db", "bootcart.db-wal", "bootcart.db-open"):
            (copy / name).write_bytes((data_dir / name).read_bytes())
    store.close()
    (torn / "bootcart.db-wal").unlink()

    reopened = open_store(whole, SetClock())
    assert (reopened.database.doubts, reopened.database.unclean) == ((), True)
    assert [each.address for each in reopened.leases.load()] == [lease(1).address]
    reopened.close()
    doubtful = open_store(torn, SetClock())
    assert "newest changes are lost" in doubtful.database.doubts[0]
    doubtful.close()
    assert open_store_doubts(torn) == ()


def open_store_doubts(data_dir: Path) -> tuple[str, ...]:
    store = open_store(data_dir, SetClock())
    try:
        assert store.events.list(kind="store.doubt").total == 1
        return store.database.doubts
    finally:
        store.close()


def test_the_schema_is_what_the_tables_say(data_dir: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    database = Database.open(data_dir)
    with database.read() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)
    database.close()

    assert tuple(reversed(revisions)) == schema.REVISIONS
    assert differences == []


def test_a_command_log_of_the_first_schema_is_read_and_still_sound(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(schema, "REVISIONS", ("0001",))
        earlier.setattr(schema, "HEAD", "0001")
        Database.open(data_dir).close()
    names = ("time", "actor", "verb", "noun", "key", "summary", "before", "after", "undoable")
    values = (1.0, "op", "update", "prefs", "x", "set x", {"name": "x"}, None, 1)
    digest = hashlib.sha256(
        json.dumps(["", dict(zip(names, values, strict=True))], sort_keys=True).encode()
    ).hexdigest()
    with sqlite3.connect(data_dir / "bootcart.db") as connection:
        row = [json.dumps(value) if isinstance(value, dict) else value for value in values]
        columns = ", ".join(f'"{name}"' for name in (*names, "digest"))
        connection.execute(f"INSERT INTO commands ({columns}) VALUES ({', '.join('?' * 10)})", (*row, digest))  # noqa: S608 - names of ours
    connection.close()

    database = Database.open(data_dir)
    with database.read() as opened:
        command = command_rows.get(opened, 1)
        altered = command_rows.first_altered(opened)
    database.close()

    assert command is not None
    assert (command.summary, command.undoes, altered) == ("set x", None, None)
    sqlitefile.check(data_dir / "bootcart-before-upgrade-from-0001.db")


@pytest.mark.parametrize("release", ["0001", "0002"])
def test_reservations_of_an_earlier_schema_stay_and_a_machine_may_have_several(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(schema, "REVISIONS", tuple(each for each in schema.REVISIONS if each <= release))
        earlier.setattr(schema, "HEAD", release)
        Database.open(data_dir).close()
    body = {"address": "10.7.0.50", "mac": "52:54:00:00:00:50", "hostname": "", "never_boot": True, "description": "x"}
    with sqlite3.connect(data_dir / "bootcart.db") as connection:
        row = (body["address"], body["mac"], 3, json.dumps(body))
        connection.execute("INSERT INTO reservations (address, mac, version, body) VALUES (?, ?, ?, ?)", row)
    connection.close()

    store = open_store(data_dir, SetClock())
    (kept,) = store.directory.reservations()
    other = kept.model_copy(update={"address": kept.address + 1})
    store.database.write(lambda opened: records.save(opened, None, other), lambda _: None)
    store.close()

    assert (kept.never_boot, kept.scope, kept.options) == (True, "subnet", {})
    again = open_store(data_dir, SetClock())
    held = again.directory.reservations_for(kept.mac)
    again.close()
    assert [str(each.address) for each in held] == ["10.7.0.50", "10.7.0.51"]


def test_an_upgrade_that_fails_leaves_the_schema_it_had_and_a_backup(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _made(data_dir)
    monkeypatch.setattr(schema, "REVISIONS", (*schema.REVISIONS, "9999"))
    before = schema.HEAD
    monkeypatch.setattr(schema, "HEAD", "9999")

    def half(connection: sa.Connection) -> None:
        connection.execute(sa.text("CREATE TABLE half (name TEXT)"))
        connection.execute(sa.text("DROP TABLE leases"))
        raise OSError("killed here")

    monkeypatch.setattr(schema, "upgrade", half)
    with pytest.raises(OSError, match="killed here"):
        Database.open(data_dir)
    with sqlite3.connect(path) as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()

    assert "leases" in names
    assert "half" not in names
    backup = data_dir / f"bootcart-before-upgrade-from-{before}.db"
    sqlitefile.check(backup)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_a_database_is_made_whole_or_not_at_all(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(connection: sa.Connection) -> None:
        connection.execute(sa.text("CREATE TABLE half (name TEXT)"))
        raise OSError("killed here")

    with monkeypatch.context() as patched:
        patched.setattr(schema, "upgrade", half)
        with pytest.raises(BootcartError):
            Database.open(data_dir)
    assert not (data_dir / "bootcart.db").exists()

    # The next start finishes what was begun.
    Database.open(data_dir).close()
    assert not list(data_dir.glob("*.new*"))
