"""The DHCP server as a state machine: what a message to port 67 is answered, and why (RFC 2131 section 4.3)."""

from __future__ import annotations

from app.model.event import Level
from app.model.subnet import Subnet, SubnetMode
from app.netboot import proxy, requests
from app.netboot.allocate import LeaseTable
from app.netboot.choice import Choice, Refusal
from app.netboot.exchange import Answer, Arrival, Exchange, Policy
from app.netboot.firmware import classify
from app.netboot.identity import Client
from app.netboot.replies import answer as replied
from app.netboot.replies import destination, lease_options, lease_seconds, network_options, reply
from app.netboot.scope import link_end, locate, settle, usable
from app.netboot.view import NetworkView
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import BOOTREQUEST, DhcpPacket, MessageType
from app.netboot.wire.options import DhcpError
from app.netboot.words import plain

__all__ = ["Answer", "Arrival", "Policy", "answer", "begin", "examine"]

_NOT_GIVEN = {
    Refusal.RESERVATIONS_ONLY: "subnet {subnet} gives addresses only to machines with a reservation",
    Refusal.NOT_PICKED: "the pickers of subnet {subnet} find no address for it",
}
_FROM_CLIENTS = frozenset(
    {
        MessageType.DISCOVER,
        MessageType.REQUEST,
        MessageType.DECLINE,
        MessageType.RELEASE,
        MessageType.INFORM,
    }
)


def begin(
    request: DhcpPacket, arrival: Arrival, view: NetworkView, table: LeaseTable, policy: Policy, now: float
) -> Exchange:
    """The facts about a message, before anything is decided."""
    mac = request.mac if any(request.chaddr) else ""
    client_id = request.options.get(opt.CLIENT_ID, b"").hex()
    machine = view.machine_by_mac(mac) if mac else None
    known = (machine is not None and machine.registered) or bool(mac and view.reservations_for(mac))
    known = known or bool(client_id and view.reservations_for(f"id:{client_id}"))
    try:
        relay = opt.suboptions(request.options.get(opt.RELAY_AGENT, b""))
    except DhcpError:
        relay = {}
    firmware = classify(request)
    return Exchange(request, arrival, view, table, policy, now, firmware, Client(mac, client_id, known), relay)


def answer(
    request: DhcpPacket, arrival: Arrival, view: NetworkView, table: LeaseTable, policy: Policy, now: float
) -> Answer:
    """Answer one message to the server port at `now` (epoch seconds); changes only the offers in `table`.

    Leases in `Answer.lease_changes` are pending in the table: the caller stores them, then calls `commit` or `abandon`.
    """
    return examine(request, arrival, view, table, policy, now)[1]


def examine(
    request: DhcpPacket, arrival: Arrival, view: NetworkView, table: LeaseTable, policy: Policy, now: float
) -> tuple[Exchange | None, Answer]:
    """As `answer`, and what the answer was made from; None where the message was not looked at."""
    if request.op != BOOTREQUEST or request.message not in _FROM_CLIENTS:
        return None, Answer("not-for-a-server", "it is no message from a client to a server")
    if request.chaddr and request.chaddr[0] & 1 and len(request.chaddr) == 6:
        return None, Answer("bad-hardware-address", f"{request.mac} is a multicast address")
    exchange = begin(request, arrival, view, table, policy, now)
    if not exchange.client.mac and len(exchange.client.client_id) < 4:
        return None, Answer("no-identity", "it has neither hardware address nor client identifier")
    return exchange, _answered(exchange, request.message)


def _answered(exchange: Exchange, kind: MessageType | None) -> Answer:
    reason, why = locate(exchange)
    if kind is MessageType.DISCOVER:
        _discovered(exchange)
    elif kind is MessageType.REQUEST:
        requests.requested(exchange)
    if exchange.view.holding():
        return exchange.silence("holding", "the engine is on hold and answers no one")
    if exchange.subnet is None or reason:
        return exchange.silence(reason, why)
    subnet = exchange.subnet
    if (closed := _closed(exchange, subnet)) is not None:
        return closed
    if exchange.policy.ceiling == "proxy" or subnet.mode is SubnetMode.PROXY:
        return proxy.answer_beside(exchange, subnet)
    if kind is MessageType.DISCOVER:
        return _discover(exchange, subnet)
    if kind is MessageType.REQUEST:
        return requests.request(exchange, subnet)
    if kind is MessageType.DECLINE:
        return requests.decline(exchange, subnet)
    if kind is MessageType.RELEASE:
        return requests.release(exchange)
    return _inform(exchange, subnet)


def _closed(exchange: Exchange, subnet: Subnet) -> Answer | None:
    """Silence where the subnet, or this run, answers no one."""
    if not subnet.enabled:
        return exchange.silence("disabled", f"subnet {subnet.name} is disabled")
    if subnet.hold:
        return exchange.silence("subnet-held", f"subnet {subnet.name} is held: {plain(subnet.hold)}")
    if exchange.policy.ceiling == "off" or subnet.mode is SubnetMode.OFF:
        return exchange.silence("off", f"DHCP is off on subnet {subnet.name}")
    if exchange.policy.ceiling == "proxy" and subnet.mode is SubnetMode.UNMANAGED:
        return exchange.silence("off", f"subnet {subnet.name} gives addresses only, and this run may give none")
    return None


def _discovered(exchange: Exchange) -> None:
    request, firmware = exchange.request, exchange.firmware
    asked = request.address(opt.REQUESTED_ADDRESS)
    exchange.emit(
        "dhcp.discover",
        f"DISCOVER from {firmware.title}",
        arch=firmware.arch,
        arch_name=firmware.arch_name,
        firmware=firmware.kind,
        vendor_class=firmware.vendor_class,
        user_class=firmware.user_class,
        hostname=firmware.hostname,
        requested=str(asked) if asked is not None else "",
        relay=str(request.giaddr) if not request.giaddr.is_unspecified else "",
        secs=request.secs,
        guid=firmware.guid,
    )


def _discover(exchange: Exchange, subnet: Subnet) -> Answer:
    choice = _chosen(exchange, subnet)
    for other in exchange.siblings if choice.address is None else ():
        if other.mode is subnet.mode and other.enabled and not other.hold:
            settle(exchange, other)
            found = _chosen(exchange, other)
            if found.address is not None:
                choice, subnet = found, other
                break
    if choice.address is None:
        settle(exchange, subnet)
        if choice.refusal is Refusal.EXHAUSTED:
            return _exhausted(exchange, subnet)
        return exchange.silence(choice.refusal.value, _NOT_GIVEN[choice.refusal].format(subnet=subnet.name))
    if choice.how == "reservation" and choice.address in exchange.arrival.local:
        why = f"{choice.address} is reserved for it, and is this host's own address"
        return exchange.silence("own-address", why)
    decision = requests.decision(exchange, subnet, exchange.firmware, choice.address)
    network = network_options(exchange, subnet, choice.address)
    options = {**lease_options(lease_seconds(exchange, subnet)), **network}
    packet = reply(exchange, MessageType.OFFER, options, decision=decision, yiaddr=choice.address)
    exchange.emit(
        "dhcp.offer",
        f"OFFER {choice.address}{requests.file_words(exchange.firmware, decision)}",
        address=str(choice.address),
        **requests.boot_facts(subnet, decision),
    )
    return replied(exchange, packet, destination(exchange, packet), why=decision.why)


def _chosen(exchange: Exchange, subnet: Subnet) -> Choice:
    request = exchange.request
    return exchange.table.offer(
        exchange.client,
        subnet,
        exchange.view,
        exchange.now,
        hint=request.address(opt.REQUESTED_ADDRESS),
        via=link_end(exchange),
        excluded=requests.excluded(exchange, subnet),
        xid=request.xid,
        firmware=exchange.firmware,
    )


def _exhausted(exchange: Exchange, subnet: Subnet) -> Answer:
    size = sum(span.size for span in subnet.ranges)
    words = f"subnet {subnet.name} has no free address left of {size}" if size else f"subnet {subnet.name} has no range"
    if subnet.kept_for_known and not exchange.client.known:
        words += f", {subnet.kept_for_known} of them kept for machines on record"
    if exchange.table.first_exhausted(subnet):
        exchange.emit(
            "dhcp.exhausted",
            f"{words}; widen its range, shorten its lease time, or delete leases of machines that are gone",
            level=Level.WARNING,
            subnet=subnet.name,
            size=size,
        )
    return exchange.silence("pool-exhausted", words)


def _inform(exchange: Exchange, subnet: Subnet) -> Answer:
    """A client with an address of its own asks for the rest (RFC 2131 section 4.3.5)."""
    request = exchange.request
    if not usable(request.ciaddr) or request.ciaddr in exchange.arrival.local:
        return exchange.silence("bad-address", f"{request.ciaddr} is no client's address", told=False)
    found = requests.decision(exchange, subnet, exchange.firmware)
    packet = reply(
        exchange,
        MessageType.ACK,
        network_options(exchange, subnet),
        decision=found,
        ciaddr=request.ciaddr,
    )
    exchange.emit("dhcp.inform", f"INFORM from {request.ciaddr}, told of its network", address=str(request.ciaddr))
    return replied(exchange, packet, destination(exchange, packet), why=found.why)
