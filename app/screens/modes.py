"""The top-level areas and where their screens are."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from textual.screen import Screen

from app.screens.registry import AREAS

CLASSES = {
    "machines": "MachinesArea",
    "subnets": "SubnetsArea",
    "leases": "LeasesArea",
    "reservations": "ReservationsArea",
    "bootenvs": "BootenvsArea",
    "events": "EventsArea",
    "decisions": "DecisionsArea",
    "services": "ServicesArea",
    "interfaces": "InterfacesArea",
    "prefs": "PrefsArea",
    "commands": "CommandsArea",
}


def opener(name: str) -> Callable[[], Screen[Any]]:
    """What makes the screen of an area."""
    # An area is imported when it is first opened: the first paint waits for one of them only.
    return lambda: getattr(import_module(f"app.screens.areas.{name}"), CLASSES[name])()


MODES: dict[str, str | Callable[[], Screen[Any]]] = {name: opener(name) for _, name, _ in AREAS}
