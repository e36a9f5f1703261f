"""Which blocks a machine gets after a transfer went as it did."""

from __future__ import annotations

import pytest

from app.netboot.blocks import Blocks, Course, lowered

STALLED = Course(blksize=1468, size=996_864, agreed=True, acked=0, repeats=1)
CASES: list[tuple[str, Course, int]] = [
    ("nothing of the first large block arrives", STALLED, 1408),
    ("iPXE's blocks", Course(1432, 996_864, True, 0, 2), 1408),
    ("jumbo frames", Course(8960, 996_864, True, 0, 1), 1408),
    ("it had the first step already", Course(1408, 996_864, True, 0, 1), 512),
    ("blocks every network carries", Course(512, 996_864, True, 0, 4), 0),
    ("it was just sent", Course(1468, 996_864, True, 0, 0), 0),
    ("it goes on, slowly", Course(1468, 996_864, True, 3, 2), 0),
    ("the reader never answered", Course(1468, 996_864, False, 0, 5), 0),
    ("the reader has closed its port", Course(1468, 996_864, True, 0, 1, refused=True), 0),
    ("a small file in one small block", Course(1468, 300, True, 0, 2), 0),
    ("a file smaller than its block, still large", Course(1468, 1430, True, 0, 2), 1408),
]


@pytest.mark.parametrize(("name", "course", "limit"), CASES, ids=[case[0] for case in CASES])
def test_d12_lowered(name: str, course: Course, limit: int) -> None:
    assert lowered(course) == limit, name


def test_a_machine_is_remembered_and_told_once() -> None:
    blocks = Blocks()

    assert blocks.limit("a", 1468) == 1468
    assert (blocks.learn("a", STALLED), blocks.learn("a", STALLED)) == (1408, 0)
    assert (blocks.limit("a", 1468), blocks.limit("a", 600), blocks.limit("b", 1468)) == (1408, 600, 1468)
    assert blocks.learn("a", Course(1408, 9000, True, 0, 1)) == 512
    assert blocks.learn("a", STALLED) == 0  # what is known is less
    assert blocks.limit("a", 1468) == 512


def test_strangers_do_not_fill_the_memory() -> None:
    blocks = Blocks(most=2)
    for name in ("a", "b", "c"):
        blocks.learn(name, STALLED)

    assert [blocks.limit(name, 1468) for name in ("a", "b", "c")] == [1468, 1408, 1408]
