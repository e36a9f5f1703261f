"""What operators are shown of the recordings: listed, taken apart, as a capture. Blocks; for worker threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from app.errors import NotFoundError
from app.model.engine import Interface
from app.model.event import Event
from app.model.machine import Machine
from app.model.packets import Dissection, Exchange, Packet
from app.netboot.wire import pcapng
from app.services.recorder.frames import Framer
from app.services.recorder.packet import Address, dhcp_mac, dhcp_type, dhcp_xid
from app.services.recorder.packet import Packet as Kept
from app.services.recorder.recorder import ANSWERS, ASKS, Recorder
from app.services.recorder.summaries import fault, shown, summary

GONE = "not recorded, or no longer: the last boots of each machine are kept, in memory, since the engine started"
SILENT = "nothing was sent"
_HINT = "boot the machine; what it says is recorded from then on"
# An event and the message it tells of are at most so far apart (seconds).
_NEAR = 60.0

Events = Callable[[str, float], Sequence[Event]]
"""The decisions about a MAC address since a time, to be written beside its packets."""


class Reader:
    """Reads a recorder."""

    def __init__(
        self, recorder: Recorder, interfaces: Callable[[], Sequence[Interface]], decisions: Events, application: str
    ) -> None:
        self._recorder = recorder
        self._interfaces = interfaces
        self._decisions = decisions
        self._application = application

    def packets(self, machine: Machine) -> list[Packet]:
        """What is kept of a machine's boots, oldest first."""
        framer = Framer(_first(machine), self._interfaces())
        return [_listed(packet, framer, number, boot) for number, boot, packet in self._kept(machine)]

    def packet(self, machine: Machine, number: int) -> Dissection:
        """One of them, taken apart. Raises NotFoundError for a number none has."""
        found = next((one for one in self._kept(machine) if one[0] == number), None)
        if found is None:
            raise NotFoundError(f"{machine.name} has no packet {number}", hint="see: bootcart machines packets KEY")
        return self._dissected(found[2], _first(machine), number, found[1])

    def _kept(self, machine: Machine) -> Iterator[tuple[int, int, Kept]]:
        """Number, boot and packet, oldest first."""
        boots = self._recorder.boots(machine.macs, machine.address)
        kept = [(len(boots) - at, packet) for at, boot in enumerate(boots) for packet in boot.packets]
        for number, (boot, packet) in enumerate(kept, 1):
            yield number, boot, packet

    def capture(self, machine: Machine, boots: int = 0) -> bytes:
        """The last `boots` of a machine (0: all that is kept) as a pcapng file. Raises NotFoundError for none."""
        kept = self._recorder.boots(machine.macs, machine.address)[-boots:]
        packets = [packet for boot in kept for packet in boot.packets]
        if not packets:
            raise NotFoundError(f"no packet of {machine.name} is recorded", hint=_HINT)
        framer = Framer(_first(machine), self._interfaces())
        comments = self._comments(packets)
        omitted = sum(boot.omitted for boot in kept)
        about = f"{machine.name}: {len(kept)} boots as Bootcart saw them. Tokens are starred out; where hardware"
        about += " addresses were not known, and for TCP, headers are made up; contents of files are left out."
        about += f" {omitted} packets in mid-boot were not kept." if omitted else ""
        frames = [framer.frame(packet, comments.get(id(packet), "")) for packet in packets]
        return pcapng.capture(frames, application=self._application, comment=about)

    def exchange(self, event: Event) -> Exchange:
        """The packets an event is about."""
        if event.kind == "dhcp.malformed":
            found = self._recorder.malformed(event.time)
            told = None if found is None else self._dissected(found, "")
            return Exchange(event=event, request=told, why=GONE if told is None else SILENT)
        xid = str(event.data.get("xid", ""))
        if event.data.get("family") == 6:
            request, reply = self._recorder.exchange6(event.mac, xid, event.time)
        else:
            request, reply = self._recorder.exchange(event.mac, xid, event.kind, event.time)
        if request is None:
            return Exchange(event=event, why=GONE)
        why = str(event.data.get("why", "")) if reply is None else ""
        return Exchange(
            event=event,
            request=self._dissected(request, event.mac),
            reply=None if reply is None else self._dissected(reply, event.mac),
            why=f"{SILENT}: {why}" if why else SILENT if reply is None else "",
        )

    def _dissected(self, packet: Kept, mac: str, number: int = 1, boot: int = 1) -> Dissection:
        from app.services.recorder import dissection

        framer = Framer(mac, self._interfaces())
        octets = shown(packet).octets
        return Dissection(
            **_listed(packet, framer, number, boot).model_dump(),
            lines=dissection.layers(packet.protocol, framer.frame(packet).octets, octets),
            dump=dissection.dump(octets),
            fault=fault(packet.protocol, octets),
        )

    def _comments(self, packets: Sequence[Kept]) -> dict[int, str]:
        """What was decided, by the packet it was decided about or with."""
        waiting: dict[tuple[str, str], deque[Kept]] = {}
        for packet in packets:
            if packet.protocol == "dhcp":
                key = (dhcp_mac(packet.octets) or "", dhcp_xid(packet.octets))
                waiting.setdefault(key, deque()).append(packet)
        comments: dict[int, str] = {}
        for mac in {mac for mac, _ in waiting}:
            for event in self._decisions(mac, packets[0].time - 1):
                incoming = event.kind not in ANSWERS
                types = (ASKS if incoming else ANSWERS).get(event.kind)
                near = [
                    packet
                    for packet in waiting.get((mac, str(event.data.get("xid", ""))), ())
                    if packet.incoming == incoming
                    and (types is None or dhcp_type(packet.octets) in types)
                    and abs(packet.time - event.time) < _NEAR
                ]
                if near:
                    found = id(min(near, key=lambda packet: abs(packet.time - event.time)))
                    comments[found] = "; ".join(filter(None, (comments.get(found, ""), event.message)))
        return comments


def _first(machine: Machine) -> str:
    return machine.macs[0] if machine.macs else ""


def _end(address: Address, port: int) -> str:
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def _listed(packet: Kept, framer: Framer, number: int, boot: int) -> Packet:
    machine, us = _end(packet.machine, packet.machine_port), _end(packet.our, packet.our_port)
    source, target = (machine, us) if packet.incoming else (us, machine)
    return Packet(
        number=number,
        boot=boot,
        time=packet.time,
        incoming=packet.incoming,
        protocol=packet.protocol,
        interface=framer.interface(packet),
        source=source,
        target=target,
        octets=len(packet.octets),
        summary=summary(shown(packet)),
    )
