"""Captures as Wireshark reads them: pcapng with Ethernet frames (draft-ietf-opsawg-pcapng sections 3 and 4)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_MAGIC = 0x1A2B3C4D
_ETHERNET = 1  # LINKTYPE_ETHERNET
_COMMENT, _SHB_APPLICATION, _IF_NAME, _FLAGS = 1, 4, 2, 2
_INBOUND, _OUTBOUND = 1, 2
# What a reader of another byte order is told by is the magic.
_WORD = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a capture; `time` in epoch seconds, `comment` is shown beside it."""

    time: float
    interface: str
    incoming: bool
    octets: bytes
    comment: str = ""


def _option(code: int, value: bytes) -> bytes:
    value = value[:0xFFFF]
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _block(kind: int, body: bytes) -> bytes:
    length = _WORD.pack(12 + len(body))
    return _WORD.pack(kind) + length + body + length


def _options(*options: tuple[int, bytes]) -> bytes:
    given = [_option(code, value) for code, value in options if value]
    return b"".join((*given, _option(0, b""))) if given else b""


def capture(frames: Iterable[Frame], *, application: str = "", comment: str = "") -> bytes:
    """A whole file: one section, its interfaces by name, and the frames in the order given."""
    packets = list(frames)
    names = list(dict.fromkeys(frame.interface for frame in packets))
    head = struct.pack("<IHHq", _MAGIC, 1, 0, -1)
    about = _options((_COMMENT, comment.encode()), (_SHB_APPLICATION, application.encode()))
    blocks = [_block(_SECTION, head + about)]
    blocks += [
        _block(_INTERFACE, struct.pack("<HHI", _ETHERNET, 0, 0) + _options((_IF_NAME, name.encode()))) for name in names
    ]
    for frame in packets:
        micros = max(0, round(frame.time * 1_000_000))
        size = len(frame.octets)
        fixed = struct.pack("<IIIII", names.index(frame.interface), micros >> 32, micros & 0xFFFFFFFF, size, size)
        way = _WORD.pack(_INBOUND if frame.incoming else _OUTBOUND)
        told = _options((_FLAGS, way), (_COMMENT, frame.comment.encode()))
        blocks.append(_block(_PACKET, fixed + frame.octets + bytes(-size % 4) + told))
    return b"".join(blocks)
