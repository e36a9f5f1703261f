"""Why a machine does not boot, on its row and above its timeline, and the key that opens what mends it."""

from __future__ import annotations

import pytest

from app.model.diagnosis import Diagnosis, Finding, Severity
from app.model.machine import machine_id_for
from app.screens.areas.machine import MachineScreen
from app.screens.diagnosis import diagnosis_lines
from tests.fakes.world import NOW, mac
from tests.screens.stage import VT, WIDE, Stage, opened

BLOCKED = Finding(
    id="D10",
    brief="ipxe.efi was never asked for",
    seen="ipxe.efi was offered 15 s ago and never asked for by TFTP",
    means="UDP port 69 is blocked on the way, or next-server 10.7.0.1 is wrong",
    do="allow UDP port 69 here and between; look for STP",
    action="services",
    since=NOW,
)
NOTE = BLOCKED.model_copy(update={"id": "D11", "severity": Severity.NOTE, "action": "events"})


def shown(*findings: Finding, width: int = 79) -> list[str]:
    found = Diagnosis(machine=machine_id_for(mac(1)), findings=findings)
    return ["".join(text for text, _ in one.spans) for one in diagnosis_lines(found, width)]


def test_a_finding_takes_three_lines_of_eighty_columns() -> None:
    lines = shown(BLOCKED)

    assert len(lines) == 4
    assert lines[0].startswith(" ! D10 ipxe.efi was offered 15 s ago and never asked for by TFTP ")
    assert lines[1] == f"   {BLOCKED.means}"
    assert lines[2] == f"   {BLOCKED.do} (f: services)"
    assert lines[3] == ""
    assert all(len(line) <= 80 for line in lines)


def test_notes_look_otherwise_and_only_the_first_finding_has_the_key() -> None:
    lines = shown(BLOCKED, NOTE)

    assert lines[3].startswith(" i D11 ")
    assert sum("(f: " in line for line in lines) == 1
    assert diagnosis_lines(None, 79) == []
    assert shown() == []


def test_a_wait_is_marked_as_not_sure_yet() -> None:
    wait = BLOCKED.model_copy(update={"severity": Severity.WAIT})

    assert wait.row == "D10? ipxe.efi was never asked for"
    assert shown(wait)[0].startswith(" ? D10 ")


async def machines(stage: Stage, name: str) -> None:
    await stage.see(name)
    await stage.press("/")
    await stage.type(f"name={name}")
    await stage.press("enter")
    await stage.until(lambda: name in stage.row(name), name)


@pytest.mark.parametrize("size", [VT, WIDE])
async def test_the_row_and_the_timeline_name_the_cause(size: tuple[int, int]) -> None:
    async with opened(size=size) as stage:
        await stage.see("node-08")
        assert "FAIL D18" in stage.row("node-08")
        stage.app.open_machine(str(machine_id_for(mac(8))))
        await stage.see("D18 debian-12: debian-12/amd64/vmlinuz is missing")
        assert "the files of debian-12 are not all in the boot tree" in stage.text
        assert "(f: bootenvs)" in stage.text
        await stage.see("STATE")


async def test_f_opens_what_mends_it() -> None:
    async with opened() as stage:
        stage.app.open_machine(str(machine_id_for(mac(8))))
        await stage.see("D18")
        await stage.press("f")
        await stage.until(lambda: stage.crumbs.startswith(" bootenvs") or "bootenvs" in stage.crumbs, "the bootenvs")


async def test_f_on_the_list_is_for_the_machine_under_the_cursor() -> None:
    async with opened() as stage:
        await machines(stage, "node-08")
        await stage.press("f")
        await stage.until(lambda: "bootenvs" in stage.crumbs, "the bootenvs")


async def test_f_where_nothing_is_wrong_says_so() -> None:
    async with opened() as stage:
        stage.app.open_machine(str(machine_id_for(mac(3))))
        await stage.until(lambda: isinstance(stage.app.screen, MachineScreen), "the machine")
        await stage.gone("loading")
        assert "D18" not in stage.text
        await stage.press("f")
        await stage.see("nothing wrong is seen")
