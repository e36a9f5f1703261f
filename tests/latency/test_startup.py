"""How long a start takes: until machines are answered, until the interface is painted, until it shows the machines."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import netns
from tests.engine.process import ROOT, environment, running
from tests.latency.load import interface, tty
from tests.latency.wire import ASKER, SERVER, asker

pytestmark = [pytest.mark.root, pytest.mark.timing]

ROUNDS = 5
ANSWER_SECONDS = 4.0
# On a machine that is itself slow or busy: what cannot be done without, so many times, and asking the segment.
ENGINE = "import sqlmodel, aiohttp.web"
IMPORTS, ASKING = 4.0, 1.5
RATIO = 1.5
# What the interface cannot do without: Textual, and the classes of it that app/screens imports.
TEXTUAL = """\
import textual.app, textual.binding, textual.containers, textual.geometry, textual.screen, textual.scrollbar
import textual.strip, textual.theme, textual.widget, textual.worker
from textual.widgets import Input, Static
"""
# And what it cannot show a row without: pydantic, as app/model imports it, and the library the client speaks through
# (without its command line, which app/client does without too).
CLIENT = """\
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
import sys
sys.modules["httpx._main"] = None
import httpx
"""


@pytest.fixture
def compiled(tmp_path: Path) -> dict[str, str]:
    """Variables for programs that are compiled once, as set-up does it, whatever this run of the tests wants."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path / "compiled")}


def python(code: str, extra: dict[str, str]) -> float:
    """Seconds a fresh interpreter takes to run this and end."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**environment(), **extra}, check=True, timeout=120)
    return time.monotonic() - began


def test_machines_are_answered_soon(tmp_path: Path, compiled: dict[str, str]) -> None:
    """From the start of the process to the first OFFER, with a machine that asks all the time."""
    (tmp_path / "loaders").mkdir()
    (tmp_path / "loaders" / "ipxe.efi").write_bytes(b"\0" * 1_000_000)
    flags = ("--interface", "eth0", "--artefacts", str(tmp_path))
    took: list[float] = []
    imports: list[float] = []
    with ExitStack() as stack:
        lan = stack.enter_context(netns.segment(f"{SERVER}/24", clients=1))
        netns.run(lan.clients[0], ["ip", "address", "add", f"{ASKER}/24", "dev", "eth0"])
        asks = stack.enter_context(asker(lan.clients[0]))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        engine = stack.enter_context(running(lan.server, *flags, extra=compiled))
        engine.subnet()
        engine.served()
        for _ in range(ROUNDS):
            engine.stop()
            began = time.time()
            offered = pool.submit(asks.offered, 30)
            engine.start()
            took.append(offered.result() - began)
            imports.append(python(ENGINE, compiled))
    said = f"first OFFER after {[round(each, 2) for each in took]} s; imports {[round(each, 2) for each in imports]} s"
    print(f"\n{said}")  # noqa: T201 - read with pytest -s
    assert statistics.median(took) <= max(ANSWER_SECONDS, ASKING + IMPORTS * statistics.median(imports)), said


def test_the_interface_is_painted_soon(tmp_path: Path, compiled: dict[str, str]) -> None:
    """The skeleton and the rows against the imports that no start of it can do without, all in one run, in turns."""
    figures: dict[str, list[float]] = {"textual": [], "textual and client": [], "skeleton": [], "rows": []}
    with netns.segment(f"{SERVER}/24", clients=1) as lan, running(lan.server, "--interface", "eth0") as engine:
        engine.subnet()
        engine.ask(engine.client.machines.create({"name": "web01", "macs": ["52:54:00:00:07:01"]}))
        # The first of them compiles.
        for warm in (False, *(True for _ in range(ROUNDS))):
            textual, client = python(TEXTUAL, compiled), python(TEXTUAL + CLIENT, compiled)
            with tty(interface(engine.endpoint), extra=compiled) as screen:
                screen.watch("machines", "web01")
                screen.drain(1 << 20)
                skeleton, rows = screen.shows("machines"), screen.shows("web01")
            if warm:
                for name, took in zip(figures, (textual, client, skeleton, rows), strict=True):
                    figures[name].append(took)

    def times(name: str, least: str) -> float:
        # In turns: a host that gets slower or faster meanwhile is so for both.
        return statistics.median(took / bare for took, bare in zip(figures[name], figures[least], strict=True))

    skeleton, rows = times("skeleton", "textual"), times("rows", "textual and client")
    said = {name: round(statistics.median(each), 2) for name, each in figures.items()}
    print(f"\n{said} s: skeleton {skeleton:.2f} times, rows {rows:.2f} times")  # noqa: T201 - read with pytest -s
    assert skeleton <= RATIO, figures
    assert rows <= RATIO, figures
