"""Raw sockets that hear one interface: the kernel drops all but what a filter lets through (packet(7), socket(7))."""

from __future__ import annotations

import ctypes
import logging
import socket
import struct
from collections.abc import Iterator, Sequence

log = logging.getLogger(__name__)

_SO_ATTACH_FILTER = 26
_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_MR_ALLMULTI = 263, 1, 2
_BATCH = 64
"""Frames taken from one socket before the others get their turn."""

Filter = Sequence[tuple[int, int, int, int]]
"""A program of classic BPF over the frame: code, jump if true, jump if false, operand (linux/filter.h)."""


def open_ear(interface: str, protocol: int, program: Filter, *, groups_of: int = 0) -> socket.socket:
    """A socket that hears frames of one EtherType on an interface, and sends any. Raises OSError.

    `groups_of`: the interface's index, to hear what is sent to multicast groups nobody on this host is in.
    """
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    try:
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
        told = struct.pack("HL", len(program), ctypes.addressof(code))
        raw.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, told)
        raw.bind((interface, protocol))
        if groups_of:
            member = struct.pack("iHH8s", groups_of, _PACKET_MR_ALLMULTI, 0, b"")
            raw.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, member)
    except OSError:
        raw.close()
        raise
    return raw


def waiting(raw: socket.socket, interface: str) -> Iterator[bytes]:
    """The frames that wait, a bounded batch of them, without what this host sent itself."""
    for _ in range(_BATCH):
        try:
            frame, sender = raw.recvfrom(2048)
        except BlockingIOError:
            return
        except OSError as error:
            # The link went down; whoever opened the socket closes it when the interface is gone.
            log.info("%s: %s", interface, error)
            return
        if sender[2] != socket.PACKET_OUTGOING:
            yield frame
