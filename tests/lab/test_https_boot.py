"""UEFI HTTP boot by TLS on real firmware: with our authority up to the inventory, with another to a word about why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.clock import SystemClock
from app.engine.https import OWNER
from app.netboot.wire.esl import signature_list
from app.store.authority import Authority
from tests import netns
from tests.lab.site import Site, Vm, done, site

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(1200)]

URL = "https://10.7.0.1:8443/ipxe.efi"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, "--https-port", "8443") as made:
        made.engine.subnet(https=True)
        made.engine.served()
        yield made


def power_on(here: Site, number: int, authority: bytes) -> Vm:
    """A machine whose firmware trusts an authority, as QEMU tells it to EDK2's builds with TLS."""
    listed = here.folder / "cacerts.esl"
    listed.write_bytes(authority)
    return here.power_on("uefi-http", number=number, devices=("-fw_cfg", f"name=etc/edk2/https/cacerts,file={listed}"))


def test_firmware_that_trusts_us_loads_ipxe_by_https_and_posts_its_inventory(here: Site) -> None:
    here.engine.told("certificates", "export", "--form", "esl", str(here.folder / "ours.esl"))
    vm = power_on(here, 1, (here.folder / "ours.esl").read_bytes())

    _, boot = here.inventory(vm, "HTTPS")
    assert (boot.path, done(boot)[:5]) == ("uefi-http", ("discover", "offer", "request", "ack", "loader"))
    offer = here.engine.event("dhcp.offer", mac=vm.mac)
    assert offer.data["bootfile"] == URL
    sent = here.engine.event("http.sent", mac=vm.mac, match=lambda event: event.data["role"] == "loader")
    assert "by HTTPS" in sent.message
    assert here.engine.service("https").counters["sent"] >= 1


def test_firmware_that_trusts_another_authority_is_named(here: Site, tmp_path: Path) -> None:
    # Firmware that trusts nobody gives up before it connects.
    another = Authority(tmp_path, SystemClock())
    vm = power_on(here, 2, signature_list(another.der(), OWNER))

    def told() -> str:
        return next((event.message for event in here.engine.events("https.distrusted", mac=vm.mac)), "")

    assert "bootcart certificates export" in netns.until(told, timeout=300, what="it is named")
    assert not here.engine.events("http.sent", mac=vm.mac)
