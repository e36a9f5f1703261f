"""What can be done with what went over the wire."""

from __future__ import annotations

from app.screens.action import Action

PACKET_ACTIONS: tuple[Action, ...] = (
    Action(
        "capture",
        "write what went over the wire in its last boots to a file for Wireshark",
        "capture",
        ("C",),
        ("machine", "machines", "decisions", "inspect", "packets"),
        "Machines",
        "machines pcap KEY",
        footer=48,
    ),
    Action(
        "packets",
        "what went over the wire in its last boots, packet by packet",
        "packets",
        ("K",),
        ("machine", "machines"),
        "Machines",
        "machines packets KEY",
        footer=47,
    ),
    Action(
        "inspect",
        "the packets behind the event: request and reply, taken apart",
        "packets",
        ("I",),
        ("events", "machine"),
        "Event log",
        "events inspect ID",
        footer=57,
    ),
    Action(
        "only_silent",
        "only what was not answered; again: all",
        "silent",
        ("s",),
        ("decisions",),
        "Decisions",
        footer=75,
    ),
    Action(
        "this_client",
        "only what the machine of this line asked; again: all",
        keys=("o",),
        areas=("decisions",),
        group="Decisions",
    ),
    Action(
        "this_interface",
        "only what came on the interface of this line; again: all",
        keys=("i",),
        areas=("decisions",),
        group="Decisions",
    ),
    Action(
        "to_machine",
        "open the machine it is about",
        "machine",
        ("m",),
        ("decisions", "inspect"),
        "Decisions",
        footer=74,
    ),
    Action(
        "other_side",
        "from the request to the reply, and back",
        "request/reply",
        ("tab", "left", "right", "shift+tab"),
        ("inspect",),
        "Packets",
        footer=90,
    ),
    Action("octets", "as octets in hexadecimal, or layer by layer", "hex", ("x",), ("inspect",), "Packets", footer=85),
    Action(
        "write_exchange",
        "write both, layers and octets, to a text file",
        "write",
        ("w",),
        ("inspect",),
        "Packets",
        footer=80,
    ),
)
"""Part of the registry's ACTIONS."""
