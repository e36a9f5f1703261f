"""Every noun with its verbs, options and columns."""

from __future__ import annotations

from app.cli.filenouns import CERTIFICATES, FILES
from app.cli.forms import COMMON, PAGE, Argument, Noun, Option, Verb, editing, key_argument, reading
from app.cli.packetforms import INSPECT, MACHINE_PACKETS

SHELLS = ("bash", "zsh", "fish")

_DHCP_OPTION = Option(
    "--option",
    "a DHCP option by name or number, such as ntp-servers=10.7.0.1 (repeatable); NAME= takes one away",
    "pairs",
    "options",
    metavar="NAME=VALUE",
)

_LOADERS = ("auto", "snponly", "ipxe", "shim", "grub")

_MACHINE_FIELDS = (
    Option("--mac", "a MAC address of it (repeatable)", "list", "macs", metavar="MAC"),
    Option("--name", "another name", field="name"),
    Option("--description", "a note", field="description"),
    Option("--held", "give it an address, never a boot file", "switch", "held"),
    Option("--https", "its firmware trusts this appliance: HTTP boot goes by HTTPS", "switch", "https"),
    Option("--loader", "the boot loader its firmware is given", field="loader", choices=_LOADERS),
    _DHCP_OPTION,
    Option("--profile", "a profile it has, the first counts (repeatable)", "list", "profiles", keys="profiles"),
    Option("--architecture", "amd64, arm64, …", field="architecture"),
    Option("--firmware", "what it boots with", field="firmware", choices=("bios", "uefi")),
)

_PROFILE_FIELDS = (
    _DHCP_OPTION,
    Option("--description", "a note", field="description"),
)

_SUBNET_FIELDS = (
    Option("--cidr", "its network, for example 10.7.0.0/24 or fd00:7::/64", field="cidr", metavar="NETWORK"),
    Option("--range", "addresses to give out, for example 10.7.0.100-10.7.0.200 (repeatable)", "list", "ranges"),
    Option("--router", "the default router", "value", "router", metavar="ADDRESS"),
    Option("--dns", "a name server (repeatable)", "list", "dns", metavar="ADDRESS"),
    Option("--domain", "the DNS domain", field="domain"),
    Option("--lease-time", "how long a lease lasts", "number", "lease_time", metavar="SECONDS"),
    Option("--mode", "what Bootcart does on it", field="mode", choices=("authoritative", "proxy", "unmanaged", "off")),
    Option("--enabled", "answer on it", "switch", "enabled"),
    Option(
        "--next-server",
        "the boot server; none: the address that was reached",
        "value",
        "next_server",
        metavar="ADDRESS",
    ),
    Option(
        "--reserved-lease-time",
        "how long a lease with a reservation lasts",
        "number",
        "reserved_lease_time",
        metavar="SECONDS",
    ),
    Option(
        "--pickers",
        "how an address is found, in order: some of hint, next-free, most-expired, point-to-point, none",
        "list",
        "pickers",
        metavar="PICKERS",
    ),
    Option("--identity", "what clients are told apart by", field="identity", choices=("mac", "client-id")),
    Option("--stateless", "IPv6: give boot files, no addresses", "switch", "stateless"),
    Option("--shared-network", "subnets that share this name share a link", field="shared_network", metavar="NAME"),
    Option("--reservations-only", "give addresses to machines with a reservation alone", "switch", "reservations_only"),
    Option(
        "--kept-for-known",
        "so many addresses, the last of its ranges, for machines on record alone",
        "number",
        "kept_for_known",
        metavar="COUNT",
    ),
    Option("--interface", "serve it on this interface only", field="interface", keys="interfaces"),
    Option("--https", "firmware here trusts this appliance: HTTP boot goes by HTTPS", "switch", "https"),
    Option("--confirmed", "another DHCP server on the segment is accepted", "switch", "confirmed"),
    _DHCP_OPTION,
    Option("--description", "a note", field="description"),
)

_RESERVATION_FIELDS = (
    Option("--mac", "the machine's MAC address", field="mac", metavar="MAC"),
    Option("--client-id", "its client identifier (option 61) instead", field="client_id", metavar="OCTETS"),
    Option(
        "--scope",
        "global: wherever the machine appears; default: on the subnet of its address",
        field="scope",
        choices=("subnet", "global"),
    ),
    Option("--prefix", "outside any subnet: the length of the network's prefix", "number", "prefix", metavar="LENGTH"),
    Option("--router", "outside any subnet: the default router", "value", "router", metavar="ADDRESS"),
    Option("--next-server", "the boot server; none: the subnet's", "value", "next_server", metavar="ADDRESS"),
    Option("--lease-time", "how long its lease lasts", "number", "lease_time", metavar="SECONDS"),
    Option("--address", "another address", field="address", metavar="ADDRESS"),
    Option("--hostname", "the name given with the address", field="hostname"),
    Option("--never-boot", "give the address, never a boot file", "switch", "never_boot"),
    _DHCP_OPTION,
    Option("--description", "a note", field="description"),
)

_ABOUT = (
    Option("--machine", "only about this machine", metavar="KEY", keys="machines"),
    Option("--kind", "only kinds that begin so, for example dhcp.", metavar="KIND"),
)

NOUNS: tuple[Noun, ...] = (
    Noun(
        "machines",
        "machines, registered or only seen on the wire",
        (
            *reading("machines", "machine"),
            *editing(
                "machines",
                "machine",
                "name",
                _MACHINE_FIELDS,
                "bootcart machines create node-07 --mac 52:54:00:00:00:07",
            ),
            Verb(
                "assign",
                "assign a boot environment",
                "assigned",
                (key_argument("machines"), Argument("bootenv", 'its name; "": the default', keys="bootenvs")),
                (Option("--reboot", "ask the machine's agent to reboot into it", "switch"),),
                ("bootcart machines assign node-07 debian-12 --reboot",),
            ),
            Verb("reboot", "ask the machine's agent to reboot", "rebooted", (key_argument("machines"),)),
            Verb(
                "loader",
                "choose the boot loader its firmware is given",
                "loader_chosen",
                (
                    key_argument("machines"),
                    Argument("loader", "next: after what it gets now; auto: what works", choices=("next", *_LOADERS)),
                ),
                examples=("bootcart machines loader node-07 next",),
            ),
            Verb(
                "diagnose",
                "say why it does not boot: what was seen, what it means, what to do",
                "diagnosed",
                (key_argument("machines"),),
                examples=("bootcart machines diagnose node-07",),
            ),
            Verb("timeline", "show the newest boot, hop by hop", "timeline", (key_argument("machines"),)),
            Verb(
                "boot",
                "show what it would be answered and given if it booted now; changes nothing",
                "boot",
                (key_argument("machines"),),
                (
                    Option(
                        "--architecture",
                        "with this firmware: bios, uefi-x64, uefi-x64-http, uefi-arm64, uefi-arm64-http or a number of "
                        "DHCP option 93; default: what it last booted with",
                        metavar="NAME",
                    ),
                    Option("--interface", "on this interface; default: where it was last heard", keys="interfaces"),
                ),
                ("bootcart machines boot node-07 --architecture uefi-x64", "bootcart machines boot 52:54:00:00:00:07"),
            ),
            Verb("script", "show the boot script it would get now", "script", (key_argument("machines"),)),
            *MACHINE_PACKETS,
        ),
        columns=(
            "name",
            "status.state",
            "address",
            "macs",
            "bootenv",
            "status.hop",
            "status.waiting_for",
            "status.diagnosis",
        ),
    ),
    Noun(
        "profiles",
        "DHCP options that machines have in common",
        (
            *reading("profiles", "profile"),
            *editing(
                "profiles",
                "profile",
                "name",
                _PROFILE_FIELDS,
                "bootcart profiles create storage --option interface-mtu=9000",
            ),
        ),
        columns=("name", "options", "description"),
    ),
    Noun(
        "subnets",
        "network segments Bootcart answers on",
        (
            *reading("subnets", "subnet"),
            *editing(
                "subnets",
                "subnet",
                "name",
                _SUBNET_FIELDS,
                "bootcart subnets create rack7 --cidr 10.7.0.0/24 --range 10.7.0.100-10.7.0.200 --router 10.7.0.1",
                (Option("--drain", "leases that are left behind end when next renewed; else refused", "switch"),),
            ),
            Verb("usage", "how many addresses are leased, offered, kept back, reserved and free", "used"),
        ),
        columns=("name", "cidr", "mode", "ranges", "router", "lease_time", "hold"),
    ),
    Noun(
        "reservations",
        "addresses kept for one machine each",
        (
            *reading("reservations", "reservation"),
            *editing(
                "reservations",
                "reservation",
                "address",
                _RESERVATION_FIELDS,
                "bootcart reservations create 10.7.0.50 --mac 52:54:00:00:00:50",
            ),
        ),
        key="address",
        columns=("address", "mac", "client_id", "scope", "hostname", "never_boot", "description"),
    ),
    Noun(
        "leases",
        "addresses given out",
        (
            *reading("leases", "lease"),
            Verb("delete", "forget leases, or clear a quarantine", "deleted", (key_argument("leases", many=True),)),
        ),
        key="address",
        columns=("address", "mac", "state", "expires", "subnet", "hostname"),
    ),
    Noun(
        "options",
        "DHCP options by name: number, type, RFC, an example",
        tuple(verb for verb in reading("options", "option") if verb.name in ("list", "show")),
        columns=("code", "name", "kind", "rfc", "example"),
    ),
    Noun(
        "interfaces",
        "network interfaces of the engine's host",
        (
            *reading("interfaces", "interface"),
            Verb("probe", "ask the segment for other DHCP servers", "probed", (key_argument("interfaces"),)),
        ),
        columns=("name", "kind", "link", "mac", "addresses", "served", "subnet", "reason"),
    ),
    Noun(
        "bootenvs",
        "boot environments: what machines are given to boot",
        (
            *reading("bootenvs", "bootenv"),
            Verb(
                "render",
                "show what a template renders to for a machine",
                "rendered",
                (key_argument("bootenvs"),),
                (
                    Option("--machine", "for this machine", metavar="KEY", keys="machines"),
                    Option("--template", "which one; default: the boot script", metavar="NAME"),
                ),
                ("bootcart bootenvs render debian-12 --machine node-07 --template preseed",),
            ),
        ),
        columns=("name", "kind", "title", "errors"),
    ),
    Noun(
        "events",
        "what happened",
        (
            Verb("list", "list kept events, the newest last", "listed_events", options=(*_ABOUT, *PAGE)),
            Verb(
                "watch",
                "follow events as they come",
                "watched",
                options=(
                    *_ABOUT,
                    Option("--after", "begin after the event of this number", "number", metavar="ID"),
                    Option("--limit", "end after this many", "number"),
                ),
                examples=("bootcart events watch --machine node-07",),
            ),
            INSPECT,
        ),
        key="id",
        columns=("time", "kind", "message"),
    ),
    FILES,
    CERTIFICATES,
    Noun(
        "prefs",
        "preferences of the appliance",
        (
            *reading("prefs", "pref"),
            Verb(
                "set",
                "set a preference",
                "set_pref",
                (key_argument("prefs"), Argument("value", "its new value")),
                examples=("bootcart prefs set unknown-bootenv discovery",),
            ),
        ),
        columns=("name", "value", "default", "description"),
    ),
    Noun(
        "services",
        "services of the engine",
        (
            *reading("services", "service"),
            Verb("restart", "stop and start a service", "restarted", (key_argument("services"),)),
        ),
        columns=("name", "state", "listening", "since", "reason", "failures", "last_reason"),
    ),
    Noun(
        "commands",
        "the command log: who changed what",
        (
            *reading("commands", "command"),
            Verb(
                "undo",
                "take back a command; without a number the newest that can be",
                "undone",
                (Argument("key", "its number", optional=True),),
            ),
        ),
        key="id",
        columns=("id", "time", "actor", "summary", "undone_by"),
    ),
)

ENGINE_VERBS: tuple[Verb, ...] = (
    Verb("info", "what the engine says of itself", "info"),
    Verb("hold", "answer no one until `bootcart release`", "held"),
    Verb("release", "answer again", "released"),
    Verb("stop", "stop the engine for good", "stopped"),
)
"""Verbs without a noun: they are about the engine."""

COMPLETION = Verb(
    "completion",
    "write the completion script of a shell",
    "completion",
    (Argument("shell", "which", choices=SHELLS),),
    examples=("bootcart completion bash > /etc/bash_completion.d/bootcart",),
)


def find(name: str) -> Noun | None:
    """The noun of this name."""
    return next((noun for noun in NOUNS if noun.name == name), None)


def options_of(verb: Verb) -> tuple[Option, ...]:
    """All options of a verb, the common ones last."""
    return (*verb.options, *COMMON)
