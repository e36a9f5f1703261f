"""Identity associations: the addresses a client asks for, and those it is given (RFC 8415 section 18.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address

from app.model.subnet import LeaseState
from app.model.subnet6 import Lease6, Subnet6
from app.netboot.dhcp6.exchange import Exchange
from app.netboot.dhcp6.table import QUARANTINE_SECONDS, Holder
from app.netboot.wire import dhcp6, options6
from app.netboot.wire.dhcp6 import DhcpError, Kind, Options
from app.netboot.wire.options6 import Ia, IaAddress, Status

IAS_MAX = 8
"""Associations of one message that are looked at; a machine has one for each card."""
_T1, _T2 = 0.5, 0.8
_NO_ADDRESS = "no address is free"
_NO_BINDING = "this association is not known here"


@dataclass(frozen=True, slots=True)
class Given:
    """The options with what each association gets; `why` where none got an address."""

    options: Options = ()
    addresses: tuple[IPv6Address, ...] = ()
    why: str = ""
    exhausted: bool = False


def associations(exchange: Exchange) -> Iterator[Ia]:
    """The IA_NAs of a message, those left out that cannot be read."""
    for value in dhcp6.every(exchange.request.options, dhcp6.IA_NA)[:IAS_MAX]:
        try:
            yield options6.ia(value)
        except DhcpError:
            continue


def hints(ia: Ia) -> list[IPv6Address]:
    """The addresses in an association."""
    found: list[IPv6Address] = []
    for value in dhcp6.every(ia.options, dhcp6.IA_ADDRESS):
        try:
            found.append(options6.ia_address(value).address)
        except DhcpError:
            continue
    return found


def asked(exchange: Exchange) -> list[IPv6Address]:
    """All addresses a message names."""
    return [address for ia in associations(exchange) for address in hints(ia)]


def refused(exchange: Exchange) -> Options:
    """Temporary addresses and prefixes are not given: the client is told so."""
    found: list[tuple[int, bytes]] = []
    for value in dhcp6.every(exchange.request.options, dhcp6.IA_TA)[:IAS_MAX]:
        if len(value) >= 4:
            words = options6.status(Status.NO_ADDRESSES, "temporary addresses are not given here")
            found.append((dhcp6.IA_TA, value[:4] + dhcp6.pack((words,))))
    for value in dhcp6.every(exchange.request.options, dhcp6.IA_PREFIX_DELEGATION)[:IAS_MAX]:
        if len(value) >= 12:
            words = options6.status(Status.NO_PREFIX, "prefixes are not delegated here")
            ia = Ia(int.from_bytes(value[:4], "big"), options=(words,))
            found.append((dhcp6.IA_PREFIX_DELEGATION, ia.encode()))
    return tuple(found)


def offer(exchange: Exchange, subnet: Subnet6, *, commits: bool) -> Given:
    """An address for each association; with `commits` they are to be stored, else only set aside."""
    options: list[tuple[int, bytes]] = []
    addresses: list[IPv6Address] = []
    exhausted = False
    for ia in associations(exchange):
        number = exchange.table.offer(exchange.holder(ia.iaid), subnet, exchange.now, hints(ia))
        if number is None:
            exhausted = True
            options.append(_without(ia.iaid, Status.NO_ADDRESSES, _NO_ADDRESS))
            continue
        address = IPv6Address(number)
        addresses.append(address)
        options.append(_with(ia.iaid, subnet, address))
        if commits:
            _bound(exchange, subnet, ia.iaid, address)
    return Given((*options, *refused(exchange)), tuple(addresses), _NO_ADDRESS, exhausted)


def bind(exchange: Exchange, subnet: Subnet6) -> Given:
    """What a REQUEST, RENEW or REBIND gets: the lease of each association, or the status that says why not."""
    options: list[tuple[int, bytes]] = []
    addresses: list[IPv6Address] = []
    why, exhausted, kind = "", False, exchange.request.kind
    for ia in associations(exchange):
        holder, named = exchange.holder(ia.iaid), hints(ia)
        off = tuple(address for address in named if address not in subnet.cidr)
        held = {lease.address for lease in exchange.table.held(holder, exchange.now)}
        if kind is Kind.REQUEST:
            if off and len(off) == len(named):
                why = f"{off[0]} is not in {subnet.cidr}"
                options.append(_without(ia.iaid, Status.NOT_ON_LINK, why))
                continue
            number = None if subnet.stateless else exchange.table.offer(holder, subnet, exchange.now, named)
            if number is None:
                why, exhausted = _NO_ADDRESS, not subnet.stateless
                options.append(_without(ia.iaid, Status.NO_ADDRESSES, _NO_ADDRESS))
                continue
            address = IPv6Address(number)
        else:
            # A lease outside the ranges that are served now ends here: the client is told its time is over.
            kept = next((each for each in (*named, *sorted(held)) if _extends(exchange, subnet, holder, each)), None)
            if kept is None:
                if off or held:
                    gone = tuple(dict.fromkeys((*off, *held, *named)))
                    why = f"{gone[0]} is not served here any more"
                    options.append(_ended(ia.iaid, gone))
                elif kind is Kind.RENEW:
                    why = _NO_BINDING
                    options.append(_without(ia.iaid, Status.NO_BINDING, _NO_BINDING))
                continue
            address = kept
        others = tuple(each for each in named if each != address)
        addresses.append(address)
        options.append(_with(ia.iaid, subnet, address, others if kind is not Kind.REQUEST else ()))
        _bound(exchange, subnet, ia.iaid, address)
    return Given((*options, *refused(exchange)), tuple(addresses), why, exhausted)


def _extends(exchange: Exchange, subnet: Subnet6, holder: Holder, address: IPv6Address) -> bool:
    """This very client holds the address, and may go on to."""
    table, now = exchange.table, exchange.now
    return table.bound(holder, address, now) is not None and table.may_have(holder, subnet, int(address), now)


def end(exchange: Exchange, *, declined: bool) -> tuple[list[IPv6Address], Options]:
    """End the leases a RELEASE or DECLINE names, as far as they are the client's."""
    ended: list[IPv6Address] = []
    options: list[tuple[int, bytes]] = []
    for ia in associations(exchange):
        holder = exchange.holder(ia.iaid)
        own = [lease for each in hints(ia) if (lease := exchange.table.bound(holder, each, exchange.now)) is not None]
        if not own:
            options.append(_without(ia.iaid, Status.NO_BINDING, _NO_BINDING))
        for lease in own:
            until = exchange.now + QUARANTINE_SECONDS if declined else exchange.now
            state = LeaseState.DECLINED if declined else LeaseState.RELEASED
            exchange.changes.append(lease.model_copy(update={"state": state, "expires": until}))
            ended.append(lease.address)
    return ended, tuple(options)


def withdraw(exchange: Exchange) -> None:
    """The client took another server's offer: ours are off."""
    for ia in associations(exchange):
        exchange.table.withdraw(exchange.holder(ia.iaid))


def limited(value: bytes, seconds: int) -> bytes:
    """An association whose lifetimes are `seconds` at most."""
    ia = options6.ia(value)
    options = tuple(
        (code, _for(options6.ia_address(inner), seconds).encode()) if code == dhcp6.IA_ADDRESS else (code, inner)
        for code, inner in ia.options
    )
    return Ia(ia.iaid, min(ia.t1, int(seconds * _T1)), min(ia.t2, int(seconds * _T2)), options).encode()


def _for(given: IaAddress, seconds: int) -> IaAddress:
    return IaAddress(given.address, min(given.preferred, seconds), min(given.valid, seconds), given.options)


def _with(iaid: int, subnet: Subnet6, address: IPv6Address, gone: tuple[IPv6Address, ...] = ()) -> tuple[int, bytes]:
    seconds = subnet.lease_time
    given = ((dhcp6.IA_ADDRESS, IaAddress(address, seconds, seconds).encode()), *_over(gone))
    return dhcp6.IA_NA, Ia(iaid, int(seconds * _T1), int(seconds * _T2), given).encode()


def _ended(iaid: int, gone: tuple[IPv6Address, ...]) -> tuple[int, bytes]:
    return dhcp6.IA_NA, Ia(iaid, options=_over(gone)).encode()


def _over(gone: tuple[IPv6Address, ...]) -> Options:
    """Addresses that are not, or no longer, the client's: both lifetimes zero (section 18.3.4)."""
    return tuple((dhcp6.IA_ADDRESS, IaAddress(address).encode()) for address in gone)


def _without(iaid: int, code: Status, words: str) -> tuple[int, bytes]:
    return dhcp6.IA_NA, Ia(iaid, options=(options6.status(code, words),)).encode()


def _bound(exchange: Exchange, subnet: Subnet6, iaid: int, address: IPv6Address) -> None:
    before = exchange.table.bound(exchange.holder(iaid), address, exchange.now)
    asker = exchange.asker
    exchange.changes.append(
        Lease6.model_construct(
            address=address,
            mac=asker.mac,
            client_id=asker.duid.hex(),
            iaid=iaid,
            proven=asker.proven,
            subnet=subnet.name,
            state=LeaseState.BOUND,
            since=before.since if before is not None else exchange.now,
            expires=exchange.now + subnet.lease_time,
            hostname="",
            interface=exchange.arrival.interface,
        )
    )
