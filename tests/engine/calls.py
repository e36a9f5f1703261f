"""A running engine's system calls, seen and made to fail by strace."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import netns
from tests.engine.process import Engine

# As strace writes it with -xx, which leaves nothing to be taken for the end of a string.
LOG = "".join(f"\\x{octet:02x}" for octet in b"-wal") + ">"
ORDER = "trace=recvmsg,pwrite64,write,fsync,fdatasync,sendto,sendmsg,sendmmsg"
NO_SYNC = "inject=fsync,fdatasync:error=EIO"
READ_ONLY = "inject=write,pwrite64,ftruncate,fallocate:error=EROFS"
# THREAD CALL(ARGUMENTS) = RESULT; one that another thread's call comes in between of is written in two parts.
_LINE = re.compile(
    r"^(?P<thread>\d+) +(?:<\.\.\. (?P<ended>\w+) resumed>|(?P<call>\w+)\()(?P<rest>.*?)"
    r"(?P<open> <unfinished \.\.\.>|\s= (?P<result>-?\d+).*)$"
)


@dataclass(frozen=True, slots=True)
class Call:
    """One system call: where in the trace it began and ended, and all strace wrote of its arguments."""

    name: str
    began: int
    ended: int
    text: str
    result: int

    @property
    def octets(self) -> bytes:
        """What was read or written."""
        return b"".join(
            bytes.fromhex(each.replace("\\x", "")) for each in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', self.text)
        )


def calls(trace: Path) -> list[Call]:
    """A trace, by the calls' ends."""
    begun: dict[tuple[str, str], tuple[int, str]] = {}
    found: list[Call] = []
    for at, line in enumerate(trace.read_text().splitlines()):
        match = _LINE.match(line)
        if match is None:
            continue
        thread, name = match["thread"], match["call"] or match["ended"]
        if match["result"] is None:
            begun[thread, name] = (at, match["rest"])
            continue
        began, head = begun.pop((thread, name), (at, ""))
        found.append(Call(name, began, at, head + match["rest"], int(match["result"])))
    return found


@contextlib.contextmanager
def traced(engine: Engine, what: str, trace: Path, *paths: Path) -> Iterator[None]:
    """strace looks on at every thread for the length of the block, and does what `-e` says, to `paths` alone.

    strace is no child of the engine's and no parent: the engine goes on by itself afterwards.
    """
    argv = ["strace", "-f", "-y", "-xx", "-s", "5000", "-e", what, "-o", str(trace)]
    argv += [word for path in paths for word in ("-P", str(path))]
    said = trace.with_suffix(".said")
    with said.open("w") as errors:
        process = subprocess.Popen([*argv, "-p", str(engine.process.pid)], stderr=errors, stdin=subprocess.DEVNULL)
    try:
        netns.until(lambda: "attached" in said.read_text(), what="strace looks on")
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
