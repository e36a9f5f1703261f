"""Labs for tests: in a directory of their own, run through the command line, and what is left of them on the host."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from app.services.lab import kernel, plan, state

OURS = re.compile(r"^(tap\d+|lan|engine)$")
"""What a lab names its interfaces; none may ever be seen on the host itself."""

NOTHING: dict[str, list[str]] = {"namespaces": [], "links": [], "folders": [], "processes": [], "mounts": []}
"""The leftovers of a lab that is gone."""

ROOT = Path(state.__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Labs:
    """A lab directory nobody else uses."""

    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "BOOTCART_LAB_DIR": str(self.directory)}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A lab verb in the background; the caller waits for it."""
        return subprocess.Popen(
            [sys.executable, "-m", "app", "lab", *words],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
        """A lab verb to its end."""
        with self.start(*words) as child:
            try:
                out, err = child.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                child.terminate()
                out, err = child.communicate(timeout=60)
                raise AssertionError(f"lab {' '.join(words)} took over {timeout} s\n{out}\n{err}") from None
        return subprocess.CompletedProcess(words, child.returncode, out, err)

    def state(self, name: str = "lab") -> state.LabState | None:
        """What the lab's keeper recorded."""
        return state.read(self.directory / name)

    def leftovers(self) -> dict[str, list[str]]:
        """Everything on the host that belongs to labs of this directory; empty lists mean nothing."""
        tag = str(self.directory)
        engine, _ = plan.namespaces_of("", self.directory)
        mark = engine.removeprefix("bootcart-").removesuffix("engine")
        return {
            "namespaces": sorted(name for name in namespaces() if mark in name),
            "links": sorted(name for name in links() if OURS.match(name)),
            "folders": sorted(path.name for path in self.directory.iterdir()),
            "processes": [line for line in command_lines() if tag in line],
            "mounts": [line for line in Path("/proc/mounts").read_text().splitlines() if tag in line or mark in line],
        }


def command_lines() -> list[str]:
    """The command line of every process except this one, with its pid before it."""
    found: list[str] = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                words = Path("/proc", entry, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append(f"{entry} {words}")
    return found


def namespaces() -> set[str]:
    """Every named network namespace on the host."""
    try:
        return set(os.listdir(kernel.NETNS_DIRECTORY))
    except FileNotFoundError:
        return set()


def links() -> set[str]:
    """Every network interface of the host itself."""
    return set(os.listdir("/sys/class/net"))


@contextlib.contextmanager
def fresh() -> Iterator[Labs]:
    """A lab directory; whatever a failed test leaves in it is taken down at the end."""
    # Not below pytest's own directory: that is closed to the account the machines run as.
    directory = Path(tempfile.mkdtemp(prefix="bclab", dir="/run"))
    directory.chmod(0o755)
    labs = Labs(directory)
    try:
        yield labs
    finally:
        labs.run("down", "--all")
        labs.run("list")
        shutil.rmtree(directory, ignore_errors=True)


def until(what: str, seconds: float, check: Callable[[], bool]) -> None:
    """Poll until `check` holds; fails naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.05)
