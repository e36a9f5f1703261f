"""How large the blocks of a TFTP transfer may be for a machine whose way loses large ones (RFC 2348)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

STEPS = (1408, 512)
"""Octets: what crosses tunnels and tagged links whole, then what every network carries."""


@dataclass(frozen=True, slots=True)
class Course:
    """How a transfer goes, or went."""

    blksize: int
    size: int
    """Of the file, octets."""
    agreed: bool
    """The reader has answered: it is there, and small packets reach it and come back."""
    acked: int
    """Blocks it has acknowledged."""
    repeats: int
    """How often what it did not acknowledge was sent again."""
    refused: bool = False
    """Its host answered that nothing listens there any more: what was sent did arrive."""


def lowered(course: Course) -> int:
    """The most octets of a block for the machine's next transfer; 0: nothing speaks for less than it had.

    Blocks are too large for the way when the reader agreed to them and then has none of them, though they were sent
    more than once: the way drops what it would have to fragment, or the fragments (diagnosis D12).
    """
    if not course.agreed or course.acked or not course.repeats or course.refused:
        return 0
    first = min(course.blksize, course.size)
    return next((step for step in STEPS if step < first), 0)


class Blocks:
    """What was learned of each machine's way, until the engine ends; the machine heard of first is forgotten first."""

    def __init__(self, most: int = 1024) -> None:
        self._most = most
        self._known: OrderedDict[str, int] = OrderedDict()

    def limit(self, who: str, blksize: int) -> int:
        """The block size a machine gets of `blksize`."""
        return min(blksize, self._known.get(who, blksize))

    def learn(self, who: str, course: Course) -> int:
        """Remember how a transfer goes; the new limit in octets, 0 where there is none or it was known."""
        limit = lowered(course)
        if not limit or self._known.get(who, limit + 1) <= limit:
            return 0
        self._known[who] = limit
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return limit
