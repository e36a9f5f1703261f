"""Where a benchmark runs: each server in a namespace of its own with a cable to clients of its own."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import netns
from tests.engine.process import Engine, running

HERE = Path(__file__).parent
SERVER = "10.64.0.1"
RELAYS = ("10.64.0.2", "10.64.0.3", "10.64.0.4", "10.64.0.5")
SUBNET = {
    "name": "bench",
    "cidr": "10.64.0.0/12",
    "ranges": ["10.64.1.0-10.79.255.254"],
    "router": SERVER,
    "dns": [SERVER],
}


@dataclass(frozen=True, slots=True)
class Cable:
    """A server's namespace and its clients'; `eth0` in both."""

    server: str
    clients: str


@contextlib.contextmanager
def cable(name: str) -> Iterator[Cable]:
    """Two namespaces, the server at SERVER, the clients at RELAYS."""
    with netns.namespace(f"{name}-s", ipv6=False) as server, netns.namespace(f"{name}-c", ipv6=False) as clients:
        netns.link(server, "eth0", clients, "eth0", address=f"{SERVER}/12", peer_address=f"{RELAYS[0]}/12")
        for address in RELAYS[1:]:
            netns.run(clients, ["ip", "address", "add", f"{address}/12", "dev", "eth0"])
        yield Cable(server, clients)


@contextlib.contextmanager
def ours(where: Cable, *flags: str, **subnet: Any) -> Iterator[Engine]:
    """The engine as it is shipped, every service on, with a subnet that it serves."""
    with running(where.server, "--interface", "eth0", *flags) as engine:
        engine.subnet(**{**SUBNET, **subnet})
        engine.served("bench")
        yield engine


def built(name: str, folder: Path) -> str:
    """A load generator, compiled."""
    made = folder / name
    if not made.exists():
        source = HERE / "load" / f"{name}.c"
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", made, source], check=True, timeout=60)
    return str(made)


def configured(name: str, state: Path, tree: Path | None = None) -> str:
    """A peer's configuration with the paths of its state, and of what it serves, filled in."""
    made = state / name
    text = (HERE / "peers" / name).read_text()
    made.write_text(text.replace("@STATE@", str(state)).replace("@TREE@", str(tree)))
    return str(made)


def found(program: str) -> str:
    """The path of a peer's program; those of Debian are not all on a user's path. Raises AssertionError without it."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    assert path, f"{program} is missing: packaging/test --full installs what the benchmarks compare with"
    return path


def cpu_seconds(*pids: int) -> float:
    """Processor time of processes and their children so far, theirs and the kernel's for them."""
    ticks = os.sysconf("SC_CLK_TCK")
    spent = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        spent += int(fields[11]) + int(fields[12])
    return spent / ticks


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _kept() -> Path:
    """Where what the peers need is kept from one run to the next."""
    kept = Path(os.environ.get("BOOTCART_CACHE_ROOT", "/var/cache/bootcart")) / "bench"
    kept.mkdir(parents=True, exist_ok=True)
    return kept


def unpacked(package: str, program: str) -> str:
    """A program of a Debian package that cannot be installed beside another peer: taken out of its package.

    Raises AssertionError where that cannot be had.
    """
    kept = _kept() / package
    if not (kept / program).exists():
        kept.mkdir(parents=True, exist_ok=True)
        fetched = subprocess.run(
            ["apt-get", "download", package], cwd=kept, capture_output=True, text=True, timeout=120, check=False
        )
        assert fetched.returncode == 0, fetched.stderr
        (file,) = kept.glob("*.deb")
        subprocess.run(["dpkg-deb", "--extract", file, kept], check=True, timeout=60)
    return str(kept / program)


def noise(path: Path, size: int) -> Path:
    """A file of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random.Random(7).randbytes(size))
    return path


@contextlib.contextmanager
def peer(name: str, argv: Sequence[str], log: Path, ready: Callable[[Cable], bool]) -> Iterator[tuple[Cable, int]]:
    """A peer in namespaces of its own, once `ready`; its process id."""
    with cable(name) as where, log.open("w") as out:
        # Debian's own paths for what it keeps: the peers run as root here, and keep nothing.
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "PYTHONPATH": str(HERE.parents[1])}
        environment |= {"KEA_PIDFILE_DIR": str(log.parent), "KEA_LOCKFILE_DIR": str(log.parent)}
        with netns.running(where.server, argv, stdout=out, env=environment) as process:

            def answers() -> bool:
                assert process.poll() is None, f"{name} ended: {log.read_text()}"
                return ready(where)

            netns.until(answers, timeout=30, what=f"{name} answers")
            yield where, process.pid


def peers_python() -> str:
    """An interpreter with the peers' packages, from a lock of their own: none of them is the product's."""
    lock = HERE / "peers" / "requirements.lock"
    name = f"venv-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    made = _kept() / name
    if not (made / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", made], check=True, timeout=60)
        uv = Path(sys.executable).with_name("uv")
        sync = [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", made / "bin" / "python", lock]
        subprocess.run(sync, check=True, timeout=300)
        (made / "complete").touch()
    return str(made / "bin" / "python")
