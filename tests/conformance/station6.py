"""An independent DHCPv6 client: messages made and dissected by scapy, over real sockets in a namespace.

Nothing here is the product's. Each client has a link-local address of its own on the one card, as a machine of its own
would have: made of its MAC address (RFC 4291 appendix A), or of nothing.
"""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Callable
from typing import Any

from tests import netns

EVERYBODY = "ff02::1:2"
SERVER_PORT, CLIENT_PORT = 547, 546
WAIT_SECONDS = 20.0
_NUMBERS = itertools.count(1)
_XIDS = itertools.count(0x100000)


def layers() -> Any:
    """scapy's DHCPv6, imported when it is first needed."""
    from scapy.layers import dhcp6

    return dhcp6


def link_local(mac: str) -> str:
    """The address a card with this MAC address forms."""
    octets = [int(each, 16) for each in mac.split(":")]
    octets[0] ^= 2
    a, b, c, d, e, f = octets
    return str(socket.inet_ntop(socket.AF_INET6, bytes((0xFE, 0x80, 0, 0, 0, 0, 0, 0, a, b, c, 0xFF, 0xFE, d, e, f))))


class Client6:
    """One machine; `plain`: its address tells nothing of its card."""

    def __init__(
        self, ns: str, *, mac: str = "", plain: bool = False, interface: str = "eth0", address: str = ""
    ) -> None:
        number = next(_NUMBERS)
        self.ns, self.interface = ns, interface
        self.mac = mac or f"52:54:00:06:{number >> 8:02x}:{number & 0xFF:02x}"
        self.address = address or (f"fe80::6:{number:x}" if plain else link_local(self.mac))
        self.iaid = number
        self.duid: Any = layers().DUID_LL(lladdr=self.mac)
        self.server: Any = None
        argv = ["ip", "address", "add", f"{self.address}/64", "dev", interface, "nodad"]
        netns.run(ns, argv, check=False)
        self._sock: socket.socket = netns.call(ns, self._open)
        self.heard: list[Any] = []

    def _open(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        index = socket.if_nametoindex(self.interface)
        sock.bind((self.address, CLIENT_PORT, 0, index))
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        self._index = index
        return sock

    def close(self) -> None:
        self._sock.close()

    def send(self, packet: Any, to: str = EVERYBODY) -> None:
        """Send octets or a packet to port 547."""
        self._sock.sendto(bytes(packet), (to, SERVER_PORT, 0, self._index))

    def hear(self, match: Callable[[Any], bool] = lambda _: True, timeout: float = WAIT_SECONDS) -> Any:
        """The next message that `match` takes; what came before it stays in `heard`."""
        deadline = time.monotonic() + timeout
        while True:
            self._sock.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                octets, peer = self._sock.recvfrom(4096)
            except TimeoutError:
                raise AssertionError(f"no answer within {timeout:g} s; heard {self.heard}") from None
            assert peer[1] == SERVER_PORT
            kinds = {2: layers().DHCP6_Advertise, 7: layers().DHCP6_Reply, 13: layers().DHCP6_RelayReply}
            found = kinds[octets[0]](octets)
            self.heard.append(found)
            if match(found):
                return found

    def message(self, kind: Any, *addresses: str, named: bool | None = None, ia: bool = True) -> Any:
        """A message of this client's with the addresses in its association; `named`: with a server identifier."""
        six = layers()
        asked = kind(trid=next(_XIDS)) / six.DHCP6OptClientId(duid=self.duid)
        if named or (
            named is None and kind in (six.DHCP6_Request, six.DHCP6_Renew, six.DHCP6_Release, six.DHCP6_Decline)
        ):
            asked /= six.DHCP6OptServerId(duid=self.server)
        if ia:
            held = [six.DHCP6OptIAAddress(addr=each) for each in addresses]
            asked /= six.DHCP6OptIA_NA(iaid=self.iaid, ianaopts=held)
        return asked

    def say(self, packet: Any, to: str = EVERYBODY) -> Any:
        """Send a message, and hear its answer."""
        self.send(packet, to)
        found = self.hear(lambda reply: getattr(reply, "trid", None) == packet.trid)
        self.server = found[layers().DHCP6OptServerId].duid
        return found

    def unanswered(self, *packets: Any, to: str = EVERYBODY) -> None:
        """None of these is answered: what is asked after them is, and the server takes one after another."""
        for packet in packets:
            self.send(packet, to)
        before = len(self.heard)
        self.say(self.message(layers().DHCP6_InfoRequest, ia=False))
        assert len(self.heard) == before + 1, self.heard

    def lease(self, *more: Any) -> str:
        """SOLICIT and REQUEST; the address that is got."""
        six = layers()
        solicit, request = self.message(six.DHCP6_Solicit), None
        for each in more:
            solicit /= each
        offered = given(self.say(solicit))
        assert offered
        request = self.message(six.DHCP6_Request, offered[0][0])
        for each in more:
            request /= each
        return given(self.say(request))[0][0]


def given(reply: Any) -> list[tuple[str, int]]:
    """The addresses in the associations of a reply, with their valid lifetimes."""
    six = layers()
    return [
        (each.addr, each.validlft)
        for ia in every(reply, six.DHCP6OptIA_NA)
        for each in ia.ianaopts
        if isinstance(each, six.DHCP6OptIAAddress)
    ]


def status(reply: Any) -> int:
    """The status of a message; 0 where it says none."""
    found = every(reply, layers().DHCP6OptStatusCode)
    return found[0].statuscode if found else 0


def ia_status(reply: Any) -> list[int]:
    """The status in each association of a reply."""
    six = layers()
    return [
        each.statuscode
        for ia in every(reply, six.DHCP6OptIA_NA)
        for each in ia.ianaopts
        if isinstance(each, six.DHCP6OptStatusCode)
    ]


def every(packet: Any, kind: Any) -> list[Any]:
    """Each option of a kind, as they stand in a message."""
    found: list[Any] = []
    at = packet.payload
    while at:
        if isinstance(at, kind):
            found.append(at)
        at = at.payload
    return found


def codes(packet: Any) -> list[int]:
    """The code of each option of a message, as they stand."""
    found: list[int] = []
    at = packet.payload
    while at:
        found.append(int(at.optcode))
        at = at.payload
    return found


def url(reply: Any) -> str:
    """Option 59."""
    found = every(reply, layers().DHCP6OptBootFileUrl)
    return found[0].optdata.decode() if found else ""


def firmware(arch: int, kind: str = "PXEClient", user_class: bytes = b"") -> list[Any]:
    """Options of network firmware, as EDK2 and (with its user class) iPXE send them."""
    six = layers()
    said = [
        six.DHCP6OptOptReq(reqopts=[59, 60, 23]),
        six.DHCP6OptClientArchType(archtypes=[arch]),
        six.DHCP6OptClientNetworkInterId(iitype=1, iimajor=3, iiminor=16),
        six.DHCP6OptVendorClass(
            enterprisenum=343, vcdata=[six.VENDOR_CLASS_DATA(data=f"{kind}:Arch:{arch:05d}:UNDI:003016".encode())]
        ),
    ]
    if user_class:
        said.append(six.DHCP6OptUserClass(userclassdata=[six.USER_CLASS_DATA(data=user_class)]))
    return said
