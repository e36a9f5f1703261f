"""Subnets and leases on screen: how full, who holds what, and a list longer than what is fetched."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from app.model.subnet import Lease, LeaseState, Reservation
from app.screens.areas.holders import HoldersArea
from app.screens.areas.leases import PAGE, LeasesArea
from app.screens.widgets.meter import meter
from tests.fakes.client import FakeClient
from tests.fakes.world import mac
from tests.screens.stage import VT, WIDE, Stage, opened

METERS = [
    ((0, 0, 100), "··········   0%", "dim"),
    ((1, 0, 100_000), "█·········   1%", "good"),
    ((0, 1, 100_000), "▒·········   1%", "good"),
    ((50, 20, 100), "█████▒▒···  70%", "good"),
    ((80, 0, 100), "████████··  80%", "good"),
    ((99, 1, 100), "█████████▒ 100%", "warn"),
    ((999, 0, 1000), "██████████  99%", "warn"),
    ((120, 0, 100), "██████████ 100%", "warn"),
]


@pytest.mark.parametrize(("counts", "bar", "style"), METERS)
def test_a_meter_shows_whatever_there_is(counts: tuple[int, int, int], bar: str, style: str) -> None:
    assert meter(*counts, 10) == (bar, style)


def many(count: int) -> FakeClient:
    """An engine with many leases on rack7's network."""
    client = FakeClient()
    first = int(IPv4Address("10.100.0.0"))
    for number in range(count):
        address = IPv4Address(first + number)
        client.leases.items[str(address)] = Lease(
            address=address,
            mac=f"52:54:01:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}",
            subnet="big",
            expires=client.now + 600,
            state=LeaseState.BOUND,
        )
    return client


async def test_a_subnet_says_how_full_it_is_and_who_holds_what() -> None:
    client = FakeClient()
    client.reservations.items["10.7.0.60"] = Reservation(address=IPv4Address("10.7.0.60"), mac=mac(7))
    async with opened(client, size=VT) as stage:
        await stage.press("2")
        await stage.see("USED")
        assert "%" in stage.row(" rack7 ")
        await stage.see("of 101 free")
        await stage.press("l")
        await stage.until(lambda: isinstance(stage.area, HoldersArea), "who holds what")
        await stage.see("10.7.0.60")
        assert ". kept" in stage.row("10.7.0.60")
        assert "node-07" in stage.row("10.7.0.60")
        assert "+ bound" in stage.text
        await stage.press("escape")
        await stage.see("of 101 free")


async def test_from_a_lease_to_its_subnet() -> None:
    async with opened(size=WIDE) as stage:
        await stage.press("3")
        await stage.see("rack7")
        await stage.press("l")
        await stage.until(lambda: isinstance(stage.area, HoldersArea), "who holds what")
        assert "rack7 > who holds what" in stage.crumbs


async def test_reservations_say_where_they_count_and_lead_to_their_subnet() -> None:
    client = FakeClient()
    for address, changes in (
        ("10.99.0.5", {"scope": "global", "prefix": 24, "options": {"interface-mtu": "9000"}}),
        ("10.7.0.61", {"scope": "global"}),
    ):
        body = {"address": address, "mac": mac(int(address[-1])), **changes}
        client.reservations.items[address] = Reservation.model_validate(body)
    async with opened(client, size=WIDE) as stage:
        await stage.press("4")
        await stage.see("10.7.0.61")
        assert "rack7" in stage.row("10.7.0.107")
        assert "anywhere" in stage.row("10.7.0.61")
        await stage.press("end")
        await stage.see("kept for node-05, counts wherever its machine is, 1 DHCP option")
        await stage.press("l")
        await stage.see("its address is in no subnet: 2 shows them")
        await stage.press("home", "l")
        await stage.until(lambda: isinstance(stage.area, HoldersArea), "who holds what")
        await stage.see(". kept     10.7.0.50")


def leases(stage: Stage) -> LeasesArea:
    area = stage.area
    assert isinstance(area, LeasesArea)
    return area


async def test_a_long_list_comes_page_by_page_and_is_filtered_by_the_engine() -> None:
    async with opened(many(2 * PAGE + 10), size=VT) as stage:
        await stage.press("3")
        await stage.until(lambda: len(leases(stage).every) == PAGE, "a page")
        total = len(stage.client.leases.items)
        await stage.see(f"first {PAGE} of {total}")
        await stage.press("end")
        await stage.until(lambda: len(leases(stage).every) == 2 * PAGE, "the next page")
        await stage.press("end")
        await stage.until(lambda: len(leases(stage).every) == total, "the last page")
        await stage.see(f"all {total}")
    async with opened(many(2 * PAGE + 10), size=VT) as stage:
        await stage.press("3")
        await stage.until(lambda: len(leases(stage).every) == PAGE, "a page")
        await stage.press("slash")
        await stage.type("address=10.100.7.209")
        await stage.press("enter")
        await stage.see("52:54:01:00:07:d1")
        await stage.press("escape")
        await stage.until(lambda: len(leases(stage).every) == PAGE, "all again")
