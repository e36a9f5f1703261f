"""A 64 MiB file to ten and to a hundred readers by HTTP, beside nginx with one worker."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import netns
from tests.bench import site
from tests.bench.rounds import Run, Side, Verdict, alternate, ratio

SIZE = 64 << 20
NAME = "bench.bin"
PORT = 8090


def _reader(
    program: str, where: site.Cable, pids: tuple[int, ...], readers: int, seconds: float
) -> Callable[[int], Run]:
    def measure(number: int) -> Run:
        del number
        before = site.cpu_seconds(*pids)
        sources = ",".join(site.RELAYS)
        argv = [program, site.SERVER, str(PORT), f"/{NAME}", sources, str(readers), str(seconds), str(SIZE)]
        told: dict[str, Any] = json.loads(netns.run(where.clients, argv, timeout=seconds + 30).stdout)
        spent = site.cpu_seconds(*pids) - before
        lost = f"{told['wrong']} wrong, {told['broken']} broken" if told["wrong"] or told["broken"] else ""
        return Run(told["mb_s"], lost, {"CPU s/GB": spent / max(told["octets"], 1) * 1e9})

    return measure


def _same(where: site.Cable, content: Path) -> bool:
    argv = ["sh", "-c", f"curl -sS --fail http://{site.SERVER}:{PORT}/{NAME} | sha256sum"]
    done = netns.run(where.clients, argv, check=False)
    return done.stdout.split()[:1] == [hashlib.sha256(content.read_bytes()).hexdigest()]


def bench(folder: Path, rounds: int, seconds: float, say: Callable[[str], None]) -> list[Verdict]:
    """Run it; what was found."""
    program = site.built("fetch", folder)
    tree = folder / "tree"
    content = site.noise(tree / NAME, SIZE)
    state = folder / "nginx"
    state.mkdir()
    argv = [site.found("nginx"), "-c", site.configured("nginx.conf", state, tree)]
    with contextlib.ExitStack() as stack:
        where = stack.enter_context(site.cable("ours"))
        engine = stack.enter_context(site.ours(where, "--file-root", str(tree)))
        there, master = stack.enter_context(site.peer("nginx", argv, state / "log", lambda at: _same(at, content)))
        assert _same(where, content), "ours gives the same octets"
        # The master does nothing; its worker is the only other process there.
        workers = tuple(pid for pid in netns.pids(there.server) if pid != master)
        verdicts: list[Verdict] = []
        for readers in (10, 100):
            ours = Side(f"bootcart to {readers}", _reader(program, where, (engine.process.pid,), readers, seconds))
            nginx = Side(f"nginx to {readers}", _reader(program, there, workers, readers, seconds))
            alternate([ours, nginx], rounds, say)
            failed = "; ".join(run.lost for run in ours.runs if run.lost)
            what = f"HTTP 64 MiB to {readers} readers"
            speed = 0 if failed else ratio(ours, nginx)
            verdicts.append(Verdict(f"{what}, to nginx", speed, 0.8, 1.0, "×", note=failed))
            cost = ours.also("CPU s/GB") / nginx.also("CPU s/GB") if nginx.also("CPU s/GB") else 0.0
            verdicts.append(Verdict(f"{what}, CPU per GB to nginx", cost, 2.5, 1.2, "×", below=True, note=failed))
    return verdicts
