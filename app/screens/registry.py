"""The one registry of what can be done: keys, footer, help and the `:` line are all made from it."""

from __future__ import annotations

from app.screens.action import Action
from app.screens.packetactions import PACKET_ACTIONS

AREAS: tuple[tuple[str, str, str], ...] = (
    ("1", "machines", "machines on the wire and on record"),
    ("2", "subnets", "networks that are served"),
    ("3", "leases", "addresses given out"),
    ("4", "reservations", "addresses kept for one machine"),
    ("5", "bootenvs", "what machines can boot"),
    ("6", "events", "everything that happened"),
    ("0", "decisions", "what DHCP was asked, what it answered, and why"),
    ("7", "services", "what runs, and restarting it"),
    ("8", "interfaces", "network interfaces of this host"),
    ("9", "prefs", "preferences of the appliance"),
    ("@", "commands", "command log: who changed what, undo"),
)
"""Key, name and purpose of each top-level area."""

LISTS = tuple(name for _, name, _ in AREAS)
_LEASES = ("leases", "holders")
_MARKABLE = ("machines", "leases", "reservations", "subnets", "holders")
_MACHINE = ("machines", "machine")
_LOGS = ("events", "decisions")

ACTIONS: tuple[Action, ...] = (
    # Machines
    Action(
        "assign",
        "assign a boot environment, and reboot into it where the agent listens",
        "boot",
        ("b",),
        (*_MACHINE, *_LEASES, "reservations"),
        "Machines",
        "machines assign KEY BOOTENV",
        ("boot KEY BOOTENV",),
        90,
    ),
    Action(
        "reboot",
        "ask the agent to reboot the machine",
        "reboot",
        ("R",),
        _MACHINE,
        "Machines",
        "machines reboot KEY",
        ("reboot KEY",),
        80,
    ),
    Action(
        "edit_machine", "change name, description, hold of the machine", "edit", ("e",), _MACHINE, "Machines", footer=60
    ),
    Action(
        "forget",
        "forget the machine: its record and assignment are deleted",
        "forget",
        ("d", "x"),
        _MACHINE,
        "Machines",
        "machines delete KEY",
        ("forget KEY",),
        58,
    ),
    Action(
        "fix",
        "do what the diagnosis says, or open the screen that does it",
        "fix",
        ("f",),
        _MACHINE,
        "Machines",
        "machines diagnose KEY",
        footer=88,
    ),
    Action(
        "would_get",
        "what it would get if it booted now: answers, script, files",
        "would get",
        ("w",),
        _MACHINE,
        "Machines",
        "machines boot KEY",
        footer=50,
    ),
    Action(
        "loader",
        "choose its boot loader: the next one, one by name, or auto",
        "loader",
        ("L",),
        _MACHINE,
        "Machines",
        "machines loader KEY LOADER",
        ("loader KEY LOADER",),
        48,
    ),
    Action("next_firmware", "with the next firmware", "firmware", ("right", "]", "tab"), ("boot",), "Boot", footer=85),
    Action(
        "previous_firmware", "with the firmware before", keys=("left", "[", "shift+tab"), areas=("boot",), group="Boot"
    ),
    Action("tab_timeline", "how its boot goes, hop by hop", keys=("t",), areas=("machine",), group="Machine"),
    Action("tab_inventory", "what is in it", keys=("i",), areas=("machine",), group="Machine"),
    Action("tab_bootenv", "its boot environment", keys=("v",), areas=("machine",), group="Machine"),
    Action("tab_script", "the boot script it would get now", keys=("s",), areas=("machine",), group="Machine"),
    Action("tab_events", "its events", keys=("l",), areas=("machine",), group="Machine"),
    Action("tab_history", "what was changed about it", keys=("y",), areas=("machine",), group="Machine"),
    Action("next_tab", "next tab", "tabs", ("right", "]", "tab"), ("machine",), "Machine", footer=85),
    Action("previous_tab", "previous tab", keys=("left", "[", "shift+tab"), areas=("machine",), group="Machine"),
    # Subnets
    Action("new_subnet", "create a subnet", "new", ("a",), ("subnets",), "Subnets", footer=90),
    Action("edit_subnet", "change the subnet", "edit", ("e",), ("subnets",), "Subnets", footer=80),
    Action(
        "delete_subnet",
        "delete the subnet",
        "delete",
        ("d", "x"),
        ("subnets",),
        "Subnets",
        "subnets delete KEY",
        footer=70,
    ),
    Action(
        "wizard",
        "set up a segment step by step",
        "wizard",
        ("W",),
        ("subnets", "interfaces", "machines"),
        "Subnets",
        aliases=("wizard",),
        footer=40,
    ),
    # Leases and reservations
    Action(
        "holders",
        "who holds what on the subnet",
        "who holds what",
        ("l",),
        ("subnets", "leases", "reservations"),
        "Leases",
        footer=75,
    ),
    Action("reserve", "keep this address for this machine", "reserve", ("r",), _LEASES, "Leases", footer=90),
    Action(
        "forget_lease",
        "forget the lease, or clear a quarantined address",
        "forget",
        ("d", "x"),
        _LEASES,
        "Leases",
        "leases delete KEY",
        footer=80,
    ),
    Action(
        "new_reservation",
        "create a reservation",
        "new",
        ("a",),
        ("reservations",),
        "Reservations",
        "reservations create ADDRESS --mac MAC",
        ("reserve ADDRESS MAC",),
        90,
    ),
    Action("edit_reservation", "change the reservation", "edit", ("e",), ("reservations",), "Reservations", footer=80),
    Action(
        "delete_reservation",
        "delete the reservation",
        "delete",
        ("d", "x"),
        ("reservations",),
        "Reservations",
        "reservations delete KEY",
        footer=70,
    ),
    # Services, interfaces, preferences, commands
    Action(
        "restart",
        "restart the service",
        "restart",
        ("R",),
        ("services",),
        "Services",
        "services restart KEY",
        ("restart KEY",),
        90,
    ),
    Action(
        "stop_engine",
        "stop the engine: nothing answers any more",
        keys=("X",),
        areas=("services",),
        group="Services",
        aliases=("stop",),
    ),
    Action(
        "probe",
        "listen for other DHCP servers on the interface",
        "probe",
        ("p",),
        ("interfaces",),
        "Interfaces",
        "interfaces probe KEY",
        ("probe KEY",),
        90,
    ),
    Action(
        "subnet_from",
        "serve this interface: a subnet is proposed, a second key saves it",
        "subnet",
        ("a",),
        ("interfaces",),
        "Interfaces",
        footer=80,
    ),
    Action(
        "edit_pref",
        "change the preference",
        "edit",
        ("e",),
        ("prefs",),
        "Preferences",
        "prefs set KEY VALUE",
        ("set KEY VALUE",),
        90,
    ),
    Action("reset_pref", "put the default back", "default", ("r",), ("prefs",), "Preferences", footer=80),
    Action(
        "undo_this",
        "undo this command",
        "undo it",
        ("u",),
        ("commands",),
        "Command log",
        "commands undo [KEY]",
        footer=90,
    ),
    # Wizard
    Action(
        "wizard_choose", "set up a segment on this interface", "set up", ("enter",), ("wizard",), "Wizard", footer=90
    ),
    Action("wizard_probe", "ask again for other DHCP servers", "ask again", ("p",), ("wizard",), "Wizard", footer=80),
    Action(
        "wizard_lab", "no free segment: try it on virtual machines", "lab", ("L",), ("wizard",), "Wizard", footer=70
    ),
    # Lists and logs
    Action(
        "open",
        "open what the cursor is on",
        "open",
        ("enter",),
        (
            "machines",
            "subnets",
            "bootenvs",
            "events",
            "packets",
            "decisions",
            "services",
            "interfaces",
            "commands",
            "reservations",
            "prefs",
            *_LEASES,
        ),
        "Lists",
        footer=55,
    ),
    Action("mark", "mark or unmark", "mark", ("space",), _MARKABLE, "Lists", footer=70),
    Action("mark_range", "mark a range: here and at its other end", keys=("v",), areas=_MARKABLE, group="Lists"),
    Action("mark_all", "mark all the filter shows", keys=("*",), areas=_MARKABLE, group="Lists"),
    Action("clear_marks", "clear all marks, hidden ones too", keys=("\\",), areas=_MARKABLE, group="Lists"),
    Action(
        "follow",
        "go to the newest event and follow",
        "follow",
        ("G",),
        ("events", "machines", "decisions"),
        "Event log",
        footer=45,
    ),
    Action("pause", "stop following, or follow again", "pause", ("p",), _LOGS, "Event log", footer=80),
    Action(
        "pane", "go between the list and the events below it", "events", ("tab",), ("machines",), "Event log", footer=42
    ),
    Action("next_match", "next match of the filter, with count", "next", ("n",), _LOGS, "Event log", footer=44),
    Action("previous_match", "previous match", keys=("N",), areas=_LOGS, group="Event log"),
    Action(
        "only_matches",
        "show all events and highlight the matches, or the matches only",
        keys=("a",),
        areas=_LOGS,
        group="Event log",
    ),
    *PACKET_ACTIONS,
    # General
    Action(
        "filter",
        "filter: word, field=value, field~part, !not; Esc clears",
        "filter",
        ("/",),
        (*LISTS, "holders", "packets"),
        "General",
        footer=78,
    ),
    Action("command", "command line: the same verbs as `bootcart` in a shell", "cmd", (":",), footer=77),
    Action("areas", "go to an area", "areas", ("0-9",), footer=76),
    Action("back", "back; clears the filter; acknowledges an error", keys=("escape",)),
    Action("undo", "undo the newest change that can be undone", "undo", ("z",), aliases=("undo",), footer=20),
    Action("redo", "do again what was undone last", keys=("Z",), aliases=("redo",)),
    Action("hold", "hold: answer no one; again: answer", "hold", ("H",), aliases=("hold [on|off]",), footer=10),
    Action("freeze", "freeze the view, or let it live again", keys=("F",)),
    Action("redraw", "draw the screen again, measure the terminal again", keys=("ctrl+l",)),
    Action("dump", "write the screen to a text file", keys=("S",)),
    Action("picture", "write the screen to an SVG picture", keys=("P",)),
    Action("help", "this help", "help", ("?", "f1"), aliases=("help",), footer=100),
    Action(
        "quit", "leave the interface; machines are served on", "quit", ("q", "ctrl+c"), aliases=("q", "quit"), footer=99
    ),
    Action("leave_menu", "leave, with the choice to stop the engine", keys=("Q",)),
)
"""Everything, in the order help shows it."""

CHANGING = frozenset(
    {
        "assign", "reboot", "edit_machine", "forget", "new_subnet", "edit_subnet", "delete_subnet", "wizard", "reserve",
        "forget_lease", "new_reservation", "edit_reservation", "delete_reservation", "restart", "stop_engine", "probe",
        "subnet_from", "edit_pref", "reset_pref", "undo_this", "undo", "redo", "hold", "loader",
    }
)  # fmt: skip
"""Actions that change something: they are refused under `--read-only`."""

BY_ID: dict[str, Action] = {action.id: action for action in ACTIONS}

KEY_WORDS = {
    "escape": "Esc", "enter": "Enter", "space": "Space", "ctrl+l": "Ctrl-L", "f1": "F1", "ctrl+c": "Ctrl-C",
    "tab": "Tab", "shift+tab": "Shift-Tab", "left": "Left", "right": "Right",
}  # fmt: skip


def key_word(key: str) -> str:
    """A key as it is printed on a keyboard."""
    return KEY_WORDS.get(key, key)


def here(area: str) -> tuple[Action, ...]:
    """Actions whose keys work on this screen."""
    return tuple(action for action in ACTIONS if action.keys and (not action.areas or area in action.areas))
