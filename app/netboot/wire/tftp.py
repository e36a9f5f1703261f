"""TFTP packets and option negotiation (RFC 1350, 2347, 2348, 2349, 7440)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

BLKSIZE_DEFAULT = 512
BLKSIZE_MIN, BLKSIZE_MAX = 8, 65464  # RFC 2348
TIMEOUT_MIN, TIMEOUT_MAX = 1, 255  # RFC 2349
WINDOW_MIN, WINDOW_MAX = 1, 65535  # RFC 7440
HEADER = 4
# A request fits one block of the protocol's own size (RFC 2347: "the maximum size of a request packet is 512 octets").
# Some firmware pads; twice that is read, more is noise.
REQUEST_MAX = 1024


class Op(IntEnum):
    """Opcodes (RFC 1350 section 5, RFC 2347)."""

    RRQ = 1
    WRQ = 2
    DATA = 3
    ACK = 4
    ERROR = 5
    OACK = 6


class Code(IntEnum):
    """Error codes (RFC 1350 appendix, RFC 2347)."""

    UNDEFINED = 0
    NOT_FOUND = 1
    ACCESS = 2
    FULL = 3
    ILLEGAL = 4
    UNKNOWN_TID = 5
    EXISTS = 6
    NO_USER = 7
    OPTIONS = 8


class TftpError(ValueError):
    """Octets that are no TFTP packet; the text says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """RRQ or WRQ; `options` by lower-case name, the first where one is repeated (RFC 2347)."""

    op: Op
    filename: bytes
    mode: str
    options: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Ack:
    """ACK of a block number modulo 65536."""

    block: int


@dataclass(frozen=True, slots=True)
class Error:
    """ERROR with its code and text."""

    code: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Terms:
    """What a transfer was agreed on; `timeout` 0: the server's own. `accepted` is what goes into the OACK."""

    blksize: int = BLKSIZE_DEFAULT
    timeout: int = 0
    windowsize: int = 1
    accepted: Mapping[str, str] = field(default_factory=dict[str, str])


def decode(packet: bytes) -> Request | Ack | Error:
    """Read what a reader of files may send. Raises TftpError for anything else, DATA and OACK among it."""
    if len(packet) < HEADER:
        raise TftpError(f"{len(packet)} octets are no TFTP packet")
    op, word = struct.unpack_from("!HH", packet)
    if op in (Op.RRQ, Op.WRQ):
        return _request(Op(op), packet)
    if op == Op.ACK:
        return Ack(word)
    if op == Op.ERROR:
        return Error(word, packet[HEADER:].partition(b"\0")[0])
    raise TftpError(f"opcode {op} is none a client sends")


def _request(op: Op, packet: bytes) -> Request:
    if len(packet) > REQUEST_MAX:
        raise TftpError(f"a request of {len(packet)} octets")
    fields = packet[2:].split(b"\0")
    if len(fields) < 3:
        raise TftpError("a request without its two strings")
    # What follows the last NUL is padding, or the tail of an option that was cut off.
    filename, mode, *rest = fields[:-1]
    if not filename:
        raise TftpError("a request for a file without a name")
    try:
        words = [text.decode("ascii") for text in rest]
        told = mode.decode("ascii").lower()
    except UnicodeDecodeError:
        raise TftpError("mode or options are not ASCII") from None
    options: dict[str, str] = {}
    for name, value in zip(words[::2], words[1::2], strict=False):
        if name:
            options.setdefault(name.lower(), value)
    return Request(op, filename, told, options)


def _number(options: Mapping[str, str], name: str, least: int, most: int) -> int | None:
    value = options.get(name, "")
    # int() would also take signs, spaces, underscores and other scripts' digits.
    if not value.isascii() or not value.isdigit() or len(value) > 10:
        return None
    number = int(value)
    return number if least <= number <= most else None


def negotiate(
    options: Mapping[str, str], size: int | None, *, blksize_max: int, windowsize_max: int, timeout_max: int
) -> Terms:
    """Answer a reader's options: known ones lowered to the limits, illegal and unknown ones left out (RFC 2347).

    `size` is the file's, None where it is not known. A timeout may not be lowered (RFC 2349): one over the limit is
    left out.
    """
    accepted: dict[str, str] = {}
    blksize, timeout, windowsize = BLKSIZE_DEFAULT, 0, 1
    for name in options:
        if name == "blksize" and (asked := _number(options, name, BLKSIZE_MIN, BLKSIZE_MAX)) is not None:
            blksize = min(asked, blksize_max)
            accepted[name] = str(blksize)
        elif name == "windowsize" and (asked := _number(options, name, WINDOW_MIN, WINDOW_MAX)) is not None:
            windowsize = min(asked, windowsize_max)
            accepted[name] = str(windowsize)
        elif name == "timeout" and (asked := _number(options, name, TIMEOUT_MIN, TIMEOUT_MAX)) is not None:
            if asked <= timeout_max:
                timeout = asked
                accepted[name] = str(asked)
        elif name == "tsize" and size is not None and _number(options, name, 0, 2**33) is not None:
            accepted[name] = str(size)
    return Terms(blksize, timeout, windowsize, accepted)


def data(block: int, payload: bytes | memoryview) -> bytes:
    """A DATA packet; the block number wraps from 65535 to 0."""
    return struct.pack("!HH", Op.DATA, block & 0xFFFF) + payload


def oack(accepted: Mapping[str, str]) -> bytes:
    """An option acknowledgement (RFC 2347)."""
    words = b"".join(f"{name}\0{value}\0".encode("ascii") for name, value in accepted.items())
    return struct.pack("!H", Op.OACK) + words


def error(code: Code, text: str) -> bytes:
    """An ERROR packet; its text ends with a NUL."""
    return struct.pack("!HH", Op.ERROR, code) + text.encode("ascii", "replace") + b"\0"


def netascii(content: bytes) -> bytes:
    """Content in netascii: LF becomes CR LF, CR becomes CR NUL (RFC 764)."""
    return content.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n")
