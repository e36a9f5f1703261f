"""Which boot loader suits which machine: what fails is followed by the next, what works is remembered by network card.

DHCP does not tell whether Secure Boot is on, nor that a driver hangs. It shows in what follows: nothing is heard after
the loader, and the firmware asks anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from app.clock import Clock
from app.model.event import Event, EventDraft, Level
from app.model.machine import LoaderChoice, Machine, machine_name_for
from app.netboot import cycle
from app.netboot.bootpath import AUTOEXEC
from app.netboot.cycle import Attempt, Course
from app.netboot.loaders import SIGNED_PREFERENCE, started_by_shim
from app.netboot.words import plain
from app.store.loader_rows import Kept

KEPT_MAX = 4096
"""Machines remembered, of those that were given a loader and of those on a course: strangers are without number."""
THERE_SECONDS = 2.0
"""For so long a look at which loaders there are is good: a rack that boots at once takes one."""
_AUTO = LoaderChoice.AUTO
_MACHINE, _CARD = "mac ", "card "


@dataclass(frozen=True, slots=True)
class World:
    """What is asked of the rest of the engine; the calls are cheap but for `there`, which reads the disk."""

    machine_of: Callable[[str], Machine | None]
    """The record of a MAC address."""
    there: Callable[[str], bool]
    """A file of the virtual tree exists."""
    has_grub: Callable[[str], bool]
    """What the machine of a MAC address boots has a script for GRUB."""
    preference: Callable[[str], str]
    emit: Callable[[EventDraft], None]


class Memory(Protocol):
    """What outlives a restart; `keep` never waits."""

    def load(self) -> Mapping[str, Kept]: ...

    def keep(self, subject: str, kept: Kept | None) -> None: ...


class LoaderChoices:
    """Learns from events; `suited` may be called from any thread and costs a few look-ups."""

    def __init__(self, world: World, memory: Memory, clock: Clock) -> None:
        self._world = world
        self._memory = memory
        self._clock = clock
        # Only the writer thread changes these, and an operator's word the courses.
        self._attempts: OrderedDict[str, Attempt] = OrderedDict()
        self._courses: OrderedDict[str, Course] = OrderedDict()
        self._cards: dict[str, LoaderChoice] = {}
        self._seen_there: dict[str, tuple[float, tuple[LoaderChoice, ...]]] = {}
        for subject, kept in memory.load().items():
            if subject.startswith(_CARD):
                self._cards[subject] = LoaderChoice(kept.loader)
            else:
                course = Course(LoaderChoice(kept.loader), tuple(map(LoaderChoice, kept.tried)), kept.works)
                self._courses[subject.removeprefix(_MACHINE)] = course

    # --- asked ------------------------------------------------------------------------------------------------------

    def suited(self, mac: str, arch: int | None) -> LoaderChoice:
        """The loader for the firmware of this MAC address, which asks now; auto: the standard one."""
        attempt = self._attempts.get(mac)
        if attempt is not None and attempt.pending:
            # The answer is made before the request is stored.
            evidence = cycle.judge(attempt, self._clock.now())
            after = cycle.advance(self._courses.get(mac), attempt, evidence) if evidence is not None else None
            if after is not None:
                return after.loader
        if (course := self._courses.get(mac)) is not None:
            return course.loader
        machine = self._world.machine_of(mac)
        secure = machine.inventory.secure_boot if machine is not None and machine.inventory is not None else ""
        if secure == "enabled":
            return LoaderChoice.SHIM
        if not self._cards:
            return _AUTO
        found = self._cards.get(_card(mac, cycle.kind_of(arch), machine), _AUTO)
        return _AUTO if found is LoaderChoice.SHIM and secure == "disabled" else found

    def told(self, machine: Machine) -> str:
        """What is given to a machine instead of the standard loader, and why, in words; empty: the standard one."""
        if machine.loader is not _AUTO:
            return f"{machine.loader.value} (set for it)"
        for mac in machine.macs:
            course = self._courses.get(mac)
            if course is not None and course.spent:
                return f"standard ({', '.join(course.tried)} failed)"
            if course is not None:
                return f"{course.loader.value} ({'works on it' if course.works else 'tried next'})"
            found = self.suited(mac, _ARCHS.get(machine.firmware + machine.architecture))
            if found is not _AUTO:
                signed = machine.inventory is not None and machine.inventory.secure_boot == "enabled"
                return f"{found.value} ({'Secure Boot is on' if signed else 'works on its network card'})"
        return ""

    def following(self, machine: Machine) -> LoaderChoice:
        """The loader after the one a machine is given now, of those that are there for it."""
        arch = _ARCHS.get(machine.firmware + machine.architecture, 7)
        kind, mac = cycle.kind_of(arch), next(iter(machine.macs), "")
        present = machine.loader if machine.loader is not _AUTO else self.suited(mac, arch)
        if present is _AUTO:
            present = self._standard(kind)
        return cycle.following(present, self._there(kind, arch))

    def reset(self, machine: Machine) -> None:
        """An operator has said what it is given, or that it begins anew."""
        for mac in machine.macs:
            self._attempts.pop(mac, None)
            if self._courses.pop(mac, None) is not None:
                self._memory.keep(_MACHINE + mac, None)

    # --- heard ------------------------------------------------------------------------------------------------------

    def observe(self, event: Event) -> None:
        """An event was stored; in the writer thread. Looks on the disk for other loaders when one was sent."""
        mac, kind = event.mac, event.kind
        if not mac:
            return
        if kind == "dhcp.discover":
            self._asked(event, mac)
        elif kind.startswith("agent."):
            self._worked(event, mac)
        elif kind in ("tftp.sent", "http.sent"):
            role, path = event.data.get("role"), _path(event)
            if role == "loader":
                self._loaded(mac, path)
            elif role == "script" and path != AUTOEXEC:
                self._worked(event, mac)
            elif path == AUTOEXEC:
                self._started(mac)
        elif kind in ("tftp.missing", "http.missing") and _path(event).endswith(AUTOEXEC):
            self._started(mac)

    def _loaded(self, mac: str, path: str) -> None:
        if started_by_shim(path) and (given := self._attempts.get(mac)) and given.choice is LoaderChoice.SHIM:
            self._started(mac)
            return
        before = self._attempts.pop(mac, None)
        named = cycle.loader_named(path)
        if named is None:
            return
        kind, choice = named
        there = self._there(kind, _KIND_ARCHS[kind])
        again = before is not None and before.returned and not before.ran and before.choice is choice
        grub = self._world.has_grub(mac)
        chain = self._world.preference(SIGNED_PREFERENCE)
        fit = tuple(one for one in there if grub or not cycle.needs_grub(one, chain))
        _keep(self._attempts, mac, Attempt(kind, choice, path, self._clock.now(), fit, again=again))

    def _started(self, mac: str) -> None:
        if (attempt := self._attempts.get(mac)) is not None and not attempt.started:
            self._attempts[mac] = replace(attempt, started=True)

    def _asked(self, event: Event, mac: str) -> None:
        stage, attempt = event.data.get("stage"), self._attempts.get(mac)
        if stage == "ipxe":
            course = self._courses.get(mac)
            unsigned = attempt is None or attempt.choice not in cycle.FOR_GRUB
            if course is not None and course.loader in cycle.FOR_GRUB and unsigned:
                self._set(mac, None)  # it does start iPXE, which nobody has signed
            if attempt is not None:
                self._attempts[mac] = replace(attempt, ran=True)
            return
        if attempt is None or not attempt.pending:
            return
        if stage != "rom":
            self._attempts.pop(mac, None)
            return
        evidence = cycle.judge(attempt, self._clock.now())
        if evidence is None:
            self._attempts[mac] = replace(attempt, returned=True)
            return
        self._attempts.pop(mac, None)
        machine = self._world.machine_of(mac)
        if machine is not None and machine.loader is not _AUTO:
            return
        after = cycle.advance(self._courses.get(mac), attempt, evidence)
        if after is not None:
            self._set(mac, after)
            self._tell(event, mac, attempt, evidence, after)

    def _worked(self, event: Event, mac: str) -> None:
        """A script was fetched, or a system reports: the loader before it did what it is for."""
        attempt, course = self._attempts.pop(mac, None), self._courses.get(mac)
        machine = self._world.machine_of(mac)
        chosen = machine.loader if machine is not None else _AUTO
        if attempt is not None:
            kind, choice = attempt.kind, attempt.choice
        elif event.kind == "agent.inventory" and machine is not None:
            kind = cycle.kind_of(_ARCHS.get(machine.firmware + machine.architecture))
            choice = chosen if chosen is not _AUTO else course.loader if course is not None and course.works else _AUTO
        else:
            return
        if choice is _AUTO or not kind:
            return
        if course is not None and (course.loader is not choice or not course.works):
            self._set(mac, Course(choice, course.tried, works=True))
        card = _card(mac, kind, machine)
        known = self._cards.get(card)
        if known is choice or (course is None and chosen is _AUTO and known is None):
            return
        self._cards[card] = choice
        self._memory.keep(card, Kept(choice.value))
        title = machine.name if machine is not None else machine_name_for(mac)
        self._emit(
            event,
            mac,
            f"{choice.value} works on {title}: others with its network card ({card.rpartition(' ')[2]}) begin with it",
            Level.INFO,
            {"loader": choice.value, "card": card.removeprefix(_CARD)},
        )

    def _set(self, mac: str, course: Course | None) -> None:
        if course is None:
            self._courses.pop(mac, None)
        else:
            for gone in _keep(self._courses, mac, course):
                self._memory.keep(_MACHINE + gone, None)
        kept = Kept(course.loader.value, tuple(course.tried), course.works) if course is not None else None
        self._memory.keep(_MACHINE + mac, kept)

    def _tell(self, event: Event, mac: str, attempt: Attempt, evidence: cycle.Evidence, after: Course) -> None:
        machine = self._world.machine_of(mac)
        title = machine.name if machine is not None else machine_name_for(mac)
        data = {"refused": attempt.name, "evidence": evidence.value, "tried": ", ".join(after.tried)}
        if after.spent:
            said = f"no boot loader starts on {title}: {data['tried']} were tried; it is given the standard one again"
            self._emit(event, mac, said, Level.ERROR, {**data, "loader": "", "spent": True})
            return
        arch = event.data.get("arch")
        chain = self._world.preference(SIGNED_PREFERENCE)
        file = cycle.file_of(after.loader, arch if isinstance(arch, int) else None, chain)
        how = {"refused": "and asks anew", "hung": "and hung", "looped": "twice"}[evidence.value]
        said = f"{title} did not start {attempt.name} {how}: it is given {file} from now on"
        self._emit(event, mac, said, Level.WARNING, {**data, "loader": file, "spent": False})

    def _emit(self, event: Event, mac: str, message: str, level: Level, data: dict[str, object]) -> None:
        self._world.emit(
            EventDraft(
                time=self._clock.now(),
                kind="machine.loader",
                message=plain(message, 300),
                level=level,
                mac=mac,
                machine=event.machine,
                interface=event.interface,
                data=data,
            )
        )

    # --- the rest ---------------------------------------------------------------------------------------------------

    def _standard(self, kind: str) -> LoaderChoice:
        name = {cycle.BIOS: "loader-bios", cycle.X64: "loader-uefi", cycle.ARM64: "loader-arm64"}.get(kind, "")
        named = cycle.loader_named(self._world.preference(name)) if name else None
        return named[1] if named is not None else _AUTO

    def _there(self, kind: str, arch: int) -> tuple[LoaderChoice, ...]:
        """The loaders for a kind of firmware whose files exist."""
        now = self._clock.now()
        seen = self._seen_there.get(kind)
        if seen is None or not 0 <= now - seen[0] < THERE_SECONDS:
            chain = self._world.preference(SIGNED_PREFERENCE)
            files = ((choice, cycle.file_of(choice, arch, chain)) for choice in cycle.RING)
            seen = now, tuple(choice for choice, file in files if file and self._world.there(file))
            self._seen_there[kind] = seen
        return seen[1]


_KIND_ARCHS = {cycle.BIOS: 0, cycle.X64: 7, cycle.ARM64: 11}
_ARCHS = {"biosamd64": 0, "biosi386": 0, "bios": 0, "uefiamd64": 7, "uefiarm64": 11}
"""An architecture type of a machine, by firmware and processor."""


def _card(mac: str, kind: str, machine: Machine | None) -> str:
    """Whom a loader suits: a model of network card under a kind of firmware. While nobody knows its model, its maker
    (the first half of the MAC address) stands for it.
    """
    nics = machine.inventory.nics if machine is not None and machine.inventory is not None else ()
    model = next((nic.model for nic in nics if nic.mac == mac and nic.model), "")
    return f"{_CARD}{kind} {model or mac[:8]}"


def _path(event: Event) -> str:
    return str(event.data.get("file") or event.data.get("path") or "").lstrip("/")


def _keep(kept: OrderedDict[str, Attempt] | OrderedDict[str, Course], mac: str, value: Attempt | Course) -> list[str]:
    """Remember it as the newest; gives whom that leaves without."""
    kept[mac] = value  # type: ignore[assignment]
    kept.move_to_end(mac)
    return [kept.popitem(last=False)[0] for _ in range(len(kept) - KEPT_MAX)]
