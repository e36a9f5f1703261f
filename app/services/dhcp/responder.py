"""A UDP responder with a thread and an event loop of its own: whatever else the engine does, it answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from ipaddress import IPv4Address
from typing import TypeVar

from app.clock import Clock
from app.errors import BootcartError, UnavailableError
from app.model.engine import Interface
from app.model.event import EventDraft, Level
from app.netboot.exchange import BROADCAST, CLIENT_PORT, SERVER_PORT, Answer, Arrival
from app.netboot.wire.dhcp4 import ZERO, DhcpError, DhcpPacket, decode
from app.netboot.wire.frames import mac_bytes
from app.services.dhcp.sockets import Datagram, Sender, open_frames, open_port, receive
from app.services.dhcp.tap import Tap, no_tap

log = logging.getLogger(__name__)

T = TypeVar("T")
Emit = Callable[[EventDraft], None]
Interfaces = Callable[[], Sequence[Interface]]

_BATCH = 64
_TELL_SECONDS = 60.0
_TRACE_SECONDS = 1.0
_START_SECONDS = 10.0
# A thread that hangs must not hold up the end of the engine.
_STOP_SECONDS = 2.0
_ASK_SECONDS = 5.0
_COUNTERS = "received malformed ignored elsewhere silent errors sent send_failed frame frame_fallback broadcast unicast"


class Responder(ABC):
    """One port: receives, decodes, hands to `handle`, sends, survives whatever comes in."""

    name = ""

    def __init__(
        self,
        *,
        port: int,
        interfaces: Interfaces,
        emit: Emit,
        clock: Clock,
        allowed: Collection[str] = (),
        raw: bool = False,
    ) -> None:
        self._port = port
        self._interfaces = interfaces
        self._emit = emit
        self._clock = clock
        self._allowed = frozenset(allowed)
        self._raw = raw
        self.listening: tuple[str, ...] = ()
        self.tap: Tap = no_tap
        self.counters: dict[str, int] = dict.fromkeys(_COUNTERS.split(), 0)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._sender: Sender | None = None
        self.known: Sequence[Interface] = ()
        self._by_index: dict[int, Interface] = {}
        self._by_name: dict[str, Interface] = {}
        self._local: frozenset[IPv4Address] = frozenset()
        self.own: frozenset[bytes] = frozenset()
        self._told = float("-inf")
        self._malformed = 0
        self._traced = float("-inf")

    def now(self) -> float:
        """Epoch seconds."""
        return self._clock.now()

    async def start(self) -> None:
        """Take the port and answer from a thread of our own. Raises BootcartError when the port cannot be had."""
        await self.prepare()
        udp = open_port(self._port)
        self._sender = Sender(udp, open_frames() if self._raw else None, self.counters)
        names = " ".join(sorted(self._allowed))
        self.listening = (f"udp 0.0.0.0:{udp.getsockname()[1]}" + (f" {names}" if names else ""),)
        loop = asyncio.new_event_loop()
        loop.add_reader(udp, self._readable, udp)
        ready = threading.Event()
        loop.call_soon(self.begin)
        loop.call_soon(ready.set)
        self._loop = loop
        self._thread = threading.Thread(target=self._run, args=(loop,), name=self.name, daemon=True)
        self._thread.start()
        if not await asyncio.to_thread(ready.wait, _START_SECONDS):
            await self.stop()
            raise BootcartError(f"{self.name} did not start within {_START_SECONDS:g} s", hint="see the engine's log")

    async def stop(self) -> None:
        """Stop answering and give the port back."""
        loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            await asyncio.to_thread(thread.join, _STOP_SECONDS)
        if self._sender is not None:
            self._sender.close()
            self._sender = None
        self.listening = ()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.close()

    def post(self, function: Callable[..., None], *arguments: object) -> None:
        """Call `function` in the responder's loop, from any thread; dropped when it does not run any more."""
        loop = self._loop
        if loop is not None:
            # The loop may close between the look and the call: then nobody waits for this any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(function, *arguments)

    def ask(self, question: Callable[[], T]) -> T:
        """What `question` says in the responder's loop, or here while that does not run. Not from the loop.

        Raises UnavailableError when the loop does not come to it in time.
        """
        if self._loop is None:
            return question()
        told: Future[T] = Future()

        def answer() -> None:
            try:
                told.set_result(question())
            except BaseException as error:
                told.set_exception(error)

        self.post(answer)
        try:
            return told.result(_ASK_SECONDS)
        except TimeoutError:
            raise UnavailableError(f"{self.name} is busy or stops", hint="ask again") from None

    def arrival(self, interface: str, relay: IPv4Address = ZERO) -> Arrival:
        """How a client's broadcast on an interface, or what a relay passes on, comes in."""
        self._look_at_interfaces()
        known = self._by_name.get(interface)
        addresses = known.addresses if known is not None else ()
        relayed = bool(int(relay))
        return Arrival(
            interface=interface,
            addresses=addresses,
            local=self._local,
            source=relay,
            port=SERVER_PORT if relayed else CLIENT_PORT,
            destination=addresses[0].ip if relayed and addresses else BROADCAST,
        )

    def interface(self, name: str) -> Interface | None:
        """An interface of this host as it is now."""
        return self._by_name.get(name)

    def later(self, seconds: float, function: Callable[[], object]) -> None:
        """Call `function` in the loop after a while; to be called in the loop."""
        asyncio.get_running_loop().call_later(seconds, function)

    async def prepare(self) -> None:
        """Called at each start, before the port is taken."""
        return

    def begin(self) -> None:
        """Called once in the loop, before the first message."""
        return

    def quick(self, datagram: Datagram, interface: Interface) -> bool:
        """Answer a message by its octets alone; false: it is to be read and handled."""
        del datagram, interface
        return False

    @abstractmethod
    def handle(self, packet: DhcpPacket, arrival: Arrival) -> None:
        """Answer one message."""

    def send(self, answer: Answer) -> bool:
        """Send the reply of an answer; false when there is none, or it could not be sent."""
        if not answer.speaks or answer.destination is None or self._sender is None:
            self.counters["silent"] += 1
            return False
        octets = answer.octets()
        self.tap(answer.destination.interface, octets, answer.destination)
        sent = self._sender.send(octets, answer.destination, self._by_name)
        self.counters["sent"] += sent
        return sent

    def emit(self, events: Sequence[EventDraft]) -> None:
        """Hand events on."""
        for event in events:
            self._emit(event)

    def _readable(self, udp: socket.socket) -> None:
        self._look_at_interfaces()
        # A bounded batch: answers whose leases are stored by now must not wait for a flood to end.
        for _ in range(_BATCH):
            datagram = receive(udp)
            if datagram is None:
                return
            self.counters["received"] += 1
            try:
                self._received(datagram)
            except Exception:
                self.counters["errors"] += 1
                if self._clock.monotonic() - self._traced >= _TRACE_SECONDS:
                    self._traced = self._clock.monotonic()
                    log.exception("a message of %d octets from %s failed", len(datagram.payload), datagram.source)

    def _received(self, datagram: Datagram) -> None:
        interface = self._by_index.get(datagram.index)
        if interface is None or (self._allowed and interface.name not in self._allowed):
            self.counters["elsewhere"] += 1
            return
        self.tap(interface.name, datagram.payload, datagram)
        if self.quick(datagram, interface):
            return
        try:
            packet = decode(datagram.payload)
        except DhcpError as error:
            self._count_malformed(str(error), interface)
            return
        if packet.chaddr[:6] in self.own:
            # A probe for other servers, sent on another interface that leads to the same segment.
            self.counters["elsewhere"] += 1
            return
        self.handle(
            packet,
            Arrival(
                interface=interface.name,
                addresses=interface.addresses,
                local=self._local,
                source=datagram.source,
                port=datagram.port,
                destination=datagram.destination,
            ),
        )

    def _look_at_interfaces(self) -> None:
        known = self._interfaces()
        if known is not self.known:
            self.known = known
            self._by_index = {item.index: item for item in known}
            self._by_name = {item.name: item for item in known}
            self._local = frozenset(address.ip for item in known for address in item.addresses)
            self.own = frozenset(mac_bytes(item.mac) for item in known if item.mac and item.addresses)

    def _count_malformed(self, why: str, interface: Interface) -> None:
        self.counters["malformed"] += 1
        self._malformed += 1
        if self._clock.monotonic() - self._told < _TELL_SECONDS:
            return
        self._told = self._clock.monotonic()
        count, self._malformed = self._malformed, 0
        self._emit(
            EventDraft(
                time=self.now(),
                kind="dhcp.malformed",
                message=f"{count} malformed message{'s' if count != 1 else ''} dropped, the last because: {why}",
                level=Level.WARNING,
                interface=interface.name,
                data={"count": count, "why": why},
            )
        )
