"""The operators' Unix socket: who connects is known from the kernel, and nothing outlives the engine's wish to stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable, Collection, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import h11
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.api.callers import OPERATORS_GROUP, Admission, peer_of
from app.api.guard import Gate
from app.config import SOCKET_PATH_MAX
from app.errors import ConflictError, InvalidError, UnavailableError
from app.model.event import EventDraft

if TYPE_CHECKING:
    from fastapi import FastAPI

HEADERS_MAX = 16 * 1024
"""Bytes of a request's line and headers."""
REQUEST_SECONDS = 10.0
"""A connection that has not sent a whole request's headers by then is closed."""
IDLE_SECONDS = 75
CONNECTIONS_MAX = 256
STRANGERS_MAX = 64
"""Connections of users not named at the start; so nobody else can keep those away."""
DRAIN_SECONDS = 1
"""How long open requests may take once the engine stops."""

# Who may speak is decided by SO_PEERCRED; the mode only has to let the members of the group and sudo's user reach it.
SOCKET_MODE = 0o666
DIRECTORY_MODE = 0o755


class _PeerProtocol(H11Protocol):
    """HTTP/1.1 that knows its peer and does not wait for ever."""

    _deadline: asyncio.TimerHandle | None = None
    stranger = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        connection: socket.socket = transport.get_extra_info("socket")
        try:
            peer = peer_of(connection)
        except OSError:
            # The peer is gone already.
            transport.abort()
            return
        gate = cast("Gate", self.config.app)
        self.stranger = not gate.knows(peer)
        if self.stranger and sum(getattr(each, "stranger", False) for each in self.connections) >= STRANGERS_MAX:
            transport.abort()
            return
        # uvicorn hands a copy of this to every request of the connection, as the scope's state.
        self.app_state = {**self.app_state, "peer": peer}
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._cancel_deadline()
        elif self._deadline is None:
            self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        # A transport aborted before it was greeted never joined the set.
        if self.transport is not None:  # pyright: ignore[reportUnnecessaryComparison]
            super().connection_lost(exc)

    def _wait_for_headers(self) -> None:
        self._deadline = self.loop.call_later(REQUEST_SECONDS, self._too_slow)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if self.conn.their_state is h11.IDLE:
            self.transport.abort()


class _Server(Server):
    """uvicorn without its signal handlers and without its ten wake-ups a second."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.stopping = asyncio.Event()
        self.serving = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def main_loop(self) -> None:
        self.serving.set()
        await self.stopping.wait()

    def abort_connections(self) -> None:
        for connection in list(self.server_state.connections):
            transport: Any = connection.transport
            transport.abort()


class ApiListener:
    """The API on a Unix socket, as a service of the engine."""

    name = "api"

    def __init__(
        self,
        app: FastAPI,
        path: Path,
        *,
        emit: Callable[[EventDraft], None],
        allowed_uids: Collection[int] = (),
        group: str = OPERATORS_GROUP,
    ) -> None:
        """`app` comes from `create_app`; besides root, this process's user and `group`, `allowed_uids` may call."""
        self._app = app
        self.path = path
        self._gate = Gate(app, Admission.of(allowed_uids, group), emit)
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._inode = 0
        self.listening: tuple[str, ...] = ()

    @property
    def counters(self) -> dict[str, int]:
        """Requests answered, connections and streams open."""
        state = self._server.server_state if self._server else None
        return {
            "requests": state.total_requests if state else 0,
            "connections": len(state.connections) if state else 0,
            "streams": self._app.state.streams.count,
        }

    async def start(self) -> None:
        """Listen. Raises InvalidError, ConflictError or UnavailableError in words when it cannot."""
        sock = bound_socket(self.path)
        self._inode = self.path.stat().st_ino
        self._app.state.streams.open()
        config = Config(
            self._gate,
            http=_PeerProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=HEADERS_MAX,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            limit_concurrency=CONNECTIONS_MAX,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[sock]), name="api")
        serving = asyncio.create_task(self._server.serving.wait())
        await asyncio.wait({self._task, serving}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            serving.cancel()
            sock.close()
            await self._task
        self.listening = (f"unix {self.path}",)

    async def stop(self) -> None:
        """End the streams, let open requests finish for a second, close the rest and remove the socket."""
        if self._server is None or self._task is None:
            return
        self._app.state.streams.close()
        # Nobody new finds the socket while the old requests end; another engine's socket is left alone. On a disk that
        # takes no change it stays, and the next engine takes its place.
        with contextlib.suppress(OSError):
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()
        self._server.stopping.set()
        try:
            await asyncio.wait_for(asyncio.shield(self._task), DRAIN_SECONDS + 0.5)
        except TimeoutError:
            self._server.abort_connections()
            await self._task
        finally:
            self._server.abort_connections()
            self._server, self._task, self.listening = None, None, ()


def bound_socket(path: Path) -> socket.socket:
    """A listening-to-be socket bound to `path`, mode 0666, in a directory that exists with it.

    Raises InvalidError for a path that cannot be one, ConflictError where an engine answers, UnavailableError where the
    system refuses.
    """
    if len(os.fsencode(path)) > SOCKET_PATH_MAX:
        raise InvalidError(
            f"the socket path {path} is longer than {SOCKET_PATH_MAX} bytes",
            hint="give a shorter --data-dir or --api-socket",
            field="api_socket",
        )
    try:
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        _clear(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            sock.bind(os.fspath(path))
            path.chmod(SOCKET_MODE)
        except BaseException:
            sock.close()
            raise
    except OSError as error:
        raise UnavailableError(
            f"cannot listen on {path}: {os.strerror(error.errno or errno.EIO)}",
            hint=f"see that {path.parent} exists and this user may write to it",
        ) from error
    return sock


def _clear(path: Path) -> None:
    """Remove a socket nobody listens on. Raises ConflictError where somebody does, or where it is no socket."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConflictError(f"{path} exists and is not a socket", hint="give another --api-socket, or remove the file")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except (TimeoutError, BlockingIOError):
            # A full backlog is somebody too.
            pass
    raise ConflictError(
        f"an engine already answers on {path}",
        hint="attach to it with bootcart, or stop it with bootcart stop, or give another --data-dir",
    )
