"""What a recorder hears of boot HTTP: heads, both ways, and how much followed them."""

from __future__ import annotations

from typing import Any

from tests.services.boothttp.conftest import Listener

Heard = list[tuple[bool, bytes, int]]


def listen(listener: Listener) -> Heard:
    heard: Heard = []

    def tap(
        protocol: str, incoming: bool, octets: Any, machine: tuple[str, int], our: tuple[str, int], **more: Any
    ) -> None:
        assert (protocol, machine[0], our) == ("http", "127.0.0.1", ("127.0.0.1", listener.port))
        heard.append((incoming, octets if isinstance(octets, bytes) else octets(), more["skipped"]))

    listener.http.tap = tap
    return heard


async def test_heads_are_told_and_bodies_counted(listener: Listener) -> None:
    heard = listen(listener)
    asked = b"GET //discovery/amd64/vmlinuz HTTP/1.0\r\nX-Odd:  \xff two\r\nConnection: close\r\n\r\n"
    raw = await listener.raw(asked)
    head, _, body = raw.partition(b"\r\n\r\n")

    (came, request, none), (went, answer, skipped) = heard
    assert (came, went, none, skipped) == (True, False, 0, len(body))
    assert request == b"GET //discovery/amd64/vmlinuz HTTP/1.0\r\nX-Odd: \xff two\r\nConnection: close\r\n\r\n"
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert set(answer.split(b"\r\n")[1:3]) <= set(head.split(b"\r\n"))
    assert b"Content-Length: 6000\r\n" in answer


async def test_refusals_and_questions_without_a_body(listener: Listener) -> None:
    heard = listen(listener)
    await listener.ask("GET", "/nothing/here")
    await listener.ask("HEAD", "/discovery/amd64/vmlinuz")
    await listener.ask("POST", "/discovery/amd64/vmlinuz", content=b"x" * 100)

    assert [(octets.split(b"\r\n")[0], skipped) for _, octets, skipped in heard] == [
        (b"GET /nothing/here HTTP/1.1", 0),
        (b"HTTP/1.1 404 Not Found", 10),
        (b"HEAD /discovery/amd64/vmlinuz HTTP/1.1", 0),
        (b"HTTP/1.1 200 OK", 0),
        (b"POST /discovery/amd64/vmlinuz HTTP/1.1", 100),
        (b"HTTP/1.1 405 Method Not Allowed", 35),
    ]
    assert b"Content-Length: 6000" in heard[3][1]


async def test_a_long_head_is_cut(listener: Listener) -> None:
    heard = listen(listener)
    await listener.ask("GET", "/nothing", headers={f"x-{number}": "y" * 3000 for number in range(3)})

    assert len(heard[0][1]) == 4096
    assert heard[0][2] > 5000
