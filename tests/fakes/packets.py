"""The flight recorder in memory: one PXE exchange stands for all that were recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.errors import NotFoundError
from app.model.event import Event
from app.model.packets import Dissection, Exchange, Packet
from app.model.query import Page, Query, apply

if TYPE_CHECKING:
    from tests.fakes.client import FakeClient

CAPTURE = bytes.fromhex("0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c000000")
"""A pcapng file without a packet."""

_ASKED = """\
Ethernet  52:54:00:00:00:05 > ff:ff:ff:ff:ff:ff
IPv4      0.0.0.0 > 255.255.255.255
UDP       68 > 67
BOOTP
  op        BOOTREQUEST
  xid       0x11223344
  chaddr    52:54:00:00:00:05
DHCP options
  53  dhcp-message-type       DISCOVER
  60  vendor-class-identifier PXEClient:Arch:00007:UNDI:003016
  93  client-system           7 (UEFI x64)
  97  uuid-guid               04030201-0605-0807-090a-0b0c0d0e0f10"""
_ANSWERED = """\
Ethernet  02:00:00:00:00:02 > 52:54:00:00:00:05
IPv4      10.7.0.1 > 10.7.0.105
UDP       67 > 68
BOOTP
  op        BOOTREPLY
  xid       0x11223344
  yiaddr    10.7.0.105
  siaddr    10.7.0.1
  chaddr    52:54:00:00:00:05
  file      ipxe.efi
DHCP options
  53  dhcp-message-type       OFFER
  54  dhcp-server-identifier  10.7.0.1
  51  dhcp-lease-time         3600
  67  boot-file-name          ipxe.efi"""
_DUMP = ('0000  01 01 06 00 11 22 33 44  00 00 00 00 00 00 00 00  ....."3D........',) * 20


class FakePackets:
    """`gone`: nothing is kept any more; `fault`: why a request could not be read."""

    def __init__(self, engine: FakeClient) -> None:
        self.engine = engine
        self.gone = False
        self.fault = ""

    def _kept(self, machine: str) -> list[Dissection]:
        self.engine.machines.resolve(machine)
        found = [event for event in self.engine.events.ring if event.kind.startswith("dhcp.")]
        return [self._packet(event).model_copy(update={"number": place}) for place, event in enumerate(found, 1)]

    async def show(self, machine: str, number: int) -> Dissection:
        await self.engine.enter("packets", "show", machine, number)
        for one in self._kept(machine):
            if one.number == number:
                return one
        raise NotFoundError(f"{machine} has no packet {number}", hint="see: bootcart machines packets KEY")

    async def list(self, machine: str, query: Query | None = None) -> Page[Packet]:
        await self.engine.enter("packets", "list", machine)
        kept = self._kept(machine)
        bare = [Packet(**one.model_dump(include=set(Packet.model_fields))) for one in kept]
        return apply([] if self.gone else bare, query or Query())

    async def capture(self, machine: str, *, boots: int = 0) -> bytes:
        await self.engine.enter("packets", "capture", machine, boots)
        found = self.engine.machines.resolve(machine)
        if self.gone:
            raise NotFoundError(f"no packet of {found.name} is recorded", hint="boot the machine")
        return CAPTURE

    async def exchange(self, event: int) -> Exchange:
        await self.engine.enter("packets", "exchange", event)
        found = next((one for one in self.engine.events.ring if one.id == event), None)
        if found is None:
            raise NotFoundError(f"no event {event} is kept", hint="see: bootcart events list")
        if self.gone:
            return Exchange(event=found, why="not recorded, or no longer")
        request = self._packet(found)
        silent = found.kind in ("dhcp.silent", "dhcp.malformed")
        return Exchange(
            event=found,
            request=request.model_copy(update={"fault": self.fault}),
            reply=None if silent else self._packet(found, incoming=False),
            why=f"nothing was sent: {found.data.get('why', '')}" if silent else "",
        )

    def _packet(self, event: Event, *, incoming: bool = True) -> Dissection:
        ends = ("0.0.0.0:68", "255.255.255.255:67") if incoming else ("10.7.0.1:67", "10.7.0.105:68")
        return Dissection(
            number=1,
            boot=1,
            time=event.time,
            incoming=incoming,
            protocol="dhcp",
            interface=event.interface,
            source=ends[0],
            target=ends[1],
            octets=306,
            summary="DISCOVER xid 11223344 rom" if incoming else "OFFER xid 11223344 10.7.0.105 file ipxe.efi",
            lines=tuple((_ASKED if incoming else _ANSWERED).splitlines()),
            dump=_DUMP,
        )
