"""What strangers and broken firmware send, and readers that stop, vanish or crowd: nobody else suffers."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from app.services.boothttp import connections
from tests import netns
from tests.conformance.httpbench import OTHER, PORT, Bench, benched, resident, serving
from tests.conformance.tftpbench import SERVER6, descriptors, hosted

pytestmark = pytest.mark.root

HEAD = b"GET /.treeinfo HTTP/1.1\r\n"
POST = b"POST /agent/register HTTP/1.1\r\nHost: boot\r\n"
SMUGGLED = b"GET /small.bin HTTP/1.1\r\nHost: boot\r\n\r\n"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The service, which waits 2 s for a head instead of 30, and reads on for less."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "IDLE_SECONDS", 2.0)
        patch.setattr(connections, "LINGER_SECONDS", 0.3)
        with benched(tmp_path_factory.mktemp("http")) as made:
            yield made


@pytest.fixture(autouse=True)
def _no_traceback(bench: Bench, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert bench.ask("GET", "/.treeinfo")[0] == 200
    assert [record.message for record in caplog.records if record.exc_info] == []


def _seconds(bench: Bench, port: int = PORT) -> float:
    """How long another reader's request takes."""
    took: list[float] = []
    for _ in range(9):
        began = time.monotonic()
        with bench.connect(own=OTHER, port=port) as sock:
            sock.sendall(HEAD + b"Host: boot\r\nConnection: close\r\n\r\n")
            while sock.recv(4096):
                pass
        took.append(time.monotonic() - began)
    return median(took)


CLIMBING = [
    "/../beside.txt", "/..%2fbeside.txt", "/%2e%2e/beside.txt", "/%2e%2e%2fbeside.txt", "/..\\beside.txt",
    "/%252e%252e/beside.txt", "/EFI/../../beside.txt", "/EFI/BOOT/..%5c..%5c..%5cbeside.txt", "/....//beside.txt",
    "/%c0%ae%c0%ae/beside.txt", "/%e0%80%ae%e0%80%ae/beside.txt", "/..;/beside.txt", "/out", "/out/", "/%00",
    "/small.bin%00.txt", "/a%0d%0aX: y", "/etc/passwd", "//etc/passwd", "/C:/beside.txt", "/%ff", "/", "/EFI", "/EFI/",
    "file:///etc/passwd", "http:///etc/passwd", "/" + "a/" * 600, "/" + "a" * 300,
]  # fmt: skip


@pytest.mark.parametrize("target", CLIMBING)
def test_h20_nothing_outside_the_root_is_given(bench: Bench, target: str) -> None:
    for host in ("10.7.0.1", SERVER6):
        said = bench.get(target, host)
        assert said.split(b" ", 2)[1] in (b"400", b"404"), said
        assert b"not yours" not in said


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_h21_methods_that_write_are_refused(bench: Bench, method: str) -> None:
    status, fields, _ = bench.ask(method, "/small.bin")

    assert (status, fields["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "fields",
    [b"", b"Host: a\r\nHost: b\r\n", b"Host: a\r\nHost: a\r\n", b"Host: a/b\r\n", b"Host: a b\r\n", b"Host: a@b\r\n"],
)
def test_h22_a_request_without_one_good_host(bench: Bench, fields: bytes) -> None:
    said = bench.raw(HEAD + fields + b"Connection: close\r\n\r\n")

    assert said.split(b" ", 2)[1] == b"400"


@pytest.mark.parametrize("host", [b"boot", b"10.7.0.1:8090", b"[fd00:7::1]:8090", b"my_host", b""])
def test_h22_hosts_that_firmware_names(bench: Bench, host: bytes) -> None:
    assert bench.raw(HEAD + b"Host: " + host + b"\r\nConnection: close\r\n\r\n").split(b" ", 2)[1] == b"200"


AMBIGUOUS = {
    "length and chunked": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "a list of lengths": b"Content-Length: 0, 5\r\n\r\n",
    "a length with a sign": b"Content-Length: +0\r\n\r\n",
    "a negative length": b"Content-Length: -1\r\n\r\n",
    "a length in hex": b"Content-Length: 0x0\r\n\r\n",
    "a length beyond all": b"Content-Length: " + b"9" * 40 + b"\r\n\r\n",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked before another": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked behind a control": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded field": b"Content-Length:\r\n 0\r\n\r\n",
    "a bare CR": b"X: a\rContent-Length: 5\r\n\r\n",
    "a chunk size that is none": b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("words", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_h23_a_length_that_can_be_read_in_two_ways(bench: Bench, words: bytes) -> None:
    said = bench.raw(POST + words + SMUGGLED)

    assert said.split(b" ", 2)[1] in (b"400", b"401")
    # The connection was closed, and what stood behind was not taken for a request.
    assert said.count(b"HTTP/1.") == 1


MALFORMED = {
    "octets": b"\0\1\2\3\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version": b"GET / HTTP/9.9\r\nHost: boot\r\n\r\n",
    "no slash": b"GET small.bin HTTP/1.1\r\nHost: boot\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: boot\r\n\r\n",
    "a bracket": b"GET http://[/a HTTP/1.1\r\nHost: boot\r\n\r\n",
    "a NUL": HEAD + b"Host: boot\r\nX: a\0b\r\n\r\n",
    "no name": HEAD + b"Host: boot\r\n: x\r\n\r\n",
    "no colon": HEAD + b"Host: boot\r\nX\r\n\r\n",
    "a long target": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: boot\r\n\r\n",
    "a field of 64 kB": HEAD + b"Host: boot\r\nX: " + b"y" * 65_536 + b"\r\n\r\n",
    "5000 fields": HEAD + b"Host: boot\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
}


@pytest.mark.parametrize("octets", MALFORMED.values(), ids=MALFORMED.keys())
def test_h24_what_is_no_request(bench: Bench, octets: bytes) -> None:
    malformed = bench.counter("malformed")
    said = bench.raw(octets)

    # A reset may take the answer with it where octets were left unread.
    assert said == b"" or said.split(b" ", 2)[1] == b"400"
    assert bench.counter("malformed") == malformed + 1


@pytest.mark.parametrize("name", ["chunk", "extension", "size"])
def test_h25_chunks_without_an_end(bench: Bench, name: str) -> None:
    much = b"a" * 0x10000
    many = {"chunk": b"10000\r\n" + much + b"\r\n", "extension": b"1;" + much, "size": b"F" + much}
    before = resident()
    with bench.connect() as sock:
        sock.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(512):
                sock.sendall(many[name])
            # It has an answer, and is over.
            while sock.recv(1 << 16):
                pass
    assert resident() - before < 20 << 20


def test_h27_readers_that_stop_delay_nobody_nor_the_stop(bench: Bench, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        with hosted(bench.server, lambda: serving(tmp_path, 8091)) as listener:
            alone = _seconds(bench, 8091)
            for _ in range(50):
                sock = stack.enter_context(bench.connect(port=8091, buffer=4096))
                sock.sendall(b"GET /large.iso HTTP/1.1\r\nHost: boot\r\n\r\n")
                assert sock.recv(100).startswith(b"HTTP/1.1 200 OK")
            assert _seconds(bench, 8091) < alone + 0.1
            assert listener.http.counters["connections"] >= 50
            ends = time.monotonic()
        assert time.monotonic() - ends < 5
        assert descriptors() < 1000


def test_h28_a_head_that_never_ends_is_cut_off(bench: Bench) -> None:
    alone = _seconds(bench)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(bench.connect()) for _ in range(50)]
        for sock in slow:
            sock.sendall(HEAD + b"Host: boot\r\nX-Slow: ")
        assert _seconds(bench) < alone + 0.1

        def over() -> bool:
            for sock in slow:
                with contextlib.suppress(OSError):  # cut off already
                    sock.send(b"a")
            return not bench.counter("connections")

        netns.until(over, timeout=30, what="the slow connections are closed")


def test_h29_one_address_cannot_take_all_connections(bench: Bench) -> None:
    netns.until(lambda: not bench.counter("connections"), what="the others are gone")
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(bench.connect()) for _ in range(connections.PER_SOURCE)]
        netns.until(lambda: bench.counter("connections") == connections.PER_SOURCE, what="all have come")
        with bench.connect() as more, contextlib.suppress(ConnectionError):
            assert more.recv(100) == b""
        assert bench.ask("GET", "/.treeinfo", own=OTHER)[0] == 200
        assert bench.ask("GET", "/.treeinfo", host=SERVER6)[0] == 200
        socks[0].sendall(HEAD + b"Host: boot\r\nConnection: close\r\n\r\n")
        assert socks[0].recv(100).startswith(b"HTTP/1.1 200 OK")
    netns.until(lambda: not bench.counter("connections"), what="all are gone")


@pytest.mark.parametrize("host", ["10.7.0.1", SERVER6])
def test_h30_a_reader_that_breaks_off_leaves_nothing_open(bench: Bench, host: str) -> None:
    netns.until(lambda: not bench.counter("connections"), what="the others are gone")
    before, aborted = descriptors(), bench.counter("aborted")
    for _ in range(10):
        with bench.connect(host) as sock:
            sock.sendall(b"GET /large.iso HTTP/1.1\r\nHost: boot\r\n\r\n")
            read = 0
            while read < 1 << 20:
                read += len(sock.recv(1 << 16))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    netns.until(lambda: bench.counter("aborted") == aborted + 10, what="it is noticed")
    netns.until(lambda: descriptors() <= before, what="files and sockets are closed")
