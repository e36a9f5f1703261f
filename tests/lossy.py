"""A way between two namespaces that loses, doubles and overtakes: frames go through this process, by a seeded schedule.

The kernel of a test host may have no netem. Each frame that comes is lost, sent twice, or held back until others have
gone before it; what has a word of its own (`losing`) is lost as often as that says.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import random
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests import netns

LATE_SECONDS = 0.03
"""The longest a frame is held back where nothing comes to go before it."""
_SIOCETHTOOL = 0x8946
# ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO: who reads frames on the way must see whole ones, with their checksums.
_OFF = (0x17, 0x1F, 0x24)
_OUTGOING = 4  # packet(7)


@dataclass(slots=True)
class Way:
    """What happens to frames, and how often it did."""

    chance: random.Random = field(default_factory=random.Random)
    loss: float = 0.0
    twice: float = 0.0
    late: float = 0.0
    losing: Callable[[bytes], bool] = lambda frame: False
    """Frames that are lost whatever the schedule says."""
    lost: int = 0
    doubled: int = 0
    delayed: int = 0
    passed: int = 0
    _held: list[tuple[float, int, bytes, socket.socket]] = field(
        default_factory=list[tuple[float, int, bytes, socket.socket]]
    )

    def begin(
        self,
        seed: int,
        *,
        loss: float = 0.0,
        twice: float = 0.0,
        late: float = 0.0,
        losing: Callable[[bytes], bool] = lambda frame: False,
    ) -> None:
        """From now on: the shares say how many frames of either direction suffer what."""
        self.lost = self.doubled = self.delayed = self.passed = 0
        self.chance, self.losing = random.Random(seed), losing
        self.loss, self.twice, self.late = loss, twice, late

    def take(self, frame: bytes, out: socket.socket) -> None:
        """One frame came."""
        roll = self.chance.random()
        if self.losing(frame) or roll < self.loss:
            self.lost += 1
        elif roll < self.loss + self.late:
            self.delayed += 1
            self._held.append((time.monotonic() + LATE_SECONDS, self.chance.randrange(1, 6), frame, out))
        else:
            self._pass(frame, out)
            if roll > 1 - self.twice:
                self.doubled += 1
                self._pass(frame, out)
            self._held = [(when, count - 1, kept, to) for when, count, kept, to in self._held]
        self.release()

    def release(self) -> None:
        """Let go what was held back for long enough."""
        now = time.monotonic()
        ready = [each for each in self._held if each[0] <= now or each[1] <= 0]
        if ready:
            self._held = [each for each in self._held if each not in ready]
            for _, _, frame, out in ready:
                self._pass(frame, out)

    def _pass(self, frame: bytes, out: socket.socket) -> None:
        self.passed += 1
        with contextlib.suppress(OSError):
            out.send(frame)


def _whole() -> None:
    """Have an interface give away whole frames; called in its namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for command in _OFF:
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            wish = struct.pack("16sP", b"eth0", ctypes.addressof(value))
            with contextlib.suppress(OSError):
                fcntl.ioctl(sock, _SIOCETHTOOL, wish)


@dataclass(frozen=True, slots=True)
class Ends:
    """Two namespaces, `eth0` in each, and the way between them."""

    server: str
    client: str
    way: Way


@contextlib.contextmanager
def between(server_address: str) -> Iterator[Ends]:
    """A server's namespace and a client's; the way between them is good until it is told otherwise."""
    way = Way()
    with (
        netns.namespace("server", ipv6=False) as server,
        netns.namespace("client", ipv6=False) as client,
        netns.namespace("way", ipv6=False) as middle,
    ):
        netns.link(middle, "left", server, "eth0", peer_mac="52:54:00:00:00:01", peer_address=server_address)
        netns.link(middle, "right", client, "eth0", peer_mac="52:54:00:00:01:01")
        for ns in (server, client):
            netns.call(ns, _whole)

        def opened() -> list[socket.socket]:
            made: list[socket.socket] = []
            for name in ("left", "right"):
                each = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
                each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
                each.bind((name, 3))
                made.append(each)
            return made

        left, right = netns.call(middle, opened)
        stop = threading.Event()

        def carry() -> None:
            while not stop.is_set():
                ready, _, _ = select.select([left, right], [], [], 0.005)
                for sock in ready:
                    frame, (_, _, kind, *_) = sock.recvfrom(70_000)
                    if kind != _OUTGOING:
                        way.take(frame, right if sock is left else left)
                way.release()

        thread = threading.Thread(target=carry, name="way")
        thread.start()
        try:
            yield Ends(server, client, way)
        finally:
            stop.set()
            thread.join(10)
            left.close()
            right.close()
