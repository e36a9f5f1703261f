"""One machine's case: its events by boot, the facts around it, the time, and what the rules ask of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from app.model.bootenv import BootEnv, BootKind
from app.model.diagnosis import Finding, Severity
from app.model.engine import ForeignServer, Service, ServiceState
from app.model.event import Event
from app.model.machine import Machine
from app.model.subnet import Subnet
from app.netboot.bootpath import hopeful
from app.netboot.timeline import boots

FILES = ("tftp", "http")
BOOTING = ("rom", "ipxe")
LONG_SECONDS = 50.0
"""A wait that may yet end well is spoken of after this: within a minute of the stall."""
SLOWER, STALLED = 1.5, 3.0
"""Times of what is usual for it: a machine that is slow today, and one that will not go on."""
LINE = 76
"""Columns of a terminal of 80 that a line of a finding may take."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true around the machine now."""

    subnets: Sequence[Subnet] = ()
    """With the reasons why they are held."""
    bootenvs: Sequence[BootEnv] = ()
    services: Sequence[Service] = ()
    foreign: Mapping[str, Sequence[ForeignServer]] = field(default_factory=dict[str, Sequence[ForeignServer]])
    """Other DHCP servers heard, by interface."""
    firewall: str = ""
    """A firewall of this host that may drop what machines send: its name, empty where none is known."""
    ports: Mapping[str, int] = field(default_factory=lambda: {"tftp": 69, "http": 8090})
    default_bootenv: str = ""
    unknown_bootenv: str = ""
    twins: Sequence[str] = ()
    """Other machines on record that report the same firmware UUID."""


class Case:
    """What the rules look at. `over` remembers the next moment at which a rule has to look again."""

    def __init__(self, machine: Machine, events: Sequence[Event], facts: Facts, now: float) -> None:
        """`events` are the machine's, oldest first; later than `now` there is nothing."""
        self.machine = machine
        self.facts = facts
        self.now = now
        self.events = tuple(event for event in events if not event.kind.startswith(("diagnosis.", "audit.")))
        self.boots = boots(self.events)
        self.wake = math.inf

    # --- time -----------------------------------------------------------------------------------------------------

    def over(self, at: float) -> bool:
        """That moment has come; if not, the case is looked at again then."""
        if self.now >= at:
            return True
        self.wake = min(self.wake, at)
        return False

    def ago(self, when: float) -> str:
        """How long ago: `15 s`, `4 min`."""
        seconds = max(0, int(self.now - when))
        return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"

    def stands(self, since: float, usual: float, patience: float) -> Severity | None:
        """How sure a silence since then is a problem; None: it may still pass.

        `usual` is the longest this machine was seen to be silent here and go on, 0 where it never was; `patience` how
        long any healthy machine may take. What is known to be quick is given up sooner, what is slow suspected later.
        """
        doubt = min(max(LONG_SECONDS, SLOWER * usual), patience)
        if not self.over(since + doubt):
            return None
        sure = min(max(STALLED * usual, doubt), patience) if usual else patience
        return Severity.PROBLEM if self.over(since + sure) else Severity.WAIT

    # --- events ---------------------------------------------------------------------------------------------------

    @property
    def boot(self) -> tuple[Event, ...]:
        """The newest boot; empty when none was seen."""
        return self.boots[-1] if self.boots else ()

    @property
    def earlier(self) -> tuple[tuple[Event, ...], ...]:
        """The boots before it, oldest first."""
        return self.boots[:-1]

    def all(self, *kinds: str, stage: str = "", role: str = "", after: Event | None = None) -> list[Event]:
        """Events of the newest boot of these kinds (`http.` is a prefix), after another one."""
        return select(self.boot, *kinds, stage=stage, role=role, after=after)

    def last(self, *kinds: str, stage: str = "", role: str = "") -> Event | None:
        """The newest of them."""
        found = self.all(*kinds, stage=stage, role=role)
        return found[-1] if found else None

    def fetched(self, after: Event) -> bool:
        """Any file was asked for after an event."""
        return any(event.id > after.id and event.kind.partition(".")[0] in FILES for event in self.boot)

    def refused(self, after: Event) -> bool:
        """It asked for an address anew after an event, and is not answered any more."""
        return any(event.kind == "dhcp.silent" and event.id > after.id for event in self.boot)

    def moved(self, after: Event) -> bool:
        """The machine got something, or somewhere, after an event."""
        return any(event.id > after.id and progress(event) for event in self.boot)

    # --- facts ----------------------------------------------------------------------------------------------------

    def subnet(self, name: str) -> Subnet | None:
        return next((one for one in self.facts.subnets if one.name == name), None)

    def bootenv(self, name: str) -> BootEnv | None:
        return next((one for one in self.facts.bootenvs if one.name == name), None)

    def down(self, name: str) -> Service | None:
        """The service of this name, if it does not run."""
        found = next((one for one in self.facts.services if one.name == name), None)
        return found if found is not None and found.state is not ServiceState.UP else None

    def others(self, interface: str) -> Sequence[ForeignServer]:
        """Other DHCP servers heard on an interface."""
        return self.facts.foreign.get(interface, ())

    @property
    def assigned(self) -> BootEnv | None:
        """What it boots next."""
        standard = self.facts.default_bootenv if self.machine.registered else self.facts.unknown_bootenv
        return self.bootenv(self.machine.bootenv or standard)

    @property
    def key(self) -> str:
        """The machine on a command line."""
        return self.machine.name

    @property
    def firmware(self) -> Event | None:
        """What the firmware said of itself: the newest boot's first DISCOVER."""
        found = self.all("dhcp.discover")
        return found[0] if found else None


def select(
    events: Sequence[Event], *kinds: str, stage: str = "", role: str = "", after: Event | None = None
) -> list[Event]:
    """Those of these kinds (a name that ends in a dot is a prefix), of a stage or role, after another event."""
    prefixes = tuple(kind for kind in kinds if kind.endswith("."))
    return [
        event
        for event in events
        if (event.kind in kinds or (prefixes and event.kind.startswith(prefixes)))
        and (after is None or event.id > after.id)
        and (not stage or event.data.get("stage") == stage)
        and (not role or event.data.get("role") == role)
    ]


def progress(event: Event) -> bool:
    """The machine was given something it asked for."""
    if event.kind in ("tftp.sent", "http.sent", "tftp.started", "http.started"):
        return True
    return event.kind.startswith("agent.") and event.kind not in ("agent.failed", "agent.conflict")


def missing(event: Event) -> bool:
    """A file that is not there was asked for in earnest."""
    return event.kind in ("tftp.missing", "http.missing") and not hopeful(name_of(event))


def name_of(event: Event) -> str:
    """The file an event of TFTP or HTTP is about."""
    return str(event.data.get("file") or event.data.get("path") or "").lstrip("/")


def boots_disk(event: Event) -> bool:
    """The machine was told to boot its own disk."""
    if event.data.get("reason") == "local" and event.kind in ("dhcp.ack", "dhcp.offer", "dhcp.silent"):
        return True
    return event.kind == "http.sent" and event.data.get("boots") == BootKind.LOCAL.value


def short(text: str, limit: int = 34) -> str:
    """A name that leaves room on its line."""
    return text if len(text) <= limit else "~" + text[1 - limit :]


def clipped(text: str, limit: int) -> str:
    """A sentence on its line; all of it is in the events it rests on."""
    return text if len(text) <= limit else text[: limit - 1] + "~"


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule says of a case; `means`, `do`, `action` and `command` are the rule's own where they are empty."""

    brief: str
    seen: str
    events: Sequence[Event]
    since: float
    means: str = ""
    do: str = ""
    action: str = ""
    command: str = ""
    severity: Severity = Severity.PROBLEM


@dataclass(frozen=True, slots=True)
class Rule:
    """One diagnosis. The docstring of `find` says what is seen."""

    id: str
    means: str
    do: str
    patience: str
    """What it waits for before it speaks, and where that number is from."""
    find: Callable[[Case], Found | None]
    action: str = ""
    command: str = ""
    outranks: tuple[str, ...] = ()
    """Findings that say less about the same stall; they are left out beside this one."""

    @property
    def seen(self) -> str:
        """What is seen, in general."""
        return " ".join((self.find.__doc__ or "").split()).removesuffix(".")

    def finding(self, case: Case) -> Finding | None:
        """What it finds in a case."""
        found = self.find(case)
        if found is None:
            return None
        return Finding(
            id=self.id,
            severity=found.severity,
            brief=clipped(found.brief, 44),
            seen=clipped(found.seen, LINE - 4),
            events=tuple(event.id for event in found.events),
            means=clipped(found.means or self.means, LINE),
            do=clipped(found.do or self.do, LINE - 18),
            action=found.action or self.action,
            command=(found.command or self.command).replace("KEY", case.key),
            since=found.since,
        )
