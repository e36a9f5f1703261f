"""The forms of the verbs of `app.cli.packets`."""

from __future__ import annotations

from app.cli.forms import PAGE, Argument, Option, Verb, key_argument

MACHINE_PACKETS: tuple[Verb, ...] = (
    Verb(
        "packets",
        "list what went over the wire in its last boots, oldest first",
        "packets",
        (key_argument("machines"),),
        PAGE,
        ("bootcart machines packets node-07 --filter protocol=dhcp",),
    ),
    Verb(
        "pcap",
        "write the same to a capture for Wireshark; tokens are starred out",
        "captured",
        (key_argument("machines"),),
        (
            Option("-o", "a file, a directory, or - for standard output; default: NAME.pcapng", metavar="FILE"),
            Option("--boots", "the last so many boots; default: all that are kept", "number"),
            Option("--replace", "write over a file that is there", "switch"),
        ),
        ("bootcart machines pcap node-07", "bootcart machines pcap node-07 --boots 1 -o - | tshark -r -"),
    ),
)
"""Of machines."""

INSPECT = Verb(
    "inspect",
    "show the request and the reply behind an event, taken apart",
    "inspected",
    (Argument("key", "the event's number, as events list --quiet tells it"),),
    (Option("--hex", "their octets too", "switch"),),
    ("bootcart events inspect 1234",),
)
"""Of events."""
