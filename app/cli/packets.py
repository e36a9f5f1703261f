"""What `bootcart events inspect` and `bootcart machines pcap` write."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from app.cli.outputs import Output, shown
from app.errors import ConflictError, UnavailableError
from app.model.packets import Dissection, Exchange

STDOUT = "-"


def write_exchange(found: Exchange, output: Output, *, octets: bool) -> None:
    """Request and reply, one below the other; `octets`: in hexadecimal too."""
    output.line(f"{found.event.kind}  {shown(found.event.message)}")
    for title, packet in (("REQUEST", found.request), ("REPLY", found.reply)):
        if packet is not None:
            output.line("")
            _write(title, packet, output, octets=octets)
    if found.why:
        output.line("")
        output.line(shown(found.why))


def _write(title: str, packet: Dissection, output: Output, *, octets: bool) -> None:
    output.line(f"{title} {packet.source} -> {packet.target} on {shown(packet.interface)}, {packet.octets} octets")
    if packet.fault:
        output.line(f"! cannot be read: {shown(packet.fault)}")
    for line in packet.lines:
        output.line(shown(line))
    for line in packet.dump if octets else ():
        output.line(line)


def save(capture: bytes, name: str, to: str, *, replace: bool) -> str:
    """Write a capture where it is wanted; its path, empty for standard output.

    Raises ConflictError where a file is there, UnavailableError where it cannot be written.
    """
    if to == STDOUT:
        sys.stdout.buffer.write(capture)
        sys.stdout.buffer.flush()
        return ""
    path = Path(to or re.sub(r"[^\w.-]", "_", name, flags=re.ASCII) + ".pcapng")
    if path.is_dir():
        path /= re.sub(r"[^\w.-]", "_", name, flags=re.ASCII) + ".pcapng"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if replace else os.O_EXCL), 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(capture)
    except FileExistsError:
        raise ConflictError(f"{path} is there already", hint="name another file, or add --replace") from None
    except OSError as error:
        raise UnavailableError(f"{path} is not written: {error.strerror}", hint="name another file with -o") from error
    return str(path)
