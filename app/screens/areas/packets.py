"""What went over the wire in a machine's last boots: DHCP, TFTP and HTTP in their order; each can be taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from app.errors import NotFoundError
from app.model.event import Event
from app.model.packets import Packet
from app.screens.areas.area import ListArea, bindings
from app.screens.registry import Action
from app.screens.widgets.lines import Span, line
from app.screens.widgets.table import Column, Table
from app.screens.words import clock

if TYPE_CHECKING:
    from app.screens.app import BootcartApp

SETTLED = 2
"""Seconds without another event of the machine after which its packets are asked for anew."""


class PacketsScreen(ListArea):
    """One line a packet, the newest last."""

    area = "packets"
    over = "machines"
    BINDINGS = bindings("packets")

    def __init__(self, key: str, name: str) -> None:
        columns: Sequence[Column[Packet]] = (
            Column("BOOT", lambda p: str(p.boot), least=4, most=4),
            Column("TIME", lambda p: clock(p.time), least=8, most=8),
            Column("", _way, least=1, most=1),
            Column("BY", lambda p: p.protocol, least=5, most=5),
            Column("FROM", lambda p: p.source, least=14, most=24, rank=3),
            Column("TO", lambda p: p.target, least=14, most=24, rank=4),
            Column("OCTETS", lambda p: str(p.octets), least=6, most=6, rank=5),
            Column("SAYS", lambda p: p.summary, least=46, most=200, grow=True),
        )
        super().__init__(
            Table(
                columns,
                key=lambda packet: str(packet.number),
                empty="nothing is recorded yet: what it says from now on is, when it boots",
                id="packets",
            )
        )
        self.key = key
        self.name_shown = name
        self._left = 0

    def trail(self) -> tuple[str, ...]:
        return (self.name_shown, "packets", *super().trail())

    async def fetch(self) -> Sequence[Packet]:
        return (await self.app.session.client.packets.list(self.key)).items

    def about(self, item: Any) -> str:
        return f"{item.interface}: {item.source} > {item.target}, {item.octets} octets: {item.summary}"

    def take(self, events: Sequence[Event]) -> None:
        if any(str(event.machine) == self.key for event in events):
            self._left = SETTLED

    def tick(self) -> None:
        super().tick()
        if self._left and not self.app.frozen:
            self._left -= 1
            if not self._left:
                self.app.reload(self)

    def valid(self, action: Action) -> bool:
        return bool(self.table.items) or action.id not in ("capture", "open")

    async def do_capture(self) -> None:
        """`C`."""
        from app.screens.areas.inspect import write_capture

        await write_capture(self.app, self.key)

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """Take it apart."""
        self.app.flow(self._open(event.item), "taking a packet apart")

    async def _open(self, packet: Packet) -> None:
        from app.screens.areas.inspect import dump_lines, packet_lines
        from app.screens.dialogs.frame import Page

        found = await self.app.session.client.packets.show(self.key, packet.number)
        if found.time != packet.time:
            raise NotFoundError("this packet is not kept any more", hint="newer ones have taken its place")
        width = self.size.width - 6
        side = "from the machine" if found.incoming else "to the machine"
        rows = [*packet_lines(side, found, width, octets=False), line(("Octets", "head")), *dump_lines(found, width)]
        self.app.push_screen(Page(f"Packet {found.number} of {self.name_shown}", rows))


def _way(packet: Packet) -> Span:
    return (">", "key") if packet.incoming else ("<", "good")


def open_packets(app: BootcartApp, key: str) -> None:
    """Show a machine's, over what is seen of machines."""
    if app.current_mode != "machines":
        app.action_area("machines")
    machine = app.session.machines.get(key)
    app.push_screen(PacketsScreen(key, machine.name if machine is not None else key))
