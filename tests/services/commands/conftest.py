from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.model.bootenv import BootEnv, BootFiles, BootKind
from app.services.commands.layer import CommandLayer
from app.store.store import Store, open_store
from tests.store.stores import SetClock

BOOTENVS = (
    BootEnv(name="local", kind=BootKind.LOCAL),
    BootEnv(name="discovery", unknown_only=True),
    BootEnv(name="debian-12", architectures={"amd64": BootFiles(kernel="k")}),
    BootEnv(name="wipes", destructive=True),
    BootEnv(name="broken", errors=("boot.ipxe.j2 is missing",)),
)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database made once; making one for each test would take longer than the tests."""
    folder = tmp_path_factory.mktemp("empty") / "data"
    open_store(folder, SetClock()).close()
    return folder / "bootcart.db"


@pytest.fixture
def store(tmp_path: Path, empty: Path, clock: SetClock) -> Iterator[Store]:
    (tmp_path / "data").mkdir(mode=0o700)
    shutil.copy(empty, tmp_path / "data")
    opened = open_store(tmp_path / "data", clock)
    opened.directory.set_bootenvs(BOOTENVS)
    yield opened
    opened.close()


@pytest.fixture
def layer(store: Store, clock: SetClock) -> CommandLayer:
    return CommandLayer(store.database, store.directory, store.events, clock)
