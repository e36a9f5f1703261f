"""Starts that cannot be: one line on standard error, an exit code a supervisor understands, no traceback."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.clock import SystemClock
from app.store.store import Store, open_store
from tests.engine.conftest import Rack
from tests.engine.process import ROOT, environment, folder

pytestmark = pytest.mark.root

EX_CONFIG = 78
AGAIN = 1
"""What ends a start that a supervisor may try again: space may come back."""
USAGE = 2
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
# No start gets so far as to use these, and where a test is wrong they do no harm.
HARMLESS = ("--interface", "lo", "--dhcp", "off", "--disable", "dhcp", "--disable", "proxydhcp", "--disable", "tftp",
            "--disable", "http", "--disable", "probe", "--disable", "router")  # fmt: skip


def refused(*words: str, prefix: Sequence[str] = (), code: int = EX_CONFIG, **env: str) -> str:
    """What `bootcart serve` says on standard error when it does not start: one line."""
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "app", "serve", *words],
        cwd=ROOT, env={**environment(), **env}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == code, f"{done.returncode}: {done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout == ""
    return done.stderr


def one_line(text: str) -> str:
    assert text.startswith("bootcart serve: ")
    assert text.count("\n") == 1, text
    return text.removeprefix("bootcart serve: ").rstrip("\n")


def test_a_second_engine_on_one_directory_gives_way(rack: Rack) -> None:
    engine = rack.engine
    before = engine.ask(engine.client.info())
    said = one_line(refused("--data-dir", str(engine.data_dir), *HARMLESS))
    assert said.startswith(f"another engine (pid {before.pid}) already uses {engine.data_dir}")
    assert "stop it" in said
    # Beside another directory, but over the same socket.
    with folder() as home:
        words = ("--data-dir", str(home / "data"), "--api-socket", str(engine.data_dir / "api.sock"), *HARMLESS)
        said = one_line(refused(*words))
    assert said.startswith(f"an engine already answers on {engine.data_dir / 'api.sock'}")
    after = engine.ask(engine.client.info())
    assert (after.instance, after.pid) == (before.instance, before.pid)
    assert engine.ask(engine.client.subnets.show("rack7")).hold == ""


def test_a_directory_of_somebody_else_is_refused() -> None:
    with folder() as home:
        home.chmod(0o711)
        data = home / "data"
        data.mkdir(mode=0o755)
        said = one_line(refused("--data-dir", str(data), *HARMLESS, prefix=NOBODY))
        assert said.startswith(f"the data directory {data} belongs to root, but the engine runs as nobody")
        mine = home / "mine"
        mine.mkdir()
        os.chown(mine, 65534, 65534)
        mine.chmod(0o500)
        said = one_line(refused("--data-dir", str(mine), *HARMLESS, prefix=NOBODY))
        assert said.startswith(f"the data directory {mine} cannot be written: permission denied")


def test_settings_that_cannot_be() -> None:
    """tests/test_config.py has the table; here is what becomes of its errors."""
    long = "/nowhere/" + "x" * 120
    assert one_line(refused("--data-dir", long, *HARMLESS)).startswith(
        f"api_socket: the socket path {long}/api.sock is"
    )
    with folder() as home:
        path = home / "bootcart.toml"
        path.write_text("dhcp = ")
        said = one_line(refused("--data-dir", str(home / "data"), *HARMLESS, BOOTCART_CONFIG=str(path)))
        assert said == f"{path}: Invalid value (at end of document) (mend the file)"
        assert not (home / "data").exists()
        one_line(refused("--data-dir", str(home / "data"), *HARMLESS, "--database-url", "coffee://x"))


def test_unknown_flags_are_usage_errors() -> None:
    said = refused("--interfac", "eth0", code=USAGE)
    assert said.splitlines()[-1] == "bootcart serve: error: unrecognized arguments: --interfac eth0"


def test_a_socket_path_that_is_something_else() -> None:
    with folder() as home:
        (home / "data").mkdir()
        (home / "data" / "api.sock").write_text("mine")
        said = one_line(refused("--data-dir", str(home / "data"), *HARMLESS))
        assert said.startswith(f"{home / 'data' / 'api.sock'} exists and is not a socket")
        assert (home / "data" / "api.sock").read_text() == "mine"


def test_a_database_that_is_none() -> None:
    with folder() as home:
        (home / "data").mkdir(mode=0o700)
        database = home / "data" / "bootcart.db"
        database.write_bytes(b"this is not a database" * 1000)
        said = one_line(refused("--data-dir", str(home / "data"), *HARMLESS))
        assert str(database) in said
        assert database.read_bytes() == b"this is not a database" * 1000


# --- disks -----------------------------------------------------------------------------------------------------------


def on_disk(home: Path, options: str, *, then: str = "true") -> list[str]:
    """A mount namespace with a small file system on `home`, in which `then` is done first."""
    script = f'mount -t tmpfs -o mode=700,{options} none {home} && {then} && exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]


# Where the space ends decides which step of the start meets it.
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("size=8k", "is full"),
        ("size=128k", "is full"),
        ("size=4m,nr_inodes=1", "cannot be made: the disk is full"),
        ("size=4m,nr_inodes=2", "cannot be written: the disk is full"),
        ("size=4m,nr_inodes=3", "cannot be made: the disk is full"),
        ("size=4m,nr_inodes=4", "is full"),
        ("size=4m,nr_inodes=5", "is full"),
        ("size=4m,nr_inodes=6", "the disk is full"),
        ("size=4m,nr_inodes=8", "the disk is full"),
    ],
)
def test_a_full_disk_is_said_with_what_to_do(options: str, words: str) -> None:
    with folder() as home:
        said = one_line(refused("--data-dir", str(home / "data"), *HARMLESS, prefix=on_disk(home, options), code=AGAIN))

    assert words in said
    assert "free" in said
    # It does not: nothing starts it again by itself.
    assert "goes on by itself" not in said


def test_a_read_only_disk_is_said_and_what_is_there_stays() -> None:
    with folder() as home:
        fill = f"cp -a {home}.kept/data {home}/data && mount -o remount,ro {home}"
        kept = home.with_name(home.name + ".kept")
        made(kept / "data").close()
        try:
            prefix = on_disk(home, "size=4m", then=fill)
            said = one_line(refused("--data-dir", str(home / "data"), *HARMLESS, prefix=prefix, code=AGAIN))
            assert said.startswith(
                f"the data directory {home / 'data'} cannot be written: the file system is read-only"
            )
            prefix = on_disk(home, "size=4m", then=f"mount -o remount,ro {home}")
            said = one_line(refused("--data-dir", str(home / "data"), *HARMLESS, prefix=prefix, code=AGAIN))
            assert said.startswith(f"the data directory {home / 'data'} cannot be made: the file system is read-only")
        finally:
            shutil.rmtree(kept)


# --- databases -------------------------------------------------------------------------------------------------------


def made(data: Path) -> Store:
    """An open store in a new data directory."""
    data.parent.mkdir(exist_ok=True)
    return open_store(data, SystemClock())


def test_a_newer_version_s_data_is_not_touched() -> None:
    with folder() as home:
        made(home / "data").close()
        path = home / "data/bootcart.db"
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE alembic_version SET version_num = '9999'")
        before = path.read_bytes()
        said = one_line(refused("--data-dir", str(home / "data"), *HARMLESS))

        assert "written by a newer Bootcart" in said
        assert "start the newer Bootcart, or restore the backup" in said
        assert path.read_bytes() == before


def test_a_damaged_database_is_kept_and_its_backup_named() -> None:
    with folder() as home:
        made(home / "data").close()
        path = home / "data/bootcart.db"
        # The schema's page is whole, what follows is noise.
        whole = path.read_bytes()
        path.write_bytes(whole[:4096] + b"\x5a" * (len(whole) - 4096))
        damaged = path.read_bytes()
        said = one_line(refused("--data-dir", str(home / "data"), *HARMLESS))
        assert said.startswith(f"the database {path} is damaged: ")
        assert "without one, move it away to begin with nothing" in said

        backup = home / "data/bootcart-before-upgrade-from-0001.db"
        backup.write_bytes(whole)
        said = one_line(refused("--data-dir", str(home / "data"), *HARMLESS))
        assert f"move the file away and copy {backup} to its place" in said
        assert path.read_bytes() == damaged
        # What it says works.
        path.rename(path.with_suffix(".damaged"))
        shutil.copy(backup, path)
        made(home / "data").close()


def test_keys_that_others_could_read_or_that_are_damaged() -> None:
    with folder() as home:
        made(home / "data").close()
        (home / "data/secrets").mkdir(mode=0o700, exist_ok=True)
        key = home / "data/secrets/token.key"
        key.write_bytes(b"short")
        key.chmod(0o600)
        said = one_line(refused("--data-dir", str(home / "data"), *HARMLESS))

        assert str(key) in said
        assert key.read_bytes() == b"short"
