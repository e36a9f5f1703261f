"""The network of an engine: interfaces, other DHCP servers, subnets held because of them, router answers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address

from app.clock import Clock
from app.config import Settings
from app.model.engine import ForeignServer, Interface, Service
from app.model.event import EventDraft, Level
from app.model.subnet import SubnetMode
from app.model.subnet6 import Subnet6
from app.netboot.wire.icmp6 import Advice
from app.services.gate import SegmentGate
from app.services.interfaces import InterfaceService, addresses6, describe_changes, renames
from app.services.outages import Outage, affected, outage
from app.services.probe import ProbeService
from app.services.registry import Registry
from app.services.router import RouterService
from app.store.directory import Directory

_BOOTING_STAGES = ("rom", "ipxe")


class Segments:
    """Joins interfaces, probe, gate and router answers; all runs in the main loop but for what says otherwise."""

    def __init__(
        self, settings: Settings, directory: Directory, emit: Callable[[EventDraft], None], clock: Clock
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._emit = emit
        self._clock = clock
        self.interfaces = InterfaceService(self._changed)
        self.probe = ProbeService(self.interfaces.current, self._served_names, self._foreign, clock)
        self.gate = SegmentGate(
            directory,
            self.interfaces.current,
            self._ask,
            emit,
            clock,
            # A run that gives no addresses contends with nobody.
            take_over=settings.take_over or settings.dhcp != "authoritative",
        )
        self.router = RouterService(self._answering, clock, self._advice)
        self._watch: asyncio.Task[None] | None = None
        self._patrol: asyncio.Task[None] | None = None
        # Where each subnet was when it last was anywhere, by name; and what interfaces that went are called now.
        self._homes: dict[str, str] = {}
        self._renamed: dict[str, str] = {}
        self._loop = asyncio.get_running_loop()
        self._telling = threading.Lock()
        self._booting: list[str] = []

    # --- life -----------------------------------------------------------------------------------------------------

    def register(self, registry: Registry) -> None:
        """Make the services known, except those this run does without."""
        registry.add(self.interfaces)
        for service in (self.probe, self.router):
            if service.name in self._settings.disable:
                registry.disable(service.name)
            else:
                registry.add(service)

    def start(self) -> None:
        """Begin to ask the segments; tell of interfaces that were named and are not there."""
        for name in self.absent():
            self._emit(
                EventDraft(
                    time=self._clock.now(),
                    kind="interface.changed",
                    level=Level.WARNING,
                    message=f"there is no interface {name}; it is served once it appears",
                    interface=name,
                    data={"name": name, "what": "is not there", "stops": "", "hint": "bootcart interfaces list"},
                )
            )
        self._remember()
        self._watch = asyncio.create_task(self.gate.watch(), name="gate")
        seconds = self._settings.probe_seconds
        if seconds and self.probe.name not in self._settings.disable and self._settings.dhcp != "off":
            patrol = self.probe.patrol(lambda: [each.name for each in self._answering()], seconds)
            self._patrol = asyncio.create_task(patrol, name="patrol")

    async def stop(self) -> None:
        """Ask no more."""
        for task in (self._watch, self._patrol):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    def absent(self) -> list[str]:
        """The interfaces this run was told to serve that the host does not have."""
        present = {interface.name for interface in self.interfaces.current()}
        return [name for name in self._settings.interface if name not in present]

    # --- what others ask ------------------------------------------------------------------------------------------

    def listing(self) -> list[Interface]:
        """Every interface with what the engine knows of it, also those that are missed; loopback is left out.

        Any thread may ask.
        """
        present = [interface for interface in self.interfaces.current() if interface.kind != "loopback"]
        names = {interface.name for interface in present}
        missed = [Interface(name=name) for name in self.outages() if name not in names]
        return [self._told(interface) for interface in (*present, *missed)]

    def own_addresses(self) -> dict[IPv4Address, str]:
        """The host's IPv4 addresses and the interface each is on; any thread may ask."""
        return {address.ip: each.name for each in self.interfaces.current() for address in each.addresses}

    def outages(self) -> dict[str, Outage]:
        """The interfaces that machines wait behind in vain, by name."""
        present = {interface.name: interface for interface in self.interfaces.current()}
        subnets = [
            subnet for subnet in self._directory.subnets() if subnet.enabled and subnet.mode is not SubnetMode.OFF
        ]
        found: dict[str, Outage] = {}
        for name in (*self._settings.interface, *dict.fromkeys(self._homes.values())):
            here = [each for each in subnets if self._homes.get(each.name) == name or each.interface == name]
            # Told to serve it, with nothing to serve on it yet: that it is not there is worth a word all the same.
            if name not in found and (here or name not in present):
                named = name in self._settings.interface
                if wrong := outage(name, present.get(name), here, called=self._renamed.get(name, ""), named=named):
                    found[name] = wrong
        return found

    def told(self, services: Sequence[Service]) -> list[Service]:
        """Services as an operator sees them: with the interfaces they miss."""
        outages = self.outages()
        return [affected(service, outages) for service in services]

    async def ask(self, name: str) -> Interface:
        """Probe one interface for other DHCP servers, now. Raises NotFoundError or BootcartError."""
        await self._ask(name)
        return next(interface for interface in self.listing() if interface.name == name)

    def subnets_changed(self) -> None:
        """A subnet was created, changed or deleted; safe from any thread."""
        self._loop.call_soon_threadsafe(self._follow)

    def seen(self, draft: EventDraft) -> None:
        """An event was emitted; a booting machine's router solicitation is answered. Safe from any thread."""
        if draft.kind == "dhcp.discover" and draft.data.get("stage") in _BOOTING_STAGES:
            # One call tells of all that came since the last: waking the loop takes as long as an answer does.
            with self._telling:
                self._booting.append(draft.mac)
                first = len(self._booting) == 1
            if first:
                self._loop.call_soon_threadsafe(self._tell_router)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _tell_router(self) -> None:
        with self._telling:
            macs, self._booting = self._booting, []
        for mac in macs:
            self.router.booting(mac)

    def _serves(self, name: str) -> bool:
        return not self._settings.interface or name in self._settings.interface

    def _served_names(self) -> Sequence[str]:
        return [i.name for i in self.interfaces.current() if i.kind != "loopback" and self._serves(i.name)]

    def _answering(self) -> Sequence[Interface]:
        """The interfaces whose segments have a subnet that boots machines."""
        booting = (SubnetMode.AUTHORITATIVE, SubnetMode.PROXY)
        names = {
            segment.name
            for subnet in self.gate.subnets()
            if subnet.enabled and subnet.mode in booting and (segment := self.gate.segment_of(subnet)) is not None
        }
        names |= {i.name for i in self.interfaces.current() if self._subnet6(i.name) is not None}
        return [i for i in self.interfaces.current() if i.name in names and self._serves(i.name)]

    def _subnet6(self, name: str) -> Subnet6 | None:
        """The subnet that DHCPv6 serves on an interface; none where this run serves none."""
        if not self._settings.dhcp6:
            return None
        served = [each for each in self._directory.subnets6() if each.enabled and each.mode is not SubnetMode.OFF]
        own = [each.ip for each in addresses6().get(name, ())] if served else []
        return next(
            (
                each
                for each in served
                if each.interface == name or (not each.interface and any(address in each.cidr for address in own))
            ),
            None,
        )

    def _advice(self, name: str) -> Advice | None:
        subnet = self._subnet6(name)
        return None if subnet is None else Advice(subnet.cidr, managed=not subnet.stateless)

    async def _ask(self, name: str) -> Sequence[ForeignServer]:
        if self.probe.name in self._settings.disable:
            return ()
        mark = self.gate.mark(name)
        found = await self.probe.probe(name)
        self.gate.probed(name, found, mark)
        return found

    def _foreign(self, name: str, server: ForeignServer, is_news: bool) -> None:
        self.gate.foreign(name, server, is_news)

    def _told(self, interface: Interface) -> Interface:
        wrong = self.outages().get(interface.name)
        subnet = next(
            (s.name for s in self._directory.subnets() if any(a.ip in s.cidr for a in interface.addresses)), ""
        )
        return interface.model_copy(
            update={
                "served": self._serves(interface.name) and bool(subnet),
                "subnet": subnet,
                "foreign": self.probe.foreign(interface.name),
                "probed": self.probe.probed(interface.name),
                "reason": wrong.reason if wrong else "",
                "hint": wrong.hint if wrong else "",
            }
        )

    def _changed(self, before: Sequence[Interface], after: Sequence[Interface]) -> None:
        changes = describe_changes(before, after) if before else []
        names = {interface.name for interface in after}
        self._renamed = {**self._renamed, **renames(before, after)}
        self._renamed = {old: new for old, new in self._renamed.items() if old not in names and new in names}
        outages = self.outages()
        for name, what in changes:
            self._emit(self._change(name, what, outages.get(name)))
            if what != "has link" and not what.startswith("got "):
                self.gate.link_lost(name)
        self._follow()

    def _change(self, name: str, what: str, wrong: Outage | None) -> EventDraft:
        message = f"{name} {what}"
        if wrong is not None:
            message += (f"; {wrong.stops} not served" if wrong.subnets else "") + f": {wrong.hint}"
        elif waiting := [subnet for subnet, home in self._homes.items() if home == name]:
            message += f"; {', '.join(waiting)} served as soon as the segment was asked for other servers"
        return EventDraft(
            time=self._clock.now(),
            kind="interface.changed",
            level=Level.WARNING if wrong is not None else Level.INFO,
            message=message,
            interface=name,
            data={
                "name": name,
                "what": what,
                "stops": wrong.stops if wrong is not None else "",
                "hint": wrong.hint if wrong is not None else "",
            },
        )

    def _remember(self) -> None:
        """Note where each subnet is."""
        known = {subnet.name: segment.name for subnet in self._directory.subnets()
                 if (segment := self.gate.segment_of(subnet)) is not None}  # fmt: skip
        stored = {subnet.name for subnet in self._directory.subnets()}
        self._homes = {name: home for name, home in {**self._homes, **known}.items() if name in stored}

    def _follow(self) -> None:
        self._remember()
        if self.probe.name not in self._settings.disable:
            self.probe.follow()
        if self.router.listening or self._watch is not None:
            self.router.follow()
        self.gate.changed()
