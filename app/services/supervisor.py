"""A small supervisor: keeps one engine process alive, with back-off, and records why it last failed.

It is run by path with the standard library alone (`python -I -S supervisor.py`), as the service user, in a session of
its own, so that it outlives the terminal it was started from and costs a few megabytes. Nothing of the program is
imported.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from types import FrameType

DELAYS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before the first, second, … restart in a row; the last repeats."""

STEADY = 60.0
"""An engine that lived this many seconds is not failing in a row."""

PATIENCE = 6.0
"""Seconds from SIGTERM to SIGKILL: the engine drains for at most 5."""

WATCHDOG = 30.0
"""Seconds without a sign of life after which an engine hangs; it tells us as it would tell systemd (sd_notify(3))."""

STACKS = 2.0
"""Seconds an engine that hangs has to write where its threads stand."""

ASKED_TO_STOP = 0
CONFIGURATION_ERROR = 78  # EX_CONFIG of sysexits.h: starting again would fail the same way
ALREADY_RUNS = 73

LOCK_SECONDS = 1.0
"""How long somebody else may hold the lock before it is another supervisor's."""

LOG_LIMIT = 4 * 1024 * 1024
TAIL_LINES = 20
TAIL_BYTES = 8192
WORDS_MAX = 400

HANDED = 3
"""The descriptor under which the engine finds its boot HTTP socket (sd_listen_fds(3))."""

HEARD_AT_ONCE = 64
"""Messages taken before signals get their turn: anyone on this host may send some."""

_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)

_CREDENTIALS = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid

USAGE = """\
usage: supervisor --state FILE --log FILE [--lock FILE] [--delays S,S,…] [--watchdog S] -- COMMAND ARGUMENT…"""


def reason_of(status: int) -> str:
    """A wait status in words."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"killed by {signal.Signals(number).name}"
    return f"exit code {os.waitstatus_to_exitcode(status)}"


def delay_after(failures: int, delays: Sequence[float] = DELAYS) -> float:
    """Seconds to wait after this many failures in a row (1 or more)."""
    return delays[min(failures, len(delays)) - 1]


def _woken(_number: int, _frame: FrameType | None) -> None:
    """A signal came: its number stands in the wake-up descriptor."""


class Ears:
    """What the supervisor waits for: signals to itself, and messages from its engine."""

    def __init__(self) -> None:
        self._signals, write = os.pipe()
        os.set_blocking(self._signals, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, _woken)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # Anyone on this host may write to it; the kernel says who did.
        self._notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        # In the abstract namespace, under a name that the kernel chooses.
        self._notify.bind("")
        self.name = "@" + self._notify.getsockname()[1:].decode()

    def wait(self, seconds: float, pid: int = 0) -> tuple[list[int], bool]:
        """Wait at most so long; the signals that came, and whether process `pid` said that it lives."""
        ready, _, _ = select.select([self._signals, self._notify], [], [], max(0.0, seconds))
        came: list[int] = []
        if self._signals in ready:
            came = list(os.read(self._signals, 512))
        lives = False
        for _ in range(HEARD_AT_ONCE):
            try:
                words, credentials, _, _ = self._notify.recvmsg(
                    4096, socket.CMSG_SPACE(_CREDENTIALS.size), socket.MSG_DONTWAIT
                )
            except BlockingIOError:
                break
            sender = [_CREDENTIALS.unpack(data)[0] for _, kind, data in credentials if kind == socket.SCM_CREDENTIALS]
            lives = lives or (sender == [pid] and b"WATCHDOG=1" in words.split(b"\n"))
        return came, lives


class Supervisor:
    """One engine, its log and its state file."""

    def __init__(
        self,
        command: Sequence[str],
        state_path: str,
        log_path: str,
        delays: Sequence[float] = DELAYS,
        watchdog: float = WATCHDOG,
    ) -> None:
        self.command = list(command)
        self.state_path = state_path
        self.log_path = log_path
        self.delays = delays
        self.watchdog = watchdog
        self.hung = ""
        self.restarts = 0
        self.last_exit: dict[str, object] | None = None
        # Appended by the engine itself: a pipe would block it whenever this process is stopped or gone.
        self.log = os.open(log_path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)

    def say(self, text: str) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        try:
            os.write(self.log, f"{stamp} supervisor: {text}\n".encode())
        except OSError as error:
            print(f"supervisor: {text} (the log cannot be written: {error.strerror})", file=sys.stderr)  # noqa: T201

    def record(self, state: str, pid: int | None = None, retry_in: float | None = None) -> None:
        """Write the state file whole or not at all; a full disk costs the record, never the engine."""
        body = {
            "state": state,
            "supervisor": os.getpid(),
            "pid": pid,
            "restarts": self.restarts,
            "time": time.time(),
            "retry_in": retry_in,
            "last_exit": self.last_exit,
        }
        fresh = f"{self.state_path}.new"
        try:
            with open(fresh, "w", encoding="utf-8") as file:
                json.dump(body, file, indent=1)
                file.write("\n")
            os.replace(fresh, self.state_path)
        except OSError as error:
            self.say(f"{self.state_path} cannot be written: {error.strerror}")

    def spawn(self, listener: socket.socket, ears: Ears) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:
            os.dup2(self.log, 1)
            os.dup2(self.log, 2)
            os.dup2(listener.fileno(), HANDED, inheritable=True)
            pid_, usec = str(os.getpid()), str(int(self.watchdog * 1_000_000))
            os.environ.update(LISTEN_PID=pid_, LISTEN_FDS="1", LISTEN_FDNAMES="boot-http")
            os.environ.update(NOTIFY_SOCKET=ears.name, WATCHDOG_PID=pid_, WATCHDOG_USEC=usec)
            # Without a shell is the point: the arguments are ours.
            os.execvp(self.command[0], self.command)  # noqa: S606
        except OSError as error:
            os.write(2, f"{self.command[0]} cannot be started: {error.strerror}\n".encode())
        # Reached only when exec failed: 127 as a shell would say it.
        os._exit(127)

    def tail(self, start: int) -> str:
        """The last lines the engine wrote since the log was `start` bytes long."""
        size = os.fstat(self.log).st_size
        start = start if start <= size else 0
        raw = os.pread(self.log, TAIL_BYTES, max(start, size - TAIL_BYTES))
        return "\n".join(raw.decode("utf-8", "replace").splitlines()[-TAIL_LINES:])

    def turn_log(self) -> None:
        """Keep one older log beside a full one; the engine goes on appending to the same file."""
        if os.fstat(self.log).st_size <= LOG_LIMIT:
            return
        try:
            with open(self.log_path, "rb") as old, open(f"{self.log_path}.1", "wb") as kept:
                kept.write(old.read())
            os.ftruncate(self.log, 0)
        except OSError as error:
            self.say(f"the log cannot be turned: {error.strerror}")

    def watch(self, pid: int, ears: Ears) -> tuple[int, bool]:
        """Wait for the engine to end, and see to it that it does when it hangs; its wait status, were we asked to stop.

        From its first sign of life on, the next must come within the watchdog's time.
        """
        asked = False
        kill_at: float | None = None
        lives_until: float | None = None
        self.hung = ""
        while True:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return status, asked
            before = time.monotonic()
            limit = min([STEADY, *(at - before for at in (kill_at, lives_until) if at is not None)])
            came, lives = ears.wait(limit, pid)
            now = time.monotonic()
            if lives_until is not None and now - before > limit + self.watchdog / 2:
                # We were stopped ourselves, or the host slept, and so did the engine.
                lives = True
            if lives and not self.hung:
                lives_until = now + self.watchdog if self.watchdog else None
            if any(number != signal.SIGCHLD for number in came) and not asked:
                asked = True
                kill_at, lives_until = now + PATIENCE, None
                os.kill(pid, signal.SIGTERM)
            if kill_at is not None and now >= kill_at:
                self.say("still there: killed")
                os.kill(pid, signal.SIGKILL)
                kill_at = None
            if lives_until is not None and now >= lives_until:
                self.hung = f"not heard for {self.watchdog:g} s"
                self.say(f"the engine hangs: {self.hung}; where its threads stand follows, if it can still tell")
                # Its answer is every thread's stack in the log.
                os.kill(pid, signal.SIGABRT)
                kill_at, lives_until = now + STACKS, None
            self.turn_log()

    def pause(self, seconds: float, ears: Ears) -> bool:
        """Wait before a restart; true when asked to stop meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            came, _ = ears.wait(left)
            if any(number != signal.SIGCHLD for number in came):
                return True
        return False

    def run(self) -> int:
        """Supervise until asked to stop or the engine says that it should not be started again; the exit code."""
        ears = Ears()
        # Bound by the engine, which has the right to low ports, and held here, so that machines which connect while no
        # engine runs wait for the next one instead of being refused.
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            return self._keep(listener, ears)

    def _keep(self, listener: socket.socket, ears: Ears) -> int:
        failures = 0
        while True:
            start = os.fstat(self.log).st_size
            began = time.monotonic()
            pid = self.spawn(listener, ears)
            self.record("running", pid)
            status, asked = self.watch(pid, ears)
            lived = time.monotonic() - began
            output = self.tail(start)
            reason = f"{self.hung}, {reason_of(status)}" if self.hung else reason_of(status)
            self.last_exit = {"reason": reason, "time": time.time(), "lived": lived, "output": output}
            code = os.waitstatus_to_exitcode(status)
            if asked or code == ASKED_TO_STOP:
                self.record("stopped")
                return 0
            if code == CONFIGURATION_ERROR:
                self.say("the engine refused its configuration; not started again")
                self.record("failed")
                return CONFIGURATION_ERROR
            failures = 1 if lived >= STEADY else failures + 1
            self.restarts += 1
            # The next one tells it in its first event.
            os.environ["BOOTCART_LAST_END"] = reason
            wait = delay_after(failures, self.delays)
            words = output.rpartition("\n")[2][:WORDS_MAX] if code > 0 else ""
            told = f"{reason}: {words}" if words else reason
            self.say(f"the engine ended ({told}); starting it again in {wait:g} s")
            self.record("waiting", retry_in=wait)
            if self.pause(wait, ears):
                self.record("stopped")
                return 0


def _taken(lock: int) -> bool:
    """The lock is ours. Who only asks whether a supervisor runs holds it for a moment: that is waited out."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(LOCK_SECONDS / 20)
        else:
            return True


def main(argv: Sequence[str]) -> int:
    """Run from the command line; 73 when another supervisor holds the lock."""
    options: dict[str, str] = {}
    words = list(argv)
    while words and words[0] != "--":
        if len(words) < 2 or words[0] not in ("--state", "--log", "--lock", "--delays", "--watchdog"):
            print(USAGE, file=sys.stderr)  # noqa: T201
            return 2
        options[words[0]] = words[1]
        del words[:2]
    if len(words) < 2 or "--state" not in options or "--log" not in options:
        print(USAGE, file=sys.stderr)  # noqa: T201
        return 2
    lock = os.open(options.get("--lock", options["--state"] + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    if not _taken(lock):
        print("supervisor: another one keeps this engine already", file=sys.stderr)  # noqa: T201
        return ALREADY_RUNS
    delays = tuple(float(text) for text in options["--delays"].split(",")) if "--delays" in options else DELAYS
    watchdog = float(options.get("--watchdog", WATCHDOG))
    return Supervisor(words[1:], options["--state"], options["--log"], delays, watchdog).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
