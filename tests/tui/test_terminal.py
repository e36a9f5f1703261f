"""The whole interface at 80x24 in real terminals: every area by its key, every row in order, only glyphs they have."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from app.model.machine import machine_id_for, machine_name_for
from app.screens.registry import AREAS
from app.screens.words import CP437
from tests import netns
from tests.engine.card import card, pxe
from tests.engine.test_agent import INVENTORY, boot
from tests.tui.conftest import Rack, new_mac
from tests.tui.terminal import Terminal, available, terminal

pytestmark = [pytest.mark.root, pytest.mark.skipif(not available(), reason="tmux is not installed")]

CONSOLES = ("linux", "vt100")
SHOTS = os.environ.get("BOOTCART_TUI_SHOTS", "")
"""A directory where each screen is left, to be looked at."""


@pytest.fixture
def lively(rack: Rack) -> tuple[Rack, str]:
    """A rack with one machine that has reported, one in its firmware, and a reservation; the first one's name."""
    engine, mac, other = rack.engine, new_mac(), new_mac()
    booted = boot(rack.segment.clients[1], mac)
    booted.register()
    assert booted.call("PUT", booted.machine("/inventory"), INVENTORY)[0] == 204
    with card(rack.segment.clients[0], other, pxe(7)) as firmware:
        firmware.discover()
    netns.until(lambda: engine.machine(other), what="the second machine is seen")
    engine.ask(engine.client.reservations.create({"address": "10.7.0.20", "mac": new_mac(), "hostname": "printer"}))
    engine.ask(engine.client.machines.update(str(machine_id_for(mac)), {"description": "row 7"}))
    return rack, machine_name_for(mac)


class Walk:
    """Looks at each screen of one terminal."""

    def __init__(self, pane: Terminal, term: str) -> None:
        self.pane = pane
        self.term = term

    def look(self, name: str, *words: str, footer: bool = True) -> list[str]:
        """Wait for these words, then judge the screen."""
        text = self.pane.see(*words)
        rows = self.pane.rows
        if SHOTS:
            (Path(SHOTS) / f"{self.term}-{name}.txt").write_text(text + "\n")
        where = f"{self.term} {name}:\n{text}"
        assert len(rows) == 24, where
        assert not [row for row in rows if len(row) > 80], where
        # What is left of a sequence that the terminal did not take.
        assert not re.search(r"\x1b|\[\?\d|\d;\d+[mHRu]|\ufffd", text), where
        if self.term in CONSOLES:
            odd = {char for char in text if not char.isascii() and char not in CP437 and char != "\n"}
            assert not odd, f"{odd} {where}"
        if footer:
            assert rows[23].endswith("? help  q quit"), where
        return rows

    def leave(self, word: str) -> None:
        """Esc, until this has gone."""
        self.pane.press("Escape")
        self.pane.see("q quit", gone=word)


@pytest.mark.parametrize("term", [*CONSOLES, "screen-256color"])
def test_every_screen_in_a_real_terminal(lively: tuple[Rack, str], term: str) -> None:
    rack, name = lively
    with terminal("--endpoint", rack.engine.endpoint, term=term) as pane:
        walk = Walk(pane, term)
        walk.look("start", "attached", name)
        for key, area, _ in AREAS:
            pane.press(key)
            rows = walk.look(area, f" {area} > ", "10.7.0" if area in ("subnets", "leases", "reservations") else area)
            assert rows[0].startswith(f" {area} > "), rows[0]
            assert "attached" in rows[0]
            if term == CONSOLES[0]:
                pane.press("?")
                walk.look(f"{area}-help", f"Keys here: {area}", footer=False)
                walk.leave("Keys here")
        pane.press("1")
        pane.see(name)
        pane.press("Home", "Enter")
        walk.look("machine-timeline", "[timeline]", "DISCOVER")
        for key, tab, word in (
            ("i", "inventory", "x86_64, 2 sockets, 20 cores, 40 threads"),
            ("v", "boot environment", "boots next"),
            ("s", "script", "#!ipxe"),
            ("l", "events", "DISCOVER"),
            ("y", "history", "changed machine"),
        ):
            pane.press(key)
            walk.look(f"machine-{tab.partition(' ')[0]}", f"[{tab}]", word)
        pane.press("b")
        walk.look("choose", "boot?", "local", footer=False)
        pane.press("l", "Enter")
        walk.look("ask", ">[ Esc Cancel ]", footer=False)
        walk.leave("Cancel")
        # A key right after Esc would be Alt and that key: terminals tell no difference.
        walk.leave("boot environment")
        pane.press("2")
        pane.see(" subnets > ")
        pane.press("a")
        walk.look("form", "New subnet", "[ Save ]", footer=False)
        pane.type("x")
        pane.press("Enter")
        pane.type("10.7.0.0/99")
        pane.press("Up", "Up", "Enter")
        walk.look("form-error", "! ", "10.7.0.0/99", footer=False)
        pane.press("Escape")
        pane.see("Esc again drops it")
        walk.leave("New subnet")
        pane.press("W")
        walk.look("wizard", "choose an interface", "none")
        walk.leave("choose an interface")
        pane.press("1", "/")
        pane.type("printer")
        walk.look("filter", "/printer", "nothing matches", footer=False)
        walk.leave("/printer")
        pane.press(":")
        pane.type("nonsense")
        pane.press("Enter")
        walk.look("error", "! ERROR", "nonsense")
        walk.leave("ERROR")
        pane.press("H")
        walk.look("hold", "answer no one?", ">[ Esc Cancel ]", footer=False)
        walk.leave("answer no one?")
        pane.press("Q")
        walk.look("leave", "Leave Bootcart?", ">[ d Detach ]", footer=False)
        walk.leave("Leave")
        pane.press("q")
        text = pane.see("left with 0")
        # The terminal is given back as it was: no mode left on, what was there before is there again.
        assert "The engine goes on at" in text
    rack.engine.sound()


def test_a_terminal_that_cannot_place_its_cursor_gets_advice(rack: Rack) -> None:
    with terminal("--endpoint", rack.engine.endpoint, term="dumb") as pane:
        text = pane.see("left with 2")
        assert "bootcart machines list" in text
