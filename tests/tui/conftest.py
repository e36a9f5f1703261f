"""One real engine that the tests of this folder share, left as each found it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.model.engine import PREFERENCES
from app.screens.profile import ConsoleProfile
from tests import netns
from tests.artefacts import DISCOVERY, LOADERS, noisy
from tests.engine.process import Engine, running
from tests.netns import new_mac as new_mac
from tests.screens.stage import CONSOLE, FULL


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an engine serves; small, since no test here fetches much of it."""
    small = (dict.fromkeys(names, 20_000) for names in (LOADERS, DISCOVERY))
    return noisy(tmp_path_factory.mktemp("artefacts"), *small)


@dataclass(frozen=True, slots=True)
class Rack:
    """A segment with an engine on it and clients that have no address."""

    engine: Engine
    segment: netns.Segment


@pytest.fixture(scope="session")
def _rack(artefacts: Path) -> Iterator[Rack]:
    with netns.segment("10.7.0.1/24", clients=3) as segment:
        unplug(segment)
        with running(segment.server, "--interface", "eth0", "--artefacts", str(artefacts)) as engine:
            engine.subnet()
            engine.served()
            yield Rack(engine, segment)


@pytest.fixture
def rack(_rack: Rack) -> Iterator[Rack]:
    """The shared rack: subnet rack7 is served, no machine, lease or reservation is known."""
    _rack.engine.sound()
    yield _rack
    tidy(_rack.engine)
    unplug(_rack.segment)
    _rack.engine.sound()


def unplug(segment: netns.Segment) -> None:
    """No client has an address: what one was given may be another's next, and nobody remembers whose it was."""
    for client in segment.clients:
        netns.run(client, ["ip", "address", "flush", "dev", "eth0"])
        netns.run(client, ["ip", "route", "replace", "10.7.0.0/24", "dev", "eth0"])
    netns.run(segment.server, ["ip", "neigh", "flush", "dev", "eth0"])


def tidy(engine: Engine) -> None:
    """Take away what a test left, and put the preferences back."""
    ask, client = engine.ask, engine.client
    ask(client.hold(False))
    for noun, key in ((client.machines, "id"), (client.reservations, "address"), (client.leases, "address")):
        for one in ask(noun.list()).items:
            ask(noun.delete(str(getattr(one, key))))
    known = {one.name for one in ask(client.subnets.list()).items}
    for name in known - {"rack7"}:
        ask(client.subnets.delete(name, drain=True))
    if "rack7" not in known:
        engine.subnet()
        engine.served()
    for pref in PREFERENCES:
        if ask(client.prefs.show(pref.name)).value != pref.default:
            ask(client.prefs.set(pref.name, pref.default))


@pytest.fixture(params=[FULL, CONSOLE], ids=["full", "console"])
def profile(request: pytest.FixtureRequest) -> ConsoleProfile:
    """Both kinds of terminal."""
    found: ConsoleProfile = request.param
    return found
