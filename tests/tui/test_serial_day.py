"""A day's work at a serial console: 80x24, TERM=linux, keys alone, on a real engine; every byte sent is judged."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.errors import NotFoundError
from app.model.machine import machine_id_for, machine_name_for
from app.model.query import Query
from app.screens.words import CP437
from tests import netns
from tests.engine.card import Heard, card, pxe
from tests.engine.process import Engine
from tests.tui.conftest import Rack, new_mac
from tests.tui.terminal import Terminal, available, terminal

pytestmark = [pytest.mark.root, pytest.mark.skipif(not available(), reason="tmux is not installed")]

SHOTS = os.environ.get("BOOTCART_TUI_SHOTS", "")
"""A directory where each screen is left, to be looked at."""
SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?<>=]*[ -/]*[@-~]|[()][0-9A-B]|[78=>])")
UNSAFE = {
    "the pointer shape, at which a VT220 rings": re.compile(r"\x1b\]22"),
    "true colour": re.compile(r"\x1b\[[0-9;]*[34]8;2;"),
    "256 colours": re.compile(r"\x1b\[[0-9;]*[34]8;5;"),
    "mouse reports": re.compile(r"\x1b\[\?100[01356]h"),
    "the Kitty keyboard": re.compile(r"\x1b\[>\d*u"),
}


class Day:
    """One operator, one terminal, one engine."""

    def __init__(self, pane: Terminal, engine: Engine, raw: Path) -> None:
        self.pane = pane
        self.engine = engine
        self.raw = raw
        self.seen = 0

    def look(self, name: str, *words: str, gone: str = "") -> str:
        """Wait for the screen; it is one that a VT can draw."""
        text = self.pane.see(*words, gone=gone)
        self.seen += 1
        if SHOTS:
            (Path(SHOTS) / f"day-{self.seen:02}-{name}.txt").write_text(text + "\n")
        odd = {char for char in text if not char.isascii() and char not in CP437}
        assert not odd, f"{odd} in {name}:\n{text}"
        assert max(map(len, text.split("\n"))) <= 80, text
        return text

    def comes(self, ask: Callable[[], object], what: str) -> None:
        """The engine has it."""
        netns.until(ask, timeout=20, what=what)

    def absent(self, noun: str, key: str) -> bool:
        """The engine has no such object."""
        try:
            self.engine.ask(getattr(self.engine.client, noun).show(key))
        except NotFoundError:
            return True
        return False

    def pref(self, name: str) -> str:
        """The value of a preference."""
        return self.engine.ask(self.engine.client.prefs.show(name)).value

    def cursor_to(self, word: str) -> None:
        """Down the list to this row."""
        self.pane.press("Home")
        for _ in range(20):
            if any(row.startswith("> ") and word in row for row in self.pane.rows):
                return
            before = self.pane.text
            self.pane.press("Down")
            netns.until(lambda before=before: self.pane.text != before, what="the cursor moves")
        raise AssertionError(f"no row {word!r}:\n{self.pane.text}")

    def sent(self) -> int:
        """Bytes the terminal was sent so far."""
        return self.raw.stat().st_size


@pytest.fixture
def day(rack: Rack, tmp_path: Path) -> Iterator[tuple[Day, Rack]]:
    """A crash cart at an engine that this interface's launcher has started, with no subnet yet."""
    rack.engine.ask(rack.engine.client.subnets.delete("rack7", drain=True))
    raw = tmp_path / "raw"
    extra = {"BOOTCART_SHOTS": str(tmp_path), "BOOTCART_ENGINE_STARTED": "1"}
    with terminal("--endpoint", rack.engine.endpoint, term="linux", extra=extra, record=raw) as pane:
        yield Day(pane, rack.engine, raw), rack


def test_a_day_at_a_serial_console(day: tuple[Day, Rack], tmp_path: Path) -> None:
    me, rack = day
    pane, engine, client = me.pane, me.engine, me.engine.client
    mac = new_mac()
    name, key = machine_name_for(mac), str(machine_id_for(mac))

    def boot() -> Heard:
        with card(rack.segment.clients[0], mac, pxe(7)) as firmware:
            return firmware.lease()

    # A first start: the wizard asks which segment; the quick way is the interface's own line.
    me.look("wizard", "Which segment shall Bootcart serve?", "eth0", "none")
    first_paint = me.sent()
    pane.press("Escape")
    me.look("empty", "no machine yet")
    pane.press("8")
    me.look("interfaces", "10.7.0.1/24", "none heard")
    me.cursor_to("eth0")
    pane.press("a")
    me.look("proposal", "10.7.0.100-10.7.0.200", "I agree")
    pane.press("y")
    me.comes(lambda: not me.absent("subnets", "eth0"), "the subnet is saved")
    engine.served("eth0")

    # A machine is powered on.
    pane.press("1")
    me.look("waiting", " machines > ")
    address = boot().address
    me.look("arrived", name, "BOOT", address)
    pane.press("Home", "Enter")
    me.look("timeline", "[timeline]", "DISCOVER", "ACK", "waiting 00:")
    pane.press("Escape")
    me.look("back", " machines > ", gone="[timeline]")
    pane.press("b")
    me.look("choose", "boot?", "local")
    pane.press("l", "Enter")
    me.look("assign", "boot local?", "z undoes the assignment")
    pane.press("y")
    me.comes(lambda: engine.ask(client.machines.show(key)).bootenv == "local", "assigned")
    me.look("assigned", "power-cycle it")

    # Its address is kept.
    pane.press("3")
    me.look("leases", " leases > ", address)
    me.cursor_to(address)
    pane.press("r")
    me.comes(lambda: not me.absent("reservations", address), "reserved")
    me.look("reserved", " yes")

    # A preference is changed, taken back, and changed again.
    pane.press("9")
    me.look("prefs", "unknown-token-timeout", "600")
    me.cursor_to(" unknown-token-timeout")
    pane.press("e")
    me.look("pref", "Preference unknown-token-timeout", "[ Save ]")
    pane.press("End", "C-u")
    pane.type("soon")
    pane.press("Down", "Enter")
    me.look("pref-error", "unknown-token-timeout cannot be 'soon' (seconds, from 30 to 86400)")
    pane.press("End", "C-u")
    pane.type("900")
    pane.press("Down", "Enter")
    me.comes(lambda: me.pref("unknown-token-timeout") == "900", "set")
    me.look("pref-set", "900", gone="[ Save ]")
    pane.press("z")
    me.comes(lambda: me.pref("unknown-token-timeout") == "600", "undone")
    pane.press("Z")
    me.comes(lambda: me.pref("unknown-token-timeout") == "900", "done again")
    pane.press("z")
    me.comes(lambda: me.pref("unknown-token-timeout") == "600", "undone again")
    pane.press("z")
    me.comes(lambda: me.absent("reservations", address), "the reservation is taken back")
    pane.press("@")
    me.look("commands", " commands > ", "undone by", "undone (Z does it again): undo of")

    # The log: only DHCP, held still while more comes.
    pane.press("6")
    me.look("events", " events > ", "following")
    pane.press("/")
    pane.type("kind~dhcp")
    pane.press("Enter")
    text = me.look("filtered", "/kind~dhcp", "match")
    assert all(" dhcp " in row for row in text.split("\n")[2:10] if row.strip()), text
    pane.press("p")
    me.look("paused", "paused - G to follow")
    boot()
    me.look("more", "new - G to follow")
    pane.press("G")
    me.look("following", "following --", gone="G to follow --")
    pane.press("?")
    me.look("help", "Keys here: events", "previous match")
    pane.press("Escape")
    me.look("helped", "/kind~dhcp", gone="Keys here")
    pane.press("Escape")
    me.look("unfiltered", " events > ", gone="/kind~dhcp")

    # What else wrote on the line is wiped away, and a size the system has wrong is asked of the terminal.
    subprocess.run(["stty", "-F", pane.tty, "rows", "20", "cols", "70"], check=True, timeout=10)
    netns.until(lambda: "? help  q quit" in pane.rows[19], what=f"drawn too small:\n{pane.text}")
    Path(pane.tty).write_text("\x1b[5;1HKERNEL: garbage on the line\x1b[H")
    pane.see("garbage on the line")
    pane.press("C-l")
    netns.until(lambda: pane.rows[23].rstrip().endswith("q quit"), what="drawn at its own size")
    text = me.look("redrawn", "? help  q quit", gone="garbage on the line")
    assert text.count("q quit") == 1, text

    pane.press("S")
    netns.until(lambda: list(tmp_path.glob("*.txt")), what="the dump")
    dump = next(tmp_path.glob("*.txt")).read_text()
    assert " events > " in dump
    assert len(dump.splitlines()) == 24

    # Hold, and release.
    pane.press("H")
    me.look("hold", "answer no one?", ">[ Esc Cancel ]")
    pane.press("y")
    me.comes(lambda: engine.ask(client.info()).holding, "held")
    me.look("held", "HOLD")
    pane.press("H")
    me.look("lift", "Lift the hold?")
    pane.press("y")
    me.comes(lambda: not engine.ask(client.info()).holding, "lifted")

    # What two keys cost on the line.
    pane.press("1")
    me.look("machines", name, " machines > ", gone="HOLD")
    pane.press("9")
    me.look("prefs", " prefs > ", "debian-mirror")
    pane.press("Home")
    netns.until(lambda: pane.rows[2].startswith("> "), what="the first row")
    before = me.sent()
    pane.press("Down")
    netns.until(lambda: pane.rows[3].startswith("> "), what="the cursor moves")
    moved = me.sent() - before
    before = me.sent()
    engine.ask(client.prefs.set("loader-bios", "ipxe.pxe"))
    me.look("cell", "ipxe.pxe")
    cell = me.sent() - before
    print(f"\nbytes at 80x24 TERM=linux: up to the first screen {first_paint}, cursor {moved}, one cell {cell}")  # noqa: T201

    # The line is left, the engine goes on.
    pane.press("q")
    me.look("quit", "Leave Bootcart?", ">[ d Detach ]", "Stop the engine")
    pane.press("Enter")
    assert "The engine goes on at" in pane.see("left with 0")
    assert engine.ask(client.info()).ready
    assert engine.ask(client.commands.list(Query(sort="-id", limit=1))).items[0].actor
    judge(me.raw.read_bytes().decode())


def test_one_that_only_looks_says_so_and_changes_nothing(rack: Rack) -> None:
    engine, client = rack.engine, rack.engine.client
    before = engine.ask(client.commands.list(Query(sort="-id", limit=1))).total
    with terminal("--endpoint", engine.endpoint, "--read-only", term="linux") as pane:
        pane.see("no machine yet", "READ-ONLY", "attached")
        pane.press("H")
        pane.see("read-only: nothing is changed from here")
        pane.press(":")
        pane.type("set unknown-bootenv local")
        pane.press("Enter")
        pane.see("! ERROR this interface was opened with --read-only", "open it without that flag")
        pane.press("Escape")
        pane.see("q quit", gone="ERROR")
        pane.press("2")
        pane.see("rack7", " subnets > ")
        pane.press("q")
        pane.see("left with 0")
    assert engine.ask(client.commands.list(Query(sort="-id", limit=1))).total == before
    assert not engine.ask(client.info()).holding


def judge(sent: str) -> None:
    """Only what a Linux console or a VT220 on a serial line understands."""
    # What the operator's shell says before and after is not ours.
    for what, pattern in UNSAFE.items():
        assert not pattern.search(sent), what
    drawn = SEQUENCE.sub("", sent)
    odd = {char for char in drawn if not (char in CP437 or " " <= char <= "~" or char in "\r\n")}
    assert not odd, {char: drawn[max(0, drawn.index(char) - 40) :][:80] for char in odd}
