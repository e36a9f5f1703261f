"""One engine that many tests share, and the files it serves."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import netns
from tests.artefacts import LOADERS as LOADERS
from tests.artefacts import noisy
from tests.engine.process import Engine, running
from tests.netns import new_mac as new_mac


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an engine serves, and a tree of the operator's."""
    root = noisy(tmp_path_factory.mktemp("artefacts"))
    # An operator's own tree, for --file-root.
    (root / "tree" / "shim").mkdir(parents=True)
    (root / "tree" / "shim" / "shimx64.efi").write_bytes(random.Random(8).randbytes(70_000))
    (root / "tree" / "ipxe.efi").write_text("ours come first")
    (root / "tree" / "out").symlink_to("/etc/passwd")
    return root


@dataclass(frozen=True, slots=True)
class Rack:
    """A segment with a serving engine and three clients that have no address."""

    engine: Engine
    segment: netns.Segment
    artefacts: Path


@pytest.fixture(scope="session")
def _rack(artefacts: Path) -> Iterator[Rack]:
    with netns.segment("10.7.0.1/24", clients=3) as segment:
        for client in segment.clients:
            netns.run(client, ["ip", "route", "add", "10.7.0.0/24", "dev", "eth0"])
        flags = ("--interface", "eth0", "--artefacts", str(artefacts), "--file-root", str(artefacts / "tree"))
        with running(segment.server, *flags) as engine:
            engine.subnet()
            engine.served()
            yield Rack(engine, segment, artefacts)


@pytest.fixture(scope="module")
def _emptied(_rack: Rack) -> Rack:
    """Addresses that the tests of another file left are gone: by now they may be others' leases."""
    for client in _rack.segment.clients:
        netns.run(client, ["ip", "-4", "address", "flush", "dev", "eth0"])
        netns.run(client, ["ip", "route", "replace", "10.7.0.0/24", "dev", "eth0"])
    return _rack


@pytest.fixture
def rack(_rack: Rack, _emptied: Rack) -> Iterator[Rack]:
    """The shared rack: it runs after the test, as before, and has logged no traceback."""
    _rack.engine.sound()
    yield _rack
    _rack.engine.sound()


@pytest.fixture
def mac() -> str:
    """A MAC of this test's own."""
    return new_mac()
