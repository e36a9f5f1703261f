"""Ports that somebody else has: the engine is up, says which service is not and why, and recovers."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import NotFoundError
from app.model.engine import ServiceState
from tests import netns
from tests.engine.card import card, pxe
from tests.engine.conftest import LOADERS, new_mac
from tests.engine.process import folder, running

pytestmark = pytest.mark.root

UDP, TCP = socket.SOCK_DGRAM, socket.SOCK_STREAM
PORTS = {"dhcp": (UDP, 67), "proxydhcp": (UDP, 4011), "tftp": (UDP, 69), "http": (TCP, 8090)}


@pytest.fixture
def lan() -> Iterator[netns.Segment]:
    with netns.segment("10.7.0.1/24", clients=1) as segment:
        yield segment


def occupy(ns: str, kind: socket.SocketKind, port: int) -> socket.socket:
    """Somebody else on a port of the server."""

    def work() -> socket.socket:
        made = socket.socket(socket.AF_INET, kind)
        made.bind(("", port))
        if kind is TCP:
            made.listen()
        return made

    return netns.call(ns, work)


def fetched(ns: str, file: str) -> None:
    argv = ["curl", "-sS", "-o", "/dev/null", "-w", "%{size_download}", f"tftp://10.7.0.1/{file}"]
    assert netns.run(ns, argv).stdout == str(LOADERS[file])


def test_taken_ports_fail_alone_and_recover(lan: netns.Segment, artefacts: Path) -> None:
    others = {name: occupy(lan.server, *port) for name, port in PORTS.items() if name != "proxydhcp"}
    try:
        with running(lan.server, "--interface", "eth0", "--artefacts", str(artefacts)) as engine:
            said = engine.log()
            reasons = {name: engine.service(name).reason for name in others}
            # Freed, a service comes back by itself; the longer it has failed, the longer that takes.
            others.pop("tftp").close()
            assert "failed: dhcp, tftp, http; API at unix:" in said
            ready = engine.event("engine.ready")
            assert (ready.level.value, ready.data["degraded"]) == ("warning", ["dhcp", "tftp", "http"])
            for name, reason in reasons.items():
                kind, port = PORTS[name]
                assert reason.startswith(f"{'UDP' if kind is UDP else 'TCP'} port {port} ")
                assert "is taken by another program" in reason
                failed = [event for event in engine.events("service.failed") if event.data["service"] == name]
                # One event, however often it is tried again.
                assert [(event.level.value, event.data["reason"]) for event in failed] == [("error", reason)]
                assert f"sport = :{port}" in failed[0].data["hint"]
                assert f"bootcart: {name} failed: {reason} ({failed[0].data['hint']})" in said
            engine.up("tftp")
            rows = [line.split("\t") for line in engine.told("services", "list").splitlines()]
            assert {row[0]: row[1] for row in rows} == {
                "interfaces": "up", "content": "up", "probe": "up", "router": "up", "proxydhcp": "up", "tftp": "up",
                "dhcp": "failed", "http": "failed", "dhcp6": "disabled",
            }  # fmt: skip
            assert {row[0]: row[4] for row in rows if row[4]} == {name: reasons[name] for name in ("dhcp", "http")}

            # Or at once when asked to; when that is too early, it says so.
            assert engine.ask(engine.client.services.restart("http")).reason == reasons["http"]
            for name in ("http", "dhcp"):
                others.pop(name).close()
                assert engine.ask(engine.client.services.restart(name)).state is ServiceState.UP
            for name in reasons:
                service = engine.service(name)
                assert (service.reason, service.hint, bool(service.listening)) == ("", "", True)
            engine.subnet()
            engine.served()
            with card(lan.clients[0], new_mac(), pxe(0)) as firmware:
                ack = firmware.boot()
                assert ack.kind == 5
            fetched(lan.clients[0], ack.boot)
    finally:
        for other in others.values():
            other.close()


def test_an_ordinary_user_with_two_capabilities(lan: netns.Segment, artefacts: Path) -> None:
    """All the engine does, it does with CAP_NET_BIND_SERVICE and CAP_NET_RAW alone; each service restarts so, too."""
    caps = "-all,+net_bind_service,+net_raw"
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]
    prefix = [*nobody, f"--inh-caps={caps}", f"--ambient-caps={caps}", f"--bounding-set={caps}"]
    with folder() as home:
        home.chmod(0o711)
        data = home / "data"
        data.mkdir(mode=0o700)
        os.chown(data, 65534, 65534)
        shutil.copytree(artefacts / "loaders", home / "artefacts" / "loaders")
        flags = ("--interface", "eth0", "--artefacts", str(home / "artefacts"), "--disable", "proxydhcp")
        with running(lan.server, *flags, prefix=prefix, data_dir=data) as engine:
            info = engine.ask(engine.client.info())
            assert (info.user, info.ready) == ("nobody", True)
            states = {each.name: each.state for each in engine.ask(engine.client.services.list()).items}
            assert states.pop("proxydhcp") is states.pop("dhcp6") is ServiceState.DISABLED
            assert set(states.values()) == {ServiceState.UP}
            assert ":4011 " not in netns.run(lan.server, ["ss", "-lunH"]).stdout
            with pytest.raises(NotFoundError) as refused:
                engine.ask(engine.client.services.restart("proxydhcp"))
            assert refused.value.hint == "proxydhcp is disabled for this run"
            engine.subnet()
            leased: set[str] = set()
            for name in states:
                assert engine.ask(engine.client.services.restart(name)).state is ServiceState.UP, name
                engine.served()
                # By raw frame: the card has no address and does not want a broadcast.
                with card(lan.clients[0], new_mac(), pxe(0)) as firmware:
                    ack = firmware.lease()
                assert ack.to_mac == firmware.mac
                # A restarted service has forgotten nothing.
                assert ack.address not in leased, name
                leased.add(ack.address)
            dhcp = engine.service("dhcp").counters
            assert (dhcp["frame"], dhcp["frame_fallback"], dhcp["errors"]) == (2 * len(leased), 0, 0)
            with card(lan.clients[0], new_mac(), pxe(0)) as firmware:
                fetched(lan.clients[0], firmware.boot().boot)
            assert {oct(each.stat().st_mode & 0o777) for each in data.iterdir() if each.is_file()} == {"0o600"}
