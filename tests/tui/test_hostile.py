"""What strangers on the wire call themselves, looked at in a real terminal: no byte of theirs steers it."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len

from app.model.machine import machine_name_for
from app.screens.registry import AREAS
from tests import netns
from tests.engine.hostile_peer import over_agent, over_dhcp, over_tftp
from tests.hostile import MARK, STRINGS, unsafe
from tests.tui.conftest import Rack, new_mac
from tests.tui.terminal import available, terminal

pytestmark = [pytest.mark.root, pytest.mark.skipif(not available(), reason="tmux is not installed")]

# Sequences the interface never sends: title, hyperlink, clipboard, device string, eight-bit CSI and OSC.
NEVER = (b"\x1b]0;", b"\x1b]2;", b"\x1b]8;", b"\x1b]52;", b"\x1bP", "\x9b".encode(), "\x9d".encode())


@pytest.mark.parametrize("term", ["xterm-256color", "linux"])
def test_no_byte_of_theirs_reaches_the_terminal(rack: Rack, term: str, tmp_path: Path) -> None:
    engine, ns = rack.engine, rack.segment.clients[0]
    mac = new_mac()
    over_dhcp(ns, [new_mac() for _ in STRINGS])
    over_agent(ns, mac)
    over_tftp(ns)
    netns.until(lambda: engine.machine(mac), what="the machine is known")
    raw = tmp_path / "raw"
    with terminal("--endpoint", engine.endpoint, term=term) as pane:
        pane._tmux("pipe-pane", "-t", "0", "-O", f"cat > {raw}")
        pane.see("machines > all")
        for key, area, _ in AREAS:
            pane.press(key)
            pane.see(f" {area} > ")
            pane.press("End")
            pane.press("PageUp")
            assert [row for row in pane.rows if cell_len(row) > 80 or unsafe(row)] == []
        pane.press("1")
        pane.see("machines > all")
        pane.press(":")
        pane.type(f"machines show {machine_name_for(mac)}")
        pane.press("Enter")
        pane.see("[timeline]")
        for tab in ("i", "l"):
            pane.press(tab)
            pane.see(MARK)
            for _ in range(4):
                pane.press("PageDown")
            assert [row for row in pane.rows if cell_len(row) > 80 or unsafe(row)] == []
        pane.press("Escape")
        pane.see("machines > all")
    sent = raw.read_bytes()
    assert MARK.encode() in sent
    assert [each for each in NEVER if each in sent] == []
    steering = [name for name, text in STRINGS.items() if any(octet < 32 or octet == 127 for octet in text)]
    assert [name for name in steering if STRINGS[name].rstrip(b"\0") in sent] == []
