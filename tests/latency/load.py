"""What keeps an engine busy while it is measured: transfers, downloads, a client that polls, terminals that lag."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests import netns
from tests.engine.process import ROOT, environment

GIGABYTE = 1 << 30
BAUD_OCTETS = 11_520
"""What a serial line at 115200 baud, 8N1, carries in a second."""
# Machines, events, services and leases, ten times a second, as a dashboard would.
_POLL = """\
import http.client, itertools, socket, sys, time
class Local(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
line = Local("localhost", timeout=30)
print("polls", flush=True)
for path in itertools.cycle(("machines", "events?limit=50", "services", "leases")):
    line.request("GET", "/api/v1/" + path)
    answer = line.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    time.sleep(0.025)
"""


def sparse(path: Path, size: int) -> None:
    """A file of zeros that takes no room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


@contextlib.contextmanager
def transfers(ns: str, url: str, count: int = 8) -> Iterator[list[subprocess.Popen[str]]]:
    """So many TFTP transfers of a file, lock-step, each long enough to last."""
    with contextlib.ExitStack() as stack:
        argv = ["curl", "-sS", "--tftp-blksize", "1468", "-o", "/dev/null", url]
        yield [stack.enter_context(netns.running(ns, argv)) for _ in range(count)]


@contextlib.contextmanager
def downloads(ns: str, url: str) -> Iterator[subprocess.Popen[str]]:
    """The same file over HTTP again and again, as fast as it comes; a line for each that is complete."""
    again = ["-o", "/dev/null", "-w", "%{size_download}\n", url] * 200
    with netns.running(ns, ["curl", "-sS", *again]) as process:
        yield process


@contextlib.contextmanager
def polling(socket_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A client of the API that never rests."""
    argv = [sys.executable, "-I", "-S", "-c", _POLL, str(socket_path)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "polls\n"
        yield process
    finally:
        netns.stop(process)


class Tty:
    """A program on a pseudo-terminal of 80 by 24, whose screen is read at the speed of a serial line, or not at all."""

    def __init__(self, argv: list[str], term: str, extra: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            argv, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, start_new_session=True,
            env={**environment(), "TERM": term, "LANG": "C.UTF-8", **extra},
        )  # fmt: skip
        os.close(theirs)
        self.read = 0
        self.seen: dict[bytes, float] = {}
        """When words were first on the line (monotonic seconds)."""
        self._wanted: list[bytes] = []
        self._text = b""
        self._flowing = threading.Event()
        self._flowing.set()
        self._over = threading.Event()
        self._reader: threading.Thread | None = None

    def drain(self, octets_per_second: int = BAUD_OCTETS) -> None:
        """Read so much and no more, on a thread."""
        self._reader = threading.Thread(target=self._read, args=(octets_per_second,))
        self._reader.start()

    def freeze(self) -> None:
        """Read nothing more."""
        self._flowing.clear()

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def watch(self, *words: str) -> None:
        """Note when each of these words is first on the line."""
        self._wanted += [word.encode() for word in words]

    def shows(self, word: str, timeout: float = 30) -> float:
        """Seconds from the start until the word was on the line."""
        key = word.encode()
        netns.until(lambda: key in self.seen, timeout=timeout, what=f"{word!r} in {self._text[-2000:]!r}")
        return self.seen[key] - self.began

    def _read(self, octets_per_second: int) -> None:
        while not self._over.is_set():
            if not self._flowing.wait(0.05):
                continue
            ready, _, _ = select.select([self._ours], [], [], 0.05)
            if not ready:
                continue
            try:
                text = os.read(self._ours, octets_per_second // 20)
            except OSError:  # EIO: the program has left
                return
            now = time.monotonic()
            self.read += len(text)
            self._text = (self._text + text)[-65536:]
            for word in self._wanted:
                if word not in self.seen and word in self._text:
                    self.seen[word] = now
            self._over.wait(len(text) / octets_per_second)

    def close(self) -> None:
        self._over.set()
        if self._reader is not None:
            self._reader.join()
        # A program whose terminal takes nothing may not be able to say goodbye.
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        os.close(self._ours)


@contextlib.contextmanager
def tty(argv: list[str], term: str = "linux", extra: Mapping[str, str] | None = None) -> Iterator[Tty]:
    """A program on a pseudo-terminal, killed at the end of the block; `extra` are variables of its environment."""
    made = Tty(argv, term, extra or {})
    try:
        yield made
    finally:
        made.close()


def interface(endpoint: str) -> list[str]:
    """The full-screen interface on an engine."""
    return [sys.executable, "-m", "app", "--endpoint", endpoint]
