"""TLS in front of the boot listener: handshakes that end in time, and a certificate that renews itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable, Collection, Generator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol, cast

from app.clock import Clock
from app.errors import BootcartError
from app.model.certificate import Certificate
from app.services.boothttp.connections import Address, Gate, end
from app.services.boothttp.listener import listener

HANDSHAKE_SECONDS = 20.0
"""From the connection to the end of the handshake; firmware of small machines reckons for seconds."""
CLOSE_SECONDS = 2.0
LOOK_SECONDS = 5.0
"""How often names and age of the certificate are looked at."""
RENEW_SECONDS = 132 * 86400.0
_UNFINISHED_MAX = 1 << 20

# Firmware: EDK2 builds without elliptic curves, and iPXE before 2023, exchange keys by RSA alone. What keeps a session
# secret from whoever gets the key later comes first, and is taken by everything newer.
CIPHERS = (
    "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:"
    "AES256-GCM-SHA384:AES128-GCM-SHA256:AES256-SHA256:AES128-SHA256:AES256-SHA:AES128-SHA:!aNULL:!eNULL"
)

DISTRUST = frozenset(
    {
        "TLSV1_ALERT_UNKNOWN_CA",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "TLSV1_ALERT_ACCESS_DENIED",
    }
)
"""What a peer says that does not know our authority."""
RESET = "RESET"
"""It hung up amid the handshake."""


class Issued(Protocol):
    """A certificate with its authority's, and its key; PEM."""

    @property
    def chain(self) -> bytes: ...

    @property
    def key(self) -> bytes: ...

    @property
    def told(self) -> Certificate: ...


class Authority(Protocol):
    """Whoever signs; called from worker threads."""

    def issue(self, addresses: Collection[Address], /) -> Issued: ...


class TlsDoor:
    """The TLS side of one listener: `open`, then `factory` for its connections, then `close`."""

    name = "https"
    flag = "--https-port"

    def __init__(
        self,
        authority: Callable[[], Authority],
        addresses: Callable[[], Collection[Address]],
        distrusted: Callable[[Address, str], None],
        clock: Clock,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """`addresses`: those of this host, asked again and again. `distrusted` is told who refused us, and why."""
        self._authority = authority
        self._addresses = addresses
        self._distrusted = distrusted
        self._clock = clock
        self._look_seconds = look_seconds
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.set_ciphers(CIPHERS)
        self._context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        self._names: frozenset[Address] = frozenset()
        self._told: Certificate | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._shaking: set[asyncio.Task[None]] = set()

    @property
    def certificate(self) -> Certificate | None:
        """What machines are shown now."""
        return self._told

    async def open(self) -> None:
        """Have a certificate. Raises BootcartError."""
        await asyncio.to_thread(self._renew, self._wanted())
        self._renewing = asyncio.create_task(self._keep(), name="tls")

    async def close(self) -> None:
        """Break off handshakes."""
        for task in (*self._shaking, *([self._renewing] if self._renewing else [])):
            task.cancel()
        self._renewing = None

    def _wanted(self) -> frozenset[Address]:
        loopback = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
        return frozenset((*self._addresses(), *loopback))

    def _renew(self, names: frozenset[Address]) -> None:
        made = self._authority().issue(names)
        # OpenSSL reads files: these are in memory, so that the key never lies on a disk.
        with _in_memory(made.chain) as chain, _in_memory(made.key) as key:
            self._context.load_cert_chain(chain, key)
        self._names, self._told = names, made.told

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._look_seconds)
            names = self._wanted()
            left = self._told.not_after - self._clock.now() if self._told else 0.0
            if names != self._names or left < RENEW_SECONDS:
                # The one there is stays good; the next look tries again.
                with contextlib.suppress(BootcartError, OSError):
                    await asyncio.to_thread(self._renew, names)

    def listener(self, address: str, port: int) -> socket.socket:
        """A socket that ends with the engine: whoever shook hands with that one has to do so again."""
        return listener(address, port, lambda: None)

    def factory(
        self, boot: Callable[[], asyncio.Protocol], accepts: Callable[[Address], bool]
    ) -> Callable[[], asyncio.Protocol]:
        """Protocols that shake hands first, as many at once as there may be connections."""
        gate = Gate(accepts, {"dropped": 0, "connections": 0})
        return lambda: _Handshake(self, boot, gate)

    def shake(self, transport: asyncio.Transport, boot: Callable[[], asyncio.Protocol], gate: Gate, peer: str) -> None:
        """Shake hands on a new connection that `gate` let in, and hand it over."""
        task = asyncio.get_running_loop().create_task(self._shake(transport, boot, ip_address(peer)))
        self._shaking.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._shaking.discard(task)
            gate.leave(peer)

        task.add_done_callback(ended)

    async def _shake(self, transport: asyncio.Transport, boot: Callable[[], asyncio.Protocol], peer: Address) -> None:
        waiting = _Waiting()
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport,
                waiting,
                self._context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=CLOSE_SECONDS,
            )
        except ssl.SSLError as error:
            transport.abort()
            self._distrusted(peer, error.reason or "")
        except ConnectionResetError:
            # EDK2 says nothing to whom it does not trust.
            transport.abort()
            self._distrusted(peer, RESET)
        except (OSError, asyncio.CancelledError):
            transport.abort()
        else:
            if secured is not None:
                waiting.hand_over(secured, boot())


class _Handshake(asyncio.Protocol):
    """A connection until its handshake begins."""

    def __init__(self, door: TlsDoor, boot: Callable[[], asyncio.Protocol], gate: Gate) -> None:
        self._door = door
        self._boot = boot
        self._gate = gate

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        made = cast("asyncio.Transport", transport)
        peer, local = made.get_extra_info("peername"), made.get_extra_info("sockname")
        if not peer or not local or not self._gate.enter(str(peer[0]), end(local)):
            made.abort()
            return
        made.pause_reading()
        self._door.shake(made, self._boot, self._gate, str(peer[0]))


class _Waiting(asyncio.Protocol):
    """Keeps what a peer sends between the end of its handshake and the moment its connection is made."""

    def __init__(self) -> None:
        self._octets = b""
        self._ended = False
        self._lost = False

    def data_received(self, data: bytes) -> None:
        self._octets += data

    def eof_received(self) -> None:
        self._ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True

    def hand_over(self, transport: asyncio.Transport, connection: asyncio.Protocol) -> None:
        """From here on it is the connection's."""
        if self._lost or len(self._octets) > _UNFINISHED_MAX:
            transport.abort()
            return
        transport.set_protocol(connection)
        connection.connection_made(transport)
        if self._octets and not transport.is_closing():
            connection.data_received(self._octets)
        if self._ended and not transport.is_closing():
            connection.eof_received()


@contextlib.contextmanager
def _in_memory(octets: bytes) -> Generator[str]:
    descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, octets)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
