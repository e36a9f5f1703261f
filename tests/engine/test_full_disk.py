"""A disk that fills while machines are served: nothing is promised that would be forgotten, and it heals by itself."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.services import supervisor
from tests import netns
from tests.engine.card import card
from tests.engine.conftest import new_mac
from tests.engine.process import Engine, folder

pytestmark = pytest.mark.root

ACK = 5
# What the write-ahead log has room for is acknowledged still; more than this it is not.
ROOM_FOR = 400


@contextlib.contextmanager
def small_disk() -> Iterator[Path]:
    """A data directory that is a file system of four megabytes; what the engine logs lies outside."""
    with folder() as home:
        data = home / "data"
        data.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "none", str(data)], check=True, timeout=30)
        try:
            yield data
        finally:
            subprocess.run(["umount", "-l", str(data)], check=True, timeout=30)


def fill(data: Path) -> Path:
    """Take the last byte."""
    ballast = data / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    assert os.statvfs(data).f_bavail == 0
    return ballast


def test_no_lease_is_promised_on_a_full_disk(artefacts: Path) -> None:
    with netns.segment("10.7.0.1/24", clients=1) as segment, small_disk() as data:
        flags = ("--interface", "eth0", "--artefacts", str(artefacts))
        engine = Engine(segment.server, data, *flags).start()
        try:
            promised = _story(engine, segment.clients[0], data)
            engine.stop()
            # Everything that was acknowledged is there, whatever could not be stored in between.
            engine.start()
            assert promised.items() <= {a: lease.mac for a in promised if (lease := engine.lease(a))}.items()
        finally:
            engine.close()


def test_a_disk_that_is_full_at_the_start_is_waited_for(artefacts: Path) -> None:
    with netns.segment("10.7.0.1/24", clients=1) as segment, small_disk() as data:
        ballast = fill(data)
        log = data.with_name("data.log")
        keep = ("--state", str(data.with_name("state.json")), "--log", str(log), "--delays", "0.1,0.2,0.5", "--")
        flags = ("--interface", "eth0", "--artefacts", str(artefacts))
        engine = Engine(segment.server, data, *flags, prefix=(sys.executable, "-I", "-S", supervisor.__file__, *keep))
        try:
            engine.begin()
            again = "(exit code 1: bootcart serve: the data directory"
            netns.until(lambda: engine.log().count(again) >= 3 or None, timeout=60, what=engine.log())
            assert "cannot be written: the disk is full (free some space)); starting it again in 0.5 s" in engine.log()
            ballast.unlink()
            netns.until(lambda: "ready in " in engine.log() or None, timeout=60, what="it starts by itself")
            engine.subnet()
            # The next start on a disk that filled again, now with a database on it.
            engine.stop()
            ballast = fill(data)
            engine.begin()
            netns.until(
                lambda: "is full" in engine.log().rpartition("ready in ")[2] or None, timeout=60, what=engine.log()
            )
            ballast.unlink()
            netns.until(lambda: engine.log().count("ready in ") == 2 or None, timeout=60, what=engine.log())
            assert engine.ask(engine.client.subnets.list()).total == 1
        finally:
            engine.close()


def _story(engine: Engine, ns: str, data: Path) -> dict[str, str]:
    engine.subnet(ranges=["10.7.0.20-10.7.3.250"], cidr="10.7.0.0/22", name="wide")
    engine.served("wide")
    promised: dict[str, str] = {}
    with card(ns, new_mac()) as known:
        first = known.lease()
        promised[first.address] = known.mac
        before = engine.newest()
        ballast = fill(data)

        refused = next(_strangers(ns, promised))
        silent = engine.event("dhcp.silent", after=before, mac=refused)
        assert silent.data["reason"] == "not-stored"
        failed = engine.event("store.failed", after=before)
        assert "full" in failed.message
        assert "free some space" in str(failed.data["hint"])
        # Who has a lease keeps it, for as long as was promised.
        known.say("request", ("requested_addr", first.address), new=True)
        renewed = known.hear(match=lambda reply: reply.kind in (5, 6))
        assert (renewed.kind, renewed.address) == (ACK, first.address)
        assert renewed.options["lease_time"] <= first.options["lease_time"]
        # An operator is told, not lied to; the log's room may take a small change still.
        names = ["wide"]
        made = _create(engine, len(names))
        while not made.returncode:
            names.append(f"more{len(names)}")
            made = _create(engine, len(names))
        assert (made.returncode, "full" in made.stderr) == (1, True), made.stderr
        assert sorted(each.name for each in engine.ask(engine.client.subnets.list()).items) == sorted(names)

        ballast.unlink()
        with card(ns, refused) as again:
            ack = again.lease()
            promised[ack.address] = again.mac
        engine.event("store.recovered", after=before)
        assert _create(engine, len(names)).returncode == 0
    return promised


def _strangers(ns: str, promised: dict[str, str]) -> Iterator[str]:
    """New machines, one after another; the MAC of one that is offered an address and not given it."""
    for _ in range(ROOM_FOR):
        with card(ns, new_mac()) as stranger:
            offer = stranger.discover()
            try:
                promised[stranger.take(offer).address] = stranger.mac
            except AssertionError:
                yield stranger.mac
    raise AssertionError("the disk never filled")


def _create(engine: Engine, number: int) -> subprocess.CompletedProcess[str]:
    """One more subnet, asked for on the command line."""
    return engine.cli("subnets", "create", f"more{number}", "--cidr", f"10.20.{number}.0/24", "--mode", "proxy")
