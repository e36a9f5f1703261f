"""The supervisor keeps a process alive, says why it ended, and knows when not to start it again."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.services import supervisor

SCRIPT = supervisor.__file__


class Kept:
    """A supervisor at work."""

    def __init__(self, folder: Path, *command: str, delays: str = "0.05,0.1", watchdog: str = "30") -> None:
        self.state_path = folder / "state.json"
        self.log_path = folder / "engine.log"
        head = [
            "--state",
            str(self.state_path),
            "--log",
            str(self.log_path),
            "--delays",
            delays,
            "--watchdog",
            watchdog,
            "--",
        ]
        self.process = subprocess.Popen([sys.executable, "-I", "-S", SCRIPT, *head, *command], stdin=subprocess.DEVNULL)

    def state(self) -> dict[str, Any]:
        try:
            return json.loads(self.state_path.read_text())
        except FileNotFoundError:
            return {"state": "", "restarts": 0, "pid": None, "last_exit": None}

    def until(self, condition: Callable[[dict[str, Any]], bool], seconds: float = 20) -> dict[str, Any]:
        """Poll the state file until a condition holds of it."""
        deadline = time.monotonic() + seconds
        while not condition(found := self.state()):
            assert time.monotonic() < deadline, found
            select.select([], [], [], 0.02)
        return found


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Callable[..., Kept]]:
    kept: list[Kept] = []

    def start(*command: str, **extra: str) -> Kept:
        kept.append(Kept(tmp_path, *command, **extra))
        return kept[-1]

    yield start
    for one in kept:
        if one.process.poll() is None:
            one.process.terminate()
            one.process.wait(timeout=15)


def test_a_failing_engine_is_started_again_and_its_words_are_kept(keep: Callable[..., Kept]) -> None:
    kept = keep("sh", "-c", "echo first line; echo 'no such interface' >&2; exit 3")

    state = kept.until(lambda found: found["restarts"] >= 3)

    assert state["last_exit"]["reason"] == "exit code 3"
    assert state["last_exit"]["output"] == "first line\nno such interface"
    said = "the engine ended (exit code 3: no such interface); starting it again in 0.1 s"
    assert said in kept.log_path.read_text()


def test_a_killed_engine_is_started_again(keep: Callable[..., Kept]) -> None:
    kept = keep("sleep", "1000")
    first = kept.until(lambda found: found["pid"] is not None)["pid"]

    os.kill(first, signal.SIGKILL)

    state = kept.until(lambda found: found["pid"] not in (None, first))
    assert state["last_exit"]["reason"] == "killed by SIGKILL"
    assert (state["state"], state["restarts"]) == ("running", 1)


@pytest.mark.parametrize(("code", "ended", "exit_code"), [(0, "stopped", 0), (78, "failed", 78)])
def test_some_ends_are_final(keep: Callable[..., Kept], code: int, ended: str, exit_code: int) -> None:
    kept = keep("sh", "-c", f"echo because; exit {code}")

    assert kept.process.wait(timeout=20) == exit_code
    state = kept.state()
    assert (state["state"], state["restarts"]) == (ended, 0)
    assert state["last_exit"]["output"] == "because"


def test_sigterm_is_passed_on_and_waited_for(keep: Callable[..., Kept], tmp_path: Path) -> None:
    kept = keep("sh", "-c", "trap 'echo drained; exit 0' TERM; echo up; while :; do sleep 0.05; done")
    kept.until(lambda _: kept.log_path.exists() and "up" in kept.log_path.read_text())

    kept.process.terminate()

    assert kept.process.wait(timeout=20) == 0
    assert "drained" in kept.log_path.read_text()
    assert kept.state()["state"] == "stopped"


def test_one_that_does_not_end_is_killed(keep: Callable[..., Kept]) -> None:
    kept = keep("sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done")
    kept.until(lambda _: kept.log_path.exists() and "up" in kept.log_path.read_text())
    pid = kept.state()["pid"]

    began = time.monotonic()
    kept.process.terminate()

    assert kept.process.wait(timeout=20) == 0
    assert time.monotonic() - began > supervisor.PATIENCE - 0.1
    assert not Path(f"/proc/{pid}").exists()


def test_asked_to_stop_while_it_waits_it_does(keep: Callable[..., Kept]) -> None:
    kept = keep("false", delays="100")
    kept.until(lambda found: found["state"] == "waiting")

    kept.process.terminate()

    assert kept.process.wait(timeout=20) == 0
    assert kept.state()["state"] == "stopped"


def test_one_supervisor_for_an_engine(keep: Callable[..., Kept]) -> None:
    first = keep("sleep", "1000")
    first.until(lambda found: found["pid"] is not None)

    second = keep("sleep", "1000")

    assert second.process.wait(timeout=20) == supervisor.ALREADY_RUNS
    assert first.process.poll() is None


def test_a_command_that_is_not_there_is_said(keep: Callable[..., Kept]) -> None:
    kept = keep("/nonexistent/program")

    state = kept.until(lambda found: found["restarts"] >= 1)

    assert "cannot be started" in state["last_exit"]["output"]


def test_it_is_small(keep: Callable[..., Kept]) -> None:
    kept = keep("sleep", "1000")
    kept.until(lambda found: found["pid"] is not None)
    status = Path(f"/proc/{kept.process.pid}/status").read_text()

    own = int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1])

    assert own < 8 * 1024


def test_the_log_is_turned_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LOG_LIMIT", 100)
    one = supervisor.Supervisor(["true"], str(tmp_path / "state"), str(tmp_path / "log"))
    os.write(one.log, b"x" * 200)

    one.turn_log()
    os.write(one.log, b"after\n")

    assert (tmp_path / "log").read_text() == "after\n"
    assert (tmp_path / "log.1").stat().st_size == 200
    os.close(one.log)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (60, 30)])
def test_back_off(failures: int, seconds: float) -> None:
    assert supervisor.delay_after(failures) == seconds


ENGINE = """
import os, sys, time
from app.services.boothttp.listener import listener
sock = listener("127.0.0.1", int(sys.argv[1]))
print("listens", flush=True)
connection, _ = sock.accept()
connection.sendall(str(os.getpid()).encode())
connection.close()
time.sleep(60)
"""


def test_machines_that_connect_while_no_engine_runs_are_served_by_the_next(keep: Callable[..., Kept]) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    path = f"PYTHONPATH={Path(SCRIPT).parents[2]}"
    kept = keep("env", path, sys.executable, "-c", ENGINE, str(port), delays="1")
    kept.until(lambda _: kept.log_path.exists() and "listens" in kept.log_path.read_text())
    first = kept.state()["pid"]

    os.kill(first, signal.SIGKILL)
    kept.until(lambda found: found["state"] == "waiting")
    with socket.create_connection(("127.0.0.1", port), timeout=30) as machine:
        answered_by = int(machine.recv(16))

    assert answered_by == kept.state()["pid"] != first


def test_the_next_one_is_told_how_the_last_one_ended(keep: Callable[..., Kept], tmp_path: Path) -> None:
    told = tmp_path / "told"
    words = f"open({str(told)!r}, 'a').write(os.environ.get('BOOTCART_LAST_END', 'nothing') + ' ')"
    code = f"import os; {words}; os.kill(os.getpid(), 9)"
    kept = keep(sys.executable, "-c", code)
    kept.until(lambda state: state["restarts"] >= 2)

    assert told.read_text().startswith("nothing killed by SIGKILL ")


LIVES = """
import faulthandler, os, socket, sys, time
faulthandler.enable()
watchdog = int(os.environ["WATCHDOG_USEC"]) / 1_000_000
assert os.environ["WATCHDOG_PID"] == str(os.getpid())
where = os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1)
me = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
print("told", os.environ.get("BOOTCART_LAST_END", "nothing"), "at", os.environ["NOTIFY_SOCKET"], flush=True)
while not os.path.exists(sys.argv[1]):
    me.sendto(b"WATCHDOG=1", where)
    time.sleep(watchdog / 4)
def stuck():
    while True:
        time.sleep(60)
stuck()
"""


def test_who_talks_without_end_does_not_keep_the_supervisor() -> None:
    """Anyone on the host may write to the socket that the engine tells its life by."""
    read, write = os.pipe()

    class Flooded:
        def fileno(self) -> int:
            return read

        def recvmsg(self, *_: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, str]:
            nonlocal said
            said += 1
            assert said < 10_000
            return b"WATCHDOG=1", [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("3i", 1, 0, 0))], 0, ""

    said = 0
    ears = object.__new__(supervisor.Ears)
    vars(ears).update(_signals=read, _notify=Flooded())
    os.set_blocking(read, False)
    os.write(write, bytes([signal.SIGTERM]))
    try:
        assert ears.wait(0, os.getpid()) == ([signal.SIGTERM], False)
    finally:
        os.close(read)
        os.close(write)


def test_an_engine_that_is_stopped_is_killed_and_started_again(keep: Callable[..., Kept], tmp_path: Path) -> None:
    kept = keep(sys.executable, "-c", LIVES, str(tmp_path / "never"), watchdog="2")
    kept.until(lambda _: kept.log_path.exists() and "told nothing" in kept.log_path.read_text())
    first = kept.state()["pid"]
    # It lives on for more than the watchdog's time, since it says so.
    time_of_start = time.monotonic()
    kept.until(lambda found: time.monotonic() - time_of_start > 3)
    assert kept.state()["pid"] == first

    os.kill(first, signal.SIGSTOP)

    state = kept.until(lambda found: found["pid"] not in (None, first), 60)
    assert state["last_exit"]["reason"] == "not heard for 2 s, killed by SIGKILL"
    assert "the engine hangs: not heard for 2 s" in kept.log_path.read_text()
    kept.until(lambda _: "told not heard for 2 s, killed by SIGKILL" in kept.log_path.read_text())


def test_an_engine_that_turns_no_more_tells_where_it_stands(keep: Callable[..., Kept], tmp_path: Path) -> None:
    kept = keep(sys.executable, "-c", LIVES, str(tmp_path / "hang"), watchdog="1")
    kept.until(lambda _: kept.log_path.exists() and "told nothing" in kept.log_path.read_text())
    # What others say is not taken for a sign of its life.
    where = kept.log_path.read_text().split(" at ")[1].split()[0].replace("@", "\0", 1)
    (tmp_path / "hang").touch()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:

        def look(found: dict[str, Any]) -> bool:
            other.sendto(b"WATCHDOG=1", where)
            return found["restarts"] >= 1

        state = kept.until(look, 60)

    assert state["last_exit"]["reason"] == "not heard for 1 s, killed by SIGABRT"
    assert "in stuck" in state["last_exit"]["output"]
