"""What a recorder hears of TFTP: requests, what was agreed on, errors and the last ACK; never what is in a file."""

from __future__ import annotations

import struct
from typing import Protocol

from app.model.sizes import decimal
from app.netboot.wire import tftp
from app.services.tftp.sockets import Address
from app.services.tftp.transfer import End, Report, Transfer


class Tap(Protocol):
    """Called in the service's loop: it keeps what it is given and returns."""

    def __call__(
        self,
        protocol: str,
        incoming: bool,
        octets: bytes,
        machine: tuple[str, int],
        our: tuple[str, int],
        *,
        skipped: int = 0,
        note: str = "",
    ) -> object:
        """`skipped` octets that followed are not given; `note` is to be known beside them."""
        ...


def no_tap(
    protocol: str,
    incoming: bool,
    octets: bytes,
    machine: tuple[str, int],
    our: tuple[str, int],
    *,
    skipped: int = 0,
    note: str = "",
) -> None:
    """Nobody records."""
    del protocol, incoming, octets, machine, our, skipped, note


def end(name: Address) -> tuple[str, int]:
    """Address and port of a socket's name."""
    return str(name[0]), int(name[1])


def begun(tap: Tap, transfer: Transfer, our: tuple[str, int]) -> None:
    """A transfer sends its first packet."""
    if transfer.opening:
        tap("tftp", False, transfer.opening, end(transfer.peer), our)
    else:
        first = min(transfer.terms.blksize, transfer.source.size)
        tap("tftp", False, tftp.data(1, b""), end(transfer.peer), our, skipped=first)


def ended(tap: Tap, transfer: Transfer, report: Report, our: tuple[str, int]) -> None:
    """The reader said its last."""
    if report.end is End.SENT:
        blocks = transfer.source.size // transfer.terms.blksize + 1
        octets = struct.pack("!HH", tftp.Op.ACK, blocks & 0xFFFF)
        note = f"{blocks} blocks with {decimal(report.bytes)} before it are not kept"
        tap("tftp", True, octets, end(transfer.peer), our, note=note)
    elif report.end is End.ABORTED:
        octets = struct.pack("!HH", tftp.Op.ERROR, report.code) + report.text + b"\0"
        note = "" if report.probe else f"{decimal(report.bytes)} before it are not kept"
        tap("tftp", True, octets, end(transfer.peer), our, note=note)
