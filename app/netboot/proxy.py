"""ProxyDHCP: boot information beside another server's addresses, on ports 67 and 4011 (PXE 2.1 section 2.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.model.event import Level
from app.model.subnet import Subnet, SubnetMode
from app.netboot import requests
from app.netboot.decide import Decision
from app.netboot.exchange import Answer, Destination, Exchange, Via
from app.netboot.firmware import ROM
from app.netboot.replies import answer as replied
from app.netboot.replies import destination, reply
from app.netboot.scope import is_ours, locate, usable
from app.netboot.wire import options as opt
from app.netboot.wire import pxe
from app.netboot.wire.dhcp4 import BOOTREQUEST, MessageType

BOOT_PORT = 4011


def _is_boot_client(exchange: Exchange) -> bool:
    vendor_class = exchange.request.options.get(opt.VENDOR_CLASS, b"")
    return vendor_class.startswith((pxe.PXE_CLIENT, pxe.HTTP_CLIENT))


def _facts(found: Decision) -> dict[str, Any]:
    return {
        "bootfile": found.bootfile,
        "next_server": str(found.next_server or ""),
        "why": found.why,
        "reason": found.reason.value,
        "bootenv": found.bootenv,
    }


def answer_beside(exchange: Exchange, subnet: Subnet) -> Answer:
    """A message to port 67 where another server gives the addresses: only DISCOVERs that boot get an answer."""
    kind = exchange.request.message
    if kind is MessageType.REQUEST:
        return _overheard(exchange)
    if kind is not MessageType.DISCOVER:
        return exchange.silence("proxy", "another DHCP server gives the addresses here", told=False)
    if not _is_boot_client(exchange):
        return exchange.silence("not-booting", "it asks for an address, which another DHCP server gives")
    found = requests.decision(exchange, subnet, exchange.firmware, proxy=True)
    # A menu that says "boot locally" is worth an offer: without one UEFI firmware asks for more than a minute.
    if not found.bootfile and not found.vendor_options:
        return exchange.silence(found.reason.value, found.why, level=Level.INFO)
    packet = reply(exchange, MessageType.OFFER, {}, decision=found)
    words = f"file {found.bootfile}" if found.bootfile else f"without a boot file: {found.why}"
    exchange.emit("proxy.offer", f"PXE OFFER {words}", subnet=subnet.name, **_facts(found))
    return replied(exchange, packet, destination(exchange, packet), why=found.why)


def _overheard(exchange: Exchange) -> Answer:
    """A client takes, or has, an address of the other server: remember whose it is, say nothing."""
    address = requests.asked_address(exchange)
    server = exchange.request.address(opt.SERVER_ID)
    known = address is not None and usable(address) and exchange.client.mac
    learned = (exchange.client.mac, address) if known and address is not None else None
    if server is not None and is_ours(exchange, server):
        learned = None
    return Answer(
        "other-server",
        "another DHCP server gives the addresses here",
        events=tuple(exchange.events),
        learned=learned,
    )


def answer_boot(exchange: Exchange) -> Answer:
    """A message to port 4011: firmware with an address asks which file to boot; the reply goes where it came from."""
    request, arrival = exchange.request, exchange.arrival
    kinds = (MessageType.REQUEST, MessageType.DISCOVER, MessageType.INFORM)
    if request.op != BOOTREQUEST or request.message not in kinds:
        return Answer("not-for-a-server", "it is no message from a client to a server")
    if not _is_boot_client(exchange):
        return Answer("not-booting", "it has no PXE class")
    if not exchange.client.mac or int(exchange.client.mac[:2], 16) & 1:
        return Answer("bad-hardware-address", "it has no hardware address of one machine")
    if not usable(arrival.source) or arrival.source in arrival.local:
        return Answer("bad-address", f"{arrival.source} is no client's address")
    reason, why = locate(exchange)
    subnet = exchange.subnet
    if exchange.view.holding():
        return exchange.silence("holding", "the engine is on hold and answers no one")
    if subnet is None or reason:
        return exchange.silence(reason, why)
    if exchange.policy.ceiling == "off" or subnet.hold or not subnet.enabled or subnet.mode is SubnetMode.OFF:
        return exchange.silence("subnet-held" if subnet.hold else "off", f"subnet {subnet.name} is not answered now")
    found = requests.decision(exchange, subnet, exchange.firmware, proxy=True)
    if not found.bootfile:
        return exchange.silence(found.reason.value, found.why, level=Level.INFO)
    item = pxe.boot_item(request.options.get(opt.VENDOR_OPTIONS, b""))
    if item is not None and exchange.firmware.stage == ROM:
        found = replace(found, vendor_options=opt.pack_suboptions({pxe.BOOT_ITEM: item}, end=True))
    packet = reply(exchange, MessageType.ACK, {}, decision=found, ciaddr=request.ciaddr)
    exchange.emit(
        "proxy.ack",
        f"PXE ACK file {found.bootfile}",
        address=str(arrival.source),
        path=exchange.firmware.path,
        **_facts(found),
    )
    where = Destination(Via.UNICAST, arrival.source, arrival.port, arrival.interface, exchange.server)
    return replied(exchange, packet, where, why=found.why)
