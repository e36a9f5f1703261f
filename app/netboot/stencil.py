"""What most machines are answered, made once by the policy and cut again for the next machine of the same kind.

A stencil is taken from an answer to a machine nobody has named: it holds for every message that says the same but for
what is its sender's own, as long as all that the policy looked at says the same. What it cuts is what the policy would
have answered; `tests/netboot/test_stencil.py` compares the two. Everything else goes to the policy each time.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Any, NamedTuple

from app.model.event import EventDraft, Facts
from app.model.subnet import Lease, LeaseState, Picker, Subnet
from app.netboot.allocate import LeaseTable
from app.netboot.answer import examine
from app.netboot.exchange import Answer, Arrival, Destination, Exchange, Policy, Via
from app.netboot.firmware import Firmware
from app.netboot.identity import Client
from app.netboot.replies import lease_seconds
from app.netboot.requests import excluded
from app.netboot.scope import link_end, usable
from app.netboot.view import NetworkView
from app.netboot.watched import Watched
from app.netboot.wire import options as opt
from app.netboot.wire import pxe
from app.netboot.wire.dhcp4 import COOKIE, DhcpPacket, MessageType

_MOST = 512
_AREA = 240
_BLANK_ADDRESSES = bytes(12)
_BLANK_NAMES = bytes(202)
_ETHERNET = b"\1\1\6"
# What each machine says differently; the rest of a message makes its kind.
_OWN = frozenset({opt.REQUESTED_ADDRESS, opt.CLIENT_ID, opt.MACHINE_GUID})
# Said differently by each machine, too, and part of more than the reply: the policy's.
_UNLIKE = frozenset({opt.PAD, opt.HOST_NAME, opt.OVERLOAD, opt.CLIENT_FQDN, opt.RELAY_AGENT})
_KINDS: dict[tuple[str, ...], MessageType] = {
    ("dhcp.discover", "dhcp.offer"): MessageType.DISCOVER,
    ("dhcp.request", "dhcp.ack"): MessageType.REQUEST,
}
_OWN_FACTS = ("xid", "secs", "requested", "guid", "address")


class Said(NamedTuple):
    """A message taken apart: `kind` is what it has in common with others, the rest is its sender's own."""

    kind: tuple[bytes, bytes, int, int, bool]
    xid: bytes
    secs: int
    chaddr: bytes
    requested: bytes
    client_id: bytes
    guid: bytes


def read(octets: bytes) -> Said | None:
    """Take a request apart; None for one that is unusual in any way."""
    if octets[:3] != _ETHERNET or octets[12:24] != _BLANK_ADDRESSES or octets[236:_AREA] != COOKIE:
        return None
    if octets[34:236] != _BLANK_NAMES or octets[28] & 1:
        return None
    own: dict[int, bytes] = {}
    common = b""
    start = at = _AREA
    try:
        while (code := octets[at]) != opt.END:
            if code in _UNLIKE:
                return None
            after = at + 2 + octets[at + 1]
            if code in _OWN:
                if code in own:
                    return None
                own[code] = octets[at + 2 : after]
                common += octets[start:at]
                start = after
            at = after
    except IndexError:
        return None
    common += octets[start:at]
    requested = own.get(opt.REQUESTED_ADDRESS, b"")
    client_id, guid = own.get(opt.CLIENT_ID, b""), own.get(opt.MACHINE_GUID, b"")
    chaddr = octets[28:34]
    if len(requested) not in (0, 4) or not any(chaddr):
        return None
    kind = (common, octets[10:12] + octets[24:28], len(client_id), len(guid), bool(requested))
    return Said(kind, octets[4:8], int.from_bytes(octets[8:10], "big"), chaddr, requested, client_id, guid)


@dataclass(frozen=True, slots=True)
class _Line:
    """One event: what is the same for all, and where each machine's own goes."""

    values: Mapping[str, Any]
    message: str
    facts: Mapping[str, Any]
    own: tuple[str, ...]
    texts: Mapping[str, str]
    text: str

    def cut(self, now: float, mac: str, own: Mapping[str, Any]) -> EventDraft:
        facts = Facts(self.facts)
        for name in self.own:
            facts[name] = own[name]
        for name, text in self.texts.items():
            facts[name] = text % own
        facts.text = self.text % own
        address = own["address"] if self.values["address"] else ""
        return EventDraft.trusted(
            {**self.values, "time": now, "message": self.message % own, "mac": mac, "address": address, "data": facts}
        )


@dataclass(frozen=True, slots=True)
class Stencil:
    """An answer with holes."""

    watched: Watched
    kind: MessageType
    subnet: Subnet
    firmware: Firmware
    via: IPv4Address
    excluded: frozenset[IPv4Address]
    relayed: bool
    seconds: int
    destination: Destination
    octets: bytes
    guid_at: int
    client_id_at: int
    names_at: tuple[int, ...]
    lines: tuple[_Line, _Line]

    def cut(self, said: Said, address: IPv4Address, now: float, leases: tuple[Lease, ...]) -> Answer:
        """The answer to one machine."""
        packed = address.packed
        made = bytearray(self.octets)
        made[4:8] = said.xid
        made[16:20] = packed
        made[28:34] = said.chaddr
        if self.guid_at:
            made[self.guid_at : self.guid_at + len(said.guid)] = said.guid
        if self.client_id_at:
            made[self.client_id_at : self.client_id_at + len(said.client_id)] = said.client_id
        mac = said.chaddr.hex(":")
        name = mac.replace(":", "-")
        if self.names_at:
            octets = name.encode()
            for at in self.names_at:
                made[at : at + len(octets)] = octets
        own: dict[str, Any] = {
            "xid": said.xid.hex(),
            "secs": said.secs,
            "requested": _dotted(said.requested) if said.requested else "",
            "guid": pxe.guid(said.guid),
            "address": _dotted(packed),
            "name": name,
        }
        where = self.destination
        if where.via is Via.FRAME:
            where = replace(where, address=address, hardware=said.chaddr)
        return Answer(
            why="",
            destination=where,
            lease_changes=leases,
            events=tuple(line.cut(now, mac, own) for line in self.lines),
            ready=bytes(made),
        )


def _dotted(packed: bytes) -> str:
    return "%d.%d.%d.%d" % tuple(packed)  # noqa: UP031 - twice as quick as the others, at every message


class Stencils:
    """The stencils taken so far, those used last kept. Not thread-safe: it belongs to the loop that answers."""

    def __init__(self, view: NetworkView, policy: Policy) -> None:
        self._view = view
        self._policy = policy
        self._kept: OrderedDict[tuple[Any, ...], Stencil] = OrderedDict()

    def clear(self) -> None:
        """How messages arrive has changed."""
        self._kept.clear()

    def cut(
        self,
        said: Said,
        way: tuple[Any, ...],
        table: LeaseTable,
        now: float,
        doubtful: Callable[[IPv4Address], bool],
    ) -> Answer | None:
        """The answer to a message that came in by `way`, as the policy would give it; None: ask the policy.

        Makes offers in `table`, and pends leases, as the policy does. `doubtful` tells an address of this segment that
        may be in use.
        """
        stencil = self._kept.get((said.kind, way))
        if stencil is None:
            return None
        view, mac = self._view, said.chaddr.hex(":")
        if not stencil.watched.unchanged():
            del self._kept[(said.kind, way)]
            return None
        client_id = said.client_id.hex()
        if view.machine_by_mac(mac) is not None or view.reservations_for(mac):
            return None
        if not stencil.watched.suits(mac, self._policy.loader):
            return None
        if client_id and view.reservations_for(f"id:{client_id}"):
            return None
        client = Client(mac, client_id)
        if stencil.kind is MessageType.DISCOVER:
            hint = IPv4Address(said.requested) if said.requested else None
            address = table.offer(
                client,
                stencil.subnet,
                view,
                now,
                hint=hint,
                via=stencil.via,
                excluded=stencil.excluded,
                xid=int.from_bytes(said.xid, "big"),
                firmware=stencil.firmware,
            ).address
            if address is None or (not stencil.relayed and doubtful(address)):
                return None
            return stencil.cut(said, address, now, ())
        address = IPv4Address(said.requested)
        if table.at(address) is not None:
            return None
        if table.refusal(client, stencil.subnet, view, address, now, excluded=stencil.excluded):
            return None
        lease = Lease.trusted(
            {
                "address": address,
                "mac": mac,
                "client_id": client_id,
                "subnet": stencil.subnet.name,
                "state": LeaseState.BOUND,
                "since": now,
                "expires": now + stencil.seconds,
                "hostname": "",
                "interface": stencil.destination.interface,
            }
        )
        table.pend(lease)
        return stencil.cut(said, address, now, (lease,))

    def take(
        self, said: Said, way: tuple[Any, ...], request: DhcpPacket, arrival: Arrival, table: LeaseTable, now: float
    ) -> Answer:
        """Have the policy answer a message, and keep a stencil of the answer where it allows one."""
        watched = Watched(self._view)
        policy = replace(self._policy, loader=watched.loader(self._policy.loader))
        asked = request.address(opt.REQUESTED_ADDRESS)
        fresh = asked is None or table.at(asked) is None
        exchange, found = examine(request, arrival, watched, table, policy, now)
        if exchange is not None and fresh:
            exchange.view = self._view
            stencil = _taken(said, exchange, found, watched)
            if stencil is not None:
                self._kept[(said.kind, way)] = stencil
                while len(self._kept) > _MOST:
                    self._kept.popitem(last=False)
        return found


def _taken(said: Said, exchange: Exchange, found: Answer, watched: Watched) -> Stencil | None:
    subnet, packet = exchange.subnet, found.reply
    kind = _KINDS.get(tuple(event.kind for event in found.events))
    if kind is None or packet is None or subnet is None or found.destination is None:
        return None
    plain = watched.stranger and not exchange.siblings and not exchange.templated and not exchange.client.by_id
    if not plain or subnet not in exchange.view.subnets() or Picker.POINT_TO_POINT in subnet.pickers:
        return None
    if any(not usable(end) for span in subnet.ranges for end in (span.start, span.end)):
        return None
    if kind is MessageType.REQUEST:
        silent = not exchange.firmware.boots and opt.VENDOR_CLASS not in exchange.request.options
        if silent or len(found.lease_changes) != 1 or not said.requested:
            return None
    octets = found.octets()
    holes = _holes(octets, exchange, said)
    lines = [_line(event, packet.yiaddr, exchange.client.mac) for event in found.events]
    if holes is None or lines[0] is None or lines[1] is None:
        return None
    stencil = Stencil(
        watched=watched,
        kind=kind,
        subnet=subnet,
        firmware=replace(exchange.firmware, guid=""),
        via=link_end(exchange),
        excluded=excluded(exchange, subnet),
        relayed=not exchange.request.giaddr.is_unspecified,
        seconds=lease_seconds(exchange, subnet),
        destination=found.destination,
        octets=octets,
        guid_at=holes[0],
        client_id_at=holes[1],
        names_at=holes[2],
        lines=(lines[0], lines[1]),
    )
    cut = stencil.cut(said, packet.yiaddr, exchange.now, found.lease_changes)
    same = cut.ready == octets and cut.events == found.events and cut.destination == found.destination
    return stencil if same else None


def _holes(octets: bytes, exchange: Exchange, said: Said) -> tuple[int, int, tuple[int, ...]] | None:
    """Where in a reply its client's own GUID, identifier and name are; None where that is not clear."""
    places: dict[int, int] = {}
    at = _AREA
    while octets[at] != opt.END:
        if octets[at] in places:
            return None  # a value in pieces
        places[octets[at]] = at + 2
        at += 2 + octets[at + 1]
    name = exchange.client.mac.replace(":", "-").encode()
    names: list[int] = []
    found = octets.find(name)
    while found >= 0:
        names.append(found)
        found = octets.find(name, found + 1)
    file = places.get(opt.BOOT_FILE, 0)
    mine = all(108 <= at < 236 or (file and file <= at < file + octets[file - 1]) for at in names)
    if not mine or (names and opt.BOOT_FILE in (exchange.chosen or {})) or exchange.client.mac.encode() in octets:
        return None
    guid = places.get(opt.MACHINE_GUID, 0) if said.guid else 0
    client_id = places.get(opt.CLIENT_ID, 0) if said.client_id else 0
    return guid, client_id, tuple(names)


_MARK = "\ue000{}\ue001"


def _line(event: EventDraft, address: IPv4Address, mac: str) -> _Line | None:
    """An event with holes; None where what is its machine's own cannot be told from the rest."""
    words, name = str(address), mac.replace(":", "-")

    def holed(text: str) -> str:
        text = text.replace(name, _MARK.format("name"))
        return text.replace("%", "%%").replace(_MARK.format("name"), "%(name)s")

    message = event.message
    own = tuple(key for key in _OWN_FACTS if key in event.data)
    used = own and event.kind != "dhcp.discover"
    if "\ue000" in str(event.data) + message or (used and message.count(words) != 1) or mac in message:
        return None
    if used:
        head, _, tail = message.partition(words)
        message = f"{holed(head)}%(address)s{holed(tail)}"
    else:
        message = holed(message)
    texts = {key: holed(value) for key, value in event.data.items() if isinstance(value, str) and name in value}
    marked: dict[str, Any] = {**event.data, **{key: _MARK.format(key) for key in own}}
    text = json.dumps(marked, ensure_ascii=False)
    for key in own:
        mark = _MARK.format(key)
        text = text.replace(f'"{mark}"' if key == "secs" else mark, mark)
    text = holed(text)
    for key in own:
        text = text.replace(_MARK.format(key), f"%({key})s")
    values = {**event.__dict__, "address": event.address and "yes"}
    return _Line(values, message, dict(event.data), own, texts, text)
