"""For tests of the launcher: a clone of this tree with roots of its own and a stand-in for the program."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEPT = ("annotated-types", "pydantic", "pydantic-core", "typing-extensions", "typing-inspection", "uv")
PARTS = ("app", "bootenvs", "packaging", "bootcart", "pyproject.toml", "requirements.lock")

# Stands in for the program: an engine that listens and says who it is, an interface that says who it is and leaves
# with the code it is told to.
STAND_IN = """
import json, os, signal, socket, sys, time

def who():
    status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
    return {"uid": os.getuid(), "gid": os.getgid(), "caps": int(status["CapEff"], 16),
            "nnp": status["NoNewPrivs"].strip(), "path": sys.path[0],
            "home": os.environ.get("HOME"), "started": os.environ.get("BOOTCART_ENGINE_STARTED"),
            "owners": os.environ.get("BOOTCART_PORT_OWNERS", "")}

arguments = sys.argv[1:]
if arguments[:1] == ["serve"]:
    flags = dict(zip(arguments[1::2], arguments[2::2]))
    data = flags.get("--data-dir") or os.environ["BOOTCART_DATA_DIR"]
    if os.path.exists(os.path.join(data, "refuse")):
        print("the setting frobnicate is not known", flush=True)
        sys.exit(78)
    path = os.environ.get("BOOTCART_API_SOCKET") or os.path.join(data, "api.sock")
    listener = socket.socket(socket.AF_UNIX)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    listener.bind(path)
    listener.listen()
    with open(os.path.join(data, "who.json"), "w") as file:
        json.dump(who(), file)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("ready", flush=True)
    while True:
        signal.pause()
if arguments[:3] == ["lab", "needs", "--images"]:
    print("amd64")
    print(arguments[arguments.index("--machines") + 1])
    sys.exit(0)
if arguments[:2] == ["lab", "needs"]:
    sys.exit(0)
if arguments:
    print(json.dumps({"arguments": arguments, "cwd": os.getcwd(), **who()}))
    sys.exit(0)
print("UI " + json.dumps(who()), flush=True)
plan = os.environ.get("BOOTCART_HOST_PLAN", "")
print("plan directory writable:", os.access(os.path.dirname(plan), os.W_OK), flush=True)
answer = sys.stdin.readline().split(" ", 1)
if len(answer) > 1:
    with os.fdopen(os.open(plan, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(answer[1])
sys.exit(int(answer[0]))
"""

BUILDER = """#!/bin/sh
mkdir -p "$1/loaders" && echo "{}" >"$1/loaders/manifest.json" && id -un >"$1/built-by"
case $0 in */discovery/build) mkdir -p "$1/discovery/$3" && echo "$3" >>"$1/built-for" ;; esac
"""


@dataclass
class House:
    """One clone and where its launcher keeps things."""

    clone: Path
    base: Path
    extra: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def launcher(self) -> str:
        return str(self.clone / "bootcart")

    @property
    def state(self) -> Path:
        return self.base / "state"

    @property
    def run_dir(self) -> Path:
        return self.base / "run"

    @property
    def data(self) -> Path:
        return self.state / "data"

    def environment(self, **other: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BOOTCART_", "SUDO_"))}
        home = self.base / "home"
        home.mkdir(exist_ok=True)
        return {
            **kept,
            "HOME": str(home),
            "BOOTCART_STATE_ROOT": str(self.state),
            "BOOTCART_RUN_ROOT": str(self.run_dir),
            "BOOTCART_CACHE_ROOT": str(self.base / "cache"),
            **self.extra,
            **other,
        }

    def call(
        self, *arguments: str, prefix: Sequence[str] = (), timeout: float = 180, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the launcher to its end, without a terminal."""
        return subprocess.run(
            [*prefix, self.launcher, *arguments],
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def current(self) -> tuple[Path, Path]:
        """Program and environment of the last set-up."""
        _, app, venv = (self.state / "current").read_text().splitlines()
        return Path(app), Path(venv)


def small_lock(text: str) -> str:
    """Of a lock only the installer and what `app.host` imports: seconds instead of a minute on a busy machine."""
    blocks = re.split(r"\n(?=[a-z0-9])", text)
    return "\n".join(block for block in blocks if block.partition("==")[0] in KEPT)


@contextlib.contextmanager
def built(*, stand_in: bool) -> Iterator[House]:
    """A clone in a 0700 directory, roots where every user gets to; all of it removed, its engine stopped."""
    base = Path(tempfile.mkdtemp(prefix="bootcart-house-", dir="/tmp"))
    base.chmod(0o755)
    closed = base / "closed"
    closed.mkdir(mode=0o700)
    clone = closed / "clone"
    clone.mkdir()
    skip = shutil.ignore_patterns("__pycache__", ".*_cache")
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, clone / name, ignore=skip)
        elif source.exists():
            shutil.copy2(source, clone / name)
    if stand_in:
        (clone / "app/__main__.py").write_text(STAND_IN)
        lock = clone / "requirements.lock"
        lock.write_text(small_lock(lock.read_text()))
        for builder in ("loaders", "discovery/build"):
            path = clone / "packaging" / builder
            path.parent.mkdir(exist_ok=True)
            path.write_text(BUILDER)
            path.chmod(0o755)
    house = House(clone, base)
    try:
        yield house
    finally:
        if (house.data / "supervisor.json").exists():
            house.call("stop", timeout=60)
        shutil.rmtree(base)


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until a condition holds; AssertionError naming it after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        select.select([], [], [], 0.02)


class Terminal:
    """A program on a pseudo-terminal: its output so far, and a keyboard."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        self.output = ""
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], list(argv), dict(environment))  # noqa: S606 - a child of our own, no shell wanted
        self._code: int | None = None

    def wait_for(self, words: str, seconds: float = 60) -> str:
        """Read until `words` appear after what earlier calls have waited for; what came before them."""
        deadline = time.monotonic() + seconds
        while words not in self.output:
            left = deadline - time.monotonic()
            assert left > 0, f"{words!r} did not appear in:\n{self.output}"
            assert self._read(left), f"ended without {words!r}:\n{self.output}"
        before, _, self.output = self.output.partition(words)
        return before

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:
            data = b""
        self.output += data.decode("utf-8", "replace")
        return bool(data)

    def line(self, text: str) -> None:
        """Type a line."""
        os.write(self._master, text.encode() + b"\n")

    def end(self, seconds: float = 30) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + seconds
        while self._read(max(0.0, deadline - time.monotonic())):
            assert time.monotonic() < deadline, f"still running:\n{self.output}"
        _, status = os.waitpid(self.pid, 0)
        os.close(self._master)
        return os.waitstatus_to_exitcode(status)
