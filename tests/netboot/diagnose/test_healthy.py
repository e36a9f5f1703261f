"""Boots that went well raise no alarm, at no moment."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from app.model.event import Event
from app.model.machine import Machine
from app.netboot.diagnose import RULES, diagnose
from tests.netboot.diagnose.stories import HEALTHY, facts, inventory, machine, problems, recorded

AFTERWARDS = 200
"""Seconds looked at after the last event: no rule waits for longer."""
WAYS = ("bios", "uefi", "uefi-http")


def alarms(events: Sequence[Event], who: Machine, first: int = 1) -> list[str]:
    """What is raised at any second while the story goes on, from its event number `first` on."""
    found: list[str] = []
    world = facts()
    for count in range(first, len(events) + 1):
        past, now = events[:count], events[count - 1].time
        end = events[count].time if count < len(events) else now + AFTERWARDS
        while now < end:
            verdict = diagnose(who, past, world, now)
            named = {finding.id: finding for finding in verdict.findings}
            found += [f"{name} at +{now - events[0].time:.0f} s: {named[name].seen}" for name in problems(named)]
            now += 1
    return found


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_boot_raises_no_alarm_at_any_moment(name: str) -> None:
    events = recorded(name)
    kind = "bios" if name.startswith("bios") else "uefi"
    known = machine(events, inventory=inventory(kind), bootenv="local" if name.endswith("local") else "")
    # While it is discovered nobody has it on record.
    who = known if name.endswith("local") else machine(events, registered=False)

    assert alarms(events, who) == []


@pytest.mark.parametrize("way", WAYS)
def test_discovered_and_then_booted_from_disk_raises_no_alarm(way: str) -> None:
    whole = [*recorded(way), *recorded(f"{way}-local", at=400)]
    kind = "bios" if way == "bios" else "uefi"

    assert alarms(whole, machine(whole, inventory=inventory(kind), bootenv="local"), len(recorded(way))) == []


@pytest.mark.parametrize("way", WAYS)
def test_a_machine_power_cycled_in_the_middle_of_its_boot_raises_no_alarm(way: str) -> None:
    story = recorded(way)
    for cut in range(2, len(story), 3):
        begin = story[cut - 1].time - story[0].time + 8
        events = [*story[:cut], *recorded(way, at=begin)]
        found = alarms(events, machine(events, registered=False), cut)
        # A loader that ends right after it was loaded looks the same as a power-cycle at that moment.
        assert [one for one in found if not one.startswith("D15")] == []


def test_the_moment_a_rule_names_is_the_moment_it_speaks() -> None:
    """Looking only at events and at the moments named finds all that looking each second finds."""
    events = recorded("uefi")
    who = machine(events, registered=False)
    for count in range(1, len(events) + 1, 4):
        now, past = events[count - 1].time, events[:count]
        verdict = diagnose(who, past, facts(), now)
        named: set[str] = set()
        while verdict.again < now + AFTERWARDS:
            verdict = diagnose(who, past, facts(), verdict.again)
            named |= {finding.id for finding in verdict.findings}
        each = {f.id for n in range(AFTERWARDS) for f in diagnose(who, past, facts(), now + n).findings}
        assert named >= {name for name in each if name != "D11"}, count


def test_rules_are_numbered_once_and_say_what_they_see() -> None:
    names = [rule.id for rule in RULES]

    assert names == sorted(set(names))
    assert all(rule.seen and rule.means and rule.do and rule.patience for rule in RULES)
    assert {other for rule in RULES for other in rule.outranks} <= {*names}
