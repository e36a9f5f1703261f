"""Boot scripts rendered for a machine, beside uvicorn and Starlette that render the same template."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path

from tests import netns
from tests.artefacts import noisy
from tests.bench import site
from tests.bench.dhcp import Machines
from tests.bench.rounds import Run, Side, Verdict, alternate, ratio

PORT = 8090
CONNECTIONS = 50


def _asker(where: site.Cable, path: str, seconds: float, pid: int) -> Callable[[int], Run]:
    def measure(number: int) -> Run:
        del number
        before = site.cpu_seconds(pid)
        url = f"http://{site.SERVER}:{PORT}{path}"
        told = netns.run(
            where.clients, [site.found("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", url], timeout=60
        ).stdout
        rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
        count = re.search(r"(\d+) requests in", told)
        assert rate is not None, told
        assert count is not None, told
        bad = re.search(r"(Socket errors:.*|Non-2xx.*)", told)
        each = (site.cpu_seconds(pid) - before) / max(1, int(count[1])) * 1e6
        return Run(float(rate[1]), bad[0] if bad else "", {"CPU µs each": each})

    return measure


def _leased(where: site.Cable, program: str, state: Path, engine: site.Engine) -> str:
    """Lease an address to a machine, have the clients' programs speak from it; the path of its script."""
    assert Machines(program, where, state).ask(1, 0.05)["done"] >= 1
    lease = engine.ask(engine.client.leases.list()).items[0]
    netns.run(where.clients, ["ip", "address", "add", f"{lease.address}/12", "dev", "eth0"])
    route = ["ip", "route", "replace", f"{site.SERVER}/32", "dev", "eth0", "src", str(lease.address)]
    netns.run(where.clients, route)
    return f"/boot/{lease.mac.replace(':', '-')}.ipxe"


def bench(folder: Path, rounds: int, seconds: float, say: Callable[[str], None]) -> list[Verdict]:
    """Run it; what was found."""
    (folder / "artefacts").mkdir()
    artefacts = noisy(folder / "artefacts")
    state = folder / "starlette"
    state.mkdir()
    command = [site.peers_python(), "-m", "uvicorn", "tests.bench.peers.script:app", "--host", site.SERVER, "--port",
               str(PORT), "--log-level", "warning", "--no-access-log"]  # fmt: skip
    with contextlib.ExitStack() as stack:
        where = stack.enter_context(site.cable("ours"))
        engine = stack.enter_context(site.ours(where, "--artefacts", str(artefacts)))
        path = _leased(where, site.built("dora", folder), folder, engine)

        def script(at: site.Cable) -> str:
            argv = ["curl", "-sS", "--fail", f"http://{site.SERVER}:{PORT}{path}"]
            return netns.run(at.clients, argv, check=False).stdout

        there, pid = stack.enter_context(
            site.peer("starlette", command, state / "log", lambda at: "#!ipxe" in script(at))
        )
        # What uvicorn is without its compiled extras.
        plain, plain_pid = stack.enter_context(
            site.peer(
                "plain",
                [*command, "--loop", "asyncio", "--http", "h11"],
                state / "plain",
                lambda at: "#!ipxe" in script(at),
            )
        )
        lengths = [len(script(at)) for at in (where, there)]
        say(f"  a script of {lengths[0]} characters, the peer's of {lengths[1]}")
        assert lengths[0] >= lengths[1] > 1000
        ours = Side("bootcart", _asker(where, path, seconds, engine.process.pid))
        starlette = Side("starlette", _asker(there, path, seconds, pid))
        slower = Side("starlette without uvloop and httptools", _asker(plain, path, seconds, plain_pid))
        alternate([ours, starlette, slower], rounds, say)
        say(f"  to Starlette without uvloop and httptools: {ratio(ours, slower):.2f}×")
    failed = "; ".join(run.lost for run in ours.runs if run.lost)
    value = 0 if failed else ratio(ours, starlette)
    return [Verdict("boot scripts/s to uvicorn and Starlette", value, 1.0, 2.0, "×", note=failed)]
