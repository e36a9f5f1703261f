"""Serving for a time: at its end nobody is answered, until the operator goes on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests import netns
from tests.engine.card import card, pxe
from tests.engine.conftest import new_mac
from tests.engine.process import folder, running

pytestmark = pytest.mark.root

URL = "http://10.7.0.1:8090/ipxe.efi"


def test_machines_are_answered_for_a_time_and_no_longer(artefacts: Path) -> None:
    flags = ("--interface", "eth0", "--artefacts", str(artefacts))
    with netns.segment("10.7.0.1/24") as lan, folder() as home, running(lan.server, *flags, data_dir=home) as engine:
        ns = lan.clients[0]
        netns.run(ns, ["ip", "address", "add", "10.7.0.9/24", "dev", "eth0"])

        def fetched() -> str:
            argv = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", URL]
            return netns.run(ns, argv).stdout

        engine.subnet()
        engine.served()
        assert engine.ask(engine.client.info()).serve_until is None
        engine.told("prefs", "set", "serve-until", "2h")
        info = engine.ask(engine.client.info())
        assert info.serve_until is not None
        assert 7100 < info.serve_until - info.now <= 7200
        assert time.strftime("serve_until\t%Y-%m-%d %H:", time.localtime(info.serve_until)) in engine.told("info")
        engine.stop()
        engine.start()
        assert engine.ask(engine.client.info()).serve_until == info.serve_until, "the time goes on while it is down"
        engine.served()
        with card(ns, new_mac(), pxe(7)) as firmware:
            assert firmware.lease().kind == 5
        assert fetched() == "200"

        engine.told("prefs", "set", "serve-until", "1s")
        ended = engine.event("engine.held")
        assert "or bootcart release, to go on" in ended.message
        held = engine.ask(engine.client.info())
        assert (held.holding, held.serve_until) == (True, None)
        with card(ns, new_mac(), pxe(7)) as firmware:
            firmware.say("discover", new=True)
            assert engine.event("dhcp.silent", mac=firmware.mac).data["reason"] == "holding"
        assert fetched() == "503"

        engine.told("release")
        with card(ns, new_mac(), pxe(7)) as firmware:
            assert firmware.lease().kind == 5
        assert fetched() == "200"
        assert not engine.ask(engine.client.info()).holding
