"""Answers the router solicitations of booting machines: "no router here", so that firmware does not wait for one.

Debian 12's iPXE waits 13 s for a router advertisement on every boot. The answer is unicast, has lifetime 0, no prefix
and no flags (RFC 4861 §6.2.3), and is never given where a real router advertises.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeVar

from app.clock import Clock
from app.model.engine import Interface
from app.netboot.wire import icmp6
from app.services.ear import open_ear, waiting

log = logging.getLogger(__name__)
V = TypeVar("V")

_ETH_P_IPV6 = 0x86DD
# Both come at once from firmware; whichever is first waits for the other at most this long (seconds).
_PENDING = 5.0
_BOOTING = 300.0
_ROUTER_MEMORY = 1800.0
_REMEMBERED = 4096


# ICMPv6 router solicitations and advertisements.
_FILTER = (
    (0x30, 0, 0, 20),  # ldb [next header]
    (0x15, 0, 4, 58),  # ICMPv6?
    (0x30, 0, 0, 54),  # ldb [type]
    (0x15, 1, 0, 133),
    (0x15, 0, 1, 134),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)


def _remember(memory: OrderedDict[str, V], mac: str, value: V) -> None:
    memory[mac] = value
    memory.move_to_end(mac)
    if len(memory) > _REMEMBERED:
        memory.popitem(last=False)


class RouterService:
    """One raw socket per served interface; all in the loop that starts it."""

    name = "router"

    def __init__(
        self,
        interfaces: Callable[[], Sequence[Interface]],
        clock: Clock,
        advice: Callable[[str], icmp6.Advice | None] = lambda _: None,
    ) -> None:
        """`interfaces` gives those the engine serves now; call `follow()` when that changes.

        `advice` tells what machines on an interface are to know where DHCPv6 is served there: who solicits is answered
        at once, for it asks DHCPv6 only when it is told to.
        """
        self._advice = advice
        self._interfaces = interfaces
        self._clock = clock
        self._sockets: dict[str, socket.socket] = {}
        self._index: dict[str, int] = {}
        self._booting: OrderedDict[str, float] = OrderedDict()
        self._pending: OrderedDict[str, tuple[float, str, icmp6.RouterMessage]] = OrderedDict()
        self._routers: dict[str, float] = {}
        self.listening: tuple[str, ...] = ()
        self.counters: dict[str, int] = {"solicitations": 0, "answers": 0, "routers": 0}

    async def start(self) -> None:
        """Open a socket on every served interface."""
        self.follow()

    async def stop(self) -> None:
        """Close every socket."""
        for name in list(self._sockets):
            self._drop(name)
        self.listening = ()

    def follow(self) -> None:
        """Open and close sockets so that they match the served interfaces."""
        wanted = {i.name: i for i in self._interfaces() if i.mac and i.up}
        for name in list(self._sockets):
            if name not in wanted or wanted[name].index != self._index[name]:
                self._drop(name)
        for name, interface in wanted.items():
            if name not in self._sockets:
                self._open(interface)
        self.listening = tuple(f"icmp6 router solicitations on {name}" for name in self._sockets)

    def _open(self, interface: Interface) -> None:
        try:
            # Solicitations go to ff02::2, which the card drops unless somebody asks for it.
            raw = open_ear(interface.name, _ETH_P_IPV6, _FILTER, groups_of=interface.index)
        except OSError as error:
            log.warning("cannot listen for router solicitations on %s: %s", interface.name, error)
            return
        self._sockets[interface.name] = raw
        self._index[interface.name] = interface.index
        asyncio.get_running_loop().add_reader(raw, self._readable, interface.name)

    def _drop(self, name: str) -> None:
        raw = self._sockets.pop(name)
        asyncio.get_running_loop().remove_reader(raw)
        raw.close()

    def _readable(self, name: str) -> None:
        for frame in waiting(self._sockets[name], name):
            self.heard(name, frame)

    def heard(self, name: str, frame: bytes) -> None:
        """One frame from the wire of interface `name`."""
        message = icmp6.parse_router_message(frame)
        if message is None:
            return
        now = self._clock.monotonic()
        if message.kind == icmp6.ROUTER_ADVERTISEMENT:
            if message.lifetime or message.has_prefix:
                self.counters["routers"] += 1
                self._routers[name] = now
            return
        self.counters["solicitations"] += 1
        booting = now - self._booting.get(message.src_mac, -_BOOTING) < _BOOTING
        if booting or self._advice(name) is not None:
            self._answer(name, message)
        else:
            _remember(self._pending, message.src_mac, (now, name, message))

    def booting(self, mac: str) -> None:
        """A machine with this MAC address is asking for a network boot: answer its solicitation, past or coming."""
        now = self._clock.monotonic()
        _remember(self._booting, mac, now)
        waiting = self._pending.pop(mac, None)
        if waiting is not None and now - waiting[0] < _PENDING:
            self._answer(waiting[1], waiting[2])

    def _answer(self, name: str, message: icmp6.RouterMessage) -> None:
        if self._clock.monotonic() - self._routers.get(name, -_ROUTER_MEMORY) < _ROUTER_MEMORY:
            return
        interface = next((i for i in self._interfaces() if i.name == name), None)
        raw = self._sockets.get(name)
        if interface is None or interface.mac is None or raw is None:
            return
        own, advice = icmp6.link_local(interface.mac), self._advice(name)
        frame = icmp6.no_router(interface.mac, own, message.src_mac, message.src, advice)
        try:
            raw.send(frame)
        except OSError as error:
            log.info("%s: cannot answer a router solicitation: %s", name, error)
            return
        self.counters["answers"] += 1
