"""The running engine gives another loader after one that fails, and begins with what worked on the same card."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.model.machine import LoaderChoice
from tests import netns
from tests.engine.card import card, pxe
from tests.engine.conftest import Rack, new_mac

pytestmark = pytest.mark.root

MAKER = "00:25:90"
"""Of these cards alone: what is learned of them is no other test's."""


@pytest.fixture
def signed(rack: Rack) -> Iterator[None]:
    """Loaders that are signed are there, for as long as this test."""
    files = [rack.artefacts / "loaders" / name for name in ("shimx64.efi", "grubx64.efi")]
    for file in files:
        file.write_bytes(b"MZ" * 500)
    _noticed(rack)
    yield
    for file in files:
        file.unlink()


def _noticed(rack: Rack) -> None:
    """The engine, which looks every few seconds, has found them: shim follows iPXE on the ring."""
    ns, engine, mac = rack.segment.clients[1], rack.engine, MAKER + new_mac()[8:]
    with card(ns, mac, pxe(7)) as firmware:
        firmware.discover()

    def follows() -> bool:
        engine.told("machines", "loader", f"Mac:{mac}", "ipxe")
        engine.told("machines", "loader", f"Mac:{mac}", "next")
        machine = engine.machine(mac)
        return machine is not None and machine.loader is LoaderChoice.SHIM

    netns.until(follows, timeout=30, what="the signed loaders are found")
    engine.told("machines", "delete", f"Mac:{mac}")


def fetched(rack: Rack, ns: str, *names: str) -> None:
    """By TFTP, with a client that is not ours."""
    for name in names:
        netns.run(ns, ["curl", "-sS", "--max-time", "20", "-o", "/dev/null", f"tftp://10.7.0.1/{name}"])


@pytest.mark.usefixtures("signed")
def test_what_firmware_refuses_is_followed_by_shim_which_its_makers_next_card_gets_at_once(rack: Rack) -> None:
    ns, engine = rack.segment.clients[0], rack.engine
    mac, twin = (MAKER + new_mac()[8:] for _ in range(2))
    after = engine.newest()
    with card(ns, mac, pxe(7)) as firmware:
        assert firmware.boot().boot == "ipxe.efi"
        fetched(rack, ns, "ipxe.efi")
        engine.event("tftp.sent", after=after, mac=mac)
        offer = firmware.discover()
        assert offer.boot == "shimx64.efi"
        told = engine.event("machine.loader", after=after, mac=mac)
        assert told.data["evidence"] == "refused"
        assert firmware.take(offer).boot == "shimx64.efi"
        fetched(rack, ns, "shimx64.efi", "grubx64.efi", f"grub.cfg-01-{mac.replace(':', '-')}")
    works = engine.event("machine.loader", after=told.id, mac=mac)
    assert works.data == {"loader": "shim", "card": f"uefi-amd64 {mac[:8]}"}
    with card(ns, twin, pxe(7)) as other:
        assert other.discover().boot == "shimx64.efi"
        engine.told("machines", "loader", f"Mac:{twin}", "snponly")
        assert other.discover().boot == "snponly.efi"
        engine.told("machines", "loader", f"Mac:{twin}", "next")
        assert other.discover().boot == "ipxe.efi"
    machine = engine.machine(twin)
    assert machine is not None
    # It boots what unknown machines do, until somebody says otherwise or it registers.
    assert (machine.loader, machine.registered) == (LoaderChoice.IPXE, False)
    chosen = engine.events("machine.loader", mac=twin)
    assert [event.data["loader"] for event in chosen] == ["snponly", "ipxe"]
    assert all(event.actor for event in chosen)
    engine.told("machines", "delete", f"Mac:{twin}")
