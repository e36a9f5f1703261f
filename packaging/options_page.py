"""The page of docs/reference about DHCP options, written from their catalogue; see reference.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from app.netboot.optionset import FACTS
from app.netboot.wire.catalogue import OPTIONS

Table = Callable[[Iterable[str], Iterable[Iterable[str]]], Iterator[str]]

_FORMS = {
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


def options_page(note: str, table: Table) -> str:
    """docs/reference/options.md."""
    settable = [option for option in OPTIONS.values() if not option.computed]
    refused = [option for option in OPTIONS.values() if option.computed]
    lines = [
        "# DHCP options",
        "",
        note,
        "",
        "Options beyond what a subnet's own fields say are set on a machine, a reservation, a machine's profiles, a "
        "subnet, or for all in the preference `dhcp-options`; the first of these that has an option counts:",
        "",
        "```",
        "bootcart subnets update rack7 --option ntp-servers=10.7.0.1 --option 'domain-search=lab.example.net'",
        "bootcart reservations update 10.7.0.50 --option interface-mtu=9000",
        "bootcart machines update node-07 --option 'root-path=iscsi:10.7.0.2::::iqn.2024-01.net.example:node-07'",
        "bootcart prefs set dhcp-options 'ntp-servers=10.7.0.1; time-offset=3600'",
        "bootcart subnets update rack7 --option ntp-servers=",
        "```",
        "",
        "The last line takes the option away. An option stands under its name or its number. It is sent to a client "
        "that asks for it (option 55), and to one that asks for nothing; the router, the name servers, the domain and "
        "PXELINUX's options 208 to 211 always. Option 43 is never sent to firmware, which takes it for a boot menu; "
        "options 66 and 67 are sent to clients that do not boot, and for firmware that does, 67 names another boot "
        "file than its boot environment's. A client that takes classless routes pays the router no heed: the route "
        "through the router is added where they hold no default route.",
        "",
        "## Types",
        "",
        "`hex:` or `string:` before a value gives it as octets or text, whatever the type. An option without a type "
        "here, such as those for private use (224 to 254), takes any type of this table before its value: "
        "`224=ip:10.7.0.9`.",
        "",
        *table(
            ("type", "value", "example"), [(f"`{kind}`", form, f"`{like}`") for kind, (form, like) in _FORMS.items()]
        ),
        "## Templates",
        "",
        "A value with `{{ }}` or `{% %}` in it is a template (Jinja2, in a sandbox), rendered for each client: "
        "`host-name={{ machine.name if machine else 'node-' ~ mac[-2:] }}`. What renders to nothing is not sent. One "
        "that fails is left out, and the event `dhcp.option` says why. A template may look at:",
        "",
        *table(("name", "what"), [(f"`{name}`", what) for name, what in FACTS.items()]),
        "## Options that can be set",
        "",
        *table(
            ("number", "name", "IANA's name", "type"),
            [(str(one.code), f"`{one.name}`", one.iana, f"`{one.kind.value}`") for one in settable],
        ),
        "## Options that cannot",
        "",
        *table(
            ("number", "name", "IANA's name", "why"),
            [(str(one.code), f"`{one.name}`", one.iana, one.computed) for one in refused],
        ),
    ]
    return "\n".join(lines)
