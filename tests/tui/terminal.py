"""A real terminal: `bootcart` as a process in tmux, its keys pressed and its screen read from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests import netns
from tests.engine.process import ROOT, environment

SECONDS = 30.0


def available() -> bool:
    """tmux is there."""
    return any((Path(place) / "tmux").exists() for place in os.environ.get("PATH", "").split(":"))


@dataclass(frozen=True, slots=True)
class Terminal:
    """One tmux server with one window of a fixed size."""

    server: str
    """The path of its socket."""
    pid: int

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self.server, *words], capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names (`Enter`, `Down`, `a`)."""
        self._tmux("send-keys", "-t", "0", *keys)

    def type(self, text: str) -> None:
        """Type text."""
        self._tmux("send-keys", "-t", "0", "-l", text)

    @property
    def tty(self) -> str:
        """The device the interface writes to."""
        return self._tmux("display-message", "-p", "-t", "0", "#{pane_tty}").strip()

    @property
    def rows(self) -> list[str]:
        """The screen, row by row, without blanks at the ends."""
        return self._tmux("capture-pane", "-p", "-t", "0").split("\n")[:-1]

    @property
    def text(self) -> str:
        """The screen."""
        return "\n".join(self.rows)

    def see(self, *words: str, gone: str = "", seconds: float = SECONDS) -> str:
        """Wait until all this is on the screen, and that is not; the screen."""

        def seen() -> str:
            text = self.text
            return text if all(word in text for word in words) and not (gone and gone in text) else ""

        try:
            return netns.until(seen, timeout=seconds)
        except AssertionError:
            raise AssertionError(f"{words} not on the screen (gone: {gone!r}):\n{self.text}") from None


@contextlib.contextmanager
def terminal(
    *words: str,
    term: str = "xterm-256color",
    size: tuple[int, int] = (80, 24),
    extra: Mapping[str, str] | None = None,
    record: Path | None = None,
) -> Iterator[Terminal]:
    """`bootcart WORDS` in a terminal; the window stays when it ends, with its exit code as the last line.

    All that is written to the terminal goes to the file `record` too.
    """
    with tempfile.TemporaryDirectory(prefix="bc-", dir="/tmp") as folder:
        server = f"{folder}/tmux"
        variables = {**environment(), "TERM": term, "LANG": "C.UTF-8", **(extra or {})}
        script = '"$@"; echo "left with $?"; exec sleep 600'
        argv = ["env", "-i", *(f"{name}={value}" for name, value in variables.items())]
        argv += ["sh", "-c", script, "sh", sys.executable, "-m", "app", *words]
        start = ["tmux", "-S", server, "-f", "/dev/null", "new-session", "-d", "-x", str(size[0]), "-y", str(size[1])]
        # In the same breath as the window is made: nothing the interface sends is missed.
        tee = [";", "pipe-pane", "-t", "0", f"cat > {record}"] if record is not None else []
        command = [*start, "-c", str(ROOT), *argv, *tee]
        subprocess.run(command, check=True, timeout=30, env={**os.environ, "LANG": "C.UTF-8"})
        try:
            shown = subprocess.run(
                ["tmux", "-S", server, "display-message", "-p", "-t", "0", "#{pane_pid}"],
                capture_output=True, text=True, timeout=30, check=True,
            )  # fmt: skip
            yield Terminal(server, int(shown.stdout))
        finally:
            subprocess.run(["tmux", "-S", server, "kill-server"], capture_output=True, timeout=30, check=False)


def interface_of(pane: Terminal) -> int:
    """The pid of the interface in this terminal."""

    def found() -> int:
        children = Path(f"/proc/{pane.pid}/task/{pane.pid}/children").read_text().split()
        return int(children[0]) if children else 0

    return netns.until(found, what="the interface runs")


def kill(pane: Terminal) -> None:
    """kill -9 to the interface."""
    os.kill(interface_of(pane), signal.SIGKILL)
