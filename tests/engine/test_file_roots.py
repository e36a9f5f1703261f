"""Trees of the operator's that are there already: what they cost does not depend on how much is in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import netns
from tests.engine.process import Engine, folder

pytestmark = pytest.mark.root

FILES = 100_000


@dataclass
class Watched:
    """An engine whose reading of directories is written down."""

    engine: Engine
    tree: Path
    trace: Path
    seen: int = 0

    def reads(self) -> list[str]:
        """Directories of the tree that were read since the last look."""
        lines = self.trace.read_text().splitlines()
        fresh, self.seen = lines[self.seen :], len(lines)
        return [line for line in fresh if f"<{self.tree}" in line]

    def get(self, path: str) -> str:
        """The status of a download."""
        url = f"http://127.0.0.1:8090/{path}"
        return netns.run(self.engine.ns, ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", url]).stdout


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with netns.namespace("roots") as ns, folder() as place:
        tree, trace = place / "mirror", place / "trace"
        (tree / "Packages").mkdir(parents=True)
        first = tree / "Packages" / "0.rpm"
        first.write_bytes(b"package")
        for number in range(1, FILES):
            # A file has 65,000 names at most (ext4).
            if number % 50_000 == 0:
                first = tree / "Packages" / f"{number}.rpm"
                first.write_bytes(b"package")
                continue
            os.link(first, tree / "Packages" / f"{number}.rpm")
        (tree / ".treeinfo").write_bytes(b"[general]")
        watch = ["strace", "-f", "-qq", "--seccomp-bpf", "-y", "-e", "trace=getdents64", "-o", str(trace)]
        flags = ["--interface", "lo", "--dhcp", "off", "--disable", "probe", "--artefacts", str(place / "none")]
        roots = ["--file-root", str(tree), "--file-root", str(place / "later"), "--file-root", str(trace)]
        engine = Engine(ns, place / "data", *flags, *roots, prefix=watch)
        try:
            yield Watched(engine.start(), tree, trace)
            engine.told("stop")  # strace passes no signal on
            assert engine.ended() == 0
        finally:
            engine.close()


def test_no_directory_is_read_at_the_start_nor_for_a_file(watched: Watched) -> None:
    assert watched.trace.exists()
    assert watched.reads() == []

    for path in (".treeinfo", "Packages/0.rpm", f"//Packages/./{FILES - 1}.rpm", "Packages%2f777.rpm"):
        assert watched.get(path) == "200", path
    url = "tftp://127.0.0.1/Packages/4711.rpm"
    assert netns.run(watched.engine.ns, ["curl", "-sS", url]).stdout == "package"
    assert watched.get("packages/0.rpm") == "404"
    watched.reads()
    for _ in range(5):
        assert watched.get("Packages/99.rpm") == "200"
    assert watched.reads() == []


def test_what_a_missing_file_is_like_is_looked_up_among_the_first(watched: Watched) -> None:
    watched.reads()
    assert watched.get("Packages/none.rpm") == "404"
    # A read brings some hundred names; a hundred thousand would be hundreds of reads.
    assert len(netns.until(watched.reads, what="the folder was looked into")) < 10


def test_roots_with_nothing_in_them_are_named_and_served_once_they_come(watched: Watched) -> None:
    later = watched.tree.with_name("later")
    assert f"--file-root {later} is not there" in watched.engine.log()
    assert f"--file-root {watched.trace} is no directory" in watched.engine.log()

    later.mkdir()
    (later / "new.efi").write_bytes(b"new")
    assert watched.get("new.efi") == "200"
