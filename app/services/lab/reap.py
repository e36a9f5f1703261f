"""Takes labs away: their processes, namespaces and files, also when whoever made them was killed half-way."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import BootcartError
from app.services.lab import kernel, state
from app.services.lab.plan import namespaces_of
from app.services.lab.process import Process, alive, end, identify, myself

DYING_SECONDS = 15.0
"""How long a lab that is going down by itself may take before it is taken down."""

_ROUNDS = 50
_POLL = 0.1


@dataclass(frozen=True, slots=True)
class Reaped:
    """What was found of a lab that nobody kept any more."""

    name: str
    processes: int
    namespaces: int

    def __str__(self) -> str:
        return f"lab {self.name}: {self.processes} processes ended, {self.namespaces} namespaces removed"


def _belonging(namespaces: Sequence[str], recorded: Sequence[Process]) -> set[Process]:
    found = {process for process in recorded if alive(process)}
    for name in namespaces:
        found.update(process for pid in kernel.pids_in(name) if (process := identify(pid)) is not None)
    return found - {myself()}


def clean(folder: Path, found: state.LabState | None, grace: float = 0.0) -> Reaped:
    """End every process of a lab, remove its namespaces and its folder. The caller holds the lab's lock.

    `grace` is how many seconds its processes get to end by themselves. Raises BootcartError when one cannot be killed.
    """
    namespaces = found.namespaces if found is not None else namespaces_of(folder.name, folder.parent)
    recorded = found.all_processes if found is not None else ()
    ended: set[Process] = set()
    for number in range(_ROUNDS):
        # Asked again until none is left: a process that was just being started enters the namespace after we looked.
        running = _belonging(namespaces, recorded)
        if not running:
            break
        ended |= running
        end(running, grace if number == 0 else 0.0)
    else:
        pids = ", ".join(str(process.pid) for process in _belonging(namespaces, recorded))
        hint = "see what they wait for: ps -o pid,stat,wchan,args"
        raise BootcartError(f"processes {pids} of lab {folder.name} do not end", hint=hint)
    removed = sum(kernel.delete_namespace(name) for name in namespaces)
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        # A file was added while the tree was being removed; now nobody is left to add one.
        shutil.rmtree(folder)
    return Reaped(folder.name, len(ended), removed)


def dying(found: state.LabState | None) -> bool:
    """The lab is going down, or must: its keeper or the command it was made for is gone."""
    if found is None:
        return False
    if found.phase == state.STOPPING or (found.leash is not None and not alive(found.leash)):
        return True
    return found.keeper is not None and not alive(found.keeper)


def reap(directory: Path, say: Callable[[str], None] = lambda _: None, patience: float = DYING_SECONDS) -> list[Reaped]:
    """Remove every lab that nobody keeps, waiting for those that are just going down; what was removed, by lab."""
    done: list[Reaped] = []
    for folder in state.folders(directory):
        deadline = time.monotonic() + patience
        while folder.exists():
            lock = state.Lock(folder)
            if lock.take():
                try:
                    found = state.read(folder)
                    done.append(clean(folder, found))
                finally:
                    lock.release()
                break
            found = state.read(folder)
            if not dying(found):
                break
            if time.monotonic() > deadline and found is not None and found.keeper is not None:
                say(f"lab {folder.name} does not go down by itself: killing its keeper")
                end([found.keeper], 0.0)
                deadline = time.monotonic() + patience
            time.sleep(_POLL)
    return done
