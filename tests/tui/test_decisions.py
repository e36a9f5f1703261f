"""What a card really sent, seen on the screen and read from the capture the interface wrote."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.model.machine import machine_name_for
from app.screens.areas.inspect import InspectScreen
from app.screens.profile import ConsoleProfile
from tests.engine.card import card, pxe
from tests.tui.conftest import Rack, new_mac
from tests.tui.desk import seated

pytestmark = pytest.mark.root


def written(folder: Path) -> list[Path]:
    """The captures."""
    return list(folder.glob("*.pcapng"))


def read(path: Path) -> list[Any]:
    """The message types of a capture, as scapy reads them."""
    from scapy.layers.dhcp import DHCP
    from scapy.utils import PcapNgReader

    with PcapNgReader(str(path)) as reader:
        return [dict(one for one in frame[DHCP].options if len(one) == 2)["message-type"] for frame in reader]


async def test_a_card_is_answered_and_another_is_not_and_the_packets_are_there(
    rack: Rack, profile: ConsoleProfile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOTCART_SHOTS", str(tmp_path))
    mac, relayed = new_mac(), new_mac()

    def power_on() -> None:
        with card(rack.segment.clients[0], mac, pxe(7)) as firmware:
            firmware.lease()
        with card(rack.segment.clients[0], relayed, pxe(7)) as firmware:
            firmware.say("discover", new=True, giaddr="10.9.0.1")

    async with seated(rack.engine, profile) as desk:
        await desk.go("decisions")
        await asyncio.to_thread(power_on)
        await desk.see("no subnet is defined for relay 10")
        row = desk.row("SILENT")
        assert row.index("DISCOVER") < row.index("SILENT") < row.index("no subnet is defined")

        await desk.press("enter")
        await desk.until(lambda: isinstance(desk.app.screen, InspectScreen), "the packets")
        await desk.see("giaddr    10.9.0.1")
        await desk.press("tab")
        await desk.see("nothing was sent: no subnet is defined for relay 10.9.0.1")
        await desk.press("escape")

        await desk.filter(f"mac={mac}")
        await desk.see("ACK")
        await desk.press("enter", "tab")
        await desk.see(f"> {mac}")
        await desk.press("C")
        await desk.until(lambda: bool(written(tmp_path)), "the capture")

    (path,) = written(tmp_path)
    assert path.name.startswith(machine_name_for(mac))
    assert await asyncio.to_thread(read, path) == [1, 2, 3, 5]
