"""Debian's own installer, booted from the engine, reads this machine's answers and reports that it runs.

Its installation does not get further here: it would need a Debian mirror inside the machine's network.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config import SYSTEM_ARTEFACTS
from app.model.machine import MachineState
from tests.lab import matrix
from tests.lab.site import done, site

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(1500)]

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH1c1wrN0bHRnm5hFBy5VJgCxvqJCDHKx9mYyVQhWSNa admin@desk"
REPORT_SECONDS = 1200.0
"""Hardware detection of an emulated machine on a busy host takes minutes."""


@pytest.mark.parametrize("name", ["debian-12", "debian-13"])
def test_the_installer_reads_its_answers_and_reports(tmp_path: Path, name: str) -> None:
    if not (SYSTEM_ARTEFACTS / "bootenvs" / name / "amd64").is_dir():
        pytest.skip(f"bootcart fetch {name}")
    with site(tmp_path) as here:
        engine = here.engine
        engine.subnet()
        engine.served()
        engine.ask(engine.client.prefs.set("install-ssh-keys", KEY))
        engine.ask(engine.client.machines.create({"name": "web1", "macs": ["52:54:00:51:7e:07"], "bootenv": name}))
        vm = here.power_on("bios:memory=1024:disks=1x4G", number=7)
        try:
            started = engine.event("install.started", mac=vm.mac, timeout=REPORT_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{vm.serial()[-2000:]}") from None
        boot = here.timeline(vm)
        machine = engine.machine(vm.mac)

        matrix.record(vm.spec.kind, name, vm.started, boot, result="installer runs")

        here.unfaulted(vm)
        assert started.message == "the installer of web1 runs"
        assert boot.bootenv == name
        assert done(boot)[-5:] == ("script", "kernel", "initrd", "answer", "installer")
        assert (boot.at, boot.complete) == ("installed", False)
        assert machine is not None
        assert machine.status is not None
        assert machine.status.state is MachineState.INSTALL
        fetched = next(e for e in engine.events("http.sent", mac=vm.mac) if e.data["role"] == "answer")
        assert fetched.data["path"] == "answers/preseed.cfg"
        # The token in the paths it asked for is in no event.
        assert not [e for e in engine.events() if "/answers/ey" in e.model_dump_json()]
