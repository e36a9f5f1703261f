"""All rules, and what they find together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.model.diagnosis import Finding, Severity
from app.model.event import Event
from app.model.machine import Machine
from app.netboot.diagnose import dhcp, files, firmware, history, identity, loader, loading
from app.netboot.diagnose.case import Case, Facts, Rule

RULES: tuple[Rule, ...] = tuple(
    sorted(
        (*dhcp.RULES, *files.RULES, *firmware.RULES, *history.RULES, *identity.RULES, *loader.RULES, *loading.RULES),
        key=lambda rule: rule.id,
    )
)

_RANK = {severity: rank for rank, severity in enumerate((Severity.PROBLEM, Severity.WAIT, Severity.NOTE))}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found, problems first, and when something more may be found without a new event (else infinity)."""

    findings: tuple[Finding, ...]
    again: float


def diagnose(machine: Machine, events: Sequence[Event], facts: Facts, now: float) -> Verdict:
    """Look at one machine at `now` (epoch seconds). `events` are its newest, oldest first."""
    case = Case(machine, events, facts, now)
    found = {rule.id: finding for rule in RULES if (finding := rule.finding(case)) is not None}
    problems = {key for key, finding in found.items() if finding.severity is Severity.PROBLEM}
    outranked = {other for rule in RULES if rule.id in problems for other in rule.outranks}
    kept = [finding for key, finding in found.items() if key not in outranked]
    kept.sort(key=lambda finding: (_RANK[finding.severity], -finding.since, finding.id))
    return Verdict(tuple(kept), case.wake)
