"""Packets as frames of a capture: addresses and times are real; where hardware addresses are not known, made up."""

from __future__ import annotations

from collections.abc import Sequence

from app.model.engine import Interface
from app.netboot.wire import segments
from app.netboot.wire.pcapng import Frame
from app.netboot.wire.segments import End
from app.services.recorder.packet import Address, Packet, dhcp_mac
from app.services.recorder.summaries import shown

_BROADCAST = "ff:ff:ff:ff:ff:ff"
_LIMITED = "255.255.255.255"
_MAC_LENGTH = 17
_GIADDR = slice(24, 28)
_RELAYED6 = (b"\x0c", b"\x0d")


class Framer:
    """Frames of one machine's packets, in their order: it follows its TCP connections."""

    def __init__(self, mac: str, interfaces: Sequence[Interface]) -> None:
        """`mac`: of the machine, for packets that do not tell theirs."""
        self._mac = mac
        self._by_name = {item.name: item for item in interfaces}
        self._by_address = {address.ip: item for item in interfaces for address in item.addresses}
        self._streams: dict[tuple[Address, int, Address, int], list[int]] = {}

    def interface(self, packet: Packet) -> str:
        """The name of the interface it crossed, or `unknown`."""
        if packet.interface:
            return packet.interface
        found = self._by_address.get(packet.our)  # pyright: ignore[reportArgumentType] - an IPv6 address is never there
        return found.name if found is not None else "unknown"

    def frame(self, packet: Packet, comment: str = "") -> Frame:
        """The frame, with what may not be seen blanked; `comment` behind what is known of the packet."""
        name = self.interface(packet)
        packet = shown(packet)
        machine = End(self._machine(packet), packet.machine, packet.machine_port)
        us = End(self._ours(packet, name), packet.our, packet.our_port)
        ends = (machine, us) if packet.incoming else (us, machine)
        rest = f"{packet.skipped} octets that followed are not kept" if packet.skipped and not packet.note else ""
        told = "; ".join(filter(None, (comment, packet.note, rest)))
        octets = self._tcp(packet, *ends) if packet.protocol == "http" else segments.udp(*ends, packet.octets)
        return Frame(packet.time, name, packet.incoming, octets, told)

    def _tcp(self, packet: Packet, source: End, target: End) -> bytes:
        """Both directions are counted on, so that a reader sees where octets are missing, and which answer is whose."""
        at = self._streams.setdefault((packet.machine, packet.machine_port, packet.our, packet.our_port), [1, 1])
        mine, theirs = (0, 1) if packet.incoming else (1, 0)
        octets = segments.tcp(source, target, at[mine], at[theirs], packet.octets)
        at[mine] += len(packet.octets) + packet.skipped
        return octets

    def _machine(self, packet: Packet) -> str:
        if str(packet.machine) == _LIMITED:
            return _BROADCAST
        if packet.protocol == "dhcp6" and packet.octets[:1] in _RELAYED6:
            return _made_up(packet.machine)
        if packet.protocol != "dhcp":
            return _six(self._mac, packet.machine)
        if packet.hardware:
            return _six(packet.hardware.hex(":"), packet.machine)
        relayed = len(packet.octets) >= _GIADDR.stop and any(packet.octets[_GIADDR])
        return _made_up(packet.machine) if relayed else _six(dhcp_mac(packet.octets) or "", packet.machine)

    def _ours(self, packet: Packet, name: str) -> str:
        if packet.incoming and str(packet.our) == _LIMITED:
            return _BROADCAST
        if packet.incoming and packet.our.version == 6 and packet.our.is_multicast:
            # RFC 2464 section 7
            return f"33:33:{packet.our.packed[-4:].hex(':')}"
        found = self._by_name.get(name)
        return _six((found.mac or "") if found is not None else "", packet.our)


def _six(mac: str, address: Address) -> str:
    return mac if len(mac) == _MAC_LENGTH else _made_up(address)


def _made_up(address: Address) -> str:
    """A locally administered hardware address that shows whose it stands for."""
    return f"02:00:{address.packed[-4:].hex(':')}"
