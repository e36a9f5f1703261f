"""When machines are looked at, and what is told of it."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from app.clock import SystemClock
from app.model.diagnosis import Finding, Severity
from app.model.event import Event, EventDraft, Level
from app.model.machine import Machine, machine_id_for
from app.services.machines import diagnosis
from app.services.machines.diagnosis import Diagnoses
from tests.services.machines.conftest import World

MAC = "52:54:00:00:00:07"
KEY = machine_id_for(MAC)
BLOCKED = Finding(id="D10", brief="never asked for", seen="s", means="m", do="d", command="c", since=1.0, events=(3,))
NOTE = Finding(id="D11", severity=Severity.NOTE, brief="normal", seen="s", means="m", do="d")


@dataclass
class Bench:
    """A judge that says what the test wants, one machine, and what was emitted."""

    findings: tuple[Finding, ...] = ()
    again: float = math.inf
    looks: list[float] = field(default_factory=list[float])
    said: list[EventDraft] = field(default_factory=list[EventDraft])
    known: bool = True
    registered: bool = True
    fails: bool = False

    def find(self, key: uuid.UUID) -> Machine | None:
        return Machine(id=key, name="node-07", macs=(MAC,), registered=self.registered) if self.known else None

    def events(self, key: uuid.UUID) -> Sequence[Event]:
        return ()

    def judge(self, machine: Machine, events: Sequence[Event], now: float) -> tuple[Sequence[Finding], float]:
        self.looks.append(time.monotonic())
        if self.fails:
            raise RuntimeError("a rule fell over")
        again, self.again = self.again, math.inf
        return self.findings, again


def event(kind: str, at: float = 0.0, machine: uuid.UUID = KEY) -> Event:
    return Event(id=1, time=at or time.time(), kind=kind, message=kind, mac=MAC, machine=machine)


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def diagnoses(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Diagnoses]:
    monkeypatch.setattr(diagnosis, "SETTLE_SECONDS", 0.01)
    made = Diagnoses(bench, bench.judge, bench.said.append, SystemClock())
    made.start()
    yield made
    made.stop()


def test_a_problem_is_told_once_and_shown_until_it_is_over(bench: Bench, diagnoses: Diagnoses) -> None:
    bench.findings = (BLOCKED,)
    diagnoses.observe(event("dhcp.ack"))
    until(lambda: diagnoses.problem(KEY))
    assert diagnoses.problem(KEY) == "D10 never asked for"
    (found,) = bench.said
    assert (found.kind, found.level, found.machine, found.mac) == ("diagnosis.found", Level.WARNING, KEY, MAC)
    assert found.message == "node-07 D10: s; m"
    assert found.data == {
        "rule": "D10", "severity": "problem", "seen": "s", "means": "m", "do": "d", "command": "c", "since": 1.0,
        "events": [3],
    }  # fmt: skip

    diagnoses.observe(event("tftp.missing"))
    until(lambda: len(bench.looks) == 2)
    bench.findings = ()
    diagnoses.observe(event("tftp.sent"))
    until(lambda: len(bench.said) == 2)
    assert (bench.said[1].kind, bench.said[1].data["rule"]) == ("diagnosis.cleared", "D10")
    until(lambda: not diagnoses.problem(KEY))


def test_a_wait_stands_on_the_row_until_it_is_sure_or_over(bench: Bench, diagnoses: Diagnoses) -> None:
    bench.findings = (BLOCKED.model_copy(update={"severity": Severity.WAIT}),)
    diagnoses.observe(event("dhcp.ack"))
    until(lambda: diagnoses.problem(KEY))
    assert diagnoses.problem(KEY) == "D10? never asked for"
    (waits,) = bench.said
    assert (waits.kind, waits.level, waits.data["severity"]) == ("diagnosis.waiting", Level.INFO, "wait")

    bench.findings = (BLOCKED,)
    diagnoses.observe(event("dhcp.ack"))
    until(lambda: len(bench.said) == 2)
    assert bench.said[1].kind == "diagnosis.found"
    until(lambda: diagnoses.problem(KEY) == "D10 never asked for")

    bench.findings = ()
    diagnoses.observe(event("tftp.sent"))
    until(lambda: len(bench.said) == 3)
    assert bench.said[2].kind == "diagnosis.cleared"


def test_a_note_is_neither_told_nor_shown_in_a_row(bench: Bench, diagnoses: Diagnoses) -> None:
    bench.findings = (NOTE,)
    diagnoses.observe(event("tftp.aborted"))
    until(lambda: bench.looks)

    assert diagnoses.problem(KEY) == ""
    machine = Machine(id=KEY, name="node-07", macs=(MAC,))
    assert diagnoses.diagnosis(machine).findings == (NOTE,)
    assert bench.said == []


def test_a_wait_that_grows_long_is_looked_at_without_an_event(bench: Bench, diagnoses: Diagnoses) -> None:
    bench.again = time.time() + 0.2
    diagnoses.observe(event("dhcp.ack"))
    until(lambda: len(bench.looks) == 2)

    assert bench.looks[1] - bench.looks[0] >= 0.1


def test_an_open_problem_is_looked_at_again_by_itself(
    bench: Bench, diagnoses: Diagnoses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "RECHECK_SECONDS", 0.05)
    bench.findings = (BLOCKED,)
    diagnoses.observe(event("dhcp.ack"))
    until(lambda: len(bench.looks) >= 3)
    bench.findings = ()
    until(lambda: not diagnoses.problem(KEY))


def test_what_was_changed_is_looked_at_where_something_is_open(bench: Bench, diagnoses: Diagnoses) -> None:
    diagnoses.changed()
    bench.findings = (BLOCKED,)
    diagnoses.observe(event("dhcp.ack"))
    until(lambda: diagnoses.problem(KEY))
    looks = len(bench.looks)
    diagnoses.changed()
    until(lambda: len(bench.looks) > looks)


def test_a_burst_of_events_is_one_look(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Diagnoses(bench, bench.judge, bench.said.append, SystemClock())
    for _ in range(50):
        made.observe(event("dhcp.discover"))
    made.start()
    until(lambda: bench.looks)
    made.observe(event("audit.update"))
    made.stop()

    assert len(bench.looks) == 1


def test_what_was_heard_before_the_engine_started_is_looked_at(bench: Bench) -> None:
    made = Diagnoses(bench, bench.judge, bench.said.append, SystemClock())
    made.start([event("dhcp.ack", at=time.time() - 5000)])
    made.stop()
    assert bench.looks == []

    made = Diagnoses(bench, bench.judge, bench.said.append, SystemClock())
    made.start([event("dhcp.ack", at=time.time() - 50)])
    until(lambda: bench.looks)
    made.stop()


def test_a_machine_that_is_gone_has_no_problem_any_more(bench: Bench, diagnoses: Diagnoses) -> None:
    bench.findings = (BLOCKED,)
    diagnoses.observe(event("dhcp.ack"))
    until(lambda: diagnoses.problem(KEY))
    bench.known = False
    diagnoses.observe(event("dhcp.ack"))
    until(lambda: not diagnoses.problem(KEY))


def test_machines_without_number_are_not_all_remembered(
    bench: Bench, diagnoses: Diagnoses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes up addresses has a machine, and perhaps a problem, for each of them."""
    monkeypatch.setattr(diagnosis, "OPEN_MAX", 2)
    bench.findings = (BLOCKED,)
    first, second, third = keys = [machine_id_for(f"52:54:00:00:00:0{n}") for n in range(3)]
    for key in keys:
        diagnoses.observe(event("dhcp.discover", machine=key))
        until(lambda key=key: diagnoses.problem(key))

    assert [bool(diagnoses.problem(key)) for key in (first, second, third)] == [False, True, True]


@pytest.mark.parametrize(("registered", "looks"), [(False, 2), (True, 5)])
def test_strangers_without_number_do_not_all_wait(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, registered: bool, looks: int
) -> None:
    """Machines on record do, however many there are."""
    monkeypatch.setattr(diagnosis, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(diagnosis, "WAITING_MAX", 2)
    bench.registered = registered
    made = Diagnoses(bench, bench.judge, bench.said.append, SystemClock())
    last = machine_id_for("52:54:00:00:01:00")
    for number in range(5):
        made.observe(event("dhcp.discover", machine=machine_id_for(f"52:54:00:00:00:0{number}")))
    made.start()
    until(lambda: len(bench.looks) == looks)
    made.observe(event("dhcp.discover", machine=last))
    until(lambda: len(bench.looks) == looks + 1)
    made.stop()


def test_a_rule_that_fails_stops_nothing(bench: Bench, diagnoses: Diagnoses, caplog: pytest.LogCaptureFixture) -> None:
    bench.fails = True
    diagnoses.observe(event("dhcp.ack"))
    until(lambda: "could not be diagnosed" in caplog.text)
    bench.fails, bench.findings = False, (BLOCKED,)
    diagnoses.observe(event("dhcp.ack"))
    until(lambda: diagnoses.problem(KEY))


def test_the_roster_shows_the_problem_and_what_we_say_is_no_sign_of_life(world: World) -> None:
    world.emit("dhcp.discover", MAC, stage="rom", firmware="uefi", arch=7)
    world.roster.problem_of = lambda key: "D01 no subnet covers it" if key == KEY else ""
    seen = next(machine for machine in world.roster.all() if machine.id == KEY)
    assert seen.status is not None
    assert seen.status.diagnosis == "D01 no subnet covers it"

    before = seen.status.seen
    world.clock.time += 500
    world.emit("diagnosis.found", MAC, rule="D01")
    seen = next(machine for machine in world.roster.all() if machine.id == KEY)
    assert seen.status is not None
    assert seen.status.seen == before
    assert [each.kind for each in world.roster.events(KEY)] == ["dhcp.discover", "machine.seen"]
    found = world.roster.find(KEY)
    assert found is not None
    assert found.macs == (MAC,)
