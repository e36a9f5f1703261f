"""What went over the wire, as verbs: `machines packets`, `machines pcap` and `events inspect`."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path

from app.cli.call import Call, dumped, query_of
from app.cli.outputs import Output, shown
from app.errors import ConflictError, InvalidError, UnavailableError
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


async def packets(call: Call) -> int:
    page = await call.client.packets.list(call.given.key, query_of(call.given))
    columns = ("boot", "time", "source", "target", "summary")
    call.output.listing(replace(call.noun, key="number", columns=columns), [dumped(item) for item in page.items])
    return 0


async def captured(call: Call) -> int:
    machine = await call.client.machines.show(call.given.key)
    capture = await call.client.packets.capture(call.given.key, boots=int(call.given.boots or 0))
    where = save(capture, machine.name, call.given.o or "", replace=bool(call.given.replace))
    if where:
        call.output.said(f"the last boots of {shown(machine.name)} are in {shown(where)}", {"path": where})
    return 0


async def inspected(call: Call) -> int:
    if not str(call.given.key).isdecimal():
        raise InvalidError(f"{call.given.key!r} is not an event's number", hint="see: bootcart events list --quiet")
    found = await call.client.packets.exchange(int(call.given.key))
    if call.output.form == "text":
        write_exchange(found, call.output, octets=bool(call.given.hex))
    else:
        call.output.said("", dumped(found))
    return 0
