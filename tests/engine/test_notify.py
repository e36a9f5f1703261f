"""The service manager hears where the engine stands."""

from __future__ import annotations

import socket
from pathlib import Path

from app.engine.notify import notify


def test_lines_reach_the_managers_socket(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        assert notify("READY=1", "STATUS=up", environment={"NOTIFY_SOCKET": str(path)})
        assert manager.recv(100) == b"READY=1\nSTATUS=up"


def test_an_abstract_socket_is_named_with_an_at_sign(tmp_path: Path) -> None:
    name = f"bootcart-test-{tmp_path.name}-{id(tmp_path)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name)
        assert notify("READY=1", environment={"NOTIFY_SOCKET": "@" + name})
        assert manager.recv(100) == b"READY=1"


def test_without_a_manager_nothing_happens(tmp_path: Path) -> None:
    assert not notify("READY=1", environment={})
    assert not notify("READY=1", environment={"NOTIFY_SOCKET": str(tmp_path / "nobody")})
