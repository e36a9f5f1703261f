"""What a recorder hears of boot HTTP: the heads of requests and answers, never a body."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Protocol

from aiohttp import web
from aiohttp.http import HttpVersion
from aiohttp.typedefs import RawHeaders

from app.model.sizes import decimal

HEAD_MAX = 4096
"""Octets of a head that are told; a machine's is a few hundred."""


class Tap(Protocol):
    """Called in the service's loop: it keeps what it is given and returns."""

    def __call__(
        self,
        protocol: str,
        incoming: bool,
        octets: bytes | Callable[[], bytes],
        machine: tuple[str, int],
        our: tuple[str, int],
        *,
        skipped: int = 0,
        note: str = "",
    ) -> object:
        """`octets` may be a call, for whoever looks at them: most are never looked at.

        `skipped` octets that followed are not given; `note` is to be known beside them.
        """
        ...


def no_tap(
    protocol: str,
    incoming: bool,
    octets: bytes | Callable[[], bytes],
    machine: tuple[str, int],
    our: tuple[str, int],
    *,
    skipped: int = 0,
    note: str = "",
) -> None:
    """Nobody records."""
    del protocol, incoming, octets, machine, our, skipped, note


@lru_cache(maxsize=256)
def kept_not(length: int) -> str:
    """Content of so many octets was sent with a head."""
    return f"its end was sent now; {decimal(length)} of content are not kept"


class Conversation:
    """One request and its answer, between two ends that are still known when the connection is gone."""

    def __init__(self, tap: Tap, peer: Any, local: Any) -> None:
        """`peer` and `local` as the kernel names them."""
        self._tap = tap
        self._ends = (str(peer[0]), int(peer[1])), (str(local[0]), int(local[1]))

    def asked(self, request: web.BaseRequest) -> None:
        """The head of the request, as it came."""
        fields = request.raw_headers
        head = partial(_request_head, request.method, request.raw_path, request.version, fields)
        size = len(request.raw_path) + sum([len(name) + len(value) for name, value in fields])
        self._tell(True, head, size, request.content_length or 0)

    def answered(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """The head of the answer, once all of it is sent."""
        length = 0 if request.method == "HEAD" else response.content_length or 0
        head = partial(_answer_head, response.status, response.reason, tuple(response.headers.items()), length)
        self._tell(False, head, 0, length, kept_not(length) if length else "")

    def _tell(self, incoming: bool, head: Callable[[], bytes], size: int, body: int, note: str = "") -> None:
        machine, our = self._ends
        octets: bytes | Callable[[], bytes] = head
        if size > HEAD_MAX:
            # No memory for what anybody may send.
            whole = head()
            octets, body = whole[:HEAD_MAX], body + len(whole) - HEAD_MAX
        self._tap("http", incoming, octets, machine, our, skipped=body, note=note)


def _request_head(method: str, path: str, version: HttpVersion, fields: RawHeaders) -> bytes:
    first = f"{method} {path} HTTP/{version.major}.{version.minor}"
    lines = [name + b": " + value for name, value in fields]
    return b"\r\n".join((first.encode("utf-8", "surrogateescape"), *lines, b"", b""))


def _answer_head(status: int, reason: str | None, fields: tuple[tuple[str, str], ...], length: int) -> bytes:
    known = dict(fields)
    if length:
        known.setdefault("Content-Length", str(length))
    told = "".join(f"{name}: {value}\r\n" for name, value in known.items())
    return f"HTTP/1.1 {status} {reason or ''}\r\n{told}\r\n".encode("utf-8", "surrogateescape")
