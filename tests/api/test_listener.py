"""The Unix socket: who may speak, what a socket file left behind means, and callers that misbehave."""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from app.api import listener as listening
from app.api.callers import Admission, Peer, operators
from app.api.listener import ApiListener, bound_socket
from app.errors import BootcartError, ConflictError, InvalidError, UnavailableError
from tests.fakes.engine import FakeEngine
from tests.fakes.serving import served

ASK = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"GET /api/v1/info HTTP/1.1\\r\\nHost: e\\r\\nConnection: close\\r\\n\\r\\n")
data = b""
while part := s.recv(65536):
    data += part
sys.stdout.write(data.decode())
"""


async def ask_as(path: Path, uid: int, groups: list[int] | None = None) -> str:
    """The engine's whole answer to a process of this user."""
    child = await asyncio.create_subprocess_exec(
        "/usr/bin/python3",
        "-I",
        "-c",
        ASK,
        str(path),
        user=uid,
        group=uid,
        extra_groups=groups or [],
        stdout=subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(child.communicate(), 20)
    return out.decode()


async def raw(path: Path, sent: bytes, wait: float = 5.0) -> bytes:
    """What the engine answers to these bytes until it hangs up."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        writer.write(sent)
        return await asyncio.wait_for(reader.read(), wait)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def status(reply: bytes | str) -> int:
    text = reply if isinstance(reply, str) else reply.decode()
    return int(text.split(" ", 2)[1])


@pytest.mark.root
async def test_another_user_is_refused_and_told_of(listener: ApiListener, engine: FakeEngine) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    reply = await ask_as(listener.path, nobody)

    assert status(reply) == 403
    assert '"not-allowed"' in reply
    assert "Traceback" not in reply
    [event] = engine.emitted
    assert (event.kind, event.data["uid"], event.data["path"]) == ("api.refused", nobody, "/api/v1/info")
    assert event.data["pid"] > 0


@pytest.mark.root
async def test_the_user_named_at_the_start_is_heard(engine: FakeEngine) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    async with served(engine, allowed_uids=[nobody]) as listener:
        reply = await ask_as(listener.path, nobody)

    assert status(reply) == 200
    assert engine.emitted == []


async def test_a_member_of_the_group_is_admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    user = pwd.struct_passwd(("ann", "x", 4711, 4711, "", "/", "/bin/sh"))
    group = grp.struct_group(("bootcart", "x", 990, ["ann"]))
    monkeypatch.setattr("app.api.callers.grp.getgrnam", {"bootcart": group}.__getitem__)
    monkeypatch.setattr("app.api.callers.pwd.getpwuid", {4711: user}.__getitem__)
    monkeypatch.setattr("app.api.callers.os.getgrouplist", lambda name, gid: [gid, 990] if name == "ann" else [gid])
    admission = Admission(frozenset({0}))

    admitted = admission.admit(Peer(1, 4711, 4711))
    assert admitted is not None
    assert admitted.actor == "user:ann"
    assert admission.admit(Peer(1, 4712, 990)) is not None
    assert admission.admit(Peer(1, 4712, 4712)) is None
    assert Admission(frozenset({0}), group="others").admit(Peer(1, 4711, 4711)) is None


@pytest.mark.parametrize(
    ("environment", "uids"),
    [
        ({}, set()),
        ({"SUDO_UID": "1000"}, {1000}),
        ({"BOOTCART_OPERATOR_UID": "1001", "SUDO_UID": "1000"}, {1000, 1001}),
        ({"BOOTCART_OPERATOR_UID": "", "SUDO_UID": "-1"}, set()),
        ({"BOOTCART_OPERATOR_UID": "root", "SUDO_UID": "9" * 30}, set()),
    ],
)
def test_who_the_engine_was_started_for(environment: dict[str, str], uids: set[int]) -> None:
    assert operators(environment) == uids


async def test_the_engines_own_user_is_admitted() -> None:
    assert Admission.of().allowed_uids == {0, os.geteuid()}


async def test_the_socket_can_be_reached_and_goes_with_the_listener(engine: FakeEngine) -> None:
    async with served(engine) as listener:
        mode = listener.path.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o666
        assert listener.listening == (f"unix {listener.path}",)
        await listener.stop()
        assert not listener.path.exists()
        await listener.start()
        assert status(await ask_as(listener.path, os.geteuid())) == 200
        assert listener.counters["requests"] == 1


async def test_a_stale_socket_is_replaced(engine: FakeEngine, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with served(engine, path=path) as listener:
        assert status(await ask_as(listener.path, os.geteuid())) == 200


async def test_a_living_socket_is_left_alone(engine: FakeEngine, listener: ApiListener) -> None:
    with pytest.raises(ConflictError, match="already answers"):
        bound_socket(listener.path)
    assert status(await ask_as(listener.path, os.geteuid())) == 200


@pytest.mark.parametrize("which", ["file", "long", "no directory"])
def test_a_path_that_cannot_be_is_refused_in_words(tmp_path: Path, which: str) -> None:
    (tmp_path / "file").write_text("mine")
    kind: type[BootcartError]
    path, kind, words = {
        "file": (tmp_path / "file", ConflictError, "not a socket"),
        "long": (tmp_path / ("x" * 107), InvalidError, "longer than 107 bytes"),
        "no directory": (tmp_path / "file" / "s", UnavailableError, "cannot listen on"),
    }[which]
    with pytest.raises(kind, match=words) as caught:
        bound_socket(path)

    assert caught.value.hint
    assert (tmp_path / "file").read_text() == "mine"


async def test_another_engines_socket_is_not_removed(engine: FakeEngine) -> None:
    async with served(engine) as listener:
        listener.path.unlink()
        other = bound_socket(listener.path)
        await listener.stop()
        assert listener.path.exists()
        other.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\nConnection: close\r\n\r\n",
        b"GET /api/v1/info HTTP/1.1\r\n" + b"X: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /api/v1/info HTTP/1.1\r\nHost: e\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/stop HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /%ff%00\xff HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n",
    ],
    ids=["bytes", "version", "headers", "length", "chunk", "path"],
)
async def test_garbage_is_answered_or_cut_off_and_harms_nobody(
    listener: ApiListener, engine: FakeEngine, sent: bytes
) -> None:
    reply = await raw(listener.path, sent)

    assert reply == b"" or status(reply) in (400, 404, 413, 431)
    assert b"Traceback" not in reply
    assert not engine.world.stopped
    assert status(await ask_as(listener.path, os.geteuid())) == 200


async def test_slow_callers_are_cut_off_and_block_nobody(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "REQUEST_SECONDS", 0.3)
    async with served(engine) as listener:
        slow = [
            asyncio.create_task(raw(listener.path, sent)) for sent in (b"", b"GET /api", b"GET / HTTP/1.1\r\nHo") * 20
        ]
        began = time.monotonic()
        transport = httpx.AsyncHTTPTransport(uds=str(listener.path))
        async with httpx.AsyncClient(transport=transport, base_url="http://e/api/v1") as http:
            assert (await http.get("/machines")).status_code == 200
            took = time.monotonic() - began
            await asyncio.gather(*slow)
            # The patient one, whose connection is kept between requests, is not taken for a slow one.
            assert (await http.get("/info")).status_code == 200
            assert listener.counters["connections"] == 1

    assert took < 2.0


@pytest.mark.root
async def test_strangers_cannot_use_up_the_connections(engine: FakeEngine) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    hoard = (
        "import socket, sys\nheld = [socket.socket(socket.AF_UNIX) for _ in range(300)]\n"
        "for each in held: each.connect(sys.argv[1])\nprint(flush=True)\nsys.stdin.read()"
    )
    async with served(engine) as listener:
        child = await asyncio.create_subprocess_exec(
            "/usr/bin/python3", "-I", "-c", hoard, str(listener.path),
            user=nobody, group=nobody, extra_groups=[], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert child.stdout is not None
        assert await asyncio.wait_for(child.stdout.readline(), 20) == b"\n"
        reply = await ask_as(listener.path, os.geteuid())
        assert listener.counters["connections"] <= listening.STRANGERS_MAX
        assert child.stdin is not None
        child.stdin.close()
        await child.wait()

    assert status(reply) == 200


async def test_a_request_that_never_ends_does_not_hold_up_the_stop(engine: FakeEngine) -> None:
    async with served(engine) as listener:
        _, writer = await asyncio.open_unix_connection(str(listener.path))
        writer.write(b"POST /api/v1/subnets HTTP/1.1\r\nHost: e\r\nContent-Length: 1000\r\n\r\n{")
        await writer.drain()
        while listener.counters["connections"] == 0:
            await asyncio.sleep(0.01)
        began = time.monotonic()
        await listener.stop()
        took = time.monotonic() - began
        writer.close()

    assert took < 2.0


def test_signals_stay_the_engines() -> None:
    script = """
import asyncio, signal, sys, tempfile, pathlib
from tests.fakes.engine import FakeEngine
from tests.fakes.serving import served
async def main():
    before = signal.getsignal(signal.SIGINT)
    async with served(FakeEngine()):
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is before
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, done.set)
        print("ready", flush=True)
        await done.wait()
    print("ended", flush=True)
done = asyncio.Event()
asyncio.run(main())
"""
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGTERM)
        assert child.stdout.readline() == "ended\n"
        assert child.wait(10) == 0
