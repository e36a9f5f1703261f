"""Packets whose octets are not to be trusted, by seed: no exception gets out, and a good machine is answered between.

`python -m tests.bench fuzz` gives ten million of them (docs/benchmarks.md).
"""

from __future__ import annotations

import pytest

from tests import answering, mutants


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_that_comes_in_gets_an_exception_out(seed: int) -> None:
    told = answering.run(seed, 20_000)

    assert told.faults == []
    assert told.answered == told.asked > 0
    assert all(told.packets.values())


def test_the_same_seed_makes_the_same_packets() -> None:
    """What a run found can be looked at again."""
    packets = mutants.dhcp("10.7.0.1", "10.7.0.100", "10.8.0.1")
    one, other, third = mutants.Mutants(packets, 1), mutants.Mutants(packets, 1), mutants.Mutants(packets, 2)
    made = [one() for _ in range(200)]

    assert made == [other() for _ in range(200)]
    assert made != [third() for _ in range(200)]
    assert len({each for each in made if each not in packets}) > 150
