"""DHCP options for people: what a value of each type is, an example, and the RFC that defines the option."""

from __future__ import annotations

from app.model.optionhelp import OptionHelp
from app.netboot.wire.catalogue import OPTIONS, Option

FORMS: dict[str, tuple[str, str]] = {
    "ip": ("an IPv4 address", "10.7.0.9"),
    "ip-list": ("IPv4 addresses, parted by commas", "10.7.0.1, 10.7.0.2"),
    "ip-pairs": ("pairs of IPv4 addresses, parted by commas", "10.9.0.0 10.7.0.1, 10.9.1.0 10.7.0.2"),
    "uint8": ("a number from 0 to 255", "64"),
    "uint16": ("a number from 0 to 65535; `0x` before it: hexadecimal", "9000"),
    "uint16-list": ("such numbers, parted by commas", "296, 576, 1500"),
    "uint32": ("a number from 0 to 4294967295", "86400"),
    "int32": ("a number that may be negative", "-3600"),
    "bool": ("yes or no", "yes"),
    "string": ("text, in UTF-8", "node-{{ mac[-2:] }}"),
    "hex": ("octets in hexadecimal, colons allowed", "01:0a:ff"),
    "routes": ("networks and their routers; `default` is 0.0.0.0/0", "10.0.0.0/8 via 10.7.0.2, default via 10.7.0.1"),
    "domain": ("a domain name", "lost.example.net"),
    "domains": ("domain names, parted by commas", "a.example.net, b.example.net"),
    "domain-search": ("domain names; what they share is sent once", "lab.example.net, example.net"),
    "fqdn": ("a domain name, sent to clients that name themselves", "{{ machine.name }}.example.net"),
    "sip-servers": ("addresses or domain names", "10.7.0.9"),
    "slp-agents": ("addresses, `mandatory` may stand before them", "mandatory 10.7.0.9"),
    "slp-scopes": ("scopes, `mandatory` may stand before them", "mandatory lab"),
    "ipv6-list": ("IPv6 addresses, parted by commas", "2001:db8::1"),
    "sub-options": ("number, type and value of each", "1=ip:10.7.0.9; 2=string:lab; 3=hex:00ff"),
    "vendor-options": ("enterprise number and sub-options; `|` between several", "4491 1=hex:01; 2=uint16:80"),
}
"""Each type: what a value is, and one."""

_RFC_2132 = 2132
# The registry's references, where an option came after RFC 2132.
_RFCS = {
    2241: (85, 86, 87), 2242: (62, 63), 2485: (98,), 2563: (116,), 2610: (78, 79), 2937: (117,), 3004: (77,),
    3011: (118,), 3046: (82,), 3118: (90,), 3361: (120,), 3397: (119,), 3442: (121,), 3495: (122,),
    3679: (95, 112, 113), 3925: (124, 125), 4039: (80,), 4174: (83,), 4280: (88, 89), 4388: (91, 92),
    4578: (93, 94, 97), 4702: (81,), 4776: (99,), 4833: (100, 101),
    5071: (208, 209, 210, 211), 5192: (136,), 5223: (137,), 5417: (138,),
    5678: (139, 140), 5859: (150,), 5969: (212,), 5986: (213,), 6011: (141,), 6153: (142,), 6225: (123, 144),
    6607: (221,), 6656: (220,), 6704: (145,), 6731: (146,), 6926: (*range(151, 158),), 7291: (158,), 7618: (159,),
    8520: (161,), 8539: (109,), 8572: (143,), 8910: (114,), 8925: (108,), 8973: (147,), 9463: (162,),
}  # fmt: skip
_RFC_OF = {code: rfc for rfc, codes in _RFCS.items() for code in codes}
_LAST_OF_2132 = 76


def described(option: Option) -> OptionHelp:
    """All that is told of an option."""
    form, example = FORMS.get(option.kind.value, ("a value of any type, the type before it", "ip:10.7.0.9"))
    rfc = _RFC_OF.get(option.code, _RFC_2132 if option.code <= _LAST_OF_2132 else 0)
    return OptionHelp(
        name=option.name,
        code=option.code,
        title=option.iana,
        kind=option.kind.value,
        form=form,
        example=example,
        rfc=rfc,
        computed=option.computed,
    )


def everything() -> list[OptionHelp]:
    """Every option that has a name, by number."""
    return [described(option) for option in OPTIONS.values()]
