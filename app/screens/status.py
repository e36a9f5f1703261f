"""How the engine is, for the right side of the breadcrumb: interface, services in words, connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.screens.session import Link, Session
from app.screens.widgets.bars import Chip
from app.screens.words import long_span

if TYPE_CHECKING:
    from app.model.engine import Service

LAMPS = {"dhcp": "DHCP", "proxydhcp": "PXE", "tftp": "TFTP", "http": "HTTP"}
SILENT = 10.0
"""Seconds without an answer after which the connection counts as stale."""


def chips(session: Session, *, wide: bool) -> list[Chip]:
    """Pieces from left to right; those with the highest rank go first when room is short."""
    found: list[Chip] = []
    if session.info is not None and session.info.holding:
        found.append(Chip("HOLD: no one is answered", "bad", 0, "HOLD: no answers"))
    if session.info is not None and session.info.lab:
        found.append(Chip(f"lab {session.info.lab}", "chip", 6))
    served = [one for one in session.interfaces if one.served]
    if served:
        address = str(served[0].addresses[0]) if served[0].addresses else ""
        more = f" +{len(served) - 1}" if len(served) > 1 else ""
        found.append(Chip(f"{served[0].name} {address}{more}".strip(), "", 8, served[0].name + more))
    found += lamps(session)
    return [*found, link(session, wide=wide)]


def lamps(session: Session) -> list[Chip]:
    """Services machines depend on. One that failed is never left out."""
    if not session.services:
        return []
    from app.model.subnet import SubnetMode

    proxying = any(one.enabled and one.mode is SubnetMode.PROXY for one in session.subnets)
    found: list[Chip] = []
    for service in session.services:
        if service.name not in LAMPS or (service.name == "proxydhcp" and not proxying and not _bad(service)):
            continue
        # What was up when the engine was last heard may be anything now.
        word, style = ("?", "warn") if stale(session) else word_of(service)
        found.append(Chip(f"{LAMPS[service.name]} {word}", style, 0 if _bad(service) else 5))
    return found


def _bad(service: Service) -> bool:
    from app.model.engine import ServiceState

    return service.state is ServiceState.FAILED


def word_of(service: Service) -> tuple[str, str]:
    """The state in a word, and its style."""
    from app.model.engine import ServiceState

    return {
        ServiceState.UP: ("up", "lamp"),
        ServiceState.FAILED: ("FAILED", "bad"),
        ServiceState.STARTING: ("starting", "busy"),
        ServiceState.STOPPED: ("stopped", "warn"),
        ServiceState.DISABLED: ("off", "dim"),
    }[service.state]


def stale(session: Session) -> bool:
    """The engine has not answered lately."""
    return session.link is Link.STALE or (session.link is Link.ATTACHED and session.silence() > SILENT)


def link(session: Session, *, wide: bool) -> Chip:
    """The connection: attached to what, or for how long it has been silent."""
    if session.link is Link.CONNECTING:
        return Chip("connecting", "busy")
    if stale(session):
        return Chip(f"STALE {long_span(session.silence())}", "bad")
    return Chip(f"attached {session.endpoint}" if wide else "attached", "dim", 9, "attached" if wide else "")
