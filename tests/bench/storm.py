"""Ten thousand machines that boot within a minute: address, loader, script, kernel, and word back."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.model.query import Query
from tests import netns
from tests.artefacts import noisy
from tests.bench import site
from tests.bench.rounds import Verdict

MACHINES = 10_000
SECONDS = 60.0
_BEGIN_WITHIN = 40.0
LOADER = 70_000
KERNEL = 1_000_000
# Addresses that are leased are local to the clients; the server reaches all of them through one of theirs.
_LEASED = "10.65.0.0/16"
_RANGE = ["10.65.0.1-10.65.255.254"]


class Storm:
    """A run of so many machines, and what an operator's interface felt meanwhile."""

    def __init__(self, program: str, where: site.Cable, engine: site.Engine) -> None:
        self._program = program
        self._where = where
        self._engine = engine
        self._first = 1

    def boot(self, machines: int, rate: float, seconds: float) -> dict[str, Any]:
        """Boot new machines; what the generator counted, and the engine's share."""
        pid = self._engine.process.pid
        before = site.cpu_seconds(pid)
        argv = [self._program, site.SERVER, ",".join(site.RELAYS), str(machines), str(rate), str(LOADER), str(KERNEL),
                str(self._first), str(seconds)]  # fmt: skip
        self._first += machines
        answers: list[float] = []
        with netns.popen(self._where.clients, argv, stderr=subprocess.STDOUT) as process:
            while process.poll() is None:
                for ask in (self._machines, self._events):
                    began = time.monotonic()
                    ask()
                    answers.append(time.monotonic() - began)
                time.sleep(0.25)
            assert process.stdout is not None
            said = process.stdout.read()
        told: dict[str, Any] = json.loads(said)
        told["api_p99"] = sorted(answers)[int(0.99 * (len(answers) - 1))]
        told["cpu_ms"] = (site.cpu_seconds(pid) - before) / max(1, told["registered"]) * 1000
        return told

    def _machines(self) -> None:
        self._engine.ask(self._engine.client.machines.list(Query(limit=50)))

    def _events(self) -> None:
        self._engine.ask(self._engine.client.events.list(Query(limit=50)))


def bench(folder: Path, rounds: int, seconds: float, say: Callable[[str], None]) -> list[Verdict]:
    """Run it once, whatever `rounds` says: it takes a minute. `seconds` under 5: a tenth of the machines."""
    del rounds
    machines = MACHINES if seconds >= 5 else MACHINES // 10
    program = site.built("storm", folder)
    (folder / "artefacts").mkdir()
    artefacts = noisy(folder / "artefacts", {"undionly.kpxe": LOADER}, {"vmlinuz": KERNEL, "initrd.img": 1000})
    with contextlib.ExitStack() as stack:
        where = stack.enter_context(site.cable("storm"))
        netns.run(where.server, ["ip", "route", "add", _LEASED, "via", site.RELAYS[0]])
        netns.run(where.clients, ["ip", "route", "add", "local", _LEASED, "dev", "lo"])
        engine = stack.enter_context(site.ours(where, "--artefacts", str(artefacts), ranges=_RANGE))
        storm = Storm(program, where, engine)
        few = storm.boot(100, machines / _BEGIN_WITHIN, SECONDS)
        say(f"  the first 100: {few}")
        idle = site.memory_mb(engine.process.pid)
        told = storm.boot(machines, machines / _BEGIN_WITHIN, SECONDS * 3)
        grown = site.memory_mb(engine.process.pid) - idle
        say(f"  {machines}: {told}")
        say(f"  memory: {idle:.0f} MB, and {grown:.0f} MB more")
        after = storm.boot(100, machines / _BEGIN_WITHIN, SECONDS)
        say(f"  the next 100: {after}")
    note = ""
    if told["scripts"] < machines or told["failed"] or told["wrong"]:
        note = f"{told['scripts']} scripts, {told['failed']} failed, {told['wrong']} wrong"
    what = f"storm of {machines}"
    return [
        Verdict(f"{what}, last script", 1e9 if note else told["last_script"], 60, 60, " s", below=True, note=note),
        Verdict(f"{what}, DORA p99", told["dora_p99"], 4, 1, " s", below=True),
        Verdict(f"{what}, API p99", told["api_p99"] * 1000, 500, 500, " ms", below=True),
        Verdict(f"{what}, memory over idle", grown, 150, 60, " MB", below=True),
        Verdict(
            f"{what}, CPU of a machine to that of the first 100",
            told["cpu_ms"] / few["cpu_ms"],
            1.5,
            1.2,
            "×",
            below=True,
        ),
    ]
