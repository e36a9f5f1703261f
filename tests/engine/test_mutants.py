"""A running engine under packets whose octets are not to be trusted, all four kinds at once, over its sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import fuzz

pytestmark = pytest.mark.root


def test_good_machines_are_answered_among_mutants(tmp_path: Path) -> None:
    """A lease, a file by TFTP and one by HTTP after each burst; nothing in the log but words."""
    told = fuzz.over_the_wire(tmp_path, 4, 4000, lambda line: None)

    assert told.faults == []
    assert told.answered == told.asked > 0
    assert told.packets["http"] > 100
