"""A network card that speaks DHCP by raw frames, as firmware does; packets are made and read by scapy."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests import netns

EVERYBODY = "255.255.255.255"
_NUMBERS = itertools.count(0x10000)
_SO_ATTACH_FILTER = 26
# UDP to port 68: what a client's files bring along must not fill the buffer.
_ONLY_DHCP = (
    (0x30, 0, 0, 23), (0x15, 0, 3, 17), (0x28, 0, 0, 36), (0x15, 0, 1, 68), (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0),
)  # fmt: skip


def pxe(arch: int, word: str = "PXEClient") -> list[Any]:
    """The options of firmware of an architecture type (RFC 4578)."""
    return [
        ("vendor_class_id", f"{word}:Arch:{arch:05}:UNDI:003016".encode()),
        (93, arch.to_bytes(2, "big")),
        (94, b"\1\3\x10"),
        (97, bytes(1) + bytes(range(1, 17))),
        ("param_req_list", [1, 3, 6, 43, 54, 60, 66, 67, 97]),
    ]


def ipxe(arch: int, *, user_class: bool = True, features: bool = True) -> list[Any]:
    """The options of iPXE: told by its user class (77), its encapsulated options (175), or both."""
    words: list[Any] = pxe(arch)
    if user_class:
        words.append((77, b"iPXE"))
    if features:
        # Version 1.21.1, HTTP, TFTP, DNS, EFI: as Debian's announces itself.
        words.append((175, bytes.fromhex("eb03011501130101150101190101 1b0101".replace(" ", ""))))
    return words


@dataclass(frozen=True, slots=True)
class Heard:
    """A reply: what matters of it, and all its options by scapy's names or numbers."""

    kind: int
    address: str
    siaddr: str
    file: str
    source: str
    to_mac: str
    options: dict[Any, Any] = field(repr=False)

    @property
    def server(self) -> str:
        return str(self.options.get("server_id", ""))

    @property
    def boot(self) -> str:
        """The boot file, wherever it stands."""
        told = self.options.get("boot-file-name", b"")
        return self.file or (told.decode() if isinstance(told, bytes) else str(told)).rstrip("\0")


class Card:
    """One card with its MAC on a namespace's `eth0`; `words` are the options that say who it is."""

    def __init__(self, sock: socket.socket, ns: str, mac: str, words: list[Any], broadcast: bool) -> None:
        self.ns = ns
        self.mac = mac
        self.words = words
        self.xid = 0
        self._sock = sock
        self._flags = 0x8000 if broadcast else 0

    def say(self, kind: str, *options: Any, new: bool = False, to: str = EVERYBODY, **fields: Any) -> None:
        """Send one message; `new` begins another exchange."""
        from scapy.layers.dhcp import BOOTP, DHCP
        from scapy.layers.inet import IP, UDP
        from scapy.layers.l2 import Ether

        if new or not self.xid:
            self.xid = next(_NUMBERS)
        hardware = bytes.fromhex(self.mac.replace(":", ""))
        known: dict[str, Any] = {"op": 1, "xid": self.xid, "chaddr": hardware, "flags": self._flags, **fields}
        listed = [("message-type", kind), *options, *self.words, "end"]
        frame = (
            Ether(src=self.mac, dst="ff:ff:ff:ff:ff:ff")
            / IP(src=fields.get("ciaddr", "0.0.0.0"), dst=to)
            / UDP(sport=68, dport=67)
            / BOOTP(**known)
            / DHCP(options=listed)
        )
        self._sock.send(bytes(frame))

    def hear(self, timeout: float = 10, match: Callable[[Heard], bool] = lambda _: True) -> Heard:
        """The next reply to this exchange."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            self._sock.settimeout(left)
            with contextlib.suppress(TimeoutError):
                found = self._read(self._sock.recv(2048))
                if found is not None and match(found):
                    return found
        raise AssertionError(f"{self.mac} heard nothing within {timeout:g} s")

    def waiting(self) -> list[Heard]:
        """The replies that have arrived by now."""
        found: list[Heard] = []
        self._sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                reply = self._read(self._sock.recv(2048))
                if reply is not None:
                    found.append(reply)
        return found

    def _read(self, frame: bytes) -> Heard | None:
        from scapy.layers.dhcp import BOOTP, DHCP
        from scapy.layers.inet import IP, UDP
        from scapy.layers.l2 import Ether

        packet = Ether(frame)
        if UDP not in packet or BOOTP not in packet or DHCP not in packet or packet[BOOTP].xid != self.xid:
            return None
        reply = packet[BOOTP]
        if reply.op != 2:
            return None
        options = {item[0]: item[1] for item in packet[DHCP].options if isinstance(item, tuple)}
        return Heard(
            int(options["message-type"]),
            str(reply.yiaddr),
            str(reply.siaddr),
            reply.file.rstrip(b"\0").decode(),
            str(packet[IP].src),
            str(packet[Ether].dst),
            options,
        )

    def discover(self, *options: Any) -> Heard:
        """DISCOVER and the first OFFER."""
        self.say("discover", *options, new=True)
        return self.hear(match=lambda reply: reply.kind == 2)

    def take(self, offer: Heard) -> Heard:
        """REQUEST what was offered; ACK or NAK."""
        self.say("request", ("server_id", offer.server), ("requested_addr", offer.address))
        return self.hear(match=lambda reply: reply.kind in (5, 6))

    def lease(self) -> Heard:
        """An address, by all four messages."""
        ack = self.take(self.discover())
        assert ack.kind == 5, ack
        return ack

    def boot(self) -> Heard:
        """Lease an address and put it on the interface, so that programs can speak from it."""
        ack = self.lease()
        netns.run(self.ns, ["ip", "address", "replace", f"{ack.address}/24", "dev", "eth0"])
        return ack


@contextlib.contextmanager
def card(
    ns: str, mac: str, words: list[Any] | None = None, *, broadcast: bool = False, interface: str = "eth0"
) -> Iterator[Card]:
    """A card in a namespace, for the length of the block."""

    def open_socket() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _ONLY_DHCP))
        program = struct.pack("HL", len(_ONLY_DHCP), ctypes.addressof(code))
        made.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        made.bind((interface, 0x0800))
        return made

    with netns.call(ns, open_socket) as sock:
        yield Card(sock, ns, mac, list(words or ()), broadcast)
