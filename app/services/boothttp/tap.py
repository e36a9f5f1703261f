"""What a recorder hears of boot HTTP: the heads of requests and answers, never a body."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol

from aiohttp import web

from app.model.sizes import decimal

HEAD_MAX = 4096
"""Octets of a head that are told; a machine's is a few hundred."""


class Tap(Protocol):
    """Called in the service's loop: it keeps what it is given and returns."""

    def __call__(
        self,
        protocol: str,
        incoming: bool,
        octets: bytes,
        machine: tuple[str, int],
        our: tuple[str, int],
        *,
        skipped: int = 0,
        note: str = "",
    ) -> object:
        """`skipped` octets that followed are not given; `note` is to be known beside them."""
        ...


def no_tap(
    protocol: str,
    incoming: bool,
    octets: bytes,
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
        version = request.version
        first = f"{request.method} {request.raw_path} HTTP/{version.major}.{version.minor}"
        fields = [name + b": " + value for name, value in request.raw_headers]
        head = b"\r\n".join((first.encode("utf-8", "surrogateescape"), *fields, b"", b""))
        self._tell(True, head, request.content_length or 0)

    def answered(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """The head of the answer, once all of it is sent."""
        fields = dict(response.headers)
        length = 0
        if request.method != "HEAD" and response.content_length is not None:
            length = response.content_length
            fields.setdefault("Content-Length", str(length))
        told = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        head = f"HTTP/1.1 {response.status} {response.reason or ''}\r\n{told}\r\n".encode("utf-8", "surrogateescape")
        self._tell(False, head, length, kept_not(length) if length else "")

    def _tell(self, incoming: bool, head: bytes, body: int, note: str = "") -> None:
        machine, our = self._ends
        skipped = max(0, len(head) - HEAD_MAX) + body
        self._tap("http", incoming, head[:HEAD_MAX], machine, our, skipped=skipped, note=note)
