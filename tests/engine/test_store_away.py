"""The store goes away under a serving engine and comes back: who has a lease keeps it, nobody is promised a new one.

Judged by the clients' own ledger (ledger.py) and by what an operator who follows the events is told. Seen on a host of
two processors with ten other things to do: 300 renewals one after another at 0.1 to 1.1 ms each (median), 30 ms at the
most; a stranger's lease 0.01 to 2 s after the fault was gone, the 2 s being the client's own pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.client.http import HttpClient
from app.model.event import Event
from tests import netns
from tests.engine.calls import NO_SYNC, READ_ONLY, traced
from tests.engine.conftest import new_mac
from tests.engine.ledger import ACK, DISCOVER, OFFER, REQUEST, Rack, rack
from tests.engine.process import Engine, folder, running

pytestmark = pytest.mark.root

KNOWN = 300
"""Machines that have a lease when the store goes away."""


@dataclass(slots=True)
class Watcher:
    """An operator who follows the events: what cannot be stored is shown there all the same."""

    seen: list[Event] = field(default_factory=list[Event])

    def first(self, kind: str, mac: str = "") -> Event:
        """Wait for an event of a kind."""

        def look() -> Event | None:
            return next((each for each in self.seen if each.kind == kind and mac in ("", each.mac)), None)

        return netns.until(look, timeout=60, what=f"{kind} {mac} in {[each.kind for each in self.seen][-20:]}")


@contextlib.contextmanager
def watching(engine: Engine) -> Iterator[Watcher]:
    """Follow the events from now on."""
    watcher, loop = Watcher(), asyncio.new_event_loop()
    after = engine.newest()

    async def follow() -> None:
        client = HttpClient(engine.endpoint)
        try:
            async with aclosing(client.events.watch(after)) as events:  # pyright: ignore
                async for event in events:
                    watcher.seen.append(event)
        finally:
            await client.close()

    task = loop.create_task(follow())
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.gather(task, return_exceptions=True)))
    thread.start()
    try:
        yield watcher
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(20)
        loop.close()


@contextlib.contextmanager
def locked(engine: Engine, trace: Path) -> Iterator[None]:
    """F11: another process keeps the database."""
    del trace
    with contextlib.closing(sqlite3.connect(engine.data_dir / "bootcart.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


def unsynchronised(engine: Engine, trace: Path) -> AbstractContextManager[None]:
    """F06: the disk reports an error whenever it is to make sure."""
    return traced(engine, NO_SYNC, trace)


def unwritable(engine: Engine, trace: Path) -> AbstractContextManager[None]:
    """F05: the file system takes no more writes, to files that are open either."""
    database = engine.data_dir / "bootcart.db"
    files = [database.with_name(f"{database.name}{end}") for end in ("", "-wal", "-shm")]
    return traced(engine, READ_ONLY, trace, *files)


Fault = Callable[[Engine, Path], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def serving(artefacts: Path) -> Iterator[tuple[Engine, Rack]]:
    with (
        netns.segment("10.7.0.1/16", clients=1) as segment,
        running(segment.server, "--interface", "eth0", "--artefacts", str(artefacts)) as engine,
        rack(segment.clients[0], "10.7.0.2/16", "10.7.0.1") as clients,
    ):
        engine.subnet(cidr="10.7.0.0/16", ranges=["10.7.16.0-10.7.255.250"])
        engine.served()
        clients.leases([new_mac() for _ in range(KNOWN)])
        yield engine, clients


def refused(clients: Rack, watcher: Watcher, words: str) -> str:
    """A stranger is offered an address and not given it, and an operator is told why; its MAC."""
    stranger = new_mac()
    clients.say(DISCOVER, stranger)
    offer = netns.until(lambda: clients.hear(1), what="an offer")
    assert (offer.kind, offer.mac) == (OFFER, stranger)
    clients.say(REQUEST, stranger, offer.address, selecting=True)
    failed = watcher.first("store.failed")
    assert words in failed.message
    assert failed.data["hint"]
    silent = watcher.first("dhcp.silent", stranger)
    assert silent.data["reason"] == "not-stored"
    return stranger


def renewed(clients: Rack, known: dict[str, str]) -> None:
    """Who has a lease is told so at once, for no longer than is on the disk; nobody else is told anything."""
    heard, took = len(clients.acks), list[float]()
    for mac, address in known.items():
        began = time.monotonic()
        clients.say(REQUEST, mac, address, renewing=True)
        said = netns.until(lambda: clients.hear(1), timeout=30, what="the renewal is answered")
        took.append(time.monotonic() - began)
        assert (said.kind, said.mac) == (ACK, mac)
        assert 3000 < said.lease_seconds <= 3600
    assert [said.mac for said in clients.acks[heard:]] == list(known)
    # A commit that is waited for takes five seconds where the database is locked.
    assert statistics.median(took) < 1
    print(f"renewals p50 {statistics.median(took) * 1000:.1f} ms, max {max(took) * 1000:.1f} ms")  # noqa: T201 - with -s


@pytest.mark.parametrize(
    ("fault", "words"),
    [(locked, "another process keeps"), (unsynchronised, "input/output error"), (unwritable, "input/output error")],
    ids=["f11-locked", "f06-no-sync", "f05-unwritable"],
)
def test_the_store_goes_away(serving: tuple[Engine, Rack], fault: Fault, words: str, tmp_path: Path) -> None:
    engine, clients = serving
    known, before = dict(clients.held), engine.newest()
    with watching(engine) as watcher:
        with fault(engine, tmp_path / "trace"):
            stranger = refused(clients, watcher, words)
            # Whoever only lists events reads it too.
            assert words in engine.event("store.failed", after=before).message
            renewed(clients, known)
        # It goes on by itself: nobody starts or tells anything.
        began = time.monotonic()
        clients.leases([stranger], 60)
        print(f"a stranger had a lease {time.monotonic() - began:.2f} s after")  # noqa: T201 - with -s
        watcher.first("store.recovered")
    clients.returns(known)
    clients.nobody_shares()
    engine.sound()
    assert engine.lease(clients.held[stranger]).mac == stranger


@contextlib.contextmanager
def ext4() -> Iterator[tuple[Path, Path, Callable[[], None]]]:
    """A file system of its own: where it is mounted, what breaks it, and what mends it once nobody uses it."""
    with folder() as home:
        image, place = home / "image", home / "data"
        place.mkdir()
        with image.open("wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", str(image)], check=True, timeout=60)

        def mounted(file: Path) -> str:
            """The error of mounting it, empty for none."""
            mount = ["mount", "-o", "loop,errors=remount-ro", str(file), str(place)]
            return subprocess.run(mount, capture_output=True, text=True, timeout=60, check=False).stderr

        def mend() -> None:
            subprocess.run(["umount", str(place)], check=True, timeout=60)
            # Other namespaces may have the broken one mounted still: it would be found again under its image's name.
            mended = home / "mended"
            subprocess.run(["cp", "--sparse=always", str(image), str(mended)], check=True, timeout=60)
            subprocess.run(["e2fsck", "-fy", str(mended)], capture_output=True, timeout=60, check=False)
            assert not mounted(mended)

        if refusal := mounted(image):
            pytest.skip(f"this host mounts no image: {refusal.strip()}")
        place.chmod(0o700)
        try:
            find = ["findmnt", "-no", "SOURCE", str(place)]
            device = subprocess.run(find, capture_output=True, text=True, check=True, timeout=60)
            yield place, Path("/sys/fs/ext4") / Path(device.stdout.strip()).name / "trigger_fs_error", mend
        finally:
            subprocess.run(["umount", "-l", str(place)], check=True, timeout=60)


def ended(engine: Engine) -> int:
    """The exit code of an engine that ends, on a host that has other things to do."""
    netns.until(lambda: engine.process.poll() is not None, timeout=60, what="the engine ends")
    return engine.ended()


@pytest.mark.full
def test_f05_the_kernel_makes_the_file_system_read_only(artefacts: Path) -> None:
    """As ext4 does after an error. It takes an unmount to mend, and so a restart; nothing acknowledged is lost."""
    with netns.segment("10.7.0.1/16", clients=1) as segment, ext4() as (place, error, mend):
        engine = Engine(segment.server, place, "--interface", "eth0", "--artefacts", str(artefacts)).start()
        try:
            with rack(segment.clients[0], "10.7.0.2/16", "10.7.0.1") as clients:
                engine.subnet(cidr="10.7.0.0/16", ranges=["10.7.16.0-10.7.255.250"])
                engine.served()
                clients.leases([new_mac() for _ in range(20)])
                known = dict(clients.held)
                with watching(engine) as watcher:
                    error.write_text("a test of what follows")
                    stranger = refused(clients, watcher, "read-only")
                    renewed(clients, known)
                engine.sound()
                # It ends in order all the same, and says why it does not begin again.
                engine.process.terminate()
                assert ended(engine) == 0
                engine.begin()
                assert ended(engine) == 1
                assert "the file system is read-only" in engine.log()
                mend()
                engine.start()
                clients.returns(known)
                clients.leases([stranger], 60)
                clients.nobody_shares()
        finally:
            engine.close()
