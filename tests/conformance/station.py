"""An independent DHCP client: frames made and dissected by scapy, sent and heard on a raw socket in a namespace.

Nothing here is the product's: options are read by the walk of RFC 2132 section 2 below, everything else by scapy. One
`Wire` is one card in promiscuous mode, behind which as many clients, relays and squatters live as a test likes.
"""

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

SERVER_MAC = "52:54:00:00:00:01"
EVERYBODY = "255.255.255.255"
BROADCAST_MAC = "ff:ff:ff:ff:ff:ff"
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
COOKIE = b"\x63\x82\x53\x63"
WAIT_SECONDS = 20.0

Options = list[tuple[int, bytes]]

_NUMBERS = itertools.count(1)
_SO_ATTACH_FILTER = 26
# ARP, and UDP to the ports 67, 68 and 4011: all that clients and relays are sent.
_FILTER = (
    (0x28, 0, 0, 12), (0x15, 7, 0, 0x0806), (0x15, 0, 7, 0x0800), (0x30, 0, 0, 23), (0x15, 0, 5, 17),
    (0x28, 0, 0, 36), (0x15, 2, 0, 67), (0x15, 1, 0, 68), (0x15, 0, 1, 4011), (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0),
)  # fmt: skip


def walk(area: bytes) -> tuple[Options, bool]:
    """The options of an area as they stand, and whether END closes it; AssertionError where one is malformed."""
    found: Options = []
    at = 0
    while at < len(area):
        code = area[at]
        if code == 255:
            return found, True
        if code == 0:
            at += 1
            continue
        assert at + 1 < len(area), f"option {code} has no length"
        value = area[at + 2 : at + 2 + area[at + 1]]
        assert len(value) == area[at + 1], f"option {code} runs past the end"
        found.append((code, value))
        at += 2 + len(value)
    return found, False


@dataclass(frozen=True, slots=True)
class Reply:
    """One message of the server as it came over the wire."""

    frame: Any = field(repr=False)
    """The whole frame, dissected by scapy."""
    octets: bytes = field(repr=False)
    """The DHCP message alone."""
    source: str
    to: str
    sport: int
    dport: int
    from_mac: str
    to_mac: str
    options: dict[int, bytes]
    listed: Options = field(repr=False)
    """The options in the order they stand, each instance."""
    ended: bool

    @property
    def bootp(self) -> Any:
        """The fixed fields, as scapy names them; it looks for them at other ports than 4011 only."""
        from scapy.layers.dhcp import BOOTP

        return BOOTP(self.octets)

    @property
    def kind(self) -> int:
        """Option 53; 0 where there is none."""
        return self.options.get(53, b"\0")[0]

    @property
    def address(self) -> str:
        return str(self.bootp.yiaddr)

    @property
    def server(self) -> str:
        """Option 54."""
        return socket.inet_ntoa(self.options[54])

    @property
    def file(self) -> str:
        """The boot file field up to its NUL."""
        return self.octets[108:236].partition(b"\0")[0].decode()

    @property
    def boot(self) -> str:
        """The boot file, wherever it is named."""
        return self.options.get(67, b"").decode() or self.file

    def number(self, code: int) -> int:
        """An option that is one number."""
        assert len(self.options[code]) == 4
        return int.from_bytes(self.options[code], "big")


class Wire:
    """One card: sends frames, keeps what it hears, answers ARP for the addresses its clients have."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        self.replies: list[Reply] = []
        self.owned: dict[str, str] = {}
        """Addresses that are in use here, and the hardware address of each."""
        self.asked: list[str] = []
        """The addresses somebody asked for by ARP."""

    def send(self, frame: Any) -> None:
        """Send one frame."""
        self._raw.send(bytes(frame))

    def hear(
        self, match: Callable[[Reply], bool], *, after: int = 0, timeout: float = WAIT_SECONDS, what: str = ""
    ) -> Reply:
        """The first message that `match` takes, of those heard already (but the first `after`) and those to come."""
        deadline = time.monotonic() + timeout
        at = after
        while True:
            while at < len(self.replies):
                if match(self.replies[at]):
                    return self.replies[at]
                at += 1
            left = deadline - time.monotonic()
            assert left > 0, f"not heard within {timeout:g} s: {what}"
            self._raw.settimeout(left)
            with contextlib.suppress(TimeoutError):
                self._read(self._raw.recv(4096))

    def _read(self, frame: bytes) -> None:
        from scapy.layers.inet import IP, UDP
        from scapy.layers.l2 import ARP, Ether

        packet = Ether(frame)
        if ARP in packet:
            if packet[ARP].op == 1:
                self._resolve(packet)
            return
        octets = bytes(packet[UDP].payload)[: packet[UDP].len - 8]
        if len(octets) < 240 or octets[0] != 2:
            return
        listed, ended = walk(octets[240:])
        joined: dict[int, bytes] = {}
        for code, value in listed:
            joined[code] = joined.get(code, b"") + value
        udp, ip = packet[UDP], packet[IP]
        words = (str(ip.src), str(ip.dst), int(udp.sport), int(udp.dport), str(packet.src), str(packet.dst))
        self.replies.append(Reply(packet, octets, *words, joined, listed, ended))

    def _resolve(self, packet: Any) -> None:
        from scapy.layers.l2 import ARP, Ether

        wanted = str(packet[ARP].pdst)
        self.asked.append(wanted)
        mac = self.owned.get(wanted)
        if mac is not None:
            answer = ARP(op=2, hwsrc=mac, psrc=wanted, hwdst=packet[ARP].hwsrc, pdst=packet[ARP].psrc)
            self.send(Ether(src=mac, dst=packet.src) / answer)


@contextlib.contextmanager
def wire(ns: str) -> Iterator[Wire]:
    """A card on a namespace's `eth0`, for the length of the block."""

    def open_socket() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _FILTER))
        made.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(_FILTER), ctypes.addressof(code)))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        made.bind(("eth0", 3))  # ETH_P_ALL
        return made

    with netns.call(ns, open_socket) as raw:
        yield Wire(raw)


def new_mac() -> str:
    """A hardware address no other client has."""
    number = next(_NUMBERS)
    return f"52:54:00:c0:{number >> 8:02x}:{number & 0xFF:02x}"


class Client:
    """One DHCP client behind a wire; `words` are the options that say who it is, sent with every message.

    With `relay` its broadcasts come to the server as a relay passes them on, and replies are looked for there.
    """

    def __init__(
        self,
        line: Wire,
        *,
        mac: str = "",
        words: Options | None = None,
        broadcast: bool = False,
        relay: str = "",
    ) -> None:
        self.wire = line
        self.mac = mac or new_mac()
        self.words = list(words or ())
        self.flags = 0x8000 if broadcast else 0
        self.relay = relay
        self.xid = 0

    @property
    def hardware(self) -> bytes:
        return bytes.fromhex(self.mac.replace(":", ""))

    def message(self, kind: int | None, options: Options, **fields: Any) -> bytes:
        """A message's octets, by scapy."""
        from scapy.layers.dhcp import BOOTP, DHCP

        typed = [(53, bytes([kind]))] if kind is not None else []
        known: dict[str, Any] = {"op": 1, "xid": self.xid, "chaddr": self.hardware, "flags": self.flags}
        if self.relay:
            known |= {"giaddr": self.relay, "hops": 1}
        return bytes(BOOTP(**{**known, **fields}) / DHCP(options=[*typed, *options, *self.words, "end"]))

    def new(self) -> Client:
        """Begin another exchange."""
        self.xid = 0x5EED0000 + next(_NUMBERS)
        return self

    def send(
        self, octets: bytes, *, source: str = "", to: str = "", sport: int = 0, dport: int = 67, mac: str = ""
    ) -> None:
        """Send octets in UDP: as a broadcast, to the server where an address is given, or as the relay does."""
        from scapy.layers.inet import IP, UDP
        from scapy.layers.l2 import Ether

        destination = to or ("10.7.0.1" if self.relay else EVERYBODY)
        frame = (
            Ether(src=mac or self.mac, dst=BROADCAST_MAC if destination == EVERYBODY else SERVER_MAC)
            / IP(src=source or self.relay or "0.0.0.0", dst=destination)
            / UDP(sport=sport or (67 if self.relay else 68), dport=dport)
            / octets
        )
        self.wire.send(frame)

    def say(self, kind: int | None, *options: tuple[int, bytes], to: str = "", **fields: Any) -> None:
        """Send one message of this exchange; with `to` by unicast, from its `ciaddr`."""
        octets = self.message(kind, list(options), **fields)
        self.send(octets, source=fields.get("ciaddr", "") if to else "", to=to, sport=68 if to else 0)

    def mine(self, reply: Reply) -> bool:
        """A reply to this exchange of this client."""
        length = min(len(self.hardware), 16)
        return reply.bootp.xid == self.xid and reply.octets[28 : 28 + length] == self.hardware[:length]

    def hear(self, *kinds: int, after: int = 0, timeout: float = WAIT_SECONDS) -> Reply:
        """The first reply to this exchange, of one of these kinds if any are given."""
        wanted = kinds or range(9)
        return self.wire.hear(
            lambda reply: self.mine(reply) and reply.kind in wanted,
            after=after,
            timeout=timeout,
            what=f"{kinds or 'a reply'} to {self.mac}",
        )

    def heard(self) -> list[Reply]:
        """All replies to this exchange that were heard so far."""
        return [reply for reply in self.wire.replies if self.mine(reply)]

    def discover(self, *options: tuple[int, bytes], **fields: Any) -> Reply:
        """DISCOVER in an exchange of its own, and its OFFER."""
        self.new().say(DISCOVER, *options, **fields)
        return self.hear(OFFER)

    def take(self, offer: Reply, *options: tuple[int, bytes], **fields: Any) -> Reply:
        """REQUEST what was offered, and the ACK or NAK."""
        self.say(REQUEST, (54, offer.options[54]), (50, socket.inet_aton(offer.address)), *options, **fields)
        return self.hear(ACK, NAK)

    def lease(self, *options: tuple[int, bytes], **fields: Any) -> Reply:
        """An address, by all four messages; the ACK. Of the options the DISCOVER alone asks for an address (50)."""
        again = [option for option in options if option[0] != 50]
        ack = self.take(self.discover(*options, **fields), *again, **fields)
        assert ack.kind == ACK, ack
        return ack

    def reboot(self, address: str, *options: tuple[int, bytes], **fields: Any) -> None:
        """REQUEST of a client that had this address before (INIT-REBOOT)."""
        self.new().say(REQUEST, (50, socket.inet_aton(address)), *options, **fields)

    def extend(self, address: str, *, unicast: bool, **fields: Any) -> None:
        """REQUEST of a client that has this address: RENEWING by unicast, else REBINDING."""
        self.wire.owned[address] = self.mac
        self.new().say(REQUEST, to="10.7.0.1" if unicast else "", ciaddr=address, giaddr="0.0.0.0", hops=0, **fields)


def pxe(arch: int | None, word: str = "PXEClient") -> Options:
    """The options of firmware of an architecture type (RFC 4578); None: it names none."""
    if arch is None:
        return [(60, word.encode())]
    return [
        (60, f"{word}:Arch:{arch:05}:UNDI:003016".encode()),
        (93, arch.to_bytes(2, "big")),
        (94, b"\x01\x03\x10"),
        (97, GUID),
        (55, bytes((1, 3, 6, 43, 54, 60, 66, 67, 97))),
    ]


GUID = bytes(1) + bytes(range(1, 17))


def ipxe(arch: int, user_class: bytes = b"iPXE", features: bytes = bytes.fromhex("130101150101190101")) -> Options:
    """The options of iPXE: those of its firmware, its user class (77), its features (175); either may be empty."""
    return [*pxe(arch), *((code, value) for code, value in ((77, user_class), (175, features)) if value)]


def ip(address: str) -> bytes:
    """The four octets of an address."""
    return socket.inet_aton(address)
