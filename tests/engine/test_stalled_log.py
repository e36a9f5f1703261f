"""A log that nobody reads: machines are answered, the engine ends in time, and what was lost is told."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.engine import logs
from app.engine.outlet import QUEUE_MAX, Outlet
from app.errors import UnreachableError
from tests import netns
from tests.engine.card import card, pxe
from tests.engine.conftest import new_mac
from tests.engine.process import ROOT, Engine, folder
from tests.engine.test_logs import root as root


def _fill(end: int) -> None:
    """Leave no room in a pipe."""
    fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(end, False)
    try:
        while True:
            os.write(end, b"." * 4095 + b"\n")
    except BlockingIOError:
        pass
    os.set_blocking(end, True)


@pytest.fixture
def stalled() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe that is full."""
    reader, writer = os.pipe()
    _fill(writer)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def _lines(reader: int, last: str) -> list[str]:
    """What comes out of a pipe up to a line that ends so, without what filled it."""
    text = ""
    while not text.endswith(last + "\n"):
        text += os.read(reader, 65536).decode()
    return [line for line in text.splitlines() if not line.startswith(".")]


def test_who_logs_never_waits_and_hears_what_was_lost(root: logging.Logger, stalled: tuple[int, int]) -> None:
    reader, writer = stalled
    with os.fdopen(os.dup(writer), "w") as stream:
        logs.set_up("info", stream, {})
        # One batch is being written, one waits.
        many = 2 * QUEUE_MAX // 1000 + 100
        for number in range(many):
            logging.getLogger("app.store").info("%04d %s", number, "x" * 1000)
        assert not logs.drain()

        told: list[str] = []
        thread = threading.Thread(target=lambda: told.extend(_lines(reader, "the end")))
        thread.start()
        assert all(handler.drain(30) for handler in root.handlers if isinstance(handler, Outlet))
        logging.getLogger("app.store").info("the end")
        thread.join(30)
        root.handlers[0].close()

    # In order, and where some are missing their number stands.
    expected, lost = 0, 0
    for line in told[:-1]:
        words = line.split(" WARNING app.engine.outlet: ")
        if len(words) == 2:
            assert "of the log were dropped: nobody read them" in words[1]
            expected += int(words[1].split()[0])
            lost += int(words[1].split()[0])
        else:
            assert int(line.split("app.store: ")[1][:4]) == expected
            expected += 1
    assert expected == many
    assert lost


def test_a_reader_that_is_gone_and_comes_back_is_told(root: logging.Logger, tmp_path: Path) -> None:
    """A full disk, as the kernel has one for tests, and then room again."""
    full = os.open("/dev/full", os.O_WRONLY)
    with os.fdopen(full, "w") as stream:
        logs.set_up("info", stream, {})
        logging.getLogger("app.store").info("one")
        assert logs.drain()
        logging.getLogger("app.store").info("two")
        assert logs.drain()
        room = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
        os.dup2(room, full)
        os.close(room)
        logging.getLogger("app.store").info("three")
        assert logs.drain()
        root.handlers[0].close()

    told = (tmp_path / "log").read_text().splitlines()
    assert len(told) == 2
    assert "2 lines of the log were dropped: they could not be written" in told[0]
    assert told[1].endswith("app.store: three")


ENDS = """
import logging, sys, threading
from app.engine import logs
logs.set_up("info")
for number in range(2000):
    logging.getLogger("app").info("line %d", number)
{end}
"""


@pytest.mark.parametrize(
    ("end", "code", "last"),
    [
        ("", 0, "line 1999"),
        ("sys.exit(3)", 3, "line 1999"),
        ("import app.serve as s; s.run = None; sys.exit(s.main(['--data-dir', '/tmp']))", 1, "(see the line above)"),
    ],
)
def test_the_last_lines_are_written_before_the_end(end: str, code: int, last: str) -> None:
    argv = [sys.executable, "-c", ENDS.format(end=end)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    lines = done.stderr.splitlines()

    assert done.returncode == code, done.stderr
    assert [line.rpartition(" ")[2] for line in lines[:2000]] == [str(number) for number in range(2000)]
    assert lines[-1].endswith(last)
    if code == 1:
        assert "app.engine: the engine ended | Traceback" in lines[-2]


class _Unread(Engine):
    """An engine whose output goes to a pipe that is full."""

    pipe: int

    def begin(self) -> subprocess.Popen[str]:
        """Start it, and wait until it serves."""
        self._process = netns.popen(
            self.ns, self._argv, stdout=self.pipe, stderr=self.pipe, env=self._environment, cwd=ROOT
        )
        return self._process

    def start(self) -> Engine:
        """Start it, and ask it whether it serves."""
        self.begin()

        def ready() -> bool:
            try:
                return self.service("dhcp").state.value == "up"
            except UnreachableError:
                return False

        netns.until(ready, timeout=60, what="the engine answers")
        return self


@pytest.mark.root
def test_machines_are_answered_while_nobody_reads_the_log(stalled: tuple[int, int], artefacts: Path) -> None:
    with netns.segment("10.7.0.1/24") as segment, folder() as where:
        flags = ("--interface", "eth0", "--artefacts", str(artefacts), "--log-level", "debug")
        engine = _Unread(segment.server, where / "data", *flags)
        engine.pipe = stalled[1]
        try:
            engine.start()
            engine.subnet()
            engine.served()
            for _ in range(20):
                with card(segment.clients[0], new_mac(), pxe(7)) as asker:
                    assert asker.lease()
            process = engine.process
            engine.stop()
            assert process.returncode == 0
        finally:
            engine.close()


@pytest.mark.root
def test_an_engine_that_cannot_start_ends_although_nobody_reads_why(stalled: tuple[int, int], tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "app", "serve", "--data-dir", str(tmp_path / "missing" / "x"), "--log-level", "debug"]
    (tmp_path / "missing").write_text("a file")
    process = subprocess.Popen(argv, cwd=ROOT, stdout=stalled[1], stderr=stalled[1])
    try:
        assert process.wait(60) == 78
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
