"""Packets as machines send them, and what becomes of them when their octets are not to be trusted; by seed, so again.

Messages are laid out here (RFC 2131 section 2, 1350 section 5, 9112 section 2), not by the codecs of what is tested.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

COOKIE = b"\x63\x82\x53\x63"
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
_HEAD = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s4s")
_ZERO = bytes(4)
_ODD = (0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 200, 236, 252, 253, 254, 255)
"""Octets at which counters, lengths and signs turn."""
_WORDS = (
    *(b"\0" * 9, b"\xff" * 9, b"../" * 5, b"%2e%2e%2f", b"//", b"\\", b"\x1b[2J", b"{{7*7}}", b"\r\n\r\n", b"\n"),
    *(b"2147483648", b"-1", b"65536", b"9" * 20, b"\xc3\x28", "\u202e".encode(), b"A" * 300),
)


def options(*pairs: tuple[int, bytes]) -> bytes:
    """An option area without its end."""
    return b"".join(bytes((code, len(value))) + value for code, value in pairs)


def message(
    kind: int,
    mac: str = "52:54:00:f0:00:07",
    area: bytes = b"",
    *,
    xid: int = 0x3903F326,
    ciaddr: bytes = _ZERO,
    giaddr: bytes = _ZERO,
    flags: int = 0,
    sname: bytes = b"",
    file: bytes = b"",
) -> bytes:
    """A message of a client, 300 octets at least."""
    hardware = bytes.fromhex(mac.replace(":", ""))
    head = _HEAD.pack(1, 1, 6, 0, xid, 0, flags, ciaddr, _ZERO, _ZERO, giaddr, hardware, sname, file, COOKIE)
    return (head + bytes((53, 1, kind)) + area + b"\xff").ljust(300, b"\0")


def firmware(arch: int, word: bytes = b"PXEClient") -> bytes:
    """The options of network firmware (RFC 4578)."""
    return options(
        (57, b"\x05\xc0"),
        (55, bytes(range(1, 64)) + bytes((66, 67, 97, 119, 121, 128, 150, 175, 209))),
        (60, word + b":Arch:%05d:UNDI:003016" % arch),
        (93, arch.to_bytes(2, "big")),
        (94, b"\1\3\x10"),
        (97, bytes(1) + bytes(range(1, 17))),
    )


def _ip(text: str) -> bytes:
    return bytes(map(int, text.split(".")))


def dhcp(server: str, address: str, relay: str) -> list[bytes]:
    """What comes to port 67: `address` may be leased, `relay` is one whose segment is served."""
    ipxe = options((77, b"iPXE"), (175, bytes.fromhex("eb0301150113010115010119010121010122010127")))
    chosen = options((50, _ip(address)), (54, _ip(server)))
    relayed = options((82, b"\1\4eth7\2\6\x52\x54\0\0\0\1\5\4" + _ip(relay) + b"\x0b\4" + _ip(server)))
    names = options((12, b"node-7"), (81, b"\0\0\0node-7.rack"), (61, b"\xff\0\0\0\1\0\4" + bytes(range(16))))
    wishes = options((50, _ip(address)), (51, b"\0\0\x0e\x10"), (118, _ip(relay)), (80, b""))
    vendor = options((60, b"udhcp 1.36.1"), (124, b"\0\0\0\x09\5\4ONIE"), (125, b"\0\0\0\x09\2\1\0"))
    split = b"".join(options((43, bytes((6, 1, 8)) + bytes(60))) for _ in range(3))
    return [
        message(DISCOVER, area=firmware(0)),
        message(DISCOVER, area=firmware(7) + names, flags=0x8000),
        message(DISCOVER, area=firmware(16, b"HTTPClient")),
        message(DISCOVER, area=firmware(11) + ipxe),
        message(DISCOVER, area=firmware(0, b"PXEClient") + relayed, giaddr=_ip(relay)),
        message(DISCOVER, area=names + wishes),
        message(DISCOVER, area=options((52, b"\3")), sname=firmware(7)[:60] + b"\xff", file=names + b"\xff"),
        message(DISCOVER, area=vendor),
        message(REQUEST, area=firmware(7) + chosen),
        message(REQUEST, area=firmware(7) + ipxe + chosen + split),
        message(REQUEST, area=chosen + relayed, giaddr=_ip(relay)),
        message(REQUEST, area=options((50, _ip(address))) + names),
        message(REQUEST, area=names, ciaddr=_ip(address)),
        message(DECLINE, area=chosen),
        message(RELEASE, area=options((54, _ip(server))), ciaddr=_ip(address)),
        message(INFORM, area=firmware(7), ciaddr=_ip(address)),
        message(ACK, area=chosen),
    ]


def proxy(server: str, address: str) -> list[bytes]:
    """What comes to port 4011."""
    item = options((43, b"\x47\4\0\0\0\0\xff"))
    return [
        message(REQUEST, area=firmware(arch) + extra, ciaddr=_ip(address))
        for arch in (0, 7, 9, 11)
        for extra in (b"", item, options((54, _ip(server))))
    ]


def tftp(files: Sequence[str]) -> list[bytes]:
    """What comes to port 69, and to the port of a transfer."""
    words = b"blksize\x001468\0tsize\x000\0windowsize\x0016\0timeout\x005\0"
    asked = [b"\0\1" + name.encode() + b"\0octet\0" for name in files]
    return [
        *asked,
        *(each + words for each in asked),
        *(b"\0\1" + name.encode() + b"\0netascii\0blksize\x008\0" for name in files),
        b"\0\2" + files[0].encode() + b"\0octet\0",
        b"\0\3\0\1" + bytes(512),
        b"\0\4\0\1",
        b"\0\5\0\0aborted\0",
        b"\0\6" + words,
    ]


def http(paths: Sequence[str]) -> list[bytes]:
    """Request heads, with a body where one belongs to it."""
    chunked = b"Transfer-Encoding: chunked\r\n\r\n4a\r\n%s\r\n0\r\n\r\n"
    body = b'{"protocol": 1, "macs": ["52:54:00:f0:00:07"], "inventory": {"cpu": "x"}}'
    more = b"Host: 10.7.0.1:8090\r\nUser-Agent: iPXE/1.21.1\r\nConnection: close\r\n"
    heads = [
        b"GET %s HTTP/1.1\r\n" + more + b"\r\n",
        b"HEAD %s HTTP/1.1\r\n" + more + b'Range: bytes=0-99,200-,-5\r\nIf-Range: "x"\r\n\r\n',
        b"GET %s?mac=52:54:00:f0:00:07&uuid=%%00 HTTP/1.0\r\n\r\n",
        b"GET http://10.7.0.1/%s HTTP/1.1\r\n" + more + b"If-Modified-Since: Sat, 21 Nov 2026 19:00:00 GMT\r\n\r\n",
        b"GET //%s HTTP/1.1\r\n" + more + b"Range: bytes=-1\r\nIf-None-Match: *\r\n\r\n",
    ]
    posts = [
        b"POST /agent/register HTTP/1.1\r\n" + more + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        b"POST /agent/register HTTP/1.1\r\n" + more + chunked % body,
    ]
    return [head % path.encode() for head in heads for path in paths] + posts


class Mutants:
    """Endless packets made of good ones; the same for the same seed."""

    def __init__(self, packets: Sequence[bytes], seed: int) -> None:
        self._packets = tuple(packets)
        self._chance = random.Random(seed)

    def __call__(self) -> bytes:
        chance = self._chance
        octets = bytearray(chance.choice(self._packets))
        for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5, 8))):
            if not octets:
                break
            chance.choice(_WAYS)(chance, octets, self._packets)
        return bytes(octets)


def _bit(chance: random.Random, octets: bytearray, _: Sequence[bytes]) -> None:
    octets[chance.randrange(len(octets))] ^= 1 << chance.randrange(8)


def _octet(chance: random.Random, octets: bytearray, _: Sequence[bytes]) -> None:
    octets[chance.randrange(len(octets))] = chance.choice(_ODD)


def _any(chance: random.Random, octets: bytearray, _: Sequence[bytes]) -> None:
    at = chance.randrange(len(octets))
    octets[at : at + chance.randrange(1, 9)] = chance.randbytes(chance.randrange(1, 9))


def _cut(chance: random.Random, octets: bytearray, _: Sequence[bytes]) -> None:
    del octets[chance.randrange(len(octets)) :]


def _drop(chance: random.Random, octets: bytearray, _: Sequence[bytes]) -> None:
    at = chance.randrange(len(octets))
    del octets[at : at + chance.randrange(1, 20)]


def _twice(chance: random.Random, octets: bytearray, _: Sequence[bytes]) -> None:
    at = chance.randrange(len(octets))
    octets[at:at] = octets[at : at + chance.randrange(1, 64)] * chance.choice((1, 1, 2, 8))
    del octets[3000:]


def _word(chance: random.Random, octets: bytearray, _: Sequence[bytes]) -> None:
    at = chance.randrange(len(octets))
    octets[at:at] = chance.choice(_WORDS)


def _splice(chance: random.Random, octets: bytearray, packets: Sequence[bytes]) -> None:
    """The head of one, the tail of another."""
    other = chance.choice(packets)
    octets[chance.randrange(len(octets)) :] = other[chance.randrange(len(other)) :]


def _option(chance: random.Random, octets: bytearray, _: Sequence[bytes]) -> None:
    """One more option right behind the cookie, which may say any length."""
    at = octets.find(COOKIE) + 4
    if at < 4:
        return
    value = chance.randbytes(chance.choice((0, 1, 2, 3, 4, 5, 8, 9, 16, 40, 255)))
    length = len(value) if chance.random() < 0.8 else chance.choice(_ODD)
    octets[at:at] = bytes((chance.randrange(256), length)) + value


_WAYS = (_bit, _bit, _octet, _octet, _any, _cut, _drop, _twice, _word, _splice, _option, _option)
