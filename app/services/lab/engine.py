"""The lab's engine: the real one, in its own namespace, as an unprivileged user, under the engine's supervisor."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.services.lab.account import ENGINE_CAPABILITIES, Account, drop
from app.services.lab.plan import ENGINE_INTERFACE, LabPlan

PROGRAM = Path(__file__).resolve().parents[3]
"""The folder that holds the package `app`."""

PASSED = ("BOOTCART_ARTEFACTS", "BOOTCART_LOG_LEVEL", "LANG", "PATH", "TZ")
"""Variables of the caller that the engine gets; everything else could be meant for another engine."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the lab's engine keeps what is its own; `folder` belongs to the account it runs as."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def socket(self) -> Path:
        return self.folder / "api.sock"

    @property
    def log(self) -> Path:
        """What engine and supervisor say."""
        return self.folder / "engine.log"

    @property
    def supervisor(self) -> Path:
        """State file of the supervisor."""
        return self.folder / "supervisor.json"


@dataclass(frozen=True, slots=True)
class Program:
    """Interpreter and code of the engine, and what must be mounted where before its account can read them."""

    python: Path
    root: Path
    mounts: tuple[tuple[Path, Path], ...] = ()


def this_program(readable: bool, shelter: Path) -> Program:
    """The program that runs now, seen through bind mounts in `shelter` where its own path is closed to the account.

    A checkout in root's home is such a place. The mounts live in the engine's own mount namespace and end with it.
    """
    if readable:
        return Program(Path(sys.executable), PROGRAM)
    environment = Path(sys.prefix)
    inside = Path(sys.executable).relative_to(environment) if Path(sys.executable).is_relative_to(environment) else None
    mounts = [(PROGRAM, shelter / "program")]
    python = Path(sys.executable)
    if inside is not None and sys.prefix != sys.base_prefix:
        mounts.append((environment, shelter / "python"))
        python = shelter / "python" / inside
    return Program(python, shelter / "program", tuple(mounts))


def environment(plan: LabPlan, program: Program, places: Places, caller: Mapping[str, str]) -> dict[str, str]:
    """The engine's environment."""
    return {
        **{name: caller[name] for name in PASSED if name in caller},
        "HOME": str(places.folder),
        "PYTHONPATH": str(program.root),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "BOOTCART_LAB": plan.name,
    }


def command(plan: LabPlan, account: Account, program: Program, places: Places) -> list[str]:
    """The argv that starts supervisor and engine in their namespace."""
    python = os.fspath(program.python)
    serve = [python, "-m", "app", "serve", "--data-dir", str(places.data), "--api-socket", str(places.socket)]
    serve += ["--interface", ENGINE_INTERFACE, "--dhcp", "authoritative"]
    serve += ["--dhcp6"] if 6 in plan.protocols else []
    supervisor = [python, "-I", "-S", str(program.root / "app/services/supervisor.py")]
    supervisor += ["--state", str(places.supervisor), "--log", str(places.log), "--"]
    binds = "".join(f'mount --bind "${2 * n + 1}" "${2 * n + 2}" && ' for n in range(len(program.mounts)))
    shell: list[str] = []
    if binds:
        pairs = [os.fspath(path) for pair in program.mounts for path in pair]
        # `ip netns exec` has already made this mount namespace private.
        shell = ["sh", "-c", f'{binds}shift {len(pairs)} && exec "$@"', "sh", *pairs]
    # `ip netns exec` rather than nsenter: it mounts the /sys that shows this namespace's interfaces.
    enter = ["ip", "netns", "exec", plan.engine_namespace]
    return [*enter, *shell, *drop(account, ENGINE_CAPABILITIES), *supervisor, *serve]
