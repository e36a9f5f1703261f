"""The dry run on a real engine: it changes nothing, and the wire gets what it said."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from app.errors import InvalidError, NotFoundError
from app.model.bootview import BootAnswer, BootView
from tests import netns
from tests.engine.card import Heard, card, ipxe, pxe
from tests.engine.conftest import LOADERS, Rack

pytestmark = pytest.mark.root

FIRMWARE = {"bios": 0, "uefi-x64": 7, "uefi-x64-http": 16, "uefi-arm64": 11}
LOADED = {"bios": 0, "uefi-x64": 7, "uefi-x64-http": 7, "uefi-arm64": 11}


def words(arch: int) -> list[Any]:
    return pxe(arch, "HTTPClient" if arch in (16, 19) else "PXEClient")


def boot(rack: Rack, key: str, **asked: str) -> BootView:
    return rack.engine.ask(rack.engine.client.machines.boot(key, **asked))


def everything(rack: Rack) -> dict[str, Any]:
    """What an operator can see of the engine, but for the time."""
    engine, client = rack.engine, rack.engine.client
    nouns = {
        name: [item.model_dump(mode="json") for item in engine.ask(getattr(client, name).list()).items]
        for name in ("machines", "subnets", "reservations", "leases", "bootenvs", "prefs", "commands")
    }
    counters = {name: engine.service(name).counters for name in ("dhcp", "proxydhcp", "tftp", "http")}
    return {**nouns, "counters": counters}


def same(told: BootAnswer, heard: Heard) -> None:
    assert told.answered
    assert str(told.address) == heard.address
    assert (told.bootfile, str(told.next_server or "0.0.0.0")) == (heard.boot, heard.siaddr)


@pytest.fixture
def assigned(rack: Rack, mac: str) -> Iterator[str]:
    """A registered machine that boots discovery; its MAC."""
    client = rack.engine.client
    made = rack.engine.ask(client.machines.create({"name": f"n{mac[-5:].replace(':', '')}", "macs": [mac]}))
    rack.engine.ask(client.machines.assign(str(made.id), "discovery"))
    yield mac
    rack.engine.ask(client.machines.delete(str(made.id)))


def test_a_dry_run_changes_nothing(rack: Rack, mac: str, assigned: str) -> None:
    before = everything(rack)
    for key in (f"Mac:{assigned}", "52:54:00:e9:00:01"):
        found = boot(rack, key)
        assert [one.name for one in found.firmware][:3] == ["bios", "uefi-x64", "uefi-x64-http"]
        assert found.firmware_why == "it was never seen to boot; it could have one of these"
        for one in found.firmware:
            assert all(answer.answered and answer.bootfile for answer in one.answers), one
    # No address is set aside: a stranger that asks now gets the one that was named.
    with card(rack.segment.clients[0], "52:54:00:e9:00:02", pxe(7)) as stranger:
        assert stranger.discover().address == str(found.firmware[0].answers[0].address)
        stranger.say("decline")
    after = everything(rack)
    for name, value in before.items():
        # What is diagnosed of other machines comes with time.
        if name not in ("counters", "machines"):
            assert after[name] == value, name


def test_no_event_and_no_counter_tells_of_it(rack: Rack, mac: str) -> None:
    engine = rack.engine
    began, before = engine.newest(), everything(rack)
    boot(rack, mac)
    boot(rack, mac, architecture="6")
    after = everything(rack)
    for name in ("leases", "reservations", "commands", "prefs", "counters"):
        assert after[name] == before[name], name
    assert engine.machine(mac) is None
    # Events come in order: once this one is there, whatever looking might have emitted is, too.
    marker = engine.ask(engine.client.machines.create({"name": "marker", "macs": ["52:54:00:e9:00:03"]}))
    engine.ask(engine.client.machines.delete(str(marker.id)))
    engine.event("audit.delete", after=began)
    assert engine.events(after=began, mac=mac) == []


@pytest.mark.parametrize("name", list(FIRMWARE))
def test_the_wire_gets_what_it_said(rack: Rack, assigned: str, name: str) -> None:
    told = boot(rack, f"Mac:{assigned}", architecture=name).firmware[0]
    ns = rack.segment.clients[0]
    with card(ns, assigned, words(FIRMWARE[name])) as firmware:
        same(told.answers[0], firmware.lease())
    told = boot(rack, f"Mac:{assigned}", architecture=name).firmware[0]
    assert told.answers[1].address_how == "its lease"
    with card(ns, assigned, ipxe(LOADED[name])) as loader:
        same(told.answers[1], loader.lease())


def test_the_script_is_the_one_that_is_served_but_for_the_token(rack: Rack, assigned: str) -> None:
    ns = rack.segment.clients[0]
    with card(ns, assigned, pxe(7)) as firmware:
        ack = firmware.boot()
        found = boot(rack, f"Mac:{assigned}")
        url = next(answer.bootfile for answer in found.firmware[0].answers if answer.stage == "ipxe")
        served = netns.run(ns, ["curl", "-sS", "--interface", ack.address, url]).stdout
    assert re.sub(r"bootcart\.token=\S+", "bootcart.token=********", served) == found.script
    assert served != found.script
    assert found.fault is None
    assert found.arguments.startswith("initrd=initrd.img console=${tty}")
    assert "bootcart.token=********" in found.arguments
    assert (found.interface, found.interface_why) == ("eth0", "it was last heard there")
    assert (found.firmware[0].name, found.firmware_why) == ("uefi-x64", "it last booted with this")
    files = {one.path: one for one in found.firmware[0].files}
    assert list(files) == [
        "ipxe.efi",
        f"boot/{assigned.replace(':', '-')}.ipxe",
        "discovery/amd64/vmlinuz",
        "discovery/amd64/initrd.img",
    ]
    assert (files["ipxe.efi"].protocol, files["ipxe.efi"].size) == ("tftp", LOADERS["ipxe.efi"])
    assert all(one.present for one in files.values())
    assert found.warnings == ()


@pytest.mark.parametrize(("arch", "template"), [("22", "pxelinux"), ("uefi-x64", "grub")])
def test_the_script_is_in_the_words_of_what_the_machine_runs(
    rack: Rack, assigned: str, arch: str, template: str
) -> None:
    engine, client = rack.engine, rack.engine.client
    engine.ask(client.prefs.set("loader-uefi", "shimx64.efi"))
    try:
        found = boot(rack, f"Mac:{assigned}", architecture=arch)
        text = engine.told("machines", "boot", f"Mac:{assigned}", "--architecture", arch)
    finally:
        engine.ask(client.prefs.set("loader-uefi", "ipxe.efi"))

    assert found.template == template
    assert len(found.firmware[0].answers) == 1
    assert found.arguments.startswith("quiet loglevel=3 panic=60 bootcart.url=http://")
    assert "bootcart.token=********" in found.arguments
    paths = [one.path for one in found.firmware[0].files]
    named = assigned.replace(":", "-")
    if template == "grub":
        assert found.script.lstrip().startswith("echo")
        assert paths[:2] == ["shimx64.efi", "grub/grub.cfg"]
        assert "\nscript for GRUB\n" in text
    else:
        assert "KERNEL discovery/arm64/vmlinuz\n" in found.script
        assert paths[1] == f"menus/arm64/pxelinux.cfg/01-{named}"
        assert "\nmenu\n" in text


def _try(rack: Rack, mac: str, interface: str) -> BootView | None:
    try:
        return boot(rack, mac, architecture="uefi-x64", interface=interface)
    except NotFoundError:
        return None


def test_why_not(rack: Rack, mac: str) -> None:
    engine, client = rack.engine, rack.engine.client
    engine.ask(client.hold(True))
    try:
        found = boot(rack, mac, architecture="bios").firmware[0]
    finally:
        engine.ask(client.hold(False))
    assert [(one.answered, one.reason) for one in found.answers] == [(False, "holding")] * 2
    assert found.files == ()

    netns.run(rack.segment.server, ["ip", "link", "add", "spare", "type", "veth", "peer", "name", "spare2"])
    try:
        unserved = netns.until(lambda: _try(rack, mac, "spare"), what="spare is known")
    finally:
        netns.run(rack.segment.server, ["ip", "link", "delete", "spare"])
    answers = unserved.firmware[0].answers
    assert [(one.answered, one.reason) for one in answers] == [(False, "elsewhere")] * 2
    assert answers[0].why == "this run does not serve spare (see --interface)"

    with pytest.raises(NotFoundError, match="no interface"):
        boot(rack, mac, interface="eth9")
    with pytest.raises(InvalidError, match="no firmware"):
        boot(rack, mac, architecture="toaster")
    with pytest.raises(NotFoundError):
        boot(rack, "nobody")


def test_the_command_line_says_it(rack: Rack, assigned: str) -> None:
    text = rack.engine.told("machines", "boot", f"Mac:{assigned}", "--architecture", "uefi-x64")
    for wanted in (
        "boots\tdiscovery: discovery is assigned to",
        "firmware: boot file ipxe.efi",
        "iPXE: boot file http://",
    ):
        assert wanted in text, text
    told = json.loads(rack.engine.told("machines", "boot", f"Mac:{assigned}", "--json"))
    assert BootView.model_validate(told).mac == assigned
