"""Replies as messages: which fields and options each kind carries, and where it goes (RFC 2131 tables 3 and 4.1)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from app.model.event import Level
from app.model.subnet import Picker, Subnet
from app.netboot.choice import peer
from app.netboot.decide import Decision
from app.netboot.exchange import BROADCAST, CLIENT_PORT, SERVER_PORT, Answer, Destination, Exchange, Via
from app.netboot.menu import MENU_FOLDER
from app.netboot.optionset import choose, sendable, takes_routes
from app.netboot.reserved import reservation_of
from app.netboot.scope import link_end
from app.netboot.wire import options as opt
from app.netboot.wire import pxe
from app.netboot.wire.dhcp4 import BOOTREPLY, BROADCAST_FLAG, FILE_MAX, ZERO, DhcpPacket, MessageType, payload_limit

LEASE_SECONDS_MIN = 60
_LINK_MASK = b"\xff\xff\xff\xfe"
_ETHERNET = 1


def lease_seconds(exchange: Exchange, subnet: Subnet) -> int:
    """The lease time a client gets: what it asks for, never less than a minute, never more than what is set.

    That is its reservation's, where it has one the subnet's for reservations, else the subnet's.
    """
    kept = reservation_of(exchange.client, subnet, exchange.view)
    most = subnet.lease_time
    if kept is not None:
        most = kept.lease_time or subnet.reserved_lease_time or most
    asked = opt.number(exchange.request.options.get(opt.LEASE_TIME))
    return most if asked is None else min(max(asked, LEASE_SECONDS_MIN), most)


def lease_options(seconds: float) -> dict[int, bytes]:
    """Lease time, T1 and T2 (RFC 2131 section 4.4.5)."""
    return {
        opt.LEASE_TIME: opt.seconds(seconds),
        opt.RENEWAL_TIME: opt.seconds(seconds * 0.5),
        opt.REBINDING_TIME: opt.seconds(seconds * 0.875),
    }


def network_options(exchange: Exchange, subnet: Subnet, address: IPv4Address = ZERO) -> dict[int, bytes]:
    """What a client needs to know of its network, `address` being its own, and the options set for it.

    The basics are sent unasked: some firmware forgets to ask.
    """
    wanted = exchange.request.options.get(opt.PARAMETERS, b"")
    options = {opt.SUBNET_MASK: subnet.cidr.netmask.packed}
    far = link_end(exchange)
    linked = Picker.POINT_TO_POINT in subnet.pickers and address == peer(far)
    if linked:
        # A link of its own (RFC 3021): nobody else is on it.
        options = {opt.SUBNET_MASK: _LINK_MASK, opt.ROUTER: far.packed}
    elif subnet.router is not None:
        options[opt.ROUTER] = subnet.router.packed
    if subnet.dns:
        options[opt.DNS] = opt.addresses(subnet.dns)
    if subnet.domain:
        options[opt.DOMAIN_NAME] = subnet.domain.encode()
    if opt.BROADCAST in wanted and not linked:
        options[opt.BROADCAST] = subnet.cidr.broadcast_address.packed
    if opt.HOST_NAME in wanted and (name := _host_name(exchange)):
        options[opt.HOST_NAME] = name.encode()
    chosen = choose(exchange, subnet, address)
    if chosen:
        options |= sendable(exchange, chosen, chosen.get(opt.ROUTER) or options.get(opt.ROUTER, b""))
        if takes_routes(exchange, chosen):
            options.pop(opt.ROUTER, None)
    return options


def _host_name(exchange: Exchange) -> str:
    reservation = reservation_of(exchange.client, exchange.subnet, exchange.view)
    if reservation is not None and reservation.hostname:
        return reservation.hostname
    machine = exchange.view.machine_by_mac(exchange.client.mac)
    return machine.name if machine is not None and machine.registered else ""


def boot_options(exchange: Exchange, decision: Decision) -> dict[int, bytes]:
    """What a client boots. Never a NUL after the file name: UEFI takes it for part of a URL (checklist 7.9)."""
    options: dict[int, bytes] = {}
    if decision.vendor_class:
        options[opt.VENDOR_CLASS] = decision.vendor_class
    vendor_options = decision.vendor_options
    if vendor_options:
        options[opt.VENDOR_OPTIONS] = vendor_options
    if decision.bootfile:
        options[opt.BOOT_FILE] = decision.bootfile.encode()
        if decision.next_server is not None and "://" not in decision.bootfile:
            options[opt.TFTP_SERVER] = str(decision.next_server).encode()
    if decision.menu:
        base = decision.menu.partition(MENU_FOLDER)[0].encode()
        options[pxe.CONFIG_FILE], options[pxe.PATH_PREFIX] = decision.menu.encode(), base
    guid = exchange.request.options.get(opt.MACHINE_GUID)
    if guid and exchange.firmware.boots:
        options[opt.MACHINE_GUID] = guid
    return options


def reply(
    exchange: Exchange,
    kind: MessageType,
    options: dict[int, bytes],
    *,
    decision: Decision | None = None,
    ciaddr: IPv4Address = ZERO,
    yiaddr: IPv4Address = ZERO,
) -> DhcpPacket:
    """A reply with what every kind carries: the server, and the client's own words back (RFC 3046, 3011, 6842)."""
    request = exchange.request
    basics = {opt.MESSAGE_TYPE: bytes((kind,)), opt.SERVER_ID: exchange.server_id.packed}
    echoed = {
        code: value
        for code in (opt.CLIENT_ID, opt.SUBNET_SELECTION, opt.RELAY_AGENT)
        if (value := request.options.get(code))
    }
    boot = boot_options(exchange, decision) if decision is not None else {}
    bootfile = decision.bootfile.encode() if decision is not None else b""
    if pxe.CONFIG_FILE in options:
        boot.pop(pxe.PATH_PREFIX, None)  # a menu of the operator's lies where that says
    if not bootfile and opt.ROOT_PATH in options and exchange.firmware.boots:
        # Without a boot file iPXE boots what a root path names.
        del options[opt.ROOT_PATH]
    return DhcpPacket(
        op=BOOTREPLY,
        xid=request.xid,
        chaddr=request.chaddr,
        htype=request.htype,
        flags=request.flags,
        ciaddr=ciaddr,
        yiaddr=yiaddr,
        siaddr=(decision.next_server or ZERO) if decision is not None and bootfile else ZERO,
        giaddr=request.giaddr,
        file=bootfile if len(bootfile) <= FILE_MAX else b"",
        options={**basics, **boot, **options, **echoed},
    )


def refusal(exchange: Exchange, why: str) -> Answer:
    """A DHCPNAK: nothing but who says no, and why; to a relay with the broadcast flag set (RFC 2131 section 4.3.2)."""
    exchange.emit("dhcp.nak", f"NAK: {why}", why=why)
    packet = reply(exchange, MessageType.NAK, {opt.MESSAGE: why.encode()[:255]})
    if not packet.giaddr.is_unspecified:
        packet = replace(packet, flags=packet.flags | BROADCAST_FLAG)
    return answer(exchange, packet, destination(exchange, packet), why=why)


def destination(exchange: Exchange, packet: DhcpPacket) -> Destination:
    """Where a reply to port 67 goes."""
    request, arrival = exchange.request, exchange.arrival
    informed = request.message is MessageType.INFORM

    def to(via: Via, address: IPv4Address, port: int = CLIENT_PORT, hardware: bytes = b"") -> Destination:
        return Destination(via, address, port, arrival.interface, exchange.server, hardware)

    if not packet.giaddr.is_unspecified and not informed:
        own_port = opt.RELAY_SOURCE_PORT in exchange.relay
        return to(Via.RELAY, packet.giaddr, arrival.port if own_port else SERVER_PORT)
    if not packet.ciaddr.is_unspecified:
        return to(Via.UNICAST, packet.ciaddr)
    if request.broadcast or packet.yiaddr.is_unspecified or packet.htype != _ETHERNET or len(packet.chaddr) != 6:
        return to(Via.BROADCAST, BROADCAST)
    return to(Via.FRAME, packet.yiaddr, hardware=packet.chaddr)


def answer(exchange: Exchange, packet: DhcpPacket, where: Destination, *, why: str = "") -> Answer:
    """The answer that sends `packet`."""
    return Answer(
        why=why,
        reply=packet,
        destination=where,
        events=tuple(exchange.events),
        limit=payload_limit(exchange.request),
    )


def shortened(found: Answer, seconds: float, why: str) -> Answer:
    """The same ACK for what is left of a lease that is stored already, when its extension could not be."""
    if found.reply is None:
        return found
    options = {**found.reply.options, **lease_options(seconds)}
    events = tuple(
        event.model_copy(
            update={
                "message": f"{event.message}; shortened to {int(seconds)} s: {why}",
                "level": Level.WARNING,
                "data": {**event.data, "lease_time": int(seconds)},
            }
        )
        if event.kind == "dhcp.ack"
        else event
        for event in found.events
    )
    return replace(found, reply=replace(found.reply, options=options), lease_changes=(), events=events)
