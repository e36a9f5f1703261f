"""Leases a second and their latency, beside Kea and dnsmasq."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests import netns
from tests.bench import site
from tests.bench.rounds import Run, Side, Verdict, alternate, ratio

PARALLEL = 256
# dnsmasq writes its lease file anew for each lease: more than these wait for longer than a client does.
FEW = 32
_DROPS = 0.01


class Machines:
    """New machines that ask a server for addresses; none twice."""

    def __init__(self, program: str, where: site.Cable, state: Path) -> None:
        self._program = program
        self._where = where
        self._state = state
        self._next = 1

    def ask(self, parallel: int, seconds: float, rate: float = 0.0) -> dict[str, Any]:
        """Full exchanges for so long; what the generator counted."""
        argv = [
            self._program, site.SERVER, ",".join(site.RELAYS), str(parallel), str(rate), str(seconds),
            str(self._next), str(self._state / "seen"),
        ]  # fmt: skip
        told: dict[str, Any] = json.loads(netns.run(self._where.clients, argv, timeout=seconds + 30).stdout)
        self._next += told["begun"]
        return told


def judged(told: dict[str, Any], cpu: float) -> Run:
    """Duplicates, refusals and too many drops are lost work."""
    lost: list[str] = []
    if told["duplicates"] or told["refused"]:
        lost.append(f"{told['duplicates']} duplicates, {told['refused']} refusals")
    if told["dropped"] >= _DROPS * max(1, told["begun"]):
        lost.append(f"{told['dropped']} of {told['begun']} exchanges dropped")
    also = {"p50 ms": told["p50"], "p99 ms": told["p99"], "dropped": told["dropped"]}
    if told["done"]:
        also["CPU µs each"] = cpu / told["done"] * 1e6
    return Run(told["rate"], "; ".join(lost), also)


def _measure(machines: Machines, pid: int, parallel: int, seconds: float) -> Callable[[int], Run]:
    def measure(number: int) -> Run:
        del number
        before = site.cpu_seconds(pid)
        told = machines.ask(parallel, seconds)
        return judged(told, site.cpu_seconds(pid) - before)

    return measure


@contextlib.contextmanager
def _peer(name: str, folder: Path, program: str, argv: list[str]) -> Iterator[tuple[site.Cable, Machines, int]]:
    state = folder / name
    state.mkdir(exist_ok=True)
    asking: list[Machines] = []

    def ready(where: site.Cable) -> bool:
        asking[:] = asking or [Machines(program, where, state)]
        return asking[0].ask(1, 0.2)["done"] > 0

    with site.peer(name, argv, state / "log", ready) as (where, pid):
        yield where, asking[0], pid


def _kea(folder: Path) -> list[str]:
    (folder / "kea").mkdir()
    return [site.found("kea-dhcp4"), "-c", site.configured("kea-dhcp4.json", folder / "kea")]


def _dnsmasq(folder: Path) -> list[str]:
    (folder / "dnsmasq").mkdir()
    return [
        site.found("dnsmasq"), "--keep-in-foreground", "-C", site.configured("dnsmasq-dhcp.conf", folder / "dnsmasq")
    ]  # fmt: skip


def _stored(data_dir: Path) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{data_dir / 'bootcart.db'}?mode=ro", uri=True)) as database:
        return database.execute("SELECT count(*) FROM leases WHERE state = 'bound'").fetchone()[0]


def bench(folder: Path, rounds: int, seconds: float, say: Callable[[str], None]) -> list[Verdict]:
    """Run it; what was found."""
    program = site.built("dora", folder)
    with contextlib.ExitStack() as stack:
        where = stack.enter_context(site.cable("ours"))
        engine = stack.enter_context(site.ours(where))
        state = folder / "ours"
        state.mkdir()
        machines = Machines(program, where, state)
        kea_where, kea_machines, kea_pid = stack.enter_context(_peer("kea", folder, program, _kea(folder)))
        _, dns_machines, dns_pid = stack.enter_context(_peer("dnsmasq", folder, program, _dnsmasq(folder)))
        pid = engine.process.pid
        first = machines.ask(PARALLEL, 1.0)
        say(f"  first second: {first['rate']:.0f} DORA/s")
        mine = Side("bootcart", _measure(machines, pid, PARALLEL, seconds))
        kea = Side("kea", _measure(kea_machines, kea_pid, PARALLEL, seconds))
        dnsmasq = Side("dnsmasq", _measure(dns_machines, dns_pid, FEW, seconds))
        steady = Side("bootcart at 500/s", lambda _: _steady(machines, seconds))
        alternate([mine, kea, dnsmasq, steady], rounds, say)
        say(f"  perfdhcp of bootcart: {_cross_check(where)}")
        say(f"  perfdhcp of kea: {_cross_check(kea_where)}")
        events = engine.ask(engine.client.events.list(kind="events.dropped")).items
        lost = sum(int(event.data["count"]) for event in events)
        say(f"  {_stored(engine.data_dir)} leases on the disk; {lost} events were dropped")
    failed, late = ("; ".join(run.lost for run in side.runs if run.lost) for side in (mine, steady))
    return [
        Verdict("DORA/s to Kea", 0 if failed else ratio(mine, kea), 1.0, 1.5, "×", note=failed),
        Verdict("DORA/s to dnsmasq", 0 if failed else ratio(mine, dnsmasq), 10, 40, "×", note=failed),
        Verdict("p99 at 500 DORA/s", steady.also("p99 ms"), 50, 15, " ms", below=True, note=late),
    ]


def _cross_check(where: site.Cable) -> str:
    """What somebody else's load generator makes of 500 exchanges a second."""
    argv = [site.found("perfdhcp"), "-4", "-r", "500", "-R", "100000", "-p", "5", site.SERVER]
    told = netns.run(where.clients, argv, timeout=60, check=False).stdout
    lines = [line.strip() for line in told.splitlines() if line.startswith("Rate:") or "drops ratio" in line]
    return "; ".join(lines) or told[-200:]


def _steady(machines: Machines, seconds: float) -> Run:
    return judged(machines.ask(4096, seconds, 500.0), 0.0)
