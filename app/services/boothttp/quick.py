"""The plainest request there is, answered at once: iPXE asks for its script, which is at hand.

Nothing is decided here. Whatever is not exactly what iPXE sends, or not at hand, goes the way of every other request.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Protocol

from aiohttp.helpers import rfc822_formatted_time

from app.netboot.bootpath import SCRIPT_FOLDER, Served
from app.services.boothttp.connections import Ends

HEAD_MAX = 1024
HEADS_MAX = 64
_ASKS = f"GET /{SCRIPT_FOLDER}/".encode()
_MAC_LENGTH = len("52-54-00-00-00-07")
_REST = b".ipxe HTTP/1.1"
_MAC = re.compile(rb"[0-9a-f]{2}(?:-[0-9a-f]{2}){5}")
# Headers that change nothing about the answer, each at most once; the name of a host as in RFC 9112 section 3.2.
_PLAIN = re.compile(
    rb"\r\n(?:(?:Host: [\w.~!$&'()*+,;=%:\[\]-]*|User-Agent: [\x20-\x7e]*"
    rb"|Accept: \*/\*|Connection: keep-alive)\r\n)+\r\n",
    re.ASCII,
)


class Hand(Protocol):
    """What has scripts at hand."""

    def script_at_hand(self, mac: str, peer: IPv4Address, local: IPv4Address) -> Served | None: ...


class Quick:
    """Answers to the plainest requests. Belongs to one loop; never waits."""

    def __init__(self, hand: Hand, told: Callable[[Served, str, Ends, bytes, bytes], None]) -> None:
        """`told` is called for each script that is given: what, to which MAC, over which connection, and both heads."""
        self._hand = hand
        self._told = told
        self._plain: dict[bytes, bool] = {}

    def answer(self, data: bytes, ends: Ends) -> bytes | None:
        """The answer to what came on a connection that waits for a request; None: it is not for here."""
        if not data.startswith(_ASKS) or len(data) > HEAD_MAX:
            return None
        begin = len(_ASKS)
        end = begin + _MAC_LENGTH
        rest = end + len(_REST)
        if data[end:rest] != _REST or not self._is_plain(data[rest:]):
            return None
        raw = data[begin:end]
        if _MAC.fullmatch(raw) is None:
            return None
        mac = raw.replace(b"-", b":").decode()
        served = self._hand.script_at_hand(mac, ends.peer, ends.local)
        if served is None or served.body is None:
            return None
        head = (
            "HTTP/1.1 200 OK\r\nServer: bootcart\r\n"
            f"Content-Type: {served.content_type}\r\nCache-Control: no-store\r\nContent-Length: {len(served.body)}\r\n"
            f"Date: {rfc822_formatted_time()}\r\n\r\n"
        ).encode("ascii")
        self._told(served, mac, ends, data, head)
        return head + served.body

    def _is_plain(self, headers: bytes) -> bool:
        """These headers ask for nothing special. A rack of machines sends the same ones."""
        known = self._plain.get(headers)
        if known is None:
            names = [line.partition(b":")[0] for line in headers.split(b"\r\n") if line]
            known = _PLAIN.fullmatch(headers) is not None and b"Host" in names and len(names) == len(set(names))
            if len(self._plain) >= HEADS_MAX:
                self._plain.clear()
            self._plain[headers] = known
        return known
