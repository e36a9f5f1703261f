"""Files over HTTP: whole, in parts, refused, broken off; and what the events say of each."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
from pathlib import Path

import pytest

from app.errors import ConflictError
from app.model.event import EVENT_KINDS
from app.netboot.bootpath import FileRequest
from app.services.boothttp import connections, delivery
from tests.artefacts import listed
from tests.services.bootfs.world import MAC, World
from tests.services.boothttp.conftest import NEIGHBOUR, Listener

KERNEL = b"kernel" * 1000
SCRIPT = "/boot/52-54-00-00-00-07.ipxe"


@pytest.fixture
def large(listener: Listener) -> Path:
    """A sparse file of 10 GB with a mark near its end."""
    file = listener.world.root / "large.iso"
    with file.open("wb") as out:
        out.truncate(10 * 10**9)
        out.seek(9 * 10**9)
        out.write(b"mark")
    return file


async def test_a_kernel_is_served_and_told_of(listener: Listener) -> None:
    status, headers, body = await listener.ask("GET", "/discovery/amd64/vmlinuz")
    assert (status, body) == (200, KERNEL)
    assert headers["Content-Length"] == "6000"
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Server"] == "bootcart"
    sent = await listener.told("http.sent")
    assert listener.kinds() == ["http.started", "http.sent"]
    assert (sent.mac, sent.address) == (MAC, "127.0.0.1")
    assert {key: sent.data[key] for key in ("path", "bytes", "status", "role")} == {
        "path": "discovery/amd64/vmlinuz",
        "bytes": 6000,
        "status": 200,
        "role": "kernel",
    }
    assert set(listener.world.events[0].data) == set(EVENT_KINDS["http.started"].split(", "))


async def test_a_script_is_told_of_with_what_it_boots(listener: Listener) -> None:
    status, headers, body = await listener.ask("GET", SCRIPT)
    assert status == 200
    assert body.startswith(b"#!ipxe")
    assert headers["Cache-Control"] == "no-store"
    sent = await listener.told("http.sent")
    assert (sent.data["role"], sent.data["bootenv"], sent.data["boots"]) == ("script", "rescue", "kernel")
    assert {*sent.data, "times"} == set(EVENT_KINDS["http.sent"].split(", "))


async def test_head_gives_the_size_and_is_no_hop_of_the_boot(listener: Listener) -> None:
    status, headers, body = await listener.ask("HEAD", "/ipxe.efi")
    assert (status, body, headers["Content-Length"]) == (200, b"", "9")
    assert (await listener.told("http.sent")).data["role"] == "file"
    assert listener.kinds() == ["http.sent"]


async def test_v02_a_second_machine_cannot_read_the_first_ones_script(listener: Listener) -> None:
    forged = {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1", "X-RHN-Provisioning-MAC-0": f"eth0 {MAC}"}
    refused = await listener.ask("GET", SCRIPT, peer=NEIGHBOUR, headers=forged)
    missing = await listener.ask("GET", "/boot/52-54-00-00-00-99.txt", peer=NEIGHBOUR)
    # Both answers are the same: it learns nothing.
    assert (refused[0], refused[2]) == (missing[0], missing[2]) == (404, b"not found\n")
    assert (await listener.told("http.refused")).address == str(NEIGHBOUR)
    assert (await listener.ask("HEAD", SCRIPT, peer=NEIGHBOUR))[0] == 404


@pytest.mark.parametrize("path", ["//ipxe.efi", "/./ipxe.efi", "///./ipxe.efi", "/%69pxe.efi", "/ipxe.efi?x=1"])
async def test_ways_to_write_a_path(listener: Listener, path: str) -> None:
    said = await listener.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert said.startswith(b"HTTP/1.1 200 OK")
    assert said.endswith(b"MZ loader")


async def test_the_absolute_form_of_a_target(listener: Listener) -> None:
    said = await listener.raw(b"GET http://any.host:99/ipxe.efi HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert said.endswith(b"MZ loader")


CLIMBING = [
    "/../root/own", "/..%2froot/own", "/%2e%2e/root/own", "/%2e%2e%2froot%2fown", "/..\\root\\own", "/%252e%252e/own",
    "/discovery/../../root/own", "/discovery/amd64/..%5c..%5c..%5croot%5cown", "/%c0%ae%c0%ae/root/own", "/%00",
    "/own%00.txt", "/a%0d%0aX: y", "/etc/passwd", "//etc/passwd", "/C:/own", "/%ff", "/..;/own", "/....//own", "/out",
    "/loaders/ipxe.efi", "/discovery/", "/", "/manifest.json",
]  # fmt: skip


@pytest.mark.parametrize("path", CLIMBING)
async def test_v05_nothing_outside_the_tree_is_given(listener: Listener, path: str) -> None:
    secret = listener.world.root.parent / "own"
    secret.write_text("secret")
    (listener.world.root / "out").symlink_to(secret)
    said = await listener.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert said.split(b" ", 2)[1] in (b"404", b"400"), said
    assert b"secret" not in said


async def test_methods_that_write_are_refused(listener: Listener) -> None:
    for method in ("PUT", "POST", "DELETE", "PATCH", "OPTIONS", "PROPFIND"):
        status, headers, _ = await listener.ask(method, "/ipxe.efi", content=b"x")
        assert (status, headers["Allow"]) == (405, "GET, HEAD")


async def test_hold_answers_no_machine(listener: Listener) -> None:
    listener.world.view.held = True
    status, headers, _ = await listener.ask("GET", "/ipxe.efi")
    assert (status, headers["Retry-After"]) == (503, "10")


@pytest.mark.parametrize(
    ("span", "status", "body", "content_range"),
    [
        ("bytes=9000000000-9000000003", 206, b"mark", "bytes 9000000000-9000000003/10000000000"),
        ("bytes=-5", 206, bytes(5), "bytes 9999999995-9999999999/10000000000"),
        ("bytes=10000000000-", 416, b"", "bytes */10000000000"),
    ],
)
async def test_f19_parts_of_a_large_file(
    listener: Listener, large: Path, span: str, status: int, body: bytes, content_range: str
) -> None:
    got, headers, said = await listener.ask("GET", f"/{large.name}", headers={"Range": span})
    assert (got, said, headers["Content-Range"]) == (status, body, content_range)


async def test_f19_conditions(listener: Listener) -> None:
    _, headers, _ = await listener.ask("GET", "/discovery/amd64/vmlinuz")
    again = await listener.ask("GET", "/discovery/amd64/vmlinuz", headers={"If-None-Match": headers["ETag"]})
    assert (again[0], again[2]) == (304, b"")
    part = {"Range": "bytes=0-5", "If-Range": headers["ETag"]}
    assert (await listener.ask("GET", "/discovery/amd64/vmlinuz", headers=part))[2] == b"kernel"
    (listener.world.artefacts / "discovery/amd64/vmlinuz").write_bytes(b"another one")
    listed(listener.world.artefacts / "discovery/amd64")
    assert (await listener.ask("GET", "/discovery/amd64/vmlinuz", headers=part))[2] == b"another one"


async def test_f19_a_client_that_breaks_off_is_told_of_and_nothing_is_left(listener: Listener, large: Path) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(f"GET /{large.name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await reader.readexactly(1_000_000)
    writer.transport.abort()
    aborted = await listener.told("http.aborted")
    assert set(aborted.data) == set(EVENT_KINDS["http.aborted"].split(", "))
    assert 0 < aborted.data["bytes"] < aborted.data["size"] == 10 * 10**9
    async with asyncio.timeout(10):
        while len(os.listdir("/proc/self/fd")) > descriptors:
            await asyncio.sleep(0.01)
    assert (await listener.ask("GET", "/ipxe.efi"))[0] == 200


async def test_a_client_that_takes_nothing_any_more_is_cut_off(
    listener: Listener, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PIECE_SECONDS", 0.3)
    _, writer = await asyncio.open_connection("127.0.0.1", listener.port, limit=1024)
    writer.write(f"GET /{large.name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await listener.told("http.aborted")
    writer.close()


async def test_a_loader_that_starts_what_it_has_read_acknowledges_no_more(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """iPXE jumps into the kernel with the last segments in hand: the download is done all the same, at once."""
    monkeypatch.setattr(delivery, "SILENT_SECONDS", 0.2)
    size = 4_000_000
    (listener.world.artefacts / "discovery/amd64/initrd.img").write_bytes(b"i" * size)
    listed(listener.world.artefacts / "discovery/amd64")
    with socket.socket() as machine:
        machine.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        machine.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(machine, ("127.0.0.1", listener.port))
        await loop.sock_sendall(machine, b"GET /discovery/amd64/initrd.img HTTP/1.1\r\nHost: x\r\n\r\n")
        read = 0
        while read < size - 30_000:
            read += len(await loop.sock_recv(machine, 4096))
        sent = await listener.told("http.sent")

    assert (sent.data["role"], sent.data["bytes"]) == ("initrd", size)
    assert sent.data["seconds"] < 5


async def test_a_file_that_shrinks_while_it_is_sent(listener: Listener, large: Path) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(f"GET /{large.name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await reader.readexactly(1000)
    os.truncate(large, 1000)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await reader.readexactly(10 * 10**9)
    assert (await listener.told("http.aborted")).data["size"] == 10 * 10**9
    writer.close()


GARBAGE = [
    b"\0\1\2\3\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"y" * 65_536 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n", b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    b"POST /agent/register HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
    b"POST /agent/register HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
]  # fmt: skip


async def test_f19_garbage_is_refused_without_a_traceback(listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    for octets in GARBAGE:
        try:
            said = await listener.raw(octets, seconds=20)
        except ConnectionError:
            continue
        assert said == b"" or said.split(b" ", 2)[1] in (b"400", b"401", b"404"), octets[:60]
    assert (await listener.ask("GET", "/ipxe.efi"))[0] == 200
    assert "Traceback" not in caplog.text
    assert listener.http.counters["malformed"] > 0


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.5)


@pytest.mark.usefixtures("_impatient")
async def test_f18_slow_headers_are_cut_off_and_block_nobody(tmp_path: Path) -> None:
    listener = Listener(World(tmp_path))
    await listener.http.start()
    try:
        slow = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(50)]
        for sock in slow:
            sock.sendall(b"GET /ipxe.efi HTTP/1.1\r\nX-Slow: ")
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert (await listener.ask("GET", "/ipxe.efi"))[0] == 200
        assert loop.time() - began < 0.4
        async with asyncio.timeout(10):
            while listener.http.counters["connections"]:
                for sock in slow:
                    with contextlib.suppress(OSError):  # cut off already
                        sock.send(b"a")
                await asyncio.sleep(0.1)
        for sock in slow:
            sock.close()
    finally:
        await listener.http.stop()


async def test_one_address_cannot_take_all_connections(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PER_SOURCE", 5)
    held = [await asyncio.open_connection("127.0.0.1", listener.port, local_addr=(str(NEIGHBOUR), 0)) for _ in range(8)]
    async with asyncio.timeout(10):
        while listener.http.counters["dropped"] < 3:
            await asyncio.sleep(0.01)
    assert (await listener.ask("GET", "/ipxe.efi"))[0] == 200
    for _, writer in held:
        writer.close()


async def test_connections_to_addresses_that_are_not_served_are_closed(tmp_path: Path) -> None:
    listener = Listener(World(tmp_path))
    listener.http._accepts = lambda local: False
    await listener.http.start()
    try:
        said = b""
        with contextlib.suppress(ConnectionError):
            said = await listener.raw(b"GET /ipxe.efi HTTP/1.1\r\nHost: x\r\n\r\n")
        assert said == b""
        assert listener.http.counters["dropped"] == 1
    finally:
        await listener.http.stop()


async def test_two_services_cannot_have_one_port(listener: Listener, tmp_path: Path) -> None:
    other = Listener(World(tmp_path / "other"), port=listener.port)
    with pytest.raises(ConflictError, match="is taken by another program"):
        await other.http.start()


async def test_curl_takes_a_file_in_parts(listener: Listener, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    content = os.urandom(3_000_000)
    (listener.world.root / "image.bin").write_bytes(content)
    url, out = f"{listener.url}/image.bin", tmp_path / "out"

    async def curl(*words: str) -> bytes:
        argv = ["curl", "-sS", "--fail", *words, url]
        process = await asyncio.create_subprocess_exec(
            *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0, said
        return said

    assert await curl("-r", "1000000-1000099") == content[1_000_000:1_000_100]
    out.write_bytes(content[:1_234_567])
    await curl("-C", "-", "-o", str(out))  # goes on where a broken download stopped
    assert out.read_bytes() == content
    assert b"Accept-Ranges: bytes" in await curl("-I")


async def test_a_file_at_hand_is_the_same_answer(listener: Listener) -> None:
    first = await listener.ask("GET", "/discovery/amd64/vmlinuz")
    asked: list[FileRequest] = []
    resolve = listener.world.tree.resolve
    listener.world.tree.resolve = lambda request: asked.append(request) or resolve(request)
    second = await listener.ask("GET", "/discovery/amd64/vmlinuz")
    assert asked == []
    assert (second[0], second[2]) == (first[0], first[2]) == (200, b"kernel" * 1000)
    assert second[1]["ETag"] == first[1]["ETag"]
    part = await listener.ask("GET", "/discovery/amd64/vmlinuz", headers={"Range": "bytes=6-11"})
    assert (part[0], part[2], asked) == (206, b"kernel", [])
    assert listener.kinds() == ["http.started", "http.sent"] * 3
