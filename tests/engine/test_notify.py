"""The service manager hears where the engine stands."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.engine.notify import keep, notify
from app.model.engine import ServiceState
from tests import netns
from tests.engine.process import ROOT, Engine, folder


def test_lines_reach_the_managers_socket(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        assert notify("READY=1", "STATUS=up", environment={"NOTIFY_SOCKET": str(path)})
        assert manager.recv(100) == b"READY=1\nSTATUS=up"


def test_an_abstract_socket_is_named_with_an_at_sign(tmp_path: Path) -> None:
    name = f"bootcart-test-{tmp_path.name}-{id(tmp_path)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name)
        assert notify("READY=1", environment={"NOTIFY_SOCKET": "@" + name})
        assert manager.recv(100) == b"READY=1"


def test_without_a_manager_nothing_happens(tmp_path: Path) -> None:
    assert not notify("READY=1", environment={})
    assert not notify("READY=1", environment={"NOTIFY_SOCKET": str(tmp_path / "nobody")})


def test_a_socket_is_given_to_the_manager_in_place_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, socket.create_server(("127.0.0.1", 0)) as ours:
        manager.bind(str(path))
        keep(ours, "boot-http", environment={"NOTIFY_SOCKET": str(path)})
        assert manager.recv(100) == b"FDSTOREREMOVE=1\nFDNAME=boot-http"
        words, fds, _, _ = socket.recv_fds(manager, 100, 4)
        assert words == b"FDSTORE=1\nFDNAME=boot-http"
        with socket.socket(fileno=fds[0]) as kept:
            assert kept.getsockname() == ours.getsockname()


class _Handed(Engine):
    """An engine that is started with the socket a manager held."""

    held = -1

    def more(self, *flags: str) -> None:
        """For the next start."""
        self._argv += flags

    def begin(self) -> subprocess.Popen[str]:
        """As systemd does it: the descriptor is number 3, and the variables say whose it is."""
        if self.held < 0:
            return super().begin()
        told = "export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=boot-http"
        head = ["bash", "-c", f'{told}; exec "$@" 3<&{self.held}', "bash"]
        with self._log.open("a") as log:
            self._process = netns.popen(
                self.ns, [*head, *self._argv], stdout=log, stderr=log, env=self._environment, cwd=ROOT,
                pass_fds=(self.held,),
            )  # fmt: skip
        return self._process


@pytest.mark.root
def test_machines_that_connect_while_systemd_starts_the_engine_again_are_served_by_the_next() -> None:
    with (
        folder() as home,
        netns.namespace("fdstore", ipv6=False) as ns,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        manager.bind(str(home / "notify"))
        manager.settimeout(60)
        stored: list[int] = []
        # Its queue is short: a manager reads all the while.
        reader = threading.Thread(target=lambda: stored.append(_stored(manager)))
        reader.start()
        engine = _Handed(ns, home / "data", "--disable", "probe", extra={"NOTIFY_SOCKET": str(home / "notify")})
        try:
            engine.start()
            reader.join(30)
            engine.held = stored[0]
            engine.kill()
            with netns.call(ns, lambda: socket.create_connection(("127.0.0.1", 8090), timeout=60)) as machine:
                machine.sendall(b"GET /nothing HTTP/1.0\r\n\r\n")
                engine.start()
                assert b" 404 " in machine.recv(64)
            # One that is not to serve them leaves nobody waiting.
            engine.kill()
            engine.more("--disable", "http")
            engine.start()
            with pytest.raises(ConnectionRefusedError):
                netns.call(ns, lambda: socket.create_connection(("127.0.0.1", 8090), timeout=60))
        finally:
            engine.close()
            for each in stored:
                os.close(each)


def _stored(manager: socket.socket) -> int:
    """What the manager is asked to hold."""
    while True:
        words, fds, _, _ = socket.recv_fds(manager, 4096, 4)
        if words.startswith(b"FDSTORE=1\n"):
            return fds[0]


# Loaded by the interpreter itself before the program: on a word it blocks the thread of the DHCP service.
BLOCKER = """
import gc, pathlib, threading, time

def hang():
    while WORD.exists():
        time.sleep(0.02)

def wait():
    while not WORD.exists():
        time.sleep(0.02)
    gc.unfreeze()  # what an engine was built of is not listed while it is frozen
    for each in gc.get_objects():
        if type(each).__name__ == "DhcpService":
            each.post(hang)

WORD = pathlib.Path(__file__).with_name("hang")
threading.Thread(target=wait, daemon=True).start()
"""


class Manager:
    """A service manager that listens."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.heard: list[str] = []
        self._looked = 0
        # The kernel keeps a few messages only, and what does not fit is not waited for.
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while message := self.socket.recv(4096).decode():
            self.heard.append(message)

    def hears(self, *words: str) -> str:
        """Wait for a message with all of `words`, after what earlier calls waited for; it."""

        def look() -> str | None:
            while self._looked < len(self.heard):
                self._looked += 1
                if all(word in self.heard[self._looked - 1] for word in words):
                    return self.heard[self._looked - 1]
            return None

        return netns.until(look, timeout=60, what=f"{words} in {self.heard}")

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self.socket.getsockname())
        self._reader.join()
        self.socket.close()


@pytest.fixture
def manager() -> Iterator[tuple[Manager, Path]]:
    with folder() as home:
        made = Manager(home / "notify")
        yield made, home
        made.close()


@pytest.mark.root
def test_an_engine_tells_its_life(manager: tuple[Manager, Path]) -> None:
    """READY, which services failed and why, signs of life, a thread that hangs and is replaced, STOPPING."""
    told, home = manager
    (home / "sitecustomize.py").write_text(BLOCKER)
    extra = {
        "NOTIFY_SOCKET": str(home / "notify"),
        "WATCHDOG_USEC": "2000000",
        "PYTHONPATH": f"{home}:{ROOT}",
    }
    with netns.namespace("notify", ipv6=False) as ns:
        taken = netns.call(ns, lambda: socket.create_server(("0.0.0.0", 8090)))
        with taken:
            engine = Engine(ns, home / "data", "--disable", "probe", extra=extra).start()
            try:
                ready = told.hears("READY=1")
                assert "failed: http (" in ready.splitlines()[1]
                told.hears("WATCHDOG=1")
                told.hears("WATCHDOG=1")
                # A level of a part, changed while it runs.
                engine.told("prefs", "set", "log-level", "engine=error")
                (home / "hang").touch()
                told.hears("STATUS=", "dhcp (its thread does not answer)")
                engine.up("dhcp")
                shown = engine.service("dhcp")
                assert (shown.failures, shown.last_reason) == (1, "its thread does not answer")
                assert shown.last_failed
                assert engine.event("service.failed", match=lambda e: e.data["service"] == "dhcp").data["hint"]
                told.hears("WATCHDOG=1")
                refused = engine.cli("services", "restart", "http")
                assert (refused.returncode, refused.stdout) == (1, "")
                assert "http did not start: " in refused.stderr
                taken.close()
                # Each by name, whatever it is.
                for each in engine.ask(engine.client.services.list()).items:
                    if each.state is not ServiceState.DISABLED:
                        assert engine.ask(engine.client.services.restart(each.name)).state is ServiceState.UP
                healed = engine.service("http")
                assert (healed.state, healed.reason, healed.retry) == (ServiceState.UP, "", None)
                assert "8090" in healed.last_reason
                assert "8090" in engine.told("services", "list").partition("http")[2]
                (home / "hang").unlink()
                assert " ERROR app.engine.watch: dhcp has not answered for " in engine.log()
                assert "answers again" not in engine.log()
            finally:
                engine.close()
        told.hears("STOPPING=1")
        assert sum("READY=1" in words for words in told.heard) == 1
