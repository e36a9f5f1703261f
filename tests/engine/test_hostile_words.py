"""What strangers call themselves is inert from the door on: in events, records, on the command line and in the log."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator

import pytest

from app.cli.outputs import cells
from app.model.event import Event
from app.model.machine import machine_name_for
from app.model.query import Query
from tests.engine.card import card, pxe
from tests.engine.conftest import Rack, new_mac
from tests.engine.hostile_peer import over_agent, over_dhcp, over_http, over_tftp
from tests.engine.process import ROOT, environment
from tests.hostile import MARK, STRINGS, texts, unsafe

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def abused(_rack: Rack) -> Iterator[tuple[Rack, int, str]]:
    """The rack after a stranger has said every string at every door; the newest event before, a machine's name."""
    engine, ns = _rack.engine, _rack.segment.clients[0]
    before = engine.newest()
    over_dhcp(ns, [new_mac() for _ in STRINGS])
    mac = new_mac()
    over_agent(ns, mac)
    over_tftp(ns)
    over_http(ns)
    # Events come in order: when a good machine's is there, so are all before it.
    good = new_mac()
    with card(_rack.segment.clients[1], good, pxe(7)) as firmware:
        firmware.lease()
    engine.event("dhcp.ack", mac=good)
    engine.sound()
    yield _rack, before, machine_name_for(mac)
    for lease in engine.ask(engine.client.leases.list()).items:
        engine.ask(engine.client.leases.delete(str(lease.address)))


def _told(kind: str) -> Callable[[Event], bool]:
    """The event carries one of the strings; of an inventory only a summary is told."""
    return lambda event: kind == "agent.inventory" or MARK in str(event.model_dump())


def test_every_door_let_them_in_as_plain_text(abused: tuple[Rack, int, str]) -> None:
    rack, before, name = abused
    engine = rack.engine
    # The listener refuses some before anybody hears of them; these must have been told.
    for kind in ("dhcp.discover", "tftp.", "http.", "http.failed", "agent.failed", "agent.inventory"):
        engine.event(kind, after=before, match=_told(kind))
        page = engine.ask(engine.client.events.list(Query(limit=1000), kind=kind)).items
        fresh = [event for event in page if event.id > before]
        told = [text for event in fresh for text in texts(event.model_dump(mode="json"))]
        assert fresh, kind
        # What an agent's step wrote keeps its lines.
        assert [text for text in told if unsafe(text.replace("\n", ""))] == [], kind
    for noun in ("machines", "leases"):
        items = engine.ask(getattr(engine.client, noun).list()).items
        told = [text for item in items for text in texts(item.model_dump(mode="json"))]
        assert any(MARK in text for text in told), noun
        assert [text for text in told if unsafe(text)] == [], noun
    machine = engine.ask(engine.client.machines.show(name))
    assert machine.inventory is not None
    assert MARK in machine.inventory.system.manufacturer


FORMS = (
    ("machines", "list"),
    ("leases", "list"),
    ("events", "list", "--limit", "1000"),
    ("events", "list", "--kind", "tftp."),
    ("events", "list", "--kind", "http."),
)


@pytest.mark.parametrize(
    "form", [*FORMS, ("machines", "show"), ("machines", "timeline"), ("machines", "boot")], ids=" ".join
)
def test_the_command_line_writes_only_its_own(abused: tuple[Rack, int, str], form: tuple[str, ...]) -> None:
    rack, _, name = abused
    words = [
        *form,
        *([name] if form[:2] in (("machines", "show"), ("machines", "timeline"), ("machines", "boot")) else []),
    ]
    piped = rack.engine.told(*words)
    assert unsafe(re.sub("[\n\t]", "", piped)) == ""

    seen = on_terminal(rack, words)
    assert "\x1b" not in seen
    lines = seen.replace("\r\n", "\n").splitlines()
    assert unsafe("".join(lines)) == ""
    if form[1] == "list":
        assert [line for line in lines if cells(line) > 80] == []

    written = rack.engine.told(*words, "--json")
    assert written.isascii()
    assert [char for char in written if unicodedata.category(char)[0] == "C" and char != "\n"] == []


def test_errors_repeat_keys_harmlessly(abused: tuple[Rack, int, str]) -> None:
    rack, _, _ = abused
    for raw in STRINGS.values():
        text = raw.decode("utf-8", "replace").replace("\0", "")
        done = rack.engine.cli("machines", "show", "--", text)
        assert done.returncode in (2, 3), done
        assert unsafe(done.stderr.removesuffix("\n")) == "", done.stderr


def test_the_log_has_none_of_it(abused: tuple[Rack, int, str]) -> None:
    log = abused[0].engine.log()
    assert [line for line in log.splitlines() if unsafe(line)] == []
    assert "forged" not in [line.split(":")[0] for line in log.splitlines()]


def on_terminal(rack: Rack, words: list[str]) -> str:
    """All a verb writes to a terminal of 80 columns."""
    leader, follower = pty.openpty()
    variables = {**environment(), "COLUMNS": "80", "LINES": "24", "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [sys.executable, "-m", "app", *words, "--endpoint", rack.engine.endpoint],
        cwd=ROOT, env=variables, stdin=subprocess.DEVNULL, stdout=follower, stderr=follower,
    )  # fmt: skip
    os.close(follower)
    found = b""
    try:
        while piece := os.read(leader, 65536):
            found += piece
    except OSError:  # EIO: the other end is closed
        pass
    finally:
        os.close(leader)
    assert process.wait(30) == 0, found
    return found.decode()
