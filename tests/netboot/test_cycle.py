"""Which loader follows one that does not start: the evidence, the round, and its end."""

from __future__ import annotations

import pytest

from app.model.machine import LoaderChoice
from app.netboot.cycle import (
    ARM64,
    BIOS,
    FILES,
    RING,
    X64,
    Attempt,
    Course,
    Evidence,
    advance,
    file_of,
    following,
    judge,
    kind_of,
    loader_named,
)
from app.netboot.loaders import LOADERS

AUTO, SNPONLY, IPXE, SHIM, GRUB = LoaderChoice
LOADED = 1000.0


def attempt(choice: LoaderChoice = IPXE, kind: str = X64, **changes: bool) -> Attempt:
    return Attempt(kind, choice, FILES[kind][choice], LOADED, tuple(FILES[kind]), **changes)


JUDGED: list[tuple[str, Attempt, float, Evidence | None]] = [
    ("UEFI asks anew at once", attempt(), 3, Evidence.REFUSED),
    ("UEFI stops in its menu until it is switched off and on", attempt(), 3600, Evidence.REFUSED),
    ("it had started: not refused, but hung", attempt(started=True), 30, Evidence.HUNG),
    ("it had started, and somebody was quick", attempt(started=True), 5, None),
    ("it had started, twice", attempt(started=True, again=True), 5, Evidence.LOOPED),
    ("BIOS refuses nothing", attempt(SNPONLY, BIOS), 5, None),
    ("BIOS, the second time", attempt(SNPONLY, BIOS, again=True), 5, Evidence.LOOPED),
    ("BIOS hangs", attempt(SNPONLY, BIOS), 20, Evidence.HUNG),
]


@pytest.mark.parametrize(("name", "tried", "after", "evidence"), JUDGED, ids=[case[0] for case in JUDGED])
def test_evidence(name: str, tried: Attempt, after: float, evidence: Evidence | None) -> None:
    assert judge(tried, LOADED + after) is evidence


ROUNDS: list[tuple[str, LoaderChoice, str, Evidence, list[LoaderChoice]]] = [
    ("a driver that hangs", IPXE, X64, Evidence.HUNG, [SNPONLY, SHIM, GRUB, AUTO]),
    ("the firmware's driver hangs", SNPONLY, X64, Evidence.LOOPED, [IPXE, SHIM, GRUB, AUTO]),
    ("Secure Boot", IPXE, X64, Evidence.REFUSED, [SHIM, GRUB, SNPONLY, AUTO]),
    ("shim is the standard one", SHIM, ARM64, Evidence.HUNG, [GRUB, SNPONLY, IPXE, AUTO]),
    ("BIOS", SNPONLY, BIOS, Evidence.HUNG, [IPXE, AUTO]),
]


@pytest.mark.parametrize(("name", "first", "kind", "evidence", "given"), ROUNDS, ids=[case[0] for case in ROUNDS])
def test_once_round_and_then_no_more(
    name: str, first: LoaderChoice, kind: str, evidence: Evidence, given: list[LoaderChoice]
) -> None:
    course: Course | None = None
    present, seen = first, list[LoaderChoice]()
    for _ in given:
        course = advance(course, attempt(present, kind), evidence)
        assert course is not None
        assert course.tried[-1] is present
        seen.append(present := course.loader)
    assert seen == given
    assert course is not None
    assert course.spent
    assert advance(course, attempt(first, kind), evidence) is None


def test_what_worked_once_is_left_with_a_new_round() -> None:
    worked = Course(SNPONLY, (IPXE,), works=True)

    assert advance(worked, attempt(SNPONLY), Evidence.HUNG) == Course(IPXE, (SNPONLY,))


def test_with_one_loader_there_is_nothing_to_change() -> None:
    alone = Attempt(ARM64, IPXE, "ipxe-arm64.efi", LOADED, (IPXE,))

    assert advance(None, alone, Evidence.HUNG) is None


def test_the_ring_of_an_operator() -> None:
    assert [following(one, RING) for one in RING] == [IPXE, SHIM, GRUB, SNPONLY]
    assert following(AUTO, RING) is SNPONLY
    assert following(IPXE, (SNPONLY, IPXE)) is SNPONLY
    assert following(IPXE, (IPXE,)) is AUTO


def test_files_and_their_names() -> None:
    for kind, files in FILES.items():
        for choice, name in files.items():
            assert loader_named(name) == (kind, choice)
    assert loader_named("pxelinux.0") is None
    assert (file_of(SHIM, 7), file_of(SHIM, 16), file_of(SHIM, 0), file_of(SHIM, None)) == (
        "shimx64.efi", "shimx64.efi", "", "",
    )  # fmt: skip
    assert file_of(AUTO, 7) == ""


def test_types_of_one_kind_share_a_standard_loader() -> None:
    kinds: dict[str, set[str]] = {}
    for number, loader in LOADERS.items():
        if kind := kind_of(number):
            kinds.setdefault(kind, set()).add(loader.preference)
    assert kinds.keys() == {BIOS, X64, ARM64}
    assert all(len(preferences) == 1 for preferences in kinds.values())
