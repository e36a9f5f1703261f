"""The table of what booted, from timelines."""

from __future__ import annotations

import pytest

from app.model.timeline import Hop, HopState, Timeline
from tests.lab import matrix


@pytest.fixture(autouse=True)
def none_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "ROWS", list[matrix.Row]())


def _boot(path: str, at: str = "", **ended: float) -> Timeline:
    hops = [Hop(name=name, title=name, state=HopState.DONE, ended=1000.0 + second) for name, second in ended.items()]
    skipped = Hop(name="loader", title="loader", state=HopState.SKIPPED)
    return Timeline(path=path, at=at, hops=(*hops, skipped))


def test_each_hop_has_its_own_seconds_and_the_total_is_from_power_on() -> None:
    whole = _boot("bios-ipxe", discover=2.5, offer=2.6, ack=4.0, script=5.0, kernel=8.0, inventory=20.0)
    matrix.record("bios", "alone", 1000.0, whole, local=18.25)
    matrix.record("amiga", "beside dnsmasq", 1000.0, _boot("", discover=3.0), result="stands at offer")

    header, good, bad = matrix.table(matrix.ROWS)

    assert header.split() == [
        *("CLIENT", "SITE", "PATH", "RESULT", "DISCOVER", "ACK", "LOADER", "IPXE", "SCRIPT", "KERNEL", "INITRD"),
        *("ANSWER", "INSTALLER", "AGENT", "INVENTORY", "TOTAL", "REFERENCE", "LOCAL"),
    ]
    assert " ".join(good.split()) == "bios alone bios-ipxe ok 2.5 1.5 - - 1.0 3.0 - - - - 12.0 20.0 20.7 18.2"
    assert " ".join(bad.split()) == "amiga beside dnsmasq - stands at offer 3.0 - - - - - - - - - - - - -"
