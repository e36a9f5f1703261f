"""What the rules are told of the world: subnets, services, other servers, this host; gathered once a second at most."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from app.clock import Clock
from app.config import Settings
from app.engine.segments import Segments
from app.model.diagnosis import Finding
from app.model.event import Event
from app.model.machine import Machine
from app.netboot.diagnose import Facts, diagnose
from app.services.machines.registration import telling_serial, telling_uuid
from app.services.registry import Registry
from app.store.directory import Directory

FRESH_SECONDS = 1.0
FIREWALL_SECONDS = 60.0


class Scene:
    """Judges a machine by its events and by how things are now. Thread-safe."""

    def __init__(
        self,
        settings: Settings,
        directory: Directory,
        segments: Segments,
        registry: Registry,
        clock: Clock,
        firewall: Callable[[], str] | None = None,
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._segments = segments
        self._registry = registry
        self._clock = clock
        self._firewall = firewall or firewall_of
        self._lock = threading.Lock()
        self._facts: Facts | None = None
        self._gathered = float("-inf")
        self._fenced = ""
        self._looked = float("-inf")

    def judge(self, machine: Machine, events: Sequence[Event], now: float) -> tuple[Sequence[Finding], float]:
        """What is found about a machine, and when to look again (infinity: when something happens)."""
        facts = self._gather()
        if twins := self._twins(machine):
            facts = replace(facts, twins=twins)
        verdict = diagnose(machine, events, facts, now)
        return verdict.findings, verdict.again

    def _gather(self) -> Facts:
        with self._lock:
            now = self._clock.monotonic()
            if self._facts is None or now - self._gathered > FRESH_SECONDS:
                if now - self._looked > FIREWALL_SECONDS:
                    self._fenced, self._looked = self._firewall(), now
                self._facts, self._gathered = self._now(), now
            return self._facts

    def _now(self) -> Facts:
        settings, directory = self._settings, self._directory
        return Facts(
            subnets=self._segments.gate.subnets(),
            bootenvs=directory.bootenvs(),
            services=self._registry.services(),
            foreign={one.name: one.foreign for one in self._segments.listing() if one.foreign},
            firewall=self._fenced,
            ports={"tftp": settings.tftp_port, "http": settings.http_port, "https": settings.https_port},
            default_bootenv=directory.preference("default-bootenv"),
            unknown_bootenv=directory.preference("unknown-bootenv"),
        )

    def _twins(self, machine: Machine) -> tuple[str, ...]:
        """Other machines on record whose inventory names the same firmware UUID and another serial number."""
        if machine.inventory is None or not (own := telling_uuid(machine.inventory.system.uuid)):
            return ()
        serial = telling_serial(machine.inventory.system.serial)
        return tuple(
            other.name
            for other in self._directory.machines()
            if other.id != machine.id
            and other.inventory is not None
            and telling_uuid(other.inventory.system.uuid) == own
            and serial != telling_serial(other.inventory.system.serial)
        )


def firewall_of(root: Path = Path("/")) -> str:
    """The firewall that is active on this host, as far as an engine without rights can tell; empty: none known.

    firewalld keeps its pid file while it runs; ufw says in its configuration whether it is enabled.
    """
    try:
        if (root / "run/firewalld.pid").exists():
            return "firewalld"
        if "ENABLED=yes" in (root / "etc/ufw/ufw.conf").read_text(errors="replace"):
            return "ufw"
    except OSError:
        pass
    return ""
