"""What installers tell while they run: a request for a path that holds the machine's token.

A GET, since the wget of a debian-installer can do nothing else; telling the same twice changes nothing.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from aiohttp import web

from app.clock import Clock
from app.errors import BootcartError
from app.netboot.token import TokenKind, require, verify
from app.netboot.words import plain
from app.services.boothttp.agent import World

STEPS = ("started", "finished", "failed")


class Installs(Protocol):
    """The keeper of installations. Called from worker threads; may raise BootcartError."""

    def report(self, key: uuid.UUID, step: str, words: str, bootenv: str, /) -> None: ...


class ReportApi:
    """`/reports/TOKEN/STEP`, with `?words=` where there is more to say."""

    def __init__(self, installs: Installs, world: World, key: bytes, clock: Clock) -> None:
        """`key`: what tokens are signed with."""
        self._installs = installs
        self._world = world
        self._key = key
        self._clock = clock

    async def answer(
        self, token: str, step: str, query: Mapping[str, str], peer: IPv4Address | IPv6Address
    ) -> web.Response:
        """Take a report. Raises TokenRefusedError for the listener to tell of."""
        claims = verify(token, self._key, now=self._clock.now(), address=peer, lease=self._world.lease_at(peer))
        require(claims, TokenKind.MACHINE)
        if step not in STEPS:
            return _said(404, f"{plain(step, 40)} is no step; one of {', '.join(STEPS)}")
        words = plain(query.get("words", ""), 200)
        try:
            await asyncio.to_thread(self._installs.report, uuid.UUID(claims.machine), step, words, claims.bootenv)
        except BootcartError as error:
            return _said(error.status, str(error))
        return _said(200, "noted")


def _said(status: int, words: str) -> web.Response:
    return web.Response(status=status, text=words + "\n", headers={"Server": "bootcart", "Cache-Control": "no-store"})
