"""The page of docs/reference about DHCP options, written from their catalogue; see reference.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from app.netboot.optionhelp import FORMS, everything
from app.netboot.optionset import FACTS

Table = Callable[[Iterable[str], Iterable[Iterable[str]]], Iterator[str]]


def options_page(note: str, table: Table) -> str:
    """docs/reference/options.md."""
    settable = [option for option in everything() if not option.computed]
    refused = [option for option in everything() if option.computed]
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
            ("type", "value", "example"), [(f"`{kind}`", form, f"`{like}`") for kind, (form, like) in FORMS.items()]
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
            ("number", "name", "IANA's name", "type", "RFC"),
            [(str(one.code), f"`{one.name}`", one.title, f"`{one.kind}`", str(one.rfc or "")) for one in settable],
        ),
        "## Options that cannot",
        "",
        *table(
            ("number", "name", "IANA's name", "why"),
            [(str(one.code), f"`{one.name}`", one.title, one.computed) for one in refused],
        ),
    ]
    return "\n".join(lines)
