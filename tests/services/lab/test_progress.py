"""What `lab run` prints: one line per hop once, a table, and an exit code that tells late from broken."""

from __future__ import annotations

from app.model.timeline import Hop, HopState, Timeline
from app.services.lab import progress
from app.services.lab.progress import Watched


def _hop(name: str, ended: float | None, state: HopState = HopState.DONE, **more: object) -> Hop:
    return Hop.model_validate({"name": name, "title": name.upper(), "state": state, "ended": ended, **more})


def _watched() -> Watched:
    return Watched("bios1", "bios", 1000.0)


def test_each_hop_is_told_once() -> None:
    one = _watched()
    first = Timeline(
        hops=(_hop("discover", 1002.5, detail="x86 BIOS", delta=0.0), _hop("offer", None, HopState.WAITING))
    )
    later = Timeline(hops=(*first.hops[:1], _hop("offer", 1002.6, delta=0.1)))

    assert one.lines(first) == ["bios1          2.5 s  DISCOVER               x86 BIOS"]
    assert one.lines(first) == []
    assert one.lines(later) == ["bios1          2.6 s  OFFER"]
    assert one.ended == {"discover": 1002.5, "offer": 1002.6}


def test_a_second_boot_is_told_again_but_the_table_keeps_the_first() -> None:
    one = _watched()
    one.lines(Timeline(hops=(_hop("discover", 1002.5, delta=2.5),)))
    one.asked_local = 1030.0

    assert len(one.lines(Timeline(hops=(_hop("discover", 1040.0, delta=9.0),)))) == 1
    assert one.ended == {"discover": 1002.5}


def test_what_it_waits_for_and_what_failed() -> None:
    one = _watched()
    one.lines(Timeline(hops=(_hop("ack", None, HopState.WAITING, waiting_for="our ACK"),), at="ack"))
    assert one.result("inventory") == "timed out waiting for our ACK"
    assert progress.exit_code([one], "inventory") == 7

    one.lines(Timeline(hops=(_hop("loader", None, HopState.FAILED, detail="no such file\x1b[2J"),), at="loader"))
    assert one.result("inventory") == "failed: no such file.[2J"
    assert progress.exit_code([one], "inventory") == 1


def test_a_machine_that_never_asked() -> None:
    one = _watched()

    assert one.result("inventory") == "timed out waiting for its firmware to ask for an address"
    assert one.total("inventory") is None
    one.asked_local = 1030.0
    assert one.result("local") == "timed out waiting for its own disk to speak"


def test_the_goal_decides_when_it_is_done() -> None:
    one = _watched()
    one.inventory = 1021.0
    assert one.done("inventory")
    assert not one.done("local")
    assert progress.exit_code([one], "inventory") == 0
    one.asked_local, one.local = 1022.0, 1042.5

    assert one.done("local")
    assert one.total("local") == 42.5


def test_the_table() -> None:
    good, late = _watched(), Watched("uefi1", "uefi", 1000.0)
    good.ended = {"discover": 1002.5, "offer": 1002.6, "ack": 1003.7, "inventory": 1020.7}
    good.inventory = 1020.7
    late.waiting_for = "its DISCOVER"

    assert progress.table([good, late], "inventory") == [
        "MACHINE  FIRMWARE  DISCOVER  ACK  LOADER  IPXE  SCRIPT  KERNEL  INITRD  AGENT  INVENTORY  TOTAL  RESULT",
        "bios1    bios           2.5  1.2       -     -       -       -       -      -       17.0   20.7  ok",
        "uefi1    uefi             -    -       -     -       -       -       -      -          -      -  "
        "timed out waiting for its DISCOVER",
    ]
    good.local = 1040.0
    header, row = progress.table([good], "local")
    assert header.split()[-3:] == ["LOCAL", "TOTAL", "RESULT"]
    assert row.split()[-3:] == ["19.3", "40.0", "ok"]


def test_all_must_reach_it() -> None:
    good, late = _watched(), _watched()
    good.inventory = 1020.0

    assert progress.exit_code([good, late], "inventory") == 7
    assert progress.exit_code([good], "inventory") == 0
