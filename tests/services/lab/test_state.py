"""What a lab leaves on disk can be read at every moment, and its lock tells whether anybody keeps it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import BootcartError, ConflictError, ForbiddenError, NotFoundError
from app.services.lab import machine, plan, state
from app.services.lab.account import Account
from app.services.lab.process import Process

PLAN = plan.plan("lab", plan.DEFAULT_DIRECTORY)


def _state(**changes: object) -> state.LabState:
    machines = tuple(machine.describe(Path("/L"), spec) for spec in PLAN.machines)
    made = state.LabState("lab", state.UP, PLAN.namespaces, keeper=Process(7, 70), machines=machines, socket="/L/api")
    return replace(made, **changes)  # type: ignore[arg-type]


def test_it_reads_back_what_it_wrote(tmp_path: Path) -> None:
    running = replace(_state().machines[0], process=Process(9, 90), started=12.5)
    made = _state(engine=Process(8, 80), leash=Process(6, 60)).with_machine(running)

    state.write(tmp_path, made)

    assert state.read(tmp_path) == made
    assert made.all_processes == (Process(8, 80), Process(9, 90))
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_a_failed_write_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state.write(tmp_path, _state())

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        state.write(tmp_path, _state(phase=state.STOPPING))

    found = state.read(tmp_path)
    assert found is not None
    assert found.phase == state.UP


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "lab"}', '{"name": 1, "phase": {}, "namespaces": 3}'])
def test_a_file_that_is_not_ours_is_no_lab(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)

    assert state.read(tmp_path) is None


def test_a_lab_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="'rack'"):
        state.load(tmp_path, "rack")


def test_only_one_claims_a_name(tmp_path: Path) -> None:
    folder, lock = state.claim(tmp_path, "lab")
    with pytest.raises(ConflictError, match="there already"):
        state.claim(tmp_path, "lab")
    other, second = state.claim(tmp_path, "rack")

    assert folder != other
    lock.release()
    again, third = state.claim(tmp_path, "lab")
    assert again == folder
    second.release()
    third.release()


def test_what_a_dead_keeper_recorded_is_not_claimed_over(tmp_path: Path) -> None:
    folder, lock = state.claim(tmp_path, "lab")
    state.write(folder, _state())
    lock.release()

    with pytest.raises(ConflictError):
        state.claim(tmp_path, "lab")


def test_the_kernel_gives_the_lock_back_when_its_holder_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from app.services.lab import state; "
        "print(state.Lock(Path(sys.argv[1])).take(), flush=True); time.sleep(60)"
    )
    root = Path(state.__file__).parents[3]
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            program.replace("state.Lock(Path(sys.argv[1]))", "(lock := state.Lock(Path(sys.argv[1])))"),
            tmp_path,
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "True\n"
        assert not state.Lock(tmp_path).take()
        child.kill()
        child.wait()

    lock = state.Lock(tmp_path)
    assert lock.take()
    lock.release()


def test_a_lock_on_a_folder_that_was_removed_is_not_taken(tmp_path: Path) -> None:
    assert not state.Lock(tmp_path / "gone").take()


def test_a_claim_where_nothing_can_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BootcartError, match="cannot make"):
        state.claim(tmp_path / "file", "lab")


def test_the_directory_can_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BOOTCART_LAB_DIR", raising=False)
    assert state.lab_directory() == plan.DEFAULT_DIRECTORY
    monkeypatch.setenv("BOOTCART_LAB_DIR", "/srv/labs")
    assert state.lab_directory() == Path("/srv/labs")


@pytest.mark.root
def test_a_directory_of_somebody_else_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in it decides which processes root ends and which folders it removes."""
    monkeypatch.setenv("BOOTCART_LAB_DIR", str(tmp_path))
    monkeypatch.delenv("SUDO_UID", raising=False)
    assert state.lab_directory() == tmp_path
    os.chown(tmp_path, 65534, 65534)
    with pytest.raises(ForbiddenError, match="belongs to user 65534"):
        state.lab_directory()
    # Whoever may call sudo is trusted as it is.
    monkeypatch.setenv("SUDO_UID", "65534")
    assert state.lab_directory() == tmp_path

    (tmp_path / "link").symlink_to("/")
    os.chown(tmp_path / "link", 65533, 65533, follow_symlinks=False)
    monkeypatch.setenv("BOOTCART_LAB_DIR", str(tmp_path / "link"))
    with pytest.raises(ForbiddenError):
        state.lab_directory()


@pytest.mark.root
def test_an_account_gets_its_folder_after_what_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own it could put a link in a file's place before root gives that away."""
    given: list[str] = []

    def chown(path: Path, uid: int, gid: int, **how: object) -> None:
        given.append(path.name)

    monkeypatch.setattr(os, "chown", chown)
    (spec,) = plan.plan("lab", tmp_path, ["bios:disks=2"]).machines
    machine.prepare(tmp_path, spec, Account("nobody", 65534, 65534))

    assert sorted(given[:-1]) == ["disk0.raw", "disk1.raw"]
    assert given[-1] == spec.name


def test_only_a_labs_folder_is_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "lock").write_text("")
    (tmp_path / "notes.txt").write_text("")
    folder, lock = state.claim(tmp_path, "lab")
    lock.release()
    (tmp_path / "link").symlink_to(folder)

    with pytest.raises(ConflictError):
        state.claim(tmp_path, "thesis")
    (tmp_path / "begun").mkdir()

    assert list(state.folders(tmp_path)) == [tmp_path / "begun", folder]
    assert (tmp_path / "thesis" / "lock").exists()
    assert list(state.folders(tmp_path / "gone")) == []
