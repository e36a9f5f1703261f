"""A hundred times the link goes and comes, or the card: served again in two seconds, and nothing is left open (F08)."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from pathlib import Path

import pytest

from tests import netns
from tests.engine.card import Card, card
from tests.engine.conftest import new_mac
from tests.engine.process import Engine, running

pytestmark = [pytest.mark.root, pytest.mark.full, pytest.mark.timeout(1500)]

TIMES = 50
SERVED_SECONDS = 2.0


def waited(it: Card) -> float:
    """Seconds until a machine that asks ten times a second is offered an address."""
    it.xid, began = it.xid + 1, time.monotonic()

    def offered() -> bool:
        it.say("discover")
        with contextlib.suppress(AssertionError):
            return it.hear(0.1, match=lambda reply: reply.kind == 2).address.startswith("10.7.0.")
        return False

    netns.until(offered, what="an offer")
    return time.monotonic() - began


def descriptors(engine: Engine) -> int:
    """What the engine has open, without the database: it is read over as many connections as are needed at once."""
    folder, found = Path(f"/proc/{engine.process.pid}/fd"), list[str]()
    for each in folder.iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            found.append(os.readlink(each))
    return sum("bootcart.db" not in one for one in found)


def test_f08_links_and_cards_that_come_and_go(artefacts: Path) -> None:
    server_mac = "52:54:00:00:00:01"
    with netns.segment("10.7.0.1/24", clients=1) as lan, running(lan.server, "--artefacts", str(artefacts)) as engine:
        engine.subnet()
        engine.served()
        with card(lan.clients[0], new_mac()) as it:
            it.xid = 1
            waited(it)
            before = descriptors(engine)
            took: list[float] = []
            for number in range(2 * TIMES):
                if number % 2:
                    netns.run(lan.server, ["ip", "link", "delete", "eth0"])
                    netns.attach(lan.switch, "br0", lan.server, "eth0", mac=server_mac, address="10.7.0.1/24")
                else:
                    mark = engine.newest()
                    netns.run(lan.server, ["ip", "link", "set", "eth0", "down"])
                    engine.event("interface.changed", after=mark)
                    netns.run(lan.server, ["ip", "link", "set", "eth0", "up"])
                took.append(waited(it))
        engine.sound()
        netns.until(lambda: descriptors(engine) <= before, what=f"{before} descriptors: {descriptors(engine)}")
        assert statistics.median(took) <= SERVED_SECONDS, sorted(took)
