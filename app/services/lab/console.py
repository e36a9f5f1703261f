"""Attaches a terminal to a machine's serial line; Ctrl-] leaves."""

from __future__ import annotations

import os
import select
import socket
import sys
import termios
import tty
from pathlib import Path

from app.errors import UnreachableError

RECENT = 2000
"""Bytes of the past that are shown on attaching: a machine that waits for a key says so only once."""

LEAVE = b"\x1d"  # Ctrl-], as telnet has it


def connect(path: Path) -> socket.socket:
    """The serial line as a socket; raises UnreachableError. QEMU serves one terminal at a time."""
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(str(path))
    except OSError as error:
        line.close()
        hint = "is the machine up? see `bootcart lab list`; run this as root"
        raise UnreachableError(f"the console {path} does not answer: {error.strerror}", hint=hint) from error
    return line


def relay(line: socket.socket, source: int, sink: int) -> None:
    """Copy both ways until Ctrl-] is typed, the input ends or the machine hangs up."""
    while True:
        readable, _, _ = select.select([line, source], [], [])
        if line in readable:
            data = line.recv(65536)
            if not data:
                return
            os.write(sink, data)
        if source in readable:
            typed = os.read(source, 4096)
            before, leave, _ = typed.partition(LEAVE)
            line.sendall(before)
            if leave or not typed:
                return


def attach(path: Path, log: Path) -> None:
    """Give this terminal to the machine until Ctrl-], after what `log` says it wrote last."""
    source, sink = sys.stdin.fileno(), sys.stdout.fileno()
    with connect(path) as line:
        if log.exists():
            os.write(sink, log.read_bytes()[-RECENT:])
        if not os.isatty(source):
            relay(line, source, sink)
            return
        saved = termios.tcgetattr(source)
        tty.setraw(source)
        try:
            relay(line, source, sink)
        finally:
            termios.tcsetattr(source, termios.TCSADRAIN, saved)
