"""QMP and the console over real sockets, with QEMU's side played here."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import UnreachableError
from app.services.lab import console, qmp

ANSWERS: dict[str, list[dict[str, object]]] = {
    "qmp_capabilities": [{"return": {}}],
    "system_reset": [{"event": "RESET", "data": {}}, {"return": {}}],
    "cont": [{"return": {}}],
    "qom-set": [{"return": {}}],
    "query-status": [{"return": {"status": "running", "running": True}}],
    "stop": [{"error": {"class": "GenericError", "desc": "not now"}}],
}


class Qemu:
    """Answers one QMP session as QEMU 7.2 does and keeps the commands it got."""

    def __init__(self, path: Path, *, hang_up: bool = False) -> None:
        self.commands: list[str] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._hang_up = hang_up
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        line, _ = self._listener.accept()
        self._listener.close()
        with line, line.makefile("rwb") as stream:
            stream.write(b'{"QMP": {"version": {}, "capabilities": []}}\r\n')
            stream.flush()
            while not self._hang_up and (asked := stream.readline()):
                words = json.loads(asked)
                command = words["execute"]
                self.commands.append(" ".join(map(str, (command, *words["arguments"].values()))))
                for answer in ANSWERS[command]:
                    stream.write(json.dumps(answer).encode() + b"\r\n")
                stream.flush()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "qmp.sock"


def test_a_reset_starts_a_machine_that_had_powered_itself_off_too(path: Path) -> None:
    qemu = Qemu(path)

    qmp.reset(path)

    qemu.thread.join(5)
    assert qemu.commands == ["qmp_capabilities", "system_reset", "cont"]


def test_devices_give_up_their_place_in_the_boot_order_before_others_take_it(path: Path) -> None:
    qemu = Qemu(path)

    qmp.set_boot_order(path, {"disk0": 0, "nic0": 1})

    qemu.thread.join(5)
    assert qemu.commands[1:] == [
        "qom-set /machine/peripheral/disk0 bootindex -1",
        "qom-set /machine/peripheral/nic0 bootindex -1",
        "qom-set /machine/peripheral/disk0 bootindex 0",
        "qom-set /machine/peripheral/nic0 bootindex 1",
    ]


def test_status_is_qemus_word(path: Path) -> None:
    qemu = Qemu(path)

    assert qmp.status(path) == "running"
    qemu.thread.join(5)


def test_what_qemu_refuses_is_told(path: Path) -> None:
    qemu = Qemu(path)

    with pytest.raises(UnreachableError, match="stop: not now"):
        qmp.ask(path, "stop")
    qemu.thread.join(5)


def test_a_qemu_that_hangs_up(path: Path) -> None:
    qemu = Qemu(path, hang_up=True)

    with pytest.raises(UnreachableError, match="does not answer"):
        qmp.status(path)
    qemu.thread.join(5)


def test_no_machine_no_console(path: Path) -> None:
    with pytest.raises(UnreachableError, match="console"):
        console.connect(path)
    with pytest.raises(UnreachableError, match="control socket"):
        qmp.status(path)


@pytest.fixture
def wires() -> Iterator[tuple[socket.socket, socket.socket, int, int, int, int]]:
    ours, machines = socket.socketpair()
    keys_out, keys_in = os.pipe()
    screen_out, screen_in = os.pipe()
    yield ours, machines, keys_out, keys_in, screen_out, screen_in
    ours.close()
    machines.close()
    for fd in (keys_out, screen_out, screen_in):
        os.close(fd)


def test_the_console_copies_both_ways_until_control_bracket(
    wires: tuple[socket.socket, socket.socket, int, int, int, int],
) -> None:
    ours, machines, keys_out, keys_in, screen_out, screen_in = wires
    thread = threading.Thread(target=console.relay, args=(ours, keys_out, screen_in))
    thread.start()
    machines.sendall(b"login: ")
    assert os.read(screen_out, 100) == b"login: "
    os.write(keys_in, b"root\r")
    assert machines.recv(100) == b"root\r"
    os.write(keys_in, b"ls\x1drm")
    assert machines.recv(100) == b"ls"

    thread.join(5)
    assert not thread.is_alive()
    os.close(keys_in)


def test_the_console_ends_when_the_machine_does(
    wires: tuple[socket.socket, socket.socket, int, int, int, int],
) -> None:
    ours, machines, keys_out, keys_in, _, screen_in = wires
    machines.shutdown(socket.SHUT_RDWR)

    console.relay(ours, keys_out, screen_in)

    os.close(keys_in)
