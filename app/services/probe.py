"""Finds other DHCP servers: two DISCOVERs of our own within 1.5 s, again and again, and an ear on served segments."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TypeVar

from app.clock import Clock
from app.errors import BootcartError, NotFoundError
from app.model.engine import ForeignServer, Interface
from app.netboot.wire import dhcp4
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import DhcpPacket, MessageType
from app.netboot.wire.frames import ethernet_udp4, mac_bytes, parse_udp4
from app.netboot.words import plain
from app.services.ear import open_ear, waiting

log = logging.getLogger(__name__)

_T = TypeVar("_T")

SECOND_DISCOVER = 0.7
PROBE = 1.5
"""Seconds until the answer of `probe`; servers that take longer are heard by the ear that stays."""
_REMEMBERED = 64
_NEWS_AGAIN = 3600.0
"""Seconds of silence after which a server is forgotten, and news when it is heard again."""
_EARLIER, _LATER = 0.85, 1.1
"""Times of the interval: engines that started together do not ask together."""
_ETH_P_IP = 0x0800
_BROADCAST = IPv4Address("255.255.255.255")

# Unfragmented UDP to port 68 over IPv4 with a 20-octet header: all a server sends to clients of the segment.
_FILTER = (
    (0x30, 0, 0, 23),
    (0x15, 0, 5, 17),
    (0x28, 0, 0, 20),
    (0x45, 3, 0, 0x1FFF),
    (0x28, 0, 0, 36),
    (0x15, 0, 1, 68),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)


@dataclass(slots=True)
class _Ear:
    raw: socket.socket
    index: int


def discover(mac: str, xid: int) -> bytes:
    """The DISCOVER the probe sends: an ordinary client's, so that every server answers; replies by broadcast."""
    return DhcpPacket(
        op=dhcp4.BOOTREQUEST,
        xid=xid,
        chaddr=mac_bytes(mac),
        flags=dhcp4.BROADCAST_FLAG,
        options={
            opt.MESSAGE_TYPE: bytes([MessageType.DISCOVER]),
            opt.PARAMETERS: bytes([opt.SUBNET_MASK, opt.ROUTER, opt.DNS, opt.VENDOR_CLASS]),
        },
    ).encode()


def read_server(frame: bytes, now: float) -> ForeignServer | None:
    """The server behind a frame that carries an OFFER or an ACK; None for anything else."""
    datagram = parse_udp4(frame)
    if datagram is None or datagram.dport != 68:
        return None
    try:
        packet = dhcp4.decode(datagram.payload)
    except dhcp4.DhcpError:
        return None
    if packet.op != dhcp4.BOOTREPLY or packet.message not in (MessageType.OFFER, MessageType.ACK):
        return None
    server = packet.address(opt.SERVER_ID) or datagram.src_ip
    return ForeignServer(
        server=server,
        mac=datagram.src_mac,
        offered=packet.yiaddr if int(packet.yiaddr) else None,
        subnet_mask=packet.address(opt.SUBNET_MASK),
        router=opt.address(packet.options.get(opt.ROUTER, b"")[:4]),
        vendor_class=plain(packet.options.get(opt.VENDOR_CLASS, b"")),
        heard=now,
    )


class ProbeService:
    """Knows which other DHCP servers answer on which interface.

    `interfaces` gives all of the host's; the ear is open on those `served` names; `on_foreign(interface, server, news)`
    is called in the loop for each server that was not there by the last probe: as news when it is first heard, and when
    it was silent for an hour.
    """

    name = "probe"

    def __init__(
        self,
        interfaces: Callable[[], Sequence[Interface]],
        served: Callable[[], Sequence[str]],
        on_foreign: Callable[[str, ForeignServer, bool], None],
        clock: Clock,
    ) -> None:
        self._interfaces = interfaces
        self._served = served
        self._on_foreign = on_foreign
        self._clock = clock
        self._ears: dict[str, _Ear] = {}
        self._foreign: dict[str, dict[IPv4Address, ForeignServer]] = {}
        # When each was last heard, also of those that did not answer the last probe.
        self._heard: dict[str, dict[IPv4Address, float]] = {}
        self._told: dict[str, deque[float]] = {}
        self._probed: dict[str, float] = {}
        self._probing: dict[str, int] = {}
        self.listening: tuple[str, ...] = ()
        self.counters: dict[str, int] = {"probes": 0, "foreign": 0}

    async def start(self) -> None:
        """Open the ears."""
        self.follow()

    async def stop(self) -> None:
        """Close the ears."""
        for name in list(self._ears):
            self._close(name)
        self.listening = ()

    def foreign(self, name: str) -> tuple[ForeignServer, ...]:
        """The other servers heard on an interface."""
        return tuple(self._foreign.get(name, {}).values())

    def probed(self, name: str) -> float | None:
        """When an interface was last probed (epoch seconds)."""
        return self._probed.get(name)

    def follow(self) -> None:
        """Make the ears match the interfaces that are served or being probed."""
        wanted = {*self._served(), *self._probing}
        present = {i.name: i for i in self._interfaces() if i.mac and i.up and i.name in wanted}
        for name in list(self._ears):
            if name not in present or present[name].index != self._ears[name].index:
                self._close(name)
        for name, interface in present.items():
            if name not in self._ears:
                try:
                    self._open(interface)
                except OSError as error:
                    log.warning("cannot listen for other DHCP servers on %s: %s", name, error)
        self.listening = tuple(f"DHCP servers on {name}" for name in self._ears)

    async def probe(self, name: str) -> tuple[ForeignServer, ...]:
        """Ask the segment of one interface; takes 1.5 s. Raises BootcartError when it cannot be asked."""
        interface = next((i for i in self._interfaces() if i.name == name), None)
        if interface is None:
            raise NotFoundError(f"this host has no interface {name!r}", hint="bootcart interfaces list")
        if interface.mac is None or not interface.up or not interface.link:
            raise BootcartError(f"{name} has no link", hint="plug in the cable, or `ip link set up`, and probe again")
        began = self._clock.now()
        await self._ask(name, interface)
        known = self._foreign.get(name, {})
        self._foreign[name] = {key: server for key, server in known.items() if server.heard >= began}
        self._probed[name] = self._clock.now()
        return self.foreign(name)

    async def patrol(self, segments: Callable[[], Sequence[str]], interval: float) -> None:
        """Ask those segments again and again, `interval` seconds apart, so that a server that came later is heard
        before any machine is misled by it. Runs until cancelled; what it hears goes to `on_foreign`.
        """
        chance = secrets.SystemRandom()
        while True:
            await asyncio.sleep(interval * chance.uniform(_EARLIER, _LATER))
            named = set(segments())
            present = [each for each in self._interfaces() if each.name in named and each.mac and each.up and each.link]
            for told in await asyncio.gather(*(self._ask(i.name, i) for i in present), return_exceptions=True):
                if isinstance(told, BootcartError):
                    log.info("%s", told)
                elif isinstance(told, BaseException):
                    raise told
            self.forget()

    def forget(self) -> None:
        """Servers that were silent for an hour are no more."""
        gone = self._clock.now() - _NEWS_AGAIN
        for name, known in self._foreign.items():
            self._foreign[name] = {key: server for key, server in known.items() if server.heard > gone}
        for name, heard in self._heard.items():
            self._heard[name] = {key: when for key, when in heard.items() if when > gone}

    async def _ask(self, name: str, interface: Interface) -> None:
        """Two DISCOVERs on one segment, and 1.5 s for the answers. Raises BootcartError when they cannot be sent."""
        self.counters["probes"] += 1
        self._probing[name] = self._probing.get(name, 0) + 1
        try:
            self.follow()
            ear = self._ears.get(name)
            if ear is None:
                raise BootcartError(f"cannot send raw frames on {name}", hint="the engine needs CAP_NET_RAW")
            xid = secrets.randbits(32)
            try:
                self._send(ear, interface, xid)
                await asyncio.sleep(SECOND_DISCOVER)
                self._send(ear, interface, xid)
            except OSError as error:
                raise BootcartError(f"cannot send on {name}: {error.strerror}", hint="check the link") from error
            await asyncio.sleep(PROBE - SECOND_DISCOVER)
        finally:
            self._probing[name] -= 1
            if not self._probing[name]:
                del self._probing[name]
            self.follow()

    def _send(self, ear: _Ear, interface: Interface, xid: int) -> None:
        mac = str(interface.mac)
        frame = ethernet_udp4(mac, "ff:ff:ff:ff:ff:ff", IPv4Address(0), _BROADCAST, 68, 67, discover(mac, xid))
        ear.raw.send(frame)

    def _open(self, interface: Interface) -> None:
        raw = open_ear(interface.name, _ETH_P_IP, _FILTER)
        self._ears[interface.name] = _Ear(raw, interface.index)
        asyncio.get_running_loop().add_reader(raw, self._readable, interface.name)

    def _close(self, name: str) -> None:
        ear = self._ears.pop(name)
        asyncio.get_running_loop().remove_reader(ear.raw)
        ear.raw.close()

    def _readable(self, name: str) -> None:
        for frame in waiting(self._ears[name].raw, name):
            self.heard(name, frame)

    def heard(self, name: str, frame: bytes) -> None:
        """One frame from the wire of an interface."""
        server = read_server(frame, self._clock.now())
        if server is None:
            return
        ours = {address.ip for interface in self._interfaces() for address in interface.addresses}
        if server.server in ours:
            return
        known = self._foreign.setdefault(name, {})
        heard = self._heard.setdefault(name, {})
        before = known.get(server.server)
        last = heard.get(server.server)
        _remember(known, server.server, server)
        _remember(heard, server.server, server.heard)
        is_news = last is None or server.heard - last > _NEWS_AGAIN
        if is_news:
            self.counters["foreign"] += 1
        if (is_news and self._is_to_be_told(name, server.heard)) or (before is None and not is_news):
            self._on_foreign(name, server, is_news)

    def _is_to_be_told(self, name: str, now: float) -> bool:
        """Who makes up a server with each packet is told of so many times an hour and no more."""
        told = self._told.setdefault(name, deque(maxlen=_REMEMBERED))
        if len(told) == _REMEMBERED and now - told[0] < _NEWS_AGAIN:
            return False
        told.append(now)
        return True


def _remember(known: dict[IPv4Address, _T], key: IPv4Address, value: _T) -> None:
    """The newest so many, in the order they were last heard."""
    known.pop(key, None)
    if len(known) >= _REMEMBERED:
        del known[next(iter(known))]
    known[key] = value
