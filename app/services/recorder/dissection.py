"""One packet layer by layer: scapy's dissection, DHCP options by their names in our own catalogue.

Import this where it is needed and not before: scapy takes a fifth of a second and 50 MB.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

from scapy.layers import dhcp, dhcp6
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.l2 import Ether
from scapy.layers.tftp import TFTP

from app.netboot.wire import catalogue, pxe, values
from app.netboot.wire import options as opt
from app.netboot.wire.catalogue import Option
from app.netboot.wire.dhcp4 import DhcpError, MessageType
from app.netboot.words import plain

_VALUE_MAX = 1024
_DUMP = 16
_OVERLOAD_FILE, _OVERLOAD_SNAME = 1, 2
_HARDWARE_MAX = 16
_TITLES = {"IP": "IPv4"}
# Of the frame around a message only this was on the wire as it is here; what else a header has is made up.
_ENDS = {
    "Ethernet": ("src", "dst"),
    "IP": ("src", "dst"),
    "IPv6": ("src", "dst"),
    "UDP": ("sport", "dport"),
    "TCP": ("sport", "dport"),
}
# scapy's names of options it knows by another name than we do.
_message6: Any = getattr(dhcp6, "_dhcp6_dispatcher")  # noqa: B009 - its type is unknown
_SCAPY_CODES: dict[str, int] = {
    str(getattr(entry, "name", entry)): code
    for code, entry in cast("dict[int, Any]", getattr(dhcp, "DHCPOptions")).items()  # noqa: B009 - its type is unknown
}


def layers(protocol: str, frame: bytes, octets: bytes) -> tuple[str, ...]:
    """The lines of a packet; total: what scapy cannot take apart is shown as far as it could."""
    lines: list[str] = []
    try:
        found: Any = Ether(frame)
        while found.name in _ENDS:
            source, target = (found.getfieldval(name) for name in _ENDS[found.name])
            lines.append(f"{_TITLES.get(found.name, found.name):<9} {source} > {target}")
            found = found.payload
        if protocol == "dhcp" and octets:
            # Whatever its port: ProxyDHCP has another, relays may have any.
            lines += _layer(BOOTP(octets))
    except Exception as error:  # a dissector on what anybody may send
        lines.append(f"scapy could not read on: {type(error).__name__}")
    if protocol == "dhcp":
        lines += _options(octets)
    elif protocol == "dhcp6":
        lines += _dhcp6(octets)
    elif protocol == "tftp":
        lines += _tftp(octets)
    else:
        lines += ["HTTP", *(f"  {plain(row, _VALUE_MAX)}" for row in octets.split(b"\r\n") if row)]
    return tuple(lines)


def dump(octets: bytes) -> tuple[str, ...]:
    """Octets in hexadecimal and as text."""
    rows: list[str] = []
    for at in range(0, len(octets), _DUMP):
        part = octets[at : at + _DUMP]
        text = "".join(chr(one) if 0x20 <= one < 0x7F else "." for one in part)
        rows.append(f"{at:04x}  {part[:8].hex(' '):<23}  {part[8:].hex(' '):<23}  {text}")
    return tuple(rows)


def _layer(layer: Any) -> Iterator[str]:
    yield str(layer.name)
    named = {field.name: field for field in layer.fields_desc}
    for name in (name for name in named if name != "options"):
        value = layer.getfieldval(name)
        if name == "chaddr":
            text = value[: min(layer.hlen, _HARDWARE_MAX)].hex(":")
        else:
            text = _octets_text(value) if isinstance(value, bytes) else str(named[name].i2repr(layer, value))
        if text:
            yield f"  {name:<9} {plain(text, _VALUE_MAX)}"


def _octets_text(value: bytes) -> str:
    """Text as far as it is text; fields of fixed length end in NULs."""
    bare = value.rstrip(b"\0")
    return bare.decode("ascii") if bare.isascii() and bare.decode("ascii").isprintable() else f"hex:{bare.hex()}"


def _tftp(octets: bytes) -> list[str]:
    try:
        found: Any = TFTP(octets)
        lines: list[str] = []
        while found and found.name != "Raw":
            for field in found.fields_desc:
                value = found.getfieldval(field.name)
                if field.name == "options" and isinstance(value, list):
                    lines += [f"  {plain(one.oname, 40):<9} {plain(one.value, 80)}" for one in value]  # pyright: ignore
                    continue
                text = plain(value if isinstance(value, bytes) else str(field.i2repr(found, value)), _VALUE_MAX)
                lines.append(f"  {field.name:<9} {text}")
            found = found.payload
    except Exception as error:  # as above
        return ["TFTP", f"  scapy could not read on: {type(error).__name__}"]
    return ["TFTP", *lines]


def _dhcp6(octets: bytes) -> list[str]:
    """The message, then each option on a line: its number, its name, and its fields as scapy reads them."""
    lines: list[str] = []
    try:
        found: Any = _message6(octets)
        while found and found.name != "Raw":
            told = [
                f"{field.name}={field.i2repr(found, found.getfieldval(field.name))}"
                for field in found.fields_desc
                if field.name not in ("optcode", "optlen", "msgtype")
            ]
            name = re.sub(r"^DHCPv?6 | (Message|Option)$", "", str(found.name))
            # Asked of a message, scapy would tell its first option's.
            option = any(field.name == "optcode" for field in found.fields_desc)
            title = f"  {found.optcode:<3} {name}:" if option else f"DHCPv6 {name}"
            lines.append(plain(f"{title} {', '.join(told)}", _VALUE_MAX))
            found = found.payload
    except Exception as error:  # as above
        lines.append(f"  ! scapy could not read on: {type(error).__name__}")
    return lines


def _options(octets: bytes) -> list[str]:
    if len(octets) < 240:
        return []
    heard = _by_scapy(octets)
    lines: list[str] = []
    for where, area in _areas(octets):
        lines.append(f"DHCP options{where}")
        try:
            found = opt.split(area)
        except DhcpError as error:
            lines += [*_option_lines(_whole(area), heard), f"  ! {error}"]
            continue
        lines += _option_lines(found, heard)
    return lines


def _areas(octets: bytes) -> Iterator[tuple[str, bytes]]:
    """The areas options stand in (RFC 3396 section 5): the last, and `file` and `sname` where option 52 says so."""
    area = octets[240:]
    yield "", area
    overload = next((value[0] for code, value in _whole(area) if code == opt.OVERLOAD and len(value) == 1), 0)
    if overload & _OVERLOAD_FILE:
        yield " in file", octets[108:236]
    if overload & _OVERLOAD_SNAME:
        yield " in sname", octets[44:108]


def _whole(area: bytes) -> list[tuple[int, bytes]]:
    """The options that are whole, before one that is not."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(area) and area[at] != opt.END:
        if area[at] == opt.PAD:
            at += 1
            continue
        if at + 1 >= len(area) or at + 2 + area[at + 1] > len(area):
            break
        found.append((area[at], area[at + 2 : at + 2 + area[at + 1]]))
        at += 2 + area[at + 1]
    return found


def _by_scapy(octets: bytes) -> dict[int, str]:
    """What scapy makes of each option's value, where it knows its type."""
    found: dict[int, str] = {}
    try:
        layer: Any = BOOTP(octets).getlayer(DHCP)
        for one in cast("list[Any]", layer.options if layer else []):
            name, *parts = cast("tuple[Any, ...]", one) if isinstance(one, tuple) else (one,)
            code = _SCAPY_CODES.get(str(name))
            if code is not None and not any(isinstance(part, bytes) for part in parts):
                found.setdefault(code, ", ".join(str(part) for part in parts))
    except Exception:  # as above; our own words do without
        return {}
    return found


def _option_lines(found: Iterable[tuple[int, bytes]], heard: dict[int, str]) -> Iterator[str]:
    for code, value in found:
        option = catalogue.OPTIONS.get(code) or catalogue.find(str(code))
        if option is not None:
            yield f"  {code:<3} {option.name:<23} {_value(option, value, heard)}"


def _value(option: Option, value: bytes, heard: dict[int, str]) -> str:
    if option.code == opt.MESSAGE_TYPE and len(value) == 1:
        return MessageType(value[0]).name if value[0] in set(MessageType) else str(value[0])
    if option.code == opt.PARAMETERS:
        named = (catalogue.OPTIONS.get(code) for code in value)
        return ", ".join(one.name if one is not None else str(code) for one, code in zip(named, value, strict=True))
    if option.code == opt.ARCHITECTURE:
        kinds = [(number, pxe.ARCHITECTURES.get(number)) for number in pxe.architectures(value)]
        return ", ".join(f"{number} ({kind.name})" if kind is not None else str(number) for number, kind in kinds)
    if option.code == opt.MACHINE_GUID and (guid := pxe.guid(value)):
        return guid
    text = values.decode(option, value)
    if text.startswith("hex:") and option.code in heard:
        text = heard[option.code]
    if text.startswith("hex:") and value.rstrip(b"\0").isascii() and value.rstrip(b"\0").decode().isprintable():
        text = value.rstrip(b"\0").decode() or text
    return plain(text, _VALUE_MAX)
