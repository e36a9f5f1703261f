"""Values of DHCP options, from the text an operator writes to octets and back (RFC 2132, 3397, 3442, 3361, 4702).

`hex:` and `string:` before a value give it as octets or as text whatever the option's type; an option of no known type
needs the name of one before its value, for example `224=ip:10.7.0.9`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address

from app.netboot.wire.catalogue import Kind, Option
from app.netboot.wire.options import DhcpError, suboptions

LENGTH_MAX = 1024
"""Octets one value may have; what is over 255 is split (RFC 3396), and more than a datagram holds is of no use."""

_TRUE, _FALSE = ("yes", "true", "on", "1"), ("no", "false", "off", "0")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NAME_MAX = 253
_POINTER = 0xC0
# Of what a client sends, so that no packet keeps the thread that answers all others: pointers of one name that follow
# each other, and characters of all names.
_POINTERS_MAX = 32
_NAMES_MAX = 4096


def encode(option: Option, text: str) -> bytes:
    """The octets of a value. Raises DhcpError, in words, for a text that is none of the option's type."""
    kind, rest = _kind(option, text)
    value = _ENCODERS[kind](rest)
    if not value:
        raise DhcpError("an empty value says nothing")
    if len(value) > LENGTH_MAX:
        raise DhcpError(f"{len(value)} octets are too many, {LENGTH_MAX} at most")
    return value


def decode(option: Option, value: bytes) -> str:
    """The text of a value, in the form `encode` takes; octets that are none of the option's type become `hex:…`."""
    decoder = _DECODERS.get(option.kind)
    if decoder is not None and len(value) <= LENGTH_MAX:
        try:
            text = decoder(value)
            if encode(option, text) == value or option.kind is Kind.SEARCH:
                return text
        except (DhcpError, ValueError, IndexError):
            pass
    return f"hex:{value.hex()}"


def _kind(option: Option, text: str) -> tuple[Kind, str]:
    word, colon, rest = text.partition(":")
    if colon and (word in ("hex", "string") or (option.kind is Kind.ANY and word in _TYPES)):
        return Kind(word), rest
    if option.kind is Kind.ANY:
        raise DhcpError(f"its type is not known: write one before the value, for example string:{text or '…'}")
    return option.kind, text


def _items(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _ip(text: str) -> bytes:
    try:
        return IPv4Address(text.strip()).packed
    except ValueError:
        raise DhcpError(f"{text.strip()!r} is not an IPv4 address") from None


def _ips(text: str) -> bytes:
    return b"".join(_ip(item) for item in text.replace(",", " ").split())


def _pairs(text: str) -> bytes:
    pairs = [re.split(r"\s+via\s+|\s*[/=\s]\s*", item) for item in _items(text)]
    if any(len(pair) != 2 for pair in pairs):
        raise DhcpError(f"{text!r} is not a list of pairs of addresses, such as 10.0.0.0 255.0.0.0")
    return b"".join(_ip(one) + _ip(other) for one, other in pairs)


def _integer(octets: int, *, signed: bool = False) -> Callable[[str], bytes]:
    low = -(1 << (8 * octets - 1)) if signed else 0
    high = (1 << (8 * octets - signed)) - 1

    def encoded(text: str) -> bytes:
        try:
            number = int(text.strip(), 0)
        except ValueError:
            raise DhcpError(f"{text.strip()!r} is not a number") from None
        if not low <= number <= high:
            raise DhcpError(f"{number} is not from {low} to {high}")
        return number.to_bytes(octets, "big", signed=signed)

    return encoded


def _uint16s(text: str) -> bytes:
    return b"".join(_integer(2)(item) for item in text.replace(",", " ").split())


def _bool(text: str) -> bytes:
    word = text.strip().lower()
    if word not in _TRUE + _FALSE:
        raise DhcpError(f"{text.strip()!r} is neither yes nor no")
    return bytes((word in _TRUE,))


def _string(text: str) -> bytes:
    # A NUL ends the text of some clients and is part of it for others.
    if "\0" in text:
        raise DhcpError("a text cannot hold a NUL")
    return text.encode("utf-8", "replace")


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(re.sub(r"[\s:-]", "", text.strip().removeprefix("0x")))
    except ValueError:
        raise DhcpError(f"{text.strip()!r} is not hexadecimal") from None


def _routes(text: str) -> bytes:
    """RFC 3442: the length of a prefix, as many of its octets as tell, the router."""
    area = b""
    for item in _items(text):
        words = [word for word in re.split(r"\s+via\s+|\s*[=\s]\s*", item) if word]
        if len(words) != 2:
            raise DhcpError(f"{item!r} is not a route, such as 10.0.0.0/8 via 10.7.0.1")
        try:
            network = IPv4Network("0.0.0.0/0" if words[0] == "default" else words[0])
        except ValueError:
            raise DhcpError(f"{words[0]!r} is not a network, such as 10.0.0.0/8") from None
        octets = network.network_address.packed[: (network.prefixlen + 7) // 8]
        area += bytes((network.prefixlen,)) + octets + _ip(words[1])
    return area


def _labels(text: str) -> list[bytes]:
    name = text.strip().removesuffix(".")
    labels = name.split(".")
    if not name or len(name) > _NAME_MAX or not all(_LABEL.fullmatch(label) for label in labels):
        raise DhcpError(f"{text.strip()!r} is not a domain name")
    return [label.encode() for label in labels]


def _domain(text: str) -> bytes:
    return b"".join(bytes((len(label),)) + label for label in _labels(text)) + b"\0"


def _domains(text: str) -> bytes:
    return b"".join(_domain(item) for item in _items(text.replace(" ", ",")))


def _search(text: str) -> bytes:
    """RFC 3397: names in a row; what an earlier one ends in is pointed to (RFC 1035 section 4.1.4)."""
    area = bytearray()
    seen: dict[tuple[bytes, ...], int] = {}
    for item in _items(text.replace(" ", ",")):
        labels = tuple(label.lower() for label in _labels(item))
        for number, label in enumerate(labels):
            rest = labels[number:]
            if rest in seen:
                area += (_POINTER << 8 | seen[rest]).to_bytes(2, "big")
                break
            if len(area) < 0x4000:
                seen[rest] = len(area)
            area += bytes((len(label),)) + label
        else:
            area.append(0)
    return bytes(area)


def _sip(text: str) -> bytes:
    """RFC 3361: addresses, or names."""
    try:
        return b"\x01" + _ips(text) if text.strip() else b""
    except DhcpError:
        return b"\x00" + _domains(text)


def _agents(text: str) -> bytes:
    """RFC 2610 section 3: `mandatory`, if these alone may be used, and addresses."""
    word, _, rest = text.strip().partition(" ")
    return b"\x01" + _ips(rest) if word == "mandatory" else b"\x00" + _ips(text)


def _scopes(text: str) -> bytes:
    word, _, rest = text.strip().partition(" ")
    return b"\x01" + _string(rest) if word == "mandatory" else b"\x00" + _string(text.strip())


def _ipv6s(text: str) -> bytes:
    try:
        return b"".join(IPv6Address(item).packed for item in text.replace(",", " ").split())
    except ValueError:
        raise DhcpError(f"{text!r} is not a list of IPv6 addresses") from None


_ANY = Option(0, "", "", Kind.ANY)


def _suboptions(text: str) -> bytes:
    area = b""
    for item in (part.strip() for part in text.split(";" if ";" in text else ",")):
        code, equals, value = item.partition("=")
        if not equals or not code.strip().isdecimal() or not 0 < int(code) < 255:
            raise DhcpError(f"{item!r} is not a sub-option, such as 1=ip:10.7.0.1")
        octets = encode(_ANY, value.strip())
        if len(octets) > 255:
            raise DhcpError(f"sub-option {code} is longer than 255 octets")
        area += bytes((int(code), len(octets))) + octets
    return area


def _vendors(text: str) -> bytes:
    """RFC 3925: `ENTERPRISE 1=…, 2=…`, several parted by `|`."""
    area = b""
    for part in text.split("|"):
        number, _, rest = part.strip().partition(" ")
        enterprise, held = _integer(4)(number), _suboptions(rest)
        if len(held) > 255:
            raise DhcpError("the sub-options of one enterprise are longer than 255 octets")
        area += enterprise + bytes((len(held),)) + held
    return area


_ENCODERS: dict[Kind, Callable[[str], bytes]] = {
    Kind.IP: _ip,
    Kind.IPS: _ips,
    Kind.PAIRS: _pairs,
    Kind.UINT8: _integer(1),
    Kind.UINT16: _integer(2),
    Kind.UINT16S: _uint16s,
    Kind.UINT32: _integer(4),
    Kind.INT32: _integer(4, signed=True),
    Kind.BOOL: _bool,
    Kind.STRING: _string,
    Kind.HEX: _hex,
    Kind.ROUTES: _routes,
    Kind.DOMAIN: _domain,
    Kind.DOMAINS: _domains,
    Kind.SEARCH: _search,
    # The flags and the form of a name follow what the client sent: see `fqdn_reply`.
    Kind.FQDN: _domain,
    Kind.SIP: _sip,
    Kind.AGENTS: _agents,
    Kind.SCOPES: _scopes,
    Kind.IPV6S: _ipv6s,
    Kind.SUBOPTIONS: _suboptions,
    Kind.VENDORS: _vendors,
}
_TYPES = frozenset(kind.value for kind in _ENCODERS)


# Back to text


def _pieces(value: bytes, size: int) -> Iterator[bytes]:
    if len(value) % size:
        raise DhcpError(f"{len(value)} octets are no multiple of {size}")
    return (value[at : at + size] for at in range(0, len(value), size))


def _ips_text(value: bytes) -> str:
    return ", ".join(str(IPv4Address(piece)) for piece in _pieces(value, 4))


def _pairs_text(value: bytes) -> str:
    return ", ".join(f"{IPv4Address(piece[:4])} {IPv4Address(piece[4:])}" for piece in _pieces(value, 8))


def _number_text(octets: int, *, signed: bool = False) -> Callable[[bytes], str]:
    def decoded(value: bytes) -> str:
        if len(value) != octets:
            raise DhcpError(f"{len(value)} octets are not {octets}")
        return str(int.from_bytes(value, "big", signed=signed))

    return decoded


def _string_text(value: bytes) -> str:
    return value.rstrip(b"\0").decode()


def _routes_text(value: bytes) -> str:
    routes: list[str] = []
    at = 0
    while at < len(value):
        length, octets = value[at], (value[at] + 7) // 8
        end = at + 1 + octets + 4
        if length > 32 or end > len(value):
            raise DhcpError("a route runs past the end")
        network = IPv4Network((value[at + 1 : at + 1 + octets].ljust(4, b"\0"), length))
        routes.append(f"{network} via {IPv4Address(value[end - 4 : end])}")
        at = end
    return ", ".join(routes)


def _name_at(value: bytes, at: int) -> tuple[str, int]:
    """The name that begins at an octet, and where the next one does."""
    labels: list[str] = []
    after, floor, pointers, long = -1, at, 0, 0
    while length := value[at]:
        if length >= _POINTER:
            target = (length & 0x3F) << 8 | value[at + 1]
            after = at + 2 if after < 0 else after
            pointers += 1
            if target >= floor or pointers > _POINTERS_MAX:  # only ever back, or it may never end
                raise DhcpError("a pointer leads forward, or to too many others")
            at = floor = target
            continue
        labels.append(value[at + 1 : at + 1 + length].decode("ascii"))
        at += 1 + length
        long += 1 + length
        if long > _NAME_MAX + 1:
            raise DhcpError(f"a name is longer than {_NAME_MAX} characters")
    return ".".join(labels), at + 1 if after < 0 else after


def _domains_text(value: bytes) -> str:
    found: list[str] = []
    at = long = 0
    while at < len(value):
        name, at = _name_at(value, at)
        found.append(name)
        long += len(name)
        if long > _NAMES_MAX:
            raise DhcpError("the names are too long to be read")
    return ", ".join(found)


def _sip_text(value: bytes) -> str:
    return _ips_text(value[1:]) if value[0] == 1 else _domains_text(value[1:])


def _suboptions_text(value: bytes) -> str:
    return "; ".join(f"{code}=hex:{held.hex()}" for code, held in suboptions(value).items())


def _vendors_text(value: bytes) -> str:
    """RFC 3925 section 4: several enterprises, each with sub-options of its own."""
    told: list[str] = []
    at = 0
    while at < len(value):
        length = value[at + 4]
        held = value[at + 5 : at + 5 + length]
        if len(held) != length:
            raise DhcpError("the sub-options of an enterprise run past the end")
        told.append(f"{int.from_bytes(value[at : at + 4], 'big')} {_suboptions_text(held)}")
        at += 5 + length
    return " | ".join(told)


_DECODERS: dict[Kind, Callable[[bytes], str]] = {
    Kind.IP: _ips_text,
    Kind.IPS: _ips_text,
    Kind.PAIRS: _pairs_text,
    Kind.UINT8: _number_text(1),
    Kind.UINT16: _number_text(2),
    Kind.UINT16S: lambda value: ", ".join(str(int.from_bytes(piece, "big")) for piece in _pieces(value, 2)),
    Kind.UINT32: _number_text(4),
    Kind.INT32: _number_text(4, signed=True),
    Kind.BOOL: lambda value: {b"\0": "no", b"\1": "yes"}.get(value, ""),
    Kind.STRING: _string_text,
    Kind.ROUTES: _routes_text,
    Kind.DOMAIN: _domains_text,
    Kind.DOMAINS: _domains_text,
    Kind.SEARCH: _domains_text,
    Kind.SIP: _sip_text,
    Kind.SUBOPTIONS: _suboptions_text,
    Kind.VENDORS: _vendors_text,
}

_FQDN_ENCODED, _FQDN_OVERRIDE, _FQDN_SERVER = 4, 2, 1


def fqdn_reply(asked: bytes, name: bytes) -> bytes:
    """Option 81 for a client that sent `asked`, with a name in wire form (RFC 4702 sections 2.1 and 4).

    No DNS record is ever made here, so S is clear, O says so where the client asked for one, and N is set.
    """
    flags = asked[0] if asked else 0
    encoded = flags & _FQDN_ENCODED
    said = encoded | 8 | (_FQDN_OVERRIDE if flags & _FQDN_SERVER else 0)
    text = name if encoded else b".".join(_split(name))
    return bytes((said, 255, 255)) + text


def _split(name: bytes) -> list[bytes]:
    labels: list[bytes] = []
    at = 0
    while name[at]:
        labels.append(name[at + 1 : at + 1 + name[at]])
        at += 1 + name[at]
    return labels
