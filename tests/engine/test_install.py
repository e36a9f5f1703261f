"""An unattended installation through the whole engine; busybox's wget stands in for the installer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.model.machine import MachineState
from app.model.timeline import HopState
from tests import netns
from tests.artefacts import listed
from tests.engine.card import card, ipxe
from tests.engine.conftest import new_mac
from tests.engine.process import running

pytestmark = pytest.mark.root

SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH1c1wrN0bHRnm5hFBy5VJgCxvqJCDHKx9mYyVQhWSNa admin@desk"


def wget(ns: str, url: str) -> tuple[int, str]:
    """As debian-installer fetches: exit code and what came."""
    done = netns.run(ns, ["busybox", "wget", "-q", "-O", "-", url], check=False)
    return done.returncode, done.stdout


def test_from_the_missing_files_to_the_machines_own_disk(tmp_path: Path) -> None:
    mac = new_mac()
    with netns.segment("10.7.0.1/24", clients=2) as lan:
        ns, neighbour = lan.clients
        with running(lan.server, "--interface", "eth0", "--artefacts", str(tmp_path)) as engine:
            ask, client = engine.ask, engine.client
            engine.subnet()
            engine.served()
            (missing,) = ask(client.bootenvs.show("debian-12")).errors[:1]
            assert missing.endswith("bring them with: sudo bootcart fetch debian-12")
            folder = tmp_path / "bootenvs/debian-12/amd64"
            folder.mkdir(parents=True)
            for name in ("linux", "initrd.gz"):
                (folder / name).write_bytes(name.encode() * 1000)
            listed(folder)
            netns.until(lambda: not ask(client.bootenvs.show("debian-12")).errors, what="debian-12 may be used")

            ask(client.prefs.set("install-ssh-keys", SSH))
            ask(client.machines.create({"name": "web1", "macs": [mac], "bootenv": "debian-12"}))
            key = f"Mac:{mac}"
            with card(ns, mac, ipxe(0)) as firmware:
                ack = firmware.boot()
            netns.run(neighbour, ["ip", "address", "add", "10.7.0.9/24", "dev", "eth0"])
            code, script = wget(ns, ack.boot)
            found = re.search(r" url=(http\S+/answers/(\S+)/preseed\.cfg) ", script)
            assert code == 0
            assert found is not None
            for path in re.findall(r"\$\{base\}/(bootenvs/debian-12/\S+)", script):
                assert wget(ns, f"http://10.7.0.1:8090/{path}")[0] == 0
            assert wget(neighbour, found[1])[0] != 0

            code, answers = wget(ns, found[1])
            reports = {url.rpartition("/")[2]: url for url in re.findall(r"'(http\S+/reports/\S+)'", answers)}
            assert code == 0
            assert f"echo '{SSH}'" in answers
            assert wget(neighbour, reports["finished"])[0] != 0
            assert wget(ns, reports["started"]) == (0, "noted\n")
            engine.event("install.started", mac=mac)
            status = ask(client.machines.show(key)).status
            assert status is not None
            waiting = "the installer to report that it is done"
            assert (status.state, status.waiting_for) == (MachineState.INSTALL, waiting)

            assert wget(ns, reports["finished"]) == (0, "noted\n")
            engine.event("install.finished", mac=mac)
            assert ask(client.machines.show(key)).bootenv == "local"
            boot = ask(client.machines.timeline(key))
            assert boot.complete
            assert [h.name for h in boot.hops if h.state is HopState.DONE][-3:] == ["answer", "installer", "installed"]
            # It is installed: nobody is told its answers any more.
            assert wget(ns, found[1])[0] != 0
            assert engine.event("http.refused", mac=mac).data["path"] == "answers/preseed.cfg"
            told = [event.model_dump_json() for event in engine.events()]
            assert not [each for each in told if found[2] in each or reports["started"].split("/")[4] in each]
            assert found[2] not in engine.log()
