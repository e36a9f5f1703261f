"""The boot HTTP socket outlives the engine that bound it, and is given up where it must be."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from app.services.boothttp import listener
from app.services.boothttp.listener import NAME

LOOPBACK = "127.0.0.1"


@pytest.fixture
def held() -> Iterator[socket.socket]:
    """What a supervisor holds: unbound, until an engine binds a duplicate."""
    with socket.socket() as sock:
        yield sock


def _given(held: socket.socket, **other: str) -> socket.socket | None:
    environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": NAME, **other}
    return listener.handed(environment, first=held.fileno())


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        return sock.getsockname()[1]


def _refused(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((LOOPBACK, port)) != 0


def test_who_connects_between_two_engines_waits_for_the_second(held: socket.socket) -> None:
    port = _free_port()
    listener.listener(LOOPBACK, port, lambda: _given(held)).close()  # as a kill does

    with socket.create_connection((LOOPBACK, port)) as machine:
        machine.sendall(b"GET")
        with listener.listener(LOOPBACK, port, lambda: _given(held)) as second:
            connection, _ = second.accept()
            with connection:
                assert connection.recv(3) == b"GET"


def test_a_service_that_is_disabled_refuses(held: socket.socket) -> None:
    """The engine before it listened, and was killed."""
    port = _free_port()
    listener.listener(LOOPBACK, port, lambda: _given(held)).close()
    assert not _refused(port)
    listener.give_up(lambda: _given(held))

    assert _refused(port)
    listener.give_up(lambda: None)


def test_a_service_that_is_stopped_refuses_and_can_be_started_again(held: socket.socket) -> None:
    port = _free_port()
    with listener.listener(LOOPBACK, port, lambda: _given(held)) as first:
        listener.silence(first)

    assert _refused(port)
    with listener.listener(LOOPBACK, port, lambda: _given(held)):
        assert not _refused(port)


def test_other_settings_leave_the_old_port(held: socket.socket) -> None:
    old, new = _free_port(), _free_port()
    listener.listener(LOOPBACK, old, lambda: _given(held)).close()

    with listener.listener(LOOPBACK, new, lambda: _given(held)):
        assert _refused(old)
        assert not _refused(new)


def test_a_port_that_is_taken_can_be_had_once_it_is_free(held: socket.socket) -> None:
    with socket.create_server((LOOPBACK, 0)) as stranger:
        port = stranger.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            listener.listener(LOOPBACK, port, lambda: _given(held))

    with listener.listener(LOOPBACK, port, lambda: _given(held)):
        assert not _refused(port)


def test_what_is_handed_to_others_is_not_taken(held: socket.socket) -> None:
    assert _given(held, LISTEN_PID="1") is None
    assert _given(held, LISTEN_FDNAMES="api") is None
    assert _given(held, LISTEN_FDNAMES=f"api:{NAME}") is None
    assert listener.handed({}) is None
