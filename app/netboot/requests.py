"""REQUEST, DECLINE, RELEASE: what a client with an address, or an offer of one, is answered (RFC 2131 4.3.2–4.3.4)."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Any

from app.model.event import Level
from app.model.subnet import Lease, LeaseState, Subnet
from app.netboot.choice import Refusal
from app.netboot.decide import Decision, Withheld, boot_server, decide
from app.netboot.exchange import Answer, Exchange
from app.netboot.firmware import IPXE, ROM, Firmware
from app.netboot.identity import holds, same
from app.netboot.optionset import choose
from app.netboot.quarantine import SHORT_QUARANTINE_SECONDS, not_kept, span
from app.netboot.replies import answer as replied
from app.netboot.replies import destination, lease_options, lease_seconds, network_options, refusal, reply
from app.netboot.reserved import reservation_of
from app.netboot.scope import is_ours, usable
from app.netboot.wire import options as opt
from app.netboot.wire import pxe
from app.netboot.wire.dhcp4 import ZERO, MessageType
from app.netboot.words import plain

# Firmware, its loader and the system follow each other within this; what comes later is another boot (seconds).
_ONE_BOOT = 60.0


class State(StrEnum):
    """What a REQUEST means (RFC 2131 table 4)."""

    SELECTING = "selecting"
    INIT_REBOOT = "init-reboot"
    RENEWING = "renewing"
    REBINDING = "rebinding"
    EMPTY = "empty"


_REFUSED: dict[Refusal, str] = {
    Refusal.WRONG_NETWORK: "{address} is not in subnet {subnet}",
    Refusal.OUTSIDE: "{address} is not in a range of subnet {subnet}",
    Refusal.OTHERS: "{address} is leased to another machine",
    Refusal.OFFERED: "{address} is offered to another machine",
    Refusal.RESERVED: "{address} is reserved for another machine",
    Refusal.MOVED: "another address than {address} is reserved for it",
    Refusal.QUARANTINED: "{address} was found in use by somebody else",
    Refusal.KEPT: "{address} is kept for machines on record",
    Refusal.RESERVATIONS_ONLY: "subnet {subnet} gives addresses only to machines with a reservation",
}


def state_of(exchange: Exchange) -> State:
    """Which state a REQUEST comes from."""
    request = exchange.request
    if request.address(opt.SERVER_ID) is not None:
        return State.SELECTING
    if request.ciaddr != ZERO:
        return State.RENEWING if exchange.arrival.unicast else State.REBINDING
    return State.INIT_REBOOT if request.address(opt.REQUESTED_ADDRESS) is not None else State.EMPTY


def asked_address(exchange: Exchange) -> IPv4Address | None:
    """The address a REQUEST is about."""
    request = exchange.request
    return request.address(opt.REQUESTED_ADDRESS) or (request.ciaddr if request.ciaddr != ZERO else None)


def requested(exchange: Exchange) -> None:
    """Emit the event of a REQUEST."""
    state, address = state_of(exchange), asked_address(exchange)
    server = exchange.request.address(opt.SERVER_ID)
    words = f"REQUEST {address or 'without an address'} ({state.value})"
    if server is not None and not is_ours(exchange, server):
        words = f"REQUEST {address} of another DHCP server, {server}"
    exchange.emit(
        "dhcp.request",
        words,
        state=state.value,
        requested=str(address or ""),
        server=str(server or ""),
        ours=server is None or is_ours(exchange, server),
    )


def excluded(exchange: Exchange, subnet: Subnet) -> frozenset[IPv4Address]:
    """Addresses inside the ranges that belong to servers and routers, whatever the ranges say."""
    others = (subnet.router, subnet.next_server, exchange.server, *subnet.dns)
    return exchange.arrival.local.union(item for item in others if item is not None)


def decision(
    exchange: Exchange, subnet: Subnet, firmware: Firmware, address: IPv4Address = ZERO, *, proxy: bool = False
) -> Decision:
    """What this client boots, `address` being the one it gets. An option 67 that is set for it names another file."""
    server = exchange.policy.address or exchange.server
    client = exchange.client
    found = decide(
        firmware,
        client.mac,
        exchange.view,
        subnet,
        server,
        exchange.policy.http_port,
        proxy=proxy,
        client_id=client.client_id,
        suited=exchange.policy.loader,
        https_port=exchange.policy.https_port,
    )
    unserved = found.reason is Withheld.UNSUPPORTED_ARCH
    named = choose(exchange, subnet, address).get(opt.BOOT_FILE) if found.bootfile or unserved else None
    if not named:
        return found
    file = named.decode("utf-8", "replace")
    found = replace(found, bootfile=file, why=f"option 67 is set to {plain(file)} for it")
    if unserved:
        # Nothing of ours boots this firmware; the operator's file does.
        identity = pxe.HTTP_CLIENT if firmware.transport == "http" else pxe.PXE_CLIENT if proxy else b""
        next_server = boot_server(reservation_of(client, subnet, exchange.view), subnet, server)
        found = replace(found, reason=Withheld.NONE, next_server=next_server, vendor_class=identity)
    return found


def boot_facts(subnet: Subnet, found: Decision) -> dict[str, Any]:
    """The data of an OFFER's or ACK's event."""
    return {
        "subnet": subnet.name,
        "bootfile": found.bootfile,
        "next_server": str(found.next_server or ""),
        "why": found.why,
        "reason": found.reason.value,
        "bootenv": found.bootenv,
    }


def file_words(firmware: Firmware, found: Decision) -> str:
    """The boot file in an event's message."""
    if found.bootfile:
        return f" file {found.bootfile}"
    return f", no boot file: {found.why}" if firmware.boots else ""


def request(exchange: Exchange, subnet: Subnet) -> Answer:
    """Answer a REQUEST."""
    state = state_of(exchange)
    address = asked_address(exchange)
    if address is None:
        return exchange.silence("empty-request", "the REQUEST names no address", told=False)
    if not usable(address) or address in exchange.arrival.local:
        return exchange.silence("bad-address", f"{address} is no client's address", told=False)
    if state is State.SELECTING:
        return _selecting(exchange, subnet, address)
    if state is State.INIT_REBOOT:
        return _init_reboot(exchange, subnet, address)
    return _extending(exchange, subnet, address, state)


def _why(refused: Refusal, address: IPv4Address, subnet: Subnet) -> str:
    return _REFUSED[refused].format(address=address, subnet=subnet.name)


def _refused(exchange: Exchange, subnet: Subnet, address: IPv4Address) -> Refusal:
    return exchange.table.refusal(
        exchange.client,
        subnet,
        exchange.view,
        address,
        exchange.now,
        excluded=excluded(exchange, subnet),
    )


def _selecting(exchange: Exchange, subnet: Subnet, address: IPv4Address) -> Answer:
    server = exchange.request.address(opt.SERVER_ID)
    if server is not None and not is_ours(exchange, server):
        exchange.table.withdraw(exchange.client)
        return Answer(
            "other-server",
            f"it takes the offer of {server}",
            events=tuple(exchange.events),
            learned=(exchange.client.mac, address) if exchange.client.mac else None,
        )
    if refused := _refused(exchange, subnet, address):
        return refusal(exchange, _why(refused, address, subnet))
    return _grant(exchange, subnet, address, State.SELECTING)


def _init_reboot(exchange: Exchange, subnet: Subnet, address: IPv4Address) -> Answer:
    if address not in subnet.cidr:
        if subnet.confirmed:
            return exchange.silence("other-network", f"{address} may be of the other DHCP server's network")
        return refusal(exchange, _why(Refusal.WRONG_NETWORK, address, subnet))
    record = exchange.table.find(exchange.client, subnet, exchange.view, exchange.now)
    if record is None:
        # RFC 2131 section 4.3.2: without a record of the client the server must stay silent, it may be another's.
        return exchange.silence("no-record", f"nothing is known of a lease of {address}", told=False)
    reservation = reservation_of(exchange.client, subnet, exchange.view)
    if reservation is not None and reservation.address != address and reservation.address in subnet.cidr:
        return refusal(exchange, _why(Refusal.MOVED, address, subnet))
    refused = _refused(exchange, subnet, address)
    if refused:
        return refusal(exchange, _why(refused, address, subnet))
    if not _is_its_own(exchange, address):
        return refusal(exchange, f"its lease is of {record.address}, not of {address}")
    return _grant(exchange, subnet, address, State.INIT_REBOOT)


def _extending(exchange: Exchange, subnet: Subnet, address: IPv4Address, state: State) -> Answer:
    refused = _refused(exchange, subnet, address)
    own = _is_its_own(exchange, address)
    if refused:
        # Broadcast by a client that is not ours, it may be another server's to extend, unless we gave it to somebody.
        if own or state is State.RENEWING or refused is Refusal.OTHERS:
            return refusal(exchange, _why(refused, address, subnet))
        return exchange.silence("no-record", f"nothing is known of a lease of {address}", told=False)
    if not own and state is State.REBINDING:
        return exchange.silence("no-record", f"nothing is known of a lease of {address}", told=False)
    return _grant(exchange, subnet, address, state)


def _is_its_own(exchange: Exchange, address: IPv4Address) -> bool:
    record = exchange.table.at(address)
    return record is not None and holds(record, exchange.client, exchange.view)


def _grant(exchange: Exchange, subnet: Subnet, address: IPv4Address, state: State) -> Answer:
    """ACK an address; the lease is pending until the caller has stored it."""
    packet, now = exchange.request, exchange.now
    seconds = lease_seconds(exchange, subnet)
    firmware = _firmware(exchange)
    lease = Lease(
        address=address,
        mac=exchange.client.mac,
        client_id=exchange.client.client_id,
        subnet=subnet.name,
        state=LeaseState.BOUND,
        since=_since(exchange, address, firmware, state),
        expires=now + seconds,
        hostname=firmware.hostname or _former_hostname(exchange, address),
        interface=exchange.arrival.interface,
    )
    found = decision(exchange, subnet, firmware, address)
    options = {**lease_options(seconds), **network_options(exchange, subnet, address)}
    ack = reply(
        exchange,
        MessageType.ACK,
        options,
        decision=found,
        ciaddr=packet.ciaddr,
        yiaddr=address,
    )
    exchange.emit(
        "dhcp.ack",
        f"ACK {address} for {seconds} s{file_words(firmware, found)}",
        level=Level.INFO,
        address=str(address),
        lease_time=seconds,
        state=state.value,
        path=firmware.path,
        **boot_facts(subnet, found),
    )
    exchange.table.pend(lease)
    return replace(replied(exchange, ack, destination(exchange, ack), why=found.why), lease_changes=(lease,))


def _firmware(exchange: Exchange) -> Firmware:
    """Who asks; some firmware names itself in its DISCOVER only (Raspberry Pi, checklist 7.8)."""
    if exchange.firmware.boots or opt.VENDOR_CLASS in exchange.request.options:
        return exchange.firmware
    offer = exchange.table.offered(exchange.client, exchange.now)
    same = offer is not None and offer.firmware is not None and offer.xid == exchange.request.xid
    return offer.firmware if same and offer is not None and offer.firmware is not None else exchange.firmware


def _since(exchange: Exchange, address: IPv4Address, firmware: Firmware, state: State) -> float:
    """When the binding began: it goes on through one boot and through renewals, and begins anew with another boot."""
    record = exchange.table.at(address)
    if record is None or record.state is not LeaseState.BOUND or record.expires <= exchange.now:
        return exchange.now
    if not same(record, exchange.client):
        return exchange.now
    new_boot = firmware.stage in (ROM, IPXE) and state is State.SELECTING and exchange.now - record.since > _ONE_BOOT
    return exchange.now if new_boot else record.since


def _former_hostname(exchange: Exchange, address: IPv4Address) -> str:
    record = exchange.table.at(address)
    return record.hostname if record is not None and same(record, exchange.client) else ""


def _held_by_sender(exchange: Exchange, address: IPv4Address | None) -> Lease | None:
    """The bound lease a RELEASE or DECLINE is about; None unless it comes from the card that holds it, and to us."""
    server = exchange.request.address(opt.SERVER_ID)
    if address is None or (server is not None and not is_ours(exchange, server)):
        return None
    record = exchange.table.at(address)
    if record is None or record.state is not LeaseState.BOUND or not same(record, exchange.client):
        return None
    return record


def decline(exchange: Exchange, subnet: Subnet) -> Answer:
    """The client found its address in use: keep it from everybody for a while. Never answered."""
    address = exchange.request.address(opt.REQUESTED_ADDRESS)
    record = _held_by_sender(exchange, address)
    if record is None:
        return Answer("not-its-lease", f"{address} is not leased to the client that declines it")
    quarantine = exchange.table.quarantine_seconds(subnet, record.address, exchange.now)
    if not quarantine and exchange.client.known:
        quarantine = SHORT_QUARANTINE_SECONDS
    state = LeaseState.DECLINED if quarantine else LeaseState.RELEASED
    changed = record.model_copy(update={"state": state, "expires": exchange.now + quarantine})
    words = f"somebody else uses it, it is not given out for {span(quarantine)}" if quarantine else not_kept(subnet)
    exchange.emit("dhcp.decline", f"DECLINE {address}: {words}", level=Level.WARNING, address=str(address))
    return Answer("declined", "a DECLINE is not answered", lease_changes=(changed,), events=tuple(exchange.events))


def release(exchange: Exchange) -> Answer:
    """The client needs its address no longer; the record stays, so that it gets the same again. Never answered."""
    address = exchange.request.ciaddr
    record = _held_by_sender(exchange, address)
    if record is None:
        return Answer("not-its-lease", f"{address} is not leased to the client that releases it")
    changed = record.model_copy(update={"state": LeaseState.RELEASED, "expires": exchange.now})
    exchange.emit("dhcp.release", f"RELEASE {address}", address=str(address))
    return Answer("released", "a RELEASE is not answered", lease_changes=(changed,), events=tuple(exchange.events))
