"""Alternating rounds: ours and each peer in turn, so that a host whose speed drifts drifts for all of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of one side came to."""

    figure: float
    """What is compared; more is better."""
    lost: str = ""
    """What this side lost or got wrong, in words; such a run of a peer does not count, one of ours fails."""
    also: dict[str, float] = field(default_factory=dict[str, float])
    """Other figures of the same run, by name with unit."""


@dataclass(slots=True)
class Side:
    """Ours, or a peer."""

    name: str
    measure: Callable[[int], Run]
    """Runs the load once; gets the number of the round."""
    runs: list[Run] = field(default_factory=list[Run])

    @property
    def counted(self) -> list[Run]:
        return [run for run in self.runs if not run.lost]

    @property
    def median(self) -> float:
        return statistics.median([run.figure for run in self.counted]) if self.counted else 0.0

    def also(self, name: str) -> float:
        """The median of one of the other figures."""
        values = [run.also[name] for run in self.counted if name in run.also]
        return statistics.median(values) if values else 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row of the requirements, judged."""

    what: str
    value: float
    must: float
    aim: float
    unit: str
    below: bool = False
    """The value has to be below its bounds, not above."""
    note: str = ""

    @property
    def met(self) -> bool:
        """The must is met; not by nothing measured."""
        return bool(self.value) and (self.value < self.must if self.below else self.value >= self.must)

    @property
    def aimed(self) -> bool:
        return bool(self.value) and (self.value < self.aim if self.below else self.value >= self.aim)

    def __str__(self) -> str:
        word = "aim met" if self.met and self.aimed else "met" if self.met else "MISSED"
        sign = "<" if self.below else "≥"
        bounds = f"must {sign} {self.must:g}, aim {sign} {self.aim:g}"
        return f"{self.what}: {self.value:.2f}{self.unit}, {bounds}: {word}{f' ({self.note})' if self.note else ''}"


def alternate(sides: Sequence[Side], rounds: int, say: Callable[[str], None]) -> None:
    """Run every side once a round, in an order that turns."""
    for number in range(rounds):
        turned = [*sides[number % len(sides) :], *sides[: number % len(sides)]]
        for side in turned:
            run = side.measure(number)
            side.runs.append(run)
            also = "".join(f", {name} {value:.2f}" for name, value in run.also.items())
            lost = f"; does not count: {run.lost}" if run.lost else ""
            say(f"  round {number + 1} {side.name}: {run.figure:.1f}{also}{lost}")


def ratios(ours: Side, peer: Side) -> list[float]:
    """Ours to the peer's, round by round, where both count."""
    return [
        mine.figure / other.figure
        for mine, other in zip(ours.runs, peer.runs, strict=True)
        if not mine.lost and not other.lost and other.figure
    ]


def ratio(ours: Side, peer: Side) -> float:
    """The median of the ratios; 0 where none counts."""
    found = ratios(ours, peer)
    return statistics.median(found) if found else 0.0
