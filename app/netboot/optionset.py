"""Options an operator set: checked when they are stored, encoded once, and chosen for each client.

What a machine's record sets comes before its reservation, its profiles, its subnet and what is set for all. A
value may be a template over what the client sent; what is none is encoded once, so that a reply costs a look-up.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address
from typing import Any

from app.errors import InvalidError
from app.model.event import Level
from app.model.options import read_options
from app.model.subnet import Reservation, Subnet
from app.netboot.exchange import Exchange
from app.netboot.optionhelp import FORMS
from app.netboot.reserved import reservation_of
from app.netboot.view import NetworkView
from app.netboot.wire import catalogue, values
from app.netboot.wire import options as opt
from app.netboot.wire.catalogue import Kind, Option
from app.netboot.wire.dhcp4 import ZERO
from app.netboot.wire.options import DhcpError
from app.netboot.words import plain

FOR_ALL = "dhcp-options"
"""The preference whose options are for every client."""

_ROUTES = (121, 249)
# Sent whether asked for or not: what some clients forget to ask for, and what a ROM does not know that the loader it
# fetches will want (RFC 5071 section 3).
_UNASKED = frozenset({opt.ROUTER, opt.DNS, opt.DOMAIN_NAME, 208, 209, 210, 211})


_BOOT_OWN = frozenset({opt.VENDOR_OPTIONS, opt.TFTP_SERVER, opt.BOOT_FILE})


@dataclass(frozen=True, slots=True)
class _Set:
    """The options of one source: those whose octets are known, and those that are templates."""

    fixed: Mapping[int, bytes]
    templates: Mapping[int, str]


_NOTHING = _Set({}, {})


def is_template(value: str) -> bool:
    """The value is rendered for each client."""
    return "{{" in value or "{%" in value


def checked(options: Mapping[str, str], field_name: str = "options") -> dict[str, str]:
    """Options as they are stored, each under its own name. Raises InvalidError naming the first that cannot be set."""
    kept: dict[str, str] = {}
    for name, value in options.items():
        place = f"{field_name}.{plain(name, 40)}"
        option = _settable(name, place)
        if option.name in kept:
            raise InvalidError(f"option {option.title} is given twice", hint="give it once", field=place)
        _check_value(option, value, place)
        kept[option.name] = value
    return kept


def _settable(name: str, place: str) -> Option:
    option = catalogue.find(name)
    if option is None:
        close = difflib.get_close_matches(name, catalogue.names(), n=1)
        hint = f"did you mean {close[0]}?" if close else "see: bootcart options list"
        raise InvalidError(f"there is no DHCP option {plain(name, 40)!r}", hint=hint, field=place)
    if option.computed:
        raise InvalidError(f"option {option.title} cannot be set: {option.computed}", hint="leave it out", field=place)
    return option


def _check_value(option: Option, value: str, place: str) -> None:
    try:
        if is_template(value):
            from app.netboot import render

            render.check_value(value)
        else:
            values.encode(option, value)
    except DhcpError as error:
        form, example = FORMS.get(option.kind.value, ("any type, then a value", "ip:10.7.0.9"))
        hint = f"{form}, like {option.name}={example}"
        raise InvalidError(f"option {option.title}: {plain(str(error))}", hint=hint, field=place) from None
    except InvalidError as error:
        why = f"option {option.title}: the template is not one: {error.message}"
        raise InvalidError(why, hint=error.hint, field=place) from None


@lru_cache(maxsize=4096)
def _encoded(items: tuple[tuple[str, str], ...]) -> _Set:
    fixed: dict[int, bytes] = {}
    templates: dict[int, str] = {}
    for name, value in items:
        option = catalogue.find(name)
        if option is None or option.computed:
            continue  # set by a version that knew more, or less
        if is_template(value):
            templates[option.code] = value
            continue
        try:
            fixed[option.code] = values.encode(option, value)
        except DhcpError:
            continue
    return _Set(fixed, templates)


@lru_cache(maxsize=64)
def _of_line(line: str) -> _Set:
    try:
        return _encoded(tuple(read_options(line).items()))
    except ValueError:
        return _NOTHING


def _of_profiles(view: NetworkView, names: Sequence[str]) -> list[tuple[str, _Set]]:
    """The first of a machine's profiles counts, so it comes last."""
    found = [profile for name in reversed(names) if (profile := view.profile(name)) is not None and profile.options]
    return [(f"of profile {each.name}", _encoded(tuple(each.options.items()))) for each in found]


def choose(exchange: Exchange, subnet: Subnet, address: IPv4Address = ZERO) -> dict[int, bytes]:
    """The options set for this client, by code, templates rendered. One that fails is left out, and an event says so.

    `address` is the one it is given. Worked out once for each exchange.
    """
    if exchange.chosen is not None:
        return exchange.chosen
    chosen: dict[int, bytes] = {}
    exchange.chosen = chosen
    machine = exchange.view.machine_by_mac(exchange.client.mac) if exchange.client.mac else None
    reservation = reservation_of(exchange.client, subnet, exchange.view)
    line = exchange.view.preference(FOR_ALL)
    layers = [("set for all", _of_line(line))] if line else []
    if subnet.options:
        layers.append((f"of subnet {subnet.name}", _encoded(tuple(subnet.options.items()))))
    if machine is not None and machine.profiles:
        layers += _of_profiles(exchange.view, machine.profiles)
    if reservation is not None and reservation.options:
        layers.append((f"of the reservation of {reservation.address}", _encoded(tuple(reservation.options.items()))))
    if machine is not None and machine.options:
        layers.append((f"of machine {machine.name}", _encoded(tuple(machine.options.items()))))
    templates: dict[int, tuple[str, str]] = {}
    for source, held in layers:
        for code, value in held.fixed.items():
            chosen[code] = value
            templates.pop(code, None)
        for code, text in held.templates.items():
            templates[code] = (source, text)
            chosen.pop(code, None)
    if templates:
        exchange.templated = True
        facts = _facts(exchange, subnet, reservation, address)
        for code, (source, text) in templates.items():
            value = _rendered(exchange, code, source, text, facts)
            if value:
                chosen[code] = value
    return chosen


def _rendered(exchange: Exchange, code: int, source: str, text: str, facts: Mapping[str, Any]) -> bytes:
    """The octets of a templated value; empty: it is left out."""
    from app.netboot import render

    option = catalogue.find(str(code)) or Option(code, str(code), "", Kind.ANY)
    try:
        said = render.value(text, facts).strip()
        return values.encode(option, said) if said else b""
    except (DhcpError, InvalidError) as error:
        why = plain(error.message if isinstance(error, InvalidError) else str(error), 200)
        exchange.emit(
            "dhcp.option",
            f"option {option.title} {source} is left out: {why}",
            level=Level.WARNING,
            option=code,
            name=option.name,
            source=source,
            why=why,
        )
        return b""


def _facts(exchange: Exchange, subnet: Subnet, reservation: Reservation | None, address: IPv4Address) -> dict[str, Any]:
    """What a template may look at; listed in docs/reference/options.md by `FACTS`."""
    request, firmware, client = exchange.request, exchange.firmware, exchange.client
    machine = exchange.view.machine_by_mac(client.mac) if client.mac else None
    return {
        "options": incoming(request.options),
        "mac": client.mac,
        "client_id": client.client_id,
        "address": "" if address == ZERO else str(address),
        "hostname": firmware.hostname,
        "vendor_class": firmware.vendor_class,
        "user_class": firmware.user_class,
        "arch": firmware.arch,
        "firmware": firmware.kind,
        "stage": firmware.stage,
        "server": str(exchange.server),
        "relay": "" if request.giaddr == ZERO else str(request.giaddr),
        "circuit_id": plain(exchange.relay.get(1, b"")),
        "remote_id": exchange.relay.get(2, b"").hex(),
        "interface": exchange.arrival.interface,
        "subnet": {
            "name": subnet.name,
            "cidr": str(subnet.cidr),
            "netmask": str(subnet.cidr.netmask),
            "router": str(subnet.router or ""),
            "domain": subnet.domain,
        },
        "reservation": None
        if reservation is None
        else {"address": str(reservation.address), "hostname": reservation.hostname},
        "machine": None
        if machine is None
        else {
            "name": machine.name,
            "id": str(machine.id),
            "bootenv": machine.bootenv,
            "architecture": machine.architecture,
            "firmware": machine.firmware,
            "registered": machine.registered,
        },
    }


FACTS: dict[str, str] = {
    "options": "what the client sent, by number or name: `options[93]`, `options.client_system`; what is no text, a "
    "number or addresses is in hexadecimal",
    "mac": "its hardware address",
    "client_id": "its client identifier in hexadecimal",
    "address": "the address it is given; empty in an answer to INFORM",
    "hostname": "the name it says it has",
    "vendor_class": "option 60",
    "user_class": "option 77",
    "arch": "the architecture type of its firmware as a number (option 93), or none",
    "firmware": "`bios` or `uefi`",
    "stage": "`rom`, `ipxe` or `os`",
    "server": "our address on the way to it",
    "relay": "the address of its relay; empty: none",
    "circuit_id": "of the relay: the switch's port, as text",
    "remote_id": "of the relay, in hexadecimal",
    "interface": "where it was heard",
    "subnet": "`name`, `cidr`, `netmask`, `router`, `domain`",
    "reservation": "`address`, `hostname`; none where it has no reservation",
    "machine": "`name`, `id`, `bootenv`, `architecture`, `firmware`, `registered`; none where it is not on record",
}
"""What a template of an option may look at."""


def incoming(options: Mapping[int, bytes]) -> dict[int | str, str]:
    """A client's options as text by number and name, for a template."""
    told: dict[int | str, str] = {}
    for code, value in options.items():
        option = catalogue.find(str(code))
        if option is None:
            continue
        text = plain(values.decode(option, value), 1024).removeprefix("hex:")
        told[code] = told[option.name] = told[option.name.replace("-", "_")] = text
    return told


def sendable(exchange: Exchange, chosen: Mapping[int, bytes], router: bytes) -> dict[int, bytes]:
    """What is sent of the chosen options: what this client asks for, in its order; all where it asks for nothing.

    Routes get the one through the router where they name none that leads everywhere, for a client that takes routes
    pays the router no heed (RFC 3442). Firmware is told its boot file by the decision alone, and takes option 43 for a
    boot menu. The name of option 81 goes only to who sent one (RFC 4702 section 4).
    """
    if not chosen:
        return {}
    wanted = exchange.request.options.get(opt.PARAMETERS)
    asked = list(chosen) if wanted is None else [code for code in dict.fromkeys(wanted) if code in chosen]
    asked += [code for code in chosen if code in _UNASKED and code not in asked]
    found: dict[int, bytes] = {}
    for code in asked:
        value = chosen[code]
        if code in _ROUTES and router:
            value = _with_default(value, router)
        elif code in _BOOT_OWN and exchange.firmware.boots:
            continue
        elif code == opt.CLIENT_FQDN:
            sent = exchange.request.options.get(code)
            if sent is None:
                continue
            value = values.fqdn_reply(sent, value)
        found[code] = value
    return found


def takes_routes(exchange: Exchange, chosen: Mapping[int, bytes]) -> bool:
    """The client asks for routes and gets them, so that a router is of no use to it."""
    return 121 in chosen and 121 in exchange.request.options.get(opt.PARAMETERS, b"")


def _with_default(routes: bytes, router: bytes) -> bytes:
    at = 0
    while at < len(routes):
        if routes[at] == 0:
            return routes
        at += 1 + (routes[at] + 7) // 8 + 4
    return routes + b"\0" + router[:4]
