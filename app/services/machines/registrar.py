"""The registrar: what machines say of themselves through their agent, made into records."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Protocol

from app.clock import Clock
from app.errors import BootcartError, ConflictError, InvalidError
from app.model.event import EventDraft, Level
from app.model.fields import normal_mac
from app.model.inventory import Cpu, Inventory
from app.model.machine import Access, Machine, machine_id_for, machine_name_for
from app.model.sizes import binary, decimal
from app.netboot.words import plain
from app.services.commands.layer import Report
from app.services.machines import registration
from app.services.machines.registration import MACS_MAX, Registration
from app.services.machines.roster import Roster, record_of
from app.services.machines.turns import Turns
from app.store.directory import Directory

PERSIST_SECONDS = 600.0
"""A heartbeat is written to the store this seldom; in between it is in memory."""
FLUSH_SECONDS = 1.0
FLUSH_AT_ONCE = 50
AGENT_EVENTS = ("started", "failed", "rebooting")
OUTPUT_MAX = 4000
CONFLICTS_MAX = 256
BATCH_MAX = 64
"""Registrations that are stored at once."""


class Reports(Protocol):
    """Where records are stored; the command layer."""

    def exclusively(self) -> AbstractContextManager[Any]:
        """While it is entered, nobody else changes a record."""
        ...

    def report(
        self, actor: str, changes: Sequence[tuple[Machine | None, Machine]], summary: str, *, audit: bool = True
    ) -> None: ...

    def report_all(self, reports: Sequence[Report], /) -> None:
        """Several in one transaction: all of them are stored, or none."""
        ...


@dataclass(eq=False, slots=True)
class _Wanted:
    """A registration that waits for those before it; then `machine` or `error` is what came of it."""

    mac: str
    address: IPv4Address
    told: Registration
    machine: Machine | None = None
    new: bool = False
    error: BaseException | None = None


class Registrar:
    """Registers machines and takes what their agents report. Thread-safe; every method may wait for the disk.

    The caller has checked the token: that it is for this MAC, or for this machine.
    """

    def __init__(
        self,
        reports: Reports,
        directory: Directory,
        roster: Roster,
        emit: Callable[[EventDraft], None],
        clock: Clock,
    ) -> None:
        self._reports = reports
        self._directory = directory
        self._roster = roster
        self._emit = emit
        self._clock = clock
        self._conflicts: dict[str, str] = {}
        self._turns = Turns(self._register_all)

    def register(self, mac: str, address: IPv4Address, report: Mapping[str, Any]) -> Machine:
        """Find or make the record of the machine that booted from `mac` and holds `address`.

        Raises InvalidError for a garbled report, ConflictError naming both machines when it reports a MAC of another.
        """
        wanted = _Wanted(normal_mac(mac), address, registration.read(report))
        # A rack's registrations share their waits for the disk.
        self._turns.do(wanted)
        if wanted.machine is None:
            raise wanted.error or AssertionError("a registration that nobody took")
        after = wanted.machine
        said = f"{after.name} registered"
        self._tell("registered", after, said, mac=wanted.mac, address=str(address), new=wanted.new)
        return after

    def _register_all(self, wanted: Sequence[_Wanted]) -> None:
        """Register these, as many at once as have nothing to do with each other."""
        batch: list[tuple[_Wanted, Report, Machine]] = []
        touched: set[object] = set()
        with self._reports.exclusively():
            for each in wanted:
                its = {each.mac, each.address, *each.told.macs}
                if known := registration.telling_uuid(each.told.uuid):
                    its.add(known)
                if its & touched or len(batch) >= BATCH_MAX:
                    self._store(batch)
                    batch, touched = [], set()
                try:
                    report, after = self._report_of(each)
                except Exception as error:
                    each.error = error
                    continue
                touched |= {*its, *after.macs, after.id, after.name}
                batch.append((each, report, after))
            self._store(batch)

    def _store(self, batch: Sequence[tuple[_Wanted, Report, Machine]]) -> None:
        if not batch:
            return
        try:
            self._reports.report_all([report for _, report, _ in batch])
        except BootcartError as error:
            if len(batch) > 1:
                # One of them may be at fault.
                for each in batch:
                    self._store([each])
            else:
                batch[0][0].error = error
            return
        except BaseException as error:
            for wanted, _, _ in batch:
                wanted.error = error
            return
        for wanted, _, after in batch:
            self._roster.registered(after)
            wanted.machine = after

    def _report_of(self, wanted: _Wanted) -> tuple[Report, Machine]:
        """What is to be stored of a registration. Raises ConflictError."""
        mac, address, told = wanted.mac, wanted.address, wanted.told
        try:
            before = registration.identify(mac, told, self._like(mac, told), self._roster.alive)
        except ConflictError as error:
            self._conflict(mac, address, error)
            raise
        self._conflicts.pop(mac, None)
        after = self._described(before or self._made(mac), mac, address, told)
        # An address is one machine's: whoever was recorded with it gives it up first.
        changes: list[tuple[Machine | None, Machine]] = [
            (other, other.model_copy(update={"address": None}))
            for other in self._directory.machines_at(address)
            if other.id != after.id
        ]
        changes.append((before, after))
        wanted.new = before is None
        told_more = before is None or len(changes) > 1 or _told_more(before, after)
        said = f"registered {after.name} ({mac})" if before is None else f"{after.name} registered again"
        return Report(f"machine:{after.name}", changes, said, told_more), after

    def _conflict(self, mac: str, address: IPv4Address, error: ConflictError) -> None:
        """Tell once of a machine that reports what is another's; its agent tries again and again."""
        if self._conflicts.get(mac) == error.message:
            return
        self._conflicts[mac] = error.message
        while len(self._conflicts) > CONFLICTS_MAX:
            del self._conflicts[next(iter(self._conflicts))]
        self._emit(
            EventDraft(
                time=self._clock.now(),
                kind="agent.conflict",
                message=plain(error.message, 300),
                level=Level.WARNING,
                mac=mac,
                address=str(address),
                data={"why": plain(error.message, 300), "hint": error.hint},
            )
        )

    def inventory(self, key: uuid.UUID, inventory: Inventory) -> None:
        """Keep what the discovery system found. Raises NotFoundError."""
        cleaned = Inventory.model_validate(_cleaned(inventory.model_dump(mode="json")))
        with self._reports.exclusively():
            before = record_of(self._directory, key)
            now = self._clock.now()
            cleaned = cleaned.model_copy(update={"reported": now})
            after = before.model_copy(
                update={
                    "inventory": cleaned,
                    "architecture": _architecture(cleaned.cpu.architecture) or before.architecture,
                    "firmware": _firmware(cleaned.firmware, cleaned.cpu.architecture) or before.firmware,
                    "heartbeat": now,
                }
            )
            said = summary(cleaned)
            self._reports.report(f"machine:{before.name}", [(before, after)], f"inventory of {before.name}: {said}")
            self._roster.beat(key)
        self._tell("inventory", after, f"{after.name}: {said}", summary=said)

    def heartbeat(self, key: uuid.UUID) -> str:
        """The machine's agent is alive; returns what it is to do: `reboot`, once, or nothing. Raises NotFoundError."""
        with self._reports.exclusively():
            before = record_of(self._directory, key)
            now = self._clock.now()
            self._roster.beat(key)
            if not before.reboot_wanted and now - before.heartbeat < PERSIST_SECONDS:
                return ""
            after = before.model_copy(update={"heartbeat": now, "reboot_wanted": False})
            self._reports.report(f"machine:{before.name}", [(before, after)], "heartbeat", audit=False)
            if not before.reboot_wanted:
                return ""
            self._roster.rebooting(key)
        self._tell("rebooting", after, f"{after.name} is told to reboot")
        return "reboot"

    def host_key(self, key: uuid.UUID, fingerprint: str) -> None:
        """Keep what an operator verifies the machine's ssh by. Raises NotFoundError."""
        with self._reports.exclusively():
            before = record_of(self._directory, key)
            if before.access is not None:
                access = before.access.model_copy(update={"host_key": fingerprint})
                after = before.model_copy(update={"access": access})
                self._reports.report(f"machine:{before.name}", [(before, after)], "ssh host key", audit=False)

    def agent_event(self, key: uuid.UUID, kind: str, step: str = "", output: str = "") -> None:
        """The agent tells how it goes. Raises InvalidError for a kind that is none, NotFoundError."""
        if kind not in AGENT_EVENTS:
            raise InvalidError(
                f"{plain(kind)!r} is no agent event", hint="one of " + ", ".join(AGENT_EVENTS), field="kind"
            )
        machine = record_of(self._directory, key)
        step, lines = plain(step, 80), [plain(line, 200) for line in output[-OUTPUT_MAX:].splitlines()]
        last = next((line for line in reversed(lines) if line.strip()), "")
        if kind == "failed":
            message = f"{machine.name} failed at {step or 'an unnamed step'}" + (f": {last}" if last else "")
            self._tell(kind, machine, message, level=Level.ERROR, step=step, output="\n".join(lines))
        elif kind == "started":
            self._tell(kind, machine, f"the agent of {machine.name} started", boot=step)
        else:
            self._tell(kind, machine, f"{machine.name} reboots")

    def machine(self, key: uuid.UUID) -> Machine | None:
        """The record of this id."""
        return self._directory.machine(key)

    def flush(self) -> None:
        """Write heartbeats that are only in memory; called when the engine stops, which waits for FLUSH_SECONDS.

        A machine whose heartbeat is not written is heard again seconds after the next start.
        """
        with self._reports.exclusively():
            changes = [
                (machine, machine.model_copy(update={"heartbeat": beat}))
                for machine in self._directory.machines()
                if (beat := self._roster.heartbeat(machine)) > machine.heartbeat
            ]
            until = self._clock.monotonic() + FLUSH_SECONDS
            for start in range(0, len(changes), FLUSH_AT_ONCE):
                if self._clock.monotonic() >= until:
                    break
                self._reports.report("engine", changes[start : start + FLUSH_AT_ONCE], "heartbeats", audit=False)

    def _like(self, mac: str, told: Registration) -> Sequence[Machine]:
        """Every record that may be the machine that registers."""
        if registration.telling_uuid(told.uuid):
            return self._directory.machines()
        held = [self._directory.machine_by_mac(each) for each in (mac, *told.macs)]
        return list({each.id: each for each in held if each is not None}.values())

    def _made(self, mac: str) -> Machine:
        """A record for a machine nobody knows: the one its sighting was, unless that id or name is taken."""
        key = machine_id_for(mac)
        name = machine_name_for(mac)
        number = 2
        while self._directory.machine_named(name) is not None:
            name, number = f"{machine_name_for(mac)}-{number}", number + 1
        taken = self._directory.machine(key) is not None
        return Machine(id=uuid.uuid4() if taken else key, name=name, created=self._clock.now())

    def _described(self, machine: Machine, mac: str, address: IPv4Address, told: Registration) -> Machine:
        macs = tuple(dict.fromkeys((*machine.macs, mac, *told.macs)))
        if len(macs) > MACS_MAX:
            # Virtual functions have other addresses at each boot: a record keeps those that are there today.
            macs = tuple(dict.fromkeys((*machine.macs[:1], mac, *told.macs)))[:MACS_MAX]
        return machine.model_copy(
            update={
                "macs": macs,
                "registered": True,
                "address": address,
                "architecture": _architecture(told.architecture) or machine.architecture,
                "firmware": _firmware(told.firmware, told.architecture) or machine.firmware,
                "heartbeat": self._clock.now(),
                "access": Access(issued=self._clock.now()),
                # It came up: whatever reboot was wanted has happened.
                "reboot_wanted": False,
            }
        )

    def _tell(
        self,
        kind: str,
        machine: Machine,
        message: str,
        *,
        mac: str = "",
        address: str = "",
        level: Level = Level.INFO,
        **facts: Any,
    ) -> None:
        self._emit(
            EventDraft(
                time=self._clock.now(),
                kind=f"agent.{kind}",
                message=plain(message, 300),
                level=level,
                mac=mac or (machine.macs[0] if machine.macs else ""),
                machine=machine.id,
                address=address or (str(machine.address) if machine.address is not None else ""),
                data=facts,
            )
        )


def summary(inventory: Inventory) -> str:
    """An inventory in one line: maker and model, processors, memory, disks, network cards."""
    cpu, disks = inventory.cpu, [disk for disk in inventory.disks if disk.size]
    parts = [
        " ".join(filter(None, (inventory.system.manufacturer, inventory.system.product))),
        _processors(cpu),
        binary(inventory.memory.total) if inventory.memory.total else "",
        f"{len(disks)} disk{'s' if len(disks) != 1 else ''} ({decimal(sum(disk.size for disk in disks))})",
        f"{len(inventory.nics)} NIC{'s' if len(inventory.nics) != 1 else ''}",
    ]
    return ", ".join(filter(None, parts))


def _processors(cpu: Cpu) -> str:
    if not cpu.threads:
        return cpu.model
    # A machine that does not say which it has still says of what kind.
    what = cpu.model or f"{cpu.architecture} processor".strip()
    return f"{cpu.sockets or 1}× {what}, {cpu.threads} thread{'s' if cpu.threads != 1 else ''}"


def _told_more(before: Machine, after: Machine) -> bool:
    return before.model_copy(update={"heartbeat": after.heartbeat, "access": after.access}) != after


def _firmware(told: str, processor: str) -> str:
    """What the discovery system takes its firmware for; without UEFI it says BIOS, which only a PC has."""
    return told if told == "uefi" or (told == "bios" and _architecture(processor) in ("", "amd64", "i386")) else ""


def _architecture(raw: str) -> str:
    """Debian's name of an architecture, as boot environments are keyed by it."""
    return {"x86_64": "amd64", "aarch64": "arm64", "i686": "i386"}.get(raw, raw)


def _cleaned(value: Any) -> Any:
    """The same JSON with every text fit to be shown."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {key: _cleaned(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_cleaned(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value
