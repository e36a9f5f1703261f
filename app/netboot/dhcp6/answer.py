"""The DHCPv6 server as a state machine: what a message to port 547 is answered, and why (RFC 8415 section 18.3)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address

from app.model.event import Level
from app.model.subnet import SubnetMode
from app.model.subnet6 import Subnet6
from app.netboot.dhcp6 import bindings, boot
from app.netboot.dhcp6.exchange import Answer, Arrival, Exchange, View, asker_of
from app.netboot.dhcp6.table import Lease6Table
from app.netboot.exchange import Policy
from app.netboot.wire import dhcp6, options6
from app.netboot.wire.dhcp6 import Kind, Message, RelayMessage
from app.netboot.wire.options6 import Status
from app.netboot.words import plain

_WITH_SERVER = frozenset({Kind.REQUEST, Kind.RENEW, Kind.DECLINE, Kind.RELEASE})
_WITHOUT_SERVER = frozenset({Kind.SOLICIT, Kind.CONFIRM, Kind.REBIND})
_ASSOCIATIONS = (dhcp6.IA_NA, dhcp6.IA_TA, dhcp6.IA_PREFIX_DELEGATION)


def answer(
    request: Message,
    relays: tuple[RelayMessage, ...],
    arrival: Arrival,
    view: View,
    table: Lease6Table,
    policy: Policy,
    server_duid: bytes,
    now: float,
) -> Answer:
    """Answer one message at `now` (epoch seconds); changes only the offers in `table`.

    Leases in `Answer.lease_changes` are pending in the table: the caller stores them, then calls `commit` or `abandon`.
    """
    if (broken := _invalid(request, server_duid)) is not None:
        if request.kind is Kind.REQUEST:
            # It took another server's offer.
            asker = asker_of(request, relays, arrival, view)
            exchange = Exchange(request, relays, arrival, view, table, policy, server_duid, now, asker)
            bindings.withdraw(exchange)
        return broken
    asker = asker_of(request, relays, arrival, view)
    exchange = Exchange(request, relays, arrival, view, table, policy, server_duid, now, asker)
    exchange.subnet = subnet = locate(exchange)
    _told(exchange)
    if view.holding():
        return exchange.silence("holding", "the engine is on hold and answers no one")
    if subnet is None:
        return exchange.silence("no-subnet", f"no IPv6 subnet is defined for {_where(exchange)}")
    if not subnet.enabled or subnet.mode is SubnetMode.OFF or policy.ceiling == "off":
        return exchange.silence("off", f"DHCPv6 is off on subnet {subnet.name}")
    if subnet.hold:
        return exchange.silence("subnet-held", f"subnet {subnet.name} is held: {plain(subnet.hold)}")
    if policy.ceiling == "proxy" and not subnet.stateless:
        # This run may give no addresses.
        exchange.subnet = subnet = subnet.model_copy(update={"stateless": True})
    if not relays and not arrival.multicast:
        return _to_us_alone(exchange)
    match request.kind:
        case Kind.SOLICIT:
            return _solicit(exchange, subnet)
        case Kind.REQUEST | Kind.RENEW | Kind.REBIND:
            return _bind(exchange, subnet)
        case Kind.CONFIRM:
            return _confirm(exchange, subnet)
        case Kind.RELEASE | Kind.DECLINE:
            return _end(exchange, subnet)
        case _:
            return _inform(exchange, subnet)


def _invalid(request: Message, server_duid: bytes) -> Answer | None:
    """What is dropped without a word (RFC 8415 section 16)."""
    kind, client, server = request.kind, request.get(dhcp6.CLIENT_ID), request.get(dhcp6.SERVER_ID)
    if kind not in _WITH_SERVER | _WITHOUT_SERVER | {Kind.INFORMATION_REQUEST}:
        return Answer("not-for-a-server", "it is no message from a client to a server")
    if client is None and kind is not Kind.INFORMATION_REQUEST:
        return Answer("no-identity", "it has no client identifier")
    if client is not None and not 3 <= len(client) <= options6.DUID_MAX:
        return Answer("no-identity", f"a client identifier of {len(client)} octets")
    if kind in _WITHOUT_SERVER and server is not None:
        return Answer("malformed", "it names a server")
    if kind in _WITH_SERVER and server is None:
        return Answer("malformed", "it names no server")
    if server is not None and server != server_duid:
        return Answer("other-server", "it is for another server")
    if kind is Kind.INFORMATION_REQUEST and any(code in _ASSOCIATIONS for code, _ in request.options):
        return Answer("malformed", "it asks for addresses")
    return None


def locate(exchange: Exchange) -> Subnet6 | None:
    """The subnet of the client's link: the one its nearest relay names, else one of the interface."""
    arrival = exchange.arrival
    subnets = [each for each in exchange.view.subnets6() if each.interface in ("", arrival.interface)]
    if exchange.relays:
        links = (relay.link for relay in reversed(exchange.relays))
        link = next((each for each in links if not each.is_unspecified and not each.is_link_local), None)
        if link is None:
            return None
        return next((each for each in subnets if link in each.cidr), None)
    here = [each for each in subnets if any(own.ip in each.cidr for own in arrival.addresses)]
    named = [each for each in subnets if each.interface]
    found = here or named
    return next((each for each in found if each.enabled and not each.hold), found[0] if found else None)


def _where(exchange: Exchange) -> str:
    if exchange.relays:
        return f"relay {exchange.arrival.source}, link {exchange.relays[-1].link}"
    return f"interface {exchange.arrival.interface}"


def _told(exchange: Exchange) -> None:
    """What a client asks is told before it is answered."""
    request, firmware = exchange.request, exchange.asker.firmware
    relay = str(exchange.arrival.source) if exchange.relays else ""
    if request.kind is Kind.SOLICIT or (request.kind is Kind.INFORMATION_REQUEST and firmware.boots):
        exchange.emit(
            "dhcp.discover",
            f"{request.kind.name.replace('_', '-')} from {firmware.title}",
            arch=firmware.arch,
            arch_name=firmware.arch_name,
            firmware=firmware.kind,
            vendor_class=firmware.vendor_class,
            user_class=firmware.user_class,
            hostname="",
            requested=", ".join(str(each) for each in bindings.asked(exchange)),
            relay=relay,
            secs=int.from_bytes(request.get(dhcp6.ELAPSED_TIME) or b"", "big") // 100,
            guid=firmware.guid,
        )
    elif request.kind in (Kind.REQUEST, Kind.RENEW, Kind.REBIND, Kind.CONFIRM):
        asked = ", ".join(str(each) for each in bindings.asked(exchange))
        exchange.emit(
            "dhcp.request",
            f"{request.kind.name} {asked}".rstrip(),
            state=request.kind.name.lower(),
            requested=asked,
            server="",
            ours=request.get(dhcp6.SERVER_ID) is not None,
        )


def _to_us_alone(exchange: Exchange) -> Answer:
    """We never allow clients to speak to us alone (section 18.4): they are told so, or not heard (section 16)."""
    if exchange.request.kind not in _WITH_SERVER:
        return exchange.silence("unicast", "it was sent to us alone, not to all servers")
    exchange.emit("dhcp.nak", "REPLY: use multicast", why="it was sent to us alone, not to all servers")
    return _reply(exchange, Kind.REPLY, (options6.status(Status.USE_MULTICAST, "send to ff02::1:2"),))


def _reply(exchange: Exchange, kind: Kind, options: dhcp6.Options = ()) -> Answer:
    message = Message(kind, exchange.request.xid, (*boot.basics(exchange), *options))
    for lease in exchange.changes:
        exchange.table.pend(lease)
    return Answer(reply=message, lease_changes=tuple(exchange.changes), events=tuple(exchange.events))


def _solicit(exchange: Exchange, subnet: Subnet6) -> Answer:
    file = boot.boot_file(exchange, subnet)
    if subnet.stateless:
        if not file.url:
            return exchange.silence("stateless", f"subnet {subnet.name} gives no addresses", told=False)
        # Without an association: firmware takes it for the answer of a boot server beside the one with addresses.
        return _offered(exchange, subnet, file, (), "")
    commits = exchange.request.get(dhcp6.RAPID_COMMIT) is not None
    given = bindings.offer(exchange, subnet, commits=commits)
    if not given.addresses and given.exhausted:
        _exhausted(exchange, subnet)
    if commits and given.addresses:
        rapid = ((dhcp6.RAPID_COMMIT, b""),)
        return _acknowledged(exchange, subnet, file, (*rapid, *given.options), given.addresses)
    return _offered(exchange, subnet, file, given.options, ", ".join(str(each) for each in given.addresses))


def _offered(exchange: Exchange, subnet: Subnet6, file: boot.BootFile, options: dhcp6.Options, address: str) -> Answer:
    exchange.emit(
        "dhcp.offer",
        f"ADVERTISE {address or 'no address'}{file.words}",
        address=address,
        **file.facts(subnet),
    )
    return _reply(exchange, Kind.ADVERTISE, (*options, *boot.options(exchange, subnet, file)))


def _bind(exchange: Exchange, subnet: Subnet6) -> Answer:
    given = bindings.bind(exchange, subnet)
    if not given.options:
        return exchange.silence("no-binding", "none of its addresses is known here, and it may be another server's")
    file = boot.boot_file(exchange, subnet)
    if not given.addresses:
        if given.exhausted:
            _exhausted(exchange, subnet)
        exchange.emit("dhcp.nak", f"REPLY: {given.why}", why=given.why)
        return _reply(exchange, Kind.REPLY, given.options)
    return _acknowledged(exchange, subnet, file, given.options, given.addresses)


def _acknowledged(
    exchange: Exchange, subnet: Subnet6, file: boot.BootFile, options: dhcp6.Options, addresses: tuple[IPv6Address, ...]
) -> Answer:
    words = ", ".join(str(each) for each in addresses)
    exchange.emit(
        "dhcp.ack",
        f"REPLY {words}{file.words}",
        address=str(addresses[0]),
        lease_time=subnet.lease_time,
        state=exchange.request.kind.name.lower(),
        path=exchange.asker.firmware.path,
        **file.facts(subnet),
    )
    return _reply(exchange, Kind.REPLY, (*options, *boot.options(exchange, subnet, file)))


def _confirm(exchange: Exchange, subnet: Subnet6) -> Answer:
    """Are its addresses right for its link? Who has them matters not (section 18.3.3)."""
    asked = bindings.asked(exchange)
    if not asked:
        return exchange.silence("malformed", "it confirms no address", told=False)
    off = [address for address in asked if address not in subnet.cidr]
    if off:
        why = f"{off[0]} is not in {subnet.cidr}"
        exchange.emit("dhcp.nak", f"REPLY: {why}", why=why)
        return _reply(exchange, Kind.REPLY, (options6.status(Status.NOT_ON_LINK, why),))
    return _reply(exchange, Kind.REPLY, (options6.status(Status.SUCCESS, "on link"),))


def _end(exchange: Exchange, subnet: Subnet6) -> Answer:
    """RELEASE and DECLINE count only from who holds the address (sections 18.3.7 and 18.3.8)."""
    declined = exchange.request.kind is Kind.DECLINE
    ended, options = bindings.end(exchange, declined=declined)
    for address in ended:
        verb = "DECLINE of" if declined else "RELEASE of"
        level = Level.WARNING if declined else None
        more = "; somebody else uses it, and it is kept back for a day" if declined else ""
        kind = "dhcp.decline" if declined else "dhcp.release"
        exchange.emit(kind, f"{verb} {address}{more}", level=level, address=str(address))
    done = options6.status(Status.SUCCESS, "declined" if declined else "released")
    return _reply(exchange, Kind.REPLY, (done, *options))


def _inform(exchange: Exchange, subnet: Subnet6) -> Answer:
    """A client with addresses of its own asks for the rest (section 18.3.6)."""
    file = boot.boot_file(exchange, subnet)
    words = f"INFORMATION-REQUEST answered{file.words if exchange.asker.firmware.boots else ''}"
    if exchange.asker.firmware.boots:
        facts = file.facts(subnet)
        exchange.emit("dhcp.ack", words, lease_time=0, state="inform",
                      path=exchange.asker.firmware.path, **facts)  # fmt: skip
    else:
        exchange.emit("dhcp.inform", words)
    return _reply(exchange, Kind.REPLY, tuple(boot.options(exchange, subnet, file)))


def _exhausted(exchange: Exchange, subnet: Subnet6) -> None:
    size = sum(span.size for span in subnet.ranges)
    words = f"subnet {subnet.name} has no free address left of {size}" if size else f"subnet {subnet.name} has no range"
    if exchange.table.first_exhausted(subnet):
        words += "; widen its range, shorten its lease time, or delete leases of machines that are gone"
        exchange.emit("dhcp.exhausted", words, level=Level.WARNING, subnet=subnet.name, size=size)


def shortened(found: Answer, seconds: float, why: str) -> Answer:
    """The same answer for what is left of leases that are stored already, when their extension could not be."""
    if found.reply is None:
        return found
    options = tuple(
        (code, bindings.limited(value, int(seconds))) if code == dhcp6.IA_NA else (code, value)
        for code, value in found.reply.options
    )
    events = tuple(
        event.model_copy(update={"message": f"{event.message}; {int(seconds)} s: {why}", "level": Level.WARNING})
        if event.kind == "dhcp.ack"
        else event
        for event in found.events
    )
    return replace(found, reply=replace(found.reply, options=options), lease_changes=(), events=events)
