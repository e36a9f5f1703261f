"""The lab's command line: what it accepts, what it refuses, and with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import lab
from app.errors import InvalidError, NotFoundError
from app.services.lab import machine, needs, plan, state
from tests.lab.labs import ROOT


def _lab(name: str) -> state.LabState:
    made = plan.plan(name, Path("/L"))
    machines = tuple(machine.describe(Path("/L", name), spec) for spec in made.machines)
    return state.LabState(name, state.UP, made.namespaces, machines=machines)


ONE, TWO = _lab("one"), _lab("two")
BIOS = ONE.machines[0]


@pytest.mark.parametrize(
    "key", ["bios1", BIOS.mac, BIOS.mac.upper().replace(":", "-"), "d" + BIOS.mac.replace(":", "-")]
)
def test_a_machine_is_found_by_any_of_its_names(key: str) -> None:
    assert lab.find_machine([ONE], key) == BIOS


def test_a_name_in_two_labs_is_not_guessed() -> None:
    with pytest.raises(InvalidError, match="one, two") as caught:
        lab.find_machine([ONE, TWO], "bios1")
    assert "--lab" in caught.value.hint
    assert lab.find_machine([ONE, TWO], BIOS.mac) == BIOS


def test_an_unknown_machine_is_told_with_those_that_are_there() -> None:
    with pytest.raises(NotFoundError) as caught:
        lab.find_machine([ONE], "bios7")
    assert caught.value.hint == "there are: bios1, uefi1"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["fly"], 2, "invalid choice"),
        (["run", "--goal", "moon"], 2, "invalid choice"),
        (["down", "nothere"], 3, "no lab 'nothere'"),
        (["down", "No Such"], 2, "cannot be the name"),
        (["reset"], 3, "no lab is up"),
        (["reset", "bios1"], 3, "no lab machine"),
        (["console", "bios1"], 3, "no lab machine"),
        (["up", "--machines", "amiga"], 2, "no machine kind 'amiga'"),
        (["up", "--machines", "bios,uefi:nics=9"], 2, "--machines uefi:nics=9: nics cannot be '9'"),
        (["up", "--memory", "64"], 2, "cannot have 64 MiB"),
        (["up", "--cidr", "10.77.0.5/24"], 2, "host bits"),
        (["up", "a-name-that-is-far-too-long"], 2, "cannot be the name"),
    ],
)
def test_refusals(
    words: list[str],
    code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BOOTCART_LAB_DIR", str(tmp_path))
    # Neither the caller's rights nor the host's packages are in question here.
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(needs, "missing", lambda _: list[str]())

    assert lab.main(words) == code
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["up", "run", "down"])
def test_without_root_it_says_so(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert lab.main([verb]) == 5
    assert "sudo" in capsys.readouterr().err


def test_needs_prints_one_package_per_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(needs, "missing", lambda _: ["ovmf", "qemu-system-x86"])

    assert lab.main(["needs"]) == 0
    assert capsys.readouterr().out == "ovmf\nqemu-system-x86\n"


def test_needs_takes_the_words_of_the_lab_that_is_meant(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "rack", "--machines", "uefi,arm64-http:disks=0", "--goal", "local", "--timeout", "60"]

    assert lab.main(["needs", "--images", *words]) == 0
    assert capsys.readouterr().out == "amd64\narm64\n"


def test_the_list_for_people_and_for_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BOOTCART_LAB_DIR", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)  # nothing is reaped then
    folder, lock = state.claim(tmp_path, "one")
    state.write(folder, ONE)
    lock.release()

    assert lab.main(["list"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:5] == ["one", "up", "bios1", BIOS.mac, "off"]
    assert lab.main(["list", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["one"]


def test_no_verb_on_a_terminal_attaches_to_the_lab_that_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOTCART_LAB_DIR", str(tmp_path))
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    (tmp_path / "lab").mkdir()
    state.write(tmp_path / "lab", state.LabState("lab", state.UP, (), socket="/L/api.sock"))
    opened: list[str] = []

    def open_tui(endpoint: str) -> int:
        opened.append(endpoint)
        return 0

    assert lab.main([], open_tui) == 0
    assert opened == ["unix:/L/api.sock"]


def test_most_verbs_load_no_http_library() -> None:
    program = (
        "import sys; from app import lab; lab.main(['needs']); "
        "print([name for name in ('httpx', 'textual', 'fastapi', 'sqlalchemy', 'scapy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"
