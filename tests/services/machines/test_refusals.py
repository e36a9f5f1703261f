"""Firmware that asks anew right after a loader gets the signed one; what starts iPXE never does."""

from __future__ import annotations

from typing import Any

import pytest

from app.model.event import EVENT_KINDS, Event, EventDraft
from app.model.inventory import Inventory
from app.model.machine import Machine, machine_id_for
from app.services.machines.refusals import Refusals
from tests.store.stores import SetClock

MAC = "52:54:00:00:00:07"


class Watched:
    """Refusals that are told what a test says."""

    def __init__(self) -> None:
        self.said: list[EventDraft] = []
        self.machine: Machine | None = None
        self.files = {"shimx64.efi"}
        self.refusals = Refusals(lambda _: self.machine, self.files.__contains__, self.said.append, SetClock(1000.0))
        self.count = 0

    def hear(self, kind: str, mac: str = MAC, **data: Any) -> None:
        self.count += 1
        self.refusals.observe(Event(id=self.count, time=1000.0 + self.count, kind=kind, message="", mac=mac, data=data))

    def asks(self, arch: int = 7, stage: str = "rom") -> None:
        self.hear("dhcp.discover", stage=stage, arch=arch)
        self.hear("dhcp.ack", stage=stage, arch=arch)

    def loads(self, name: str = "ipxe.efi", kind: str = "tftp") -> None:
        self.hear(f"{kind}.started", role="loader", file=name)
        self.hear(f"{kind}.sent", role="loader", **{"file" if kind == "tftp" else "path": name})

    @property
    def needs(self) -> bool:
        return self.refusals.needs(MAC)


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.mark.parametrize(("kind", "arch"), [("tftp", 7), ("http", 16)])
def test_a_loader_and_then_the_firmware_again(watched: Watched, kind: str, arch: int) -> None:
    watched.asks(arch)
    watched.loads(kind=kind)
    # The request that tells is answered before it is told of.
    assert watched.needs
    watched.asks(arch)

    assert watched.needs
    assert not watched.refusals.needs("52:54:00:00:00:08")
    (event,) = watched.said
    assert event.kind in EVENT_KINDS
    assert event.message == (
        "d52-54-00-00-00-07 did not start ipxe.efi and asks anew: it is given shimx64.efi from now on"
    )
    assert event.data == {"refused": "ipxe.efi", "loader": "shimx64.efi"}


SIGNS = [
    ("dhcp.discover", {"stage": "ipxe", "arch": 7}),
    ("dhcp.discover", {"stage": "os"}),
    ("tftp.missing", {"file": "autoexec.ipxe"}),
    ("http.sent", {"role": "script", "path": "boot/x.ipxe"}),
    ("agent.registered", {}),
]


@pytest.mark.parametrize(("kind", "data"), SIGNS, ids=[kind for kind, _ in SIGNS])
def test_a_loader_that_was_heard_of_was_not_refused(watched: Watched, kind: str, data: dict[str, Any]) -> None:
    watched.asks()
    watched.loads()
    watched.hear(kind, **data)
    watched.asks()

    assert not watched.needs
    assert watched.said == []


def test_what_shim_starts_and_other_firmware_are_no_matter(watched: Watched) -> None:
    watched.loads("shimx64.efi")
    watched.loads("grubx64.efi")
    watched.asks()
    for arch, name in ((0, "undionly.kpxe"), (11, "ipxe-arm64.efi")):
        watched.loads(name)
        watched.asks(arch)

    assert not watched.needs


def test_without_shim_in_the_cache_all_stays_as_it_is(watched: Watched) -> None:
    watched.files.clear()
    watched.loads()
    watched.asks()

    assert not watched.needs
    assert watched.said == []


@pytest.mark.parametrize("end", ["shim is refused too", "iPXE runs"])
def test_it_is_not_for_ever(watched: Watched, end: str) -> None:
    watched.loads()
    watched.asks()
    if end == "iPXE runs":
        watched.asks(stage="ipxe")
    else:
        watched.loads("shimx64.efi")
        watched.asks()

    assert not watched.needs


def test_its_inventory_says_so_after_a_restart(watched: Watched) -> None:
    for state, needs in (("enabled", True), ("disabled", False)):
        found = Inventory(secure_boot=state)
        watched.machine = Machine(id=machine_id_for(MAC), name="web1", macs=(MAC,), inventory=found)
        assert watched.needs is needs
