"""Keeps authoritative DHCP off segments where another server answers, until the operator says otherwise."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address

from app.clock import Clock
from app.errors import BootcartError
from app.model.bootenv import BootEnv
from app.model.engine import ForeignServer, Interface
from app.model.event import EventDraft, Level
from app.model.machine import Machine
from app.model.profile import Profile
from app.model.subnet import Reservation, Subnet, SubnetMode
from app.netboot.view import NetworkView

log = logging.getLogger(__name__)

CHECKING = "checking for other DHCP servers"
_ANOTHER = "another DHCP server answers"
# A probe this young still speaks for the segment (seconds); the ear has been open since.
_FRESH = 300.0
# How often a segment with a held subnet is asked again.
_AGAIN = 60.0
# How soon after a probe could not be made (seconds): a link may have flickered, which nobody sees later.
_FAILED = 2.0

# After another server was heard on a segment that was served (seconds, drawn anew each time): of two engines that fell
# silent because of each other, the one that asks first finds nobody and serves, and the other hears it.
_CONTEND = (2.0, 10.0)

Probe = Callable[[str], Awaitable[Sequence[ForeignServer]]]


class SegmentGate:
    """A NetworkView that lays the reasons for not serving over the stored subnets' `hold`.

    Everything but the view itself is called in the loop that runs `watch`.
    """

    def __init__(
        self,
        view: NetworkView,
        interfaces: Callable[[], Sequence[Interface]],
        probe: Probe,
        emit: Callable[[EventDraft], None],
        clock: Clock,
        *,
        take_over: bool = False,
    ) -> None:
        self._view = view
        self._interfaces = interfaces
        self._probe = probe
        self._emit = emit
        self._clock = clock
        self._take_over = take_over
        # Replaced, never changed: the DHCP thread reads it.
        self._verdicts: dict[str, str] = {}
        self._overlaid: tuple[Sequence[Subnet], Sequence[Interface], dict[str, str], tuple[Subnet, ...]] | None = None
        self._checked: dict[str, float] = {}
        # Grows whenever an interface may have been led to another segment.
        self._marks: dict[str, int] = {}
        # When to ask again sooner than usual (monotonic).
        self._sooner: dict[str, float] = {}
        # Which holds have been told of: (subnet, reason).
        self._told: frozenset[tuple[str, str]] = frozenset()
        self._seen: frozenset[str] = frozenset()
        self._wake = asyncio.Event()

    # --- the view -------------------------------------------------------------------------------------------------

    def subnets(self) -> Sequence[Subnet]:
        """The stored subnets, each with the reason why it is not answered now."""
        made = self._overlaid
        # Each is replaced when it changes, never changed: the same ones mean the same answer, and every packet asks.
        subnets, interfaces, verdicts = self._view.subnets(), self._interfaces(), self._verdicts
        if made is None or made[0] is not subnets or made[1] is not interfaces or made[2] is not verdicts:
            overlaid = tuple(self.overlay(subnet) for subnet in subnets)
            made = self._overlaid = (subnets, interfaces, verdicts, overlaid)
        return made[3]

    def overlay(self, subnet: Subnet) -> Subnet:
        """One subnet with its hold."""
        reason = self._reason(subnet)
        return subnet.model_copy(update={"hold": reason}) if reason and not subnet.hold else subnet

    def reservations_for(self, token: str) -> Sequence[Reservation]:
        return self._view.reservations_for(token)

    def reservation_at(self, address: IPv4Address) -> Reservation | None:
        return self._view.reservation_at(address)

    def machine_by_mac(self, mac: str) -> Machine | None:
        return self._view.machine_by_mac(mac)

    def profile(self, name: str) -> Profile | None:
        return self._view.profile(name)

    def bootenv(self, name: str) -> BootEnv | None:
        return self._view.bootenv(name)

    def preference(self, name: str) -> str:
        return self._view.preference(name)

    def holding(self) -> bool:
        return self._view.holding()

    # --- the gate -------------------------------------------------------------------------------------------------

    def _needs_gate(self, subnet: Subnet) -> bool:
        return (
            subnet.enabled
            and subnet.mode is SubnetMode.AUTHORITATIVE
            and not subnet.confirmed
            and not self._take_over
            and self.segment_of(subnet) is not None
        )

    def _reason(self, subnet: Subnet) -> str:
        if not self._needs_gate(subnet):
            return ""
        interface = self.segment_of(subnet)
        if interface is None:
            return ""
        return self._verdicts.get(interface.name, CHECKING) if interface.link else f"{interface.name} has no link"

    def segment_of(self, subnet: Subnet) -> Interface | None:
        """The interface whose segment a subnet is; None for one that is reached through a relay only."""
        for interface in self._interfaces():
            if subnet.interface and interface.name != subnet.interface:
                continue
            if any(address.ip in subnet.cidr for address in interface.addresses) and interface.kind != "loopback":
                return interface
        return None

    def changed(self) -> None:
        """Subnets or interfaces changed: look whether a segment has to be asked."""
        self._wake.set()

    def foreign(self, name: str, server: ForeignServer, is_news: bool = True) -> None:
        """Another server was heard on an interface: say so if it is news, and hold what would contend with it."""
        reason = _held_by(name, server)
        if is_news:
            self._say(name, server, reason)
        if self._verdicts.get(name) == "":
            self._sooner[name] = self._clock.monotonic() + secrets.SystemRandom().uniform(*_CONTEND)
            self._wake.set()
        self._verdict(name, reason)

    def _say(self, name: str, server: ForeignServer, reason: str) -> None:
        self._emit(
            EventDraft(
                time=self._clock.now(),
                kind="dhcp.foreign",
                level=Level.WARNING,
                message=reason,
                interface=name,
                address=str(server.server),
                data={
                    "server": str(server.server),
                    "server_mac": server.mac,
                    "offered": str(server.offered or ""),
                    "subnet": next((s.name for s in self._on(name)), ""),
                },
            )
        )

    def _on(self, name: str) -> list[Subnet]:
        found: list[Subnet] = []
        for subnet in self._view.subnets():
            interface = self.segment_of(subnet)
            if interface is not None and interface.name == name:
                found.append(subnet)
        return found

    def _verdict(self, name: str, reason: str) -> None:
        self._verdicts = {**self._verdicts, name: reason}
        self._tell()

    def _tell(self) -> None:
        """Say of each subnet that is held now, once, that it is and why."""
        held = {
            (subnet.name, reason): interface.name
            for subnet in self._view.subnets()
            if self._needs_gate(subnet)
            and (interface := self.segment_of(subnet)) is not None
            and (reason := self._verdicts.get(interface.name, ""))
        }
        for (name, reason), interface_name in held.items():
            if (name, reason) not in self._told:
                server = reason.rpartition(": ")[2] if reason.startswith(_ANOTHER) else ""
                self._emit(
                    EventDraft(
                        time=self._clock.now(),
                        kind="subnet.held",
                        level=Level.ERROR,
                        message=f"subnet {name} is not served: {reason}; use proxy mode, or confirm",
                        interface=interface_name,
                        data={"subnet": name, "server": server, "why": reason},
                    )
                )
        self._told = frozenset(held)

    async def watch(self) -> None:
        """Ask each segment that needs it, now and whenever something changed; runs until cancelled."""
        while True:
            self._wake.clear()
            self._tell()
            due = self._due()
            if due:
                await asyncio.gather(*(self._check(name) for name in due))
                continue
            try:
                await asyncio.wait_for(self._wake.wait(), self._pause())
            except TimeoutError:
                continue

    def _pause(self) -> float:
        """Seconds until the next look."""
        soonest = min(self._sooner.values(), default=float("inf")) - self._clock.monotonic()
        return min(_AGAIN / 4, max(0.05, soonest))

    def _due(self) -> list[str]:
        now = self._clock.monotonic()
        needing = {
            subnet.name: segment
            for subnet in self._view.subnets()
            if self._needs_gate(subnet) and (segment := self.segment_of(subnet)) is not None
        }
        due: set[str] = set()
        for subnet, interface in needing.items():
            age = now - self._checked.get(interface.name, float("-inf"))
            if subnet not in self._seen and _FRESH <= age < float("inf"):
                self._verdicts = {name: why for name, why in self._verdicts.items() if name != interface.name}
            held = bool(self._verdicts.get(interface.name, CHECKING))
            # A segment without link has nobody to answer, and nobody to be answered; it is asked once it is up.
            again = age >= _AGAIN or now >= self._sooner.get(interface.name, float("inf"))
            if interface.link and held and (again or interface.name not in self._verdicts):
                due.add(interface.name)
        self._seen = frozenset(needing)
        self._sooner = {name: when for name, when in self._sooner.items() if when > now}
        return sorted(due)

    async def _check(self, name: str) -> None:
        mark = self.mark(name)
        self._sooner.pop(name, None)
        try:
            found = await self._probe(name)
        except BootcartError as error:
            reason = f"cannot ask {name} for other DHCP servers: {error.message}"
            if self._verdicts.get(name) != reason:
                log.warning("cannot ask %s for other DHCP servers: %s", name, error)
            if mark == self.mark(name):
                self._checked[name] = self._clock.monotonic()
                self._sooner[name] = self._checked[name] + _FAILED
                self._verdict(name, reason)
            return
        self.probed(name, found, mark)

    def mark(self, name: str) -> int:
        """Which segment an interface leads to, as far as can be told: taken before a probe, given back with its end."""
        return self._marks.get(name, 0)

    def probed(self, name: str, found: Sequence[ForeignServer], mark: int) -> None:
        """A probe of an interface, begun at `mark`, ended with these servers."""
        if mark != self.mark(name):
            # The interface lost its link meanwhile; who answers where it leads to now is not known.
            return
        self._checked[name] = self._clock.monotonic()
        # `foreign` has told each of them already.
        self._verdict(name, _held_by(name, found[0]) if found else "")

    def link_lost(self, name: str) -> None:
        """The interface lost its link or its address: what it leads to next may be another segment."""
        self._marks[name] = self.mark(name) + 1
        self._checked.pop(name, None)
        self._verdicts = {key: value for key, value in self._verdicts.items() if key != name}


def _held_by(name: str, server: ForeignServer) -> str:
    at = f"{server.server} ({server.mac})" if server.mac else str(server.server)
    return f"{_ANOTHER} on {name}: {at}"
