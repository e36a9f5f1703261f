"""Faults put into a real engine's way: the first thing found is the right one, within a minute of the stall."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.model.event import Event
from tests import netns
from tests.engine.card import Card, card, ipxe, pxe
from tests.engine.conftest import new_mac
from tests.engine.process import Engine, running
from tests.engine.test_gate import OTHER, OTHER_MAC, dnsmasq

pytestmark = pytest.mark.root

SERVER = "10.7.0.1"
NAMED_WITHIN = 60.0
PATIENCE = 90.0


class Desk:
    """An engine, a segment, and what machines there are expected to be found with."""

    def __init__(self, engine: Engine, segment: netns.Segment, tree: Path) -> None:
        self.engine = engine
        self.segment = segment
        self.tree = tree
        self.expected: dict[str, str] = {}

    @property
    def ns(self) -> str:
        return self.segment.clients[0]

    def fetch(self, address: str, url: str, *words: str) -> str:
        """Ask for a URL from one address; the status, `000` where nothing came."""
        argv = ["curl", "-s", "--interface", address, "-o", "/dev/null", "-w", "%{http_code}", "-m", "5", *words, url]
        return netns.run(self.ns, argv, check=False).stdout

    def fetch_script(self, address: str, mac: str) -> None:
        """As iPXE does once it has an address."""
        url = f"http://{SERVER}:8090/boot/{mac.replace(':', '-')}.ipxe"
        assert self.fetch(address, url) == "200"

    def found(self, mac: str) -> list[Event]:
        """The problems found about a machine so far, oldest first."""
        return self.engine.events("diagnosis.found", mac=mac)

    def judge(self) -> None:
        """Wait until each machine has a finding; the first is the expected one, in time, and stands on its row."""
        for mac, rule in self.expected.items():
            netns.until(lambda mac=mac: self.found(mac), timeout=PATIENCE, what=f"{mac} is found with {rule}")
            first = self.found(mac)[0]
            assert first.data["rule"] == rule, first.message
            assert first.time - first.data["since"] <= NAMED_WITHIN, first.message
            machine = self.engine.machine(mac)
            assert machine is not None
            assert machine.status is not None
            assert machine.status.diagnosis.startswith(f"{rule} ")


@pytest.fixture
def desk(artefacts: Path, tmp_path: Path) -> Iterator[Desk]:
    tree = tmp_path / "artefacts"
    shutil.copytree(artefacts, tree, symlinks=True)
    with netns.segment("10.7.0.1/24", clients=2) as segment:
        for client in segment.clients:
            netns.run(client, ["ip", "route", "replace", "10.7.0.0/24", "dev", "eth0"])
        with running(segment.server, "--interface", "eth0", "--artefacts", str(tree)) as engine:
            engine.subnet()
            engine.served()
            yield Desk(engine, segment, tree)


@contextlib.contextmanager
def expected(desk: Desk, rule: str, words: list[object]) -> Iterator[Card]:
    """A machine of its own that will be found with this rule."""
    mac = new_mac()
    desk.expected[mac] = rule
    with card(desk.ns, mac, list(words)) as firmware:
        yield firmware


def test_each_fault_is_named_within_a_minute(desk: Desk) -> None:
    """All at once, so that the waits of the rules pass together."""
    _closed_port(desk)
    _loader_hangs(desk)
    _loader_loops(desk)
    _no_script(desk)
    _missing_initrd(desk)
    _wrong_file(desk)
    _no_subnet(desk)
    _no_loader(desk)
    _token(desk)
    _back_from_disk(desk)

    desk.judge()
    _explained(desk)
    _cleared(desk)


def _closed_port(desk: Desk) -> None:
    with expected(desk, "D10", pxe(7)) as firmware:
        ack = firmware.boot()
        server = desk.segment.server
        netns.run(server, ["nft", "add table inet closed"])
        netns.run(server, ["nft", "add chain inet closed in { type filter hook input priority 0 ; }"])
        netns.run(server, ["nft", f"add rule inet closed in ip saddr {ack.address} udp dport 69 drop"])
        assert desk.fetch(ack.address, f"tftp://{SERVER}/ipxe.efi", "-m", "1") == "000"


def _loader_hangs(desk: Desk) -> None:
    with expected(desk, "D15", pxe(0)) as firmware:
        ack = firmware.boot()
        desk.fetch(ack.address, f"tftp://{SERVER}/undionly.kpxe")


def _loader_loops(desk: Desk) -> None:
    """Its loader is no iPXE of ours: it asks as plain firmware, and is given itself."""
    mac = new_mac()
    with card(desk.ns, mac, pxe(0)) as firmware:
        for _ in range(3):
            desk.fetch(firmware.boot().address, f"tftp://{SERVER}/undionly.kpxe")
    netns.until(lambda: "D16" in {one.data["rule"] for one in desk.found(mac)}, what="the loop is named")


def _no_script(desk: Desk) -> None:
    with expected(desk, "D17", ipxe(7)) as loader:
        loader.boot()


def _missing_initrd(desk: Desk) -> None:
    with expected(desk, "D18", ipxe(0)) as loader:
        ack = loader.boot()
        desk.fetch_script(ack.address, loader.mac)
        kept = desk.tree / "discovery" / "amd64" / "initrd.img"
        kept.rename(kept.with_suffix(".away"))
        assert desk.fetch(ack.address, f"http://{SERVER}:8090/discovery/amd64/vmlinuz") == "200"
        assert desk.fetch(ack.address, f"http://{SERVER}:8090/discovery/amd64/initrd.img") == "404"
        kept.with_suffix(".away").rename(kept)


def _wrong_file(desk: Desk) -> None:
    with expected(desk, "D14", pxe(7)) as firmware:
        ack = firmware.boot()
        desk.fetch(ack.address, f"tftp://{SERVER}/iPXE.EFI")


def _no_subnet(desk: Desk) -> None:
    with expected(desk, "D01", pxe(7)) as firmware:
        firmware.say("discover", new=True, giaddr="10.99.0.1")


def _no_loader(desk: Desk) -> None:
    with expected(desk, "D07", pxe(27)) as firmware:
        firmware.discover()


def _token(desk: Desk) -> None:
    with expected(desk, "D30", ipxe(0)) as loader:
        ack = loader.boot()
        desk.fetch_script(ack.address, loader.mac)
        url = f"http://{SERVER}:8090/agent/register"
        assert desk.fetch(ack.address, url, "-H", "Authorization: Bearer x", "-d", "{}") == "401"


def _back_from_disk(desk: Desk) -> None:
    with expected(desk, "D29", ipxe(0)) as loader:
        desk.engine.told("machines", "create", "node-29", "--mac", loader.mac)
        desk.engine.told("machines", "assign", "node-29", "local")
        assert loader.lease().boot == ""
        told = time.monotonic()
        netns.until(lambda: time.monotonic() - told > 11, what="it has tried its disk")
        assert loader.lease().boot == ""


def _explained(desk: Desk) -> None:
    """The command line has the three lines and the row."""
    mac = next(mac for mac, rule in desk.expected.items() if rule == "D10")
    text = desk.engine.told("machines", "diagnose", f"Mac:{mac}").splitlines()
    assert text[0].startswith("D10 ipxe.efi was offered ")
    assert text[0].endswith(" ago and never asked for by TFTP")
    assert text[1] == f"    UDP port 69 is blocked on the way, or next-server {SERVER} is wrong"
    assert text[2].startswith("    allow UDP port 69 here and between")
    assert any("D10 ipxe.efi was never asked for" in row for row in desk.engine.told("machines", "list").splitlines())

    asked = next(mac for mac, rule in desk.expected.items() if rule == "D14")
    assert "close to it there is ipxe.efi" in desk.engine.told("machines", "diagnose", f"Mac:{asked}")


def _cleared(desk: Desk) -> None:
    """The machine that gets past it has nothing on its row any more."""
    mac = next(mac for mac, rule in desk.expected.items() if rule == "D10")
    netns.run(desk.segment.server, ["nft", "delete table inet closed"])
    lease = next(one for one in desk.engine.ask(desk.engine.client.leases.list()).items if one.mac == mac)
    desk.fetch(str(lease.address), f"tftp://{SERVER}/ipxe.efi")
    assert desk.engine.event("diagnosis.cleared", mac=mac).data["rule"] == "D10"
    machine = desk.engine.machine(mac)
    assert machine is not None
    assert machine.status is not None
    assert machine.status.diagnosis == ""


def test_a_rogue_server_is_named(desk: Desk) -> None:
    """First it holds the subnet; then, accepted, it wins a machine."""
    engine, rogue = desk.engine, desk.segment.clients[1]
    netns.run(rogue, ["ip", "address", "add", f"{OTHER}/24", "dev", "eth0"])
    with dnsmasq(rogue):
        engine.told("interfaces", "probe", "eth0")
        netns.until(lambda: engine.hold_of(), what="rack7 is held")
        with expected(desk, "D04", pxe(7)) as firmware:
            firmware.say("discover", new=True)
            desk.judge()
        desk.expected.clear()
        engine.told("subnets", "update", "rack7", "--confirmed")
        engine.served()
        with expected(desk, "D02", pxe(7)) as firmware:
            firmware.say("discover", new=True)
            firmware.hear(match=lambda reply: reply.source == SERVER)
            firmware.say("request", ("server_id", OTHER), ("requested_addr", "10.7.0.35"))
            desk.judge()
            text = engine.told("machines", "diagnose", f"Mac:{firmware.mac}")
            assert f"got our offer and took that of {OTHER} ({OTHER_MAC})" in text
            assert "bootcart subnets update rack7 --mode proxy" in text
