"""What goes wrong around a running engine: another engine on its segment, a clock that jumps, a flood of strangers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import netns
from tests.engine.card import card, pxe
from tests.engine.conftest import new_mac
from tests.engine.process import ROOT, running

pytestmark = pytest.mark.root

DAY = 86_400.0
YEAR = 365 * DAY
# The engine's clock is moved by what a file says; its monotonic clock, as everywhere, stays.
CLOCK = """\
import time
from pathlib import Path
from app.clock import SystemClock
SystemClock.now = lambda self: time.time() + float(Path({path!r}).read_text())
"""


@pytest.fixture
def lan() -> Iterator[netns.Segment]:
    """The engine's segment: the first client asks, the second is the host of whoever else there is."""
    with netns.segment("10.7.0.1/24", clients=2) as segment:
        netns.run(segment.clients[1], ["ip", "address", "add", "10.7.0.2/24", "dev", "eth0"])
        yield segment


def test_a_second_engine_on_the_segment_keeps_off(lan: netns.Segment, artefacts: Path) -> None:
    flags = ("--interface", "eth0", "--artefacts", str(artefacts))
    with running(lan.server, *flags) as first:
        first.subnet()
        first.served()
        with running(lan.clients[1], *flags) as second:
            second.subnet()
            why = "another DHCP server answers on eth0: 10.7.0.1 (52:54:00:00:00:01)"
            netns.until(lambda: second.hold_of() == why, what="the later one holds its subnet")
            notice = second.event("subnet.held")
            assert (notice.data["server"], notice.data["why"]) == ("10.7.0.1 (52:54:00:00:00:01)", why)
            [heard] = second.ask(second.client.interfaces.show("eth0")).foreign
            assert (str(heard.server), heard.mac) == ("10.7.0.1", "52:54:00:00:00:01")

            # Neither fights: the first goes on, undisturbed, and alone.
            mac = new_mac()
            with card(lan.clients[0], mac, pxe(7)) as firmware:
                assert firmware.lease().server == "10.7.0.1"
                assert why in second.event("dhcp.silent", mac=mac).message
                assert [reply.source for reply in firmware.waiting() if reply.source != "10.7.0.1"] == []
            assert first.hold_of() == ""
            assert first.events("dhcp.foreign") == []

            # The first is gone for good; whoever asks the segment again finds it free.
            first.kill()
            second.told("interfaces", "probe", "eth0")
            second.served()
            with card(lan.clients[0], new_mac(), pxe(7)) as firmware:
                assert firmware.lease().server == "10.7.0.2"


def test_a_clock_that_jumps(lan: netns.Segment, artefacts: Path, tmp_path: Path) -> None:
    """Leases end when their machines think they do, whatever the wall clock says in between."""
    offset = tmp_path / "offset"
    offset.write_text("0")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(CLOCK.format(path=str(offset)))
    extra = {"PYTHONPATH": f"{tmp_path / 'site'}:{ROOT}"}
    with running(lan.server, "--interface", "eth0", "--artefacts", str(artefacts), extra=extra) as engine:
        engine.subnet()
        engine.served()
        machine, wall = new_mac(), 0.0
        with card(lan.clients[0], machine, pxe(7)) as firmware:
            address = firmware.lease().address
            ends = time.time() + 3600
            for jump in (10 * YEAR, -10 * YEAR - DAY, DAY):
                mark, wall = engine.newest(), wall + jump
                set_clock(offset, wall)
                told = engine.event("clock.set", after=mark)
                assert told.data["seconds"] == pytest.approx(jump, abs=60)
                assert (told.level.value, told.data["leases"]) == ("warning", 1)
                # It is shown and stored by the new clock, bound as before, and nobody else's.
                netns.until(
                    lambda wall=wall: abs(engine.lease(address).expires - (ends + wall)) < 60,
                    what=f"{engine.lease(address)} ends {ends + wall}",
                )
                assert engine.lease(address).state.value == "bound"
                with card(lan.clients[0], new_mac(), pxe(7)) as other:
                    offer = other.discover(("requested_addr", address))
                    assert offer.address != address
                assert len(engine.events("clock.set", after=mark)) == 1
            # Renewed as if nothing had been.
            assert firmware.take(firmware.discover()).address == address


def set_clock(offset: Path, seconds: float) -> None:
    """Whole or not at all: the engine reads it all the time."""
    fresh = offset.with_suffix(".new")
    fresh.write_text(str(seconds))
    fresh.replace(offset)


def test_a_flood_of_strangers_keeps_no_machine_out(lan: netns.Segment, artefacts: Path) -> None:
    """V11, F14: a range of eight, hundreds of cards that ask once and are never heard again."""
    flags = ("--interface", "eth0", "--artefacts", str(artefacts))
    with running(lan.server, *flags) as engine:
        engine.subnet(ranges=["10.7.0.100-10.7.0.107"])
        engine.served()
        known, stranger = new_mac(), new_mac()
        engine.ask(engine.client.machines.create({"name": "db01", "macs": [known]}))
        flood(lan.clients[1], 300)
        engine.event("dhcp.exhausted")
        assert engine.leases() == {}, "questions bind nothing"
        with card(lan.clients[0], known, pxe(7)) as firmware:
            assert firmware.lease().kind == 5

        # A stranger that goes on asking, as firmware does, gets what the flood has left lying.
        def lent() -> bool:
            with card(lan.clients[0], stranger, pxe(7)) as firmware:
                firmware.say("discover", new=True)
                try:
                    offer = firmware.hear(1, match=lambda reply: reply.kind == 2)
                except AssertionError:
                    return False
                return firmware.take(offer).kind == 5

        netns.until(lent, timeout=40, what="a stranger gets an address long before a minute is over")


def flood(ns: str, count: int) -> None:
    """DISCOVERs of so many cards."""
    for _ in range(count):
        with card(ns, new_mac(), pxe(7)) as firmware:
            firmware.say("discover", new=True)
