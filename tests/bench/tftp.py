"""A loader to fifty machines by TFTP, beside tftpd-hpa, dnsmasq and atftpd."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import netns
from tests.bench import site
from tests.bench.rounds import Run, Side, Verdict, alternate, ratio

READERS = 50
SIZE = 1 << 20
NAME = "bench.bin"
_LOCK_STEP = (1468, 1)
# atftpd counts its own header twice: larger blocks of its windows are fragments.
_WIDE, _NARROW = (1428, 16), (1428, 4)


def _reader(
    program: str, where: site.Cable, pid: int, transfers: int, block: tuple[int, int], content: Path
) -> Callable[[int], Run]:
    def measure(number: int) -> Run:
        del number
        before = site.cpu_seconds(pid)
        argv = [program, site.SERVER, NAME, str(content), str(READERS), str(transfers), *map(str, block)]
        told: dict[str, Any] = json.loads(netns.run(where.clients, argv, timeout=120).stdout)
        lost = f"{told['failed']} failed, {told['wrong']} wrong" if told["failed"] or told["wrong"] else ""
        spent = site.cpu_seconds(pid) - before
        return Run(told["mb_s"], lost, {"repeated": told["repeated"], "CPU s": spent})

    return measure


def bench(folder: Path, rounds: int, seconds: float, say: Callable[[str], None]) -> list[Verdict]:
    """Run it; what was found."""
    program = site.built("tftp", folder)
    tree = folder / "tree"
    content = site.noise(tree / NAME, SIZE)
    transfers = int(READERS * seconds)

    def ready(where: site.Cable) -> bool:
        argv = [program, site.SERVER, NAME, str(content), "1", "1", "1468", "1"]
        return json.loads(netns.run(where.clients, argv, timeout=30).stdout)["done"] == 1

    for name in ("dnsmasq", "hpa", "atftpd"):
        (folder / name).mkdir()
    commands = {
        "dnsmasq": [site.found("dnsmasq"), "--keep-in-foreground", "-C",
                    site.configured("dnsmasq-tftp.conf", folder / "dnsmasq", tree)],
        "hpa": [site.unpacked("tftpd-hpa", "usr/sbin/in.tftpd"), "--foreground", "--user", "root", "--address",
                f"{site.SERVER}:69", "--secure", str(tree)],
        "atftpd": [site.found("atftpd"), "--daemon", "--no-fork", "--user", "root.root", "--maxthread", "200",
                   "--logfile", "-", "--verbose=3", str(tree)],
    }  # fmt: skip
    with contextlib.ExitStack() as stack:
        where = stack.enter_context(site.cable("ours"))
        engine = stack.enter_context(site.ours(where, "--file-root", str(tree)))
        peers = {
            name: stack.enter_context(site.peer(name, argv, folder / name / "log", ready))
            for name, argv in commands.items()
        }

        def side(name: str, block: tuple[int, int]) -> Side:
            cable, pid = peers.get(name, (where, engine.process.pid))
            what = f"{name} blksize {block[0]} windowsize {block[1]}"
            return Side(what, _reader(program, cable, pid, transfers, block, content))

        verdicts: list[Verdict] = []
        ours, hpa, dnsmasq = (side(name, _LOCK_STEP) for name in ("bootcart", "hpa", "dnsmasq"))
        alternate([ours, hpa, dnsmasq], rounds, say)
        verdicts.append(_verdict("TFTP to tftpd-hpa", ours, hpa, 0.6, 1.0))
        verdicts.append(_verdict("TFTP to dnsmasq", ours, dnsmasq, 0.5, 0.8))
        for block, must, aim in ((_WIDE, 1.0, 1.5), (_NARROW, 0.8, 1.0)):
            ours, atftpd = side("bootcart", block), side("atftpd", block)
            alternate([ours, atftpd], rounds, say)
            verdicts.append(_verdict(f"TFTP windowsize {block[1]} to atftpd", ours, atftpd, must, aim))
    return verdicts


def _verdict(what: str, ours: Side, peer: Side, must: float, aim: float) -> Verdict:
    failed = "; ".join(run.lost for run in ours.runs if run.lost)
    return Verdict(what, 0 if failed else ratio(ours, peer), must, aim, "×", note=failed)
