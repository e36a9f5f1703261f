"""The certificate that boot HTTPS shows: renewed with age and with new addresses, kept where that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from app.errors import UnavailableError
from app.services.boothttp.connections import Address
from app.services.boothttp.tls import TlsDoor
from app.store.authority import SERVER_DAYS, Authority, Issued
from tests.store.stores import SetClock

DAY = 86400.0


class Signing:
    """The authority, which can be out of order."""

    def __init__(self, folder: Path, clock: SetClock) -> None:
        self.authority = Authority(folder, clock)
        self.broken = False
        self.asked = 0

    def issue(self, addresses: Collection[Address], /) -> Issued:
        self.asked += 1
        if self.broken:
            raise UnavailableError("the disk is full", hint="free some space")
        return self.authority.issue(addresses)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


async def test_it_is_renewed_with_age_and_with_addresses_and_kept_where_that_fails(
    tmp_path: Path, clock: SetClock
) -> None:
    signing, held = Signing(tmp_path, clock), {IPv4Address("10.7.0.1")}
    door = TlsDoor(lambda: signing, lambda: held, lambda peer, why: None, clock, look_seconds=0.01)
    await door.open()
    try:
        first = door.certificate
        assert first is not None
        assert first.not_after == pytest.approx(clock.now() + SERVER_DAYS * DAY, abs=2)

        held.add(IPv4Address("10.8.0.1"))
        await until(lambda: door.certificate is not None and "10.8.0.1" in door.certificate.names)
        second = door.certificate

        signing.broken, asked = True, signing.asked
        clock.time += 300 * DAY
        await until(lambda: signing.asked > asked + 1)
        assert door.certificate is second
        signing.broken = False
        await until(lambda: door.certificate is not second)
        assert door.certificate is not None
        assert door.certificate.not_after > clock.now() + 390 * DAY
    finally:
        await door.close()
