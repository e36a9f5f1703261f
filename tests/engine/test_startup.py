"""Starts that cannot be: one line on standard error, an exit code a supervisor understands, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.engine.conftest import Rack
from tests.engine.process import ROOT, environment, folder

pytestmark = pytest.mark.root

EX_CONFIG = 78
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
