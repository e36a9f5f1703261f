"""Boot environments as values: known, assignable, usable now."""

from __future__ import annotations

import difflib

from app.errors import InvalidError
from app.model.bootenv import BootEnv, BootKind
from app.model.machine import Machine
from app.store.directory import Directory


def known(name: str, directory: Directory, field: str) -> BootEnv:
    """The boot environment of this name, usable now. Raises InvalidError with the known ones, or its errors."""
    bootenv = directory.bootenv(name)
    if bootenv is None:
        names = [each.name for each in directory.bootenvs()]
        close = difflib.get_close_matches(name, names, n=1)
        listed = "known are " + ", ".join(names) if names else "none is loaded"
        hint = f"did you mean {close[0]}? {listed}" if close else listed
        raise InvalidError(f"there is no boot environment {name!r}", hint=hint, field=field)
    if bootenv.errors:
        raise InvalidError(
            f"the boot environment {name} cannot be used now: {'; '.join(bootenv.errors)}",
            hint="mend that, or choose another",
            field=field,
        )
    return bootenv


def check_assignable(name: str, machine: Machine, directory: Directory, field: str = "bootenv") -> None:
    """`name` (empty: the default) may be assigned to `machine`. Raises InvalidError."""
    if not name:
        return
    bootenv = known(name, directory, field)
    if bootenv.unknown_only:
        raise InvalidError(
            f"{name} is for machines nobody has named and cannot be assigned",
            hint=f"`bootcart prefs set unknown-bootenv {name}` gives it to those",
            field=field,
        )
    if bootenv.kind is not BootKind.KERNEL or not bootenv.architectures or not machine.architecture:
        return
    if machine.architecture not in bootenv.architectures:
        raise InvalidError(
            f"{name} has nothing for {machine.architecture}, which {machine.name} is",
            hint="it has " + ", ".join(sorted(bootenv.architectures)),
            field=field,
        )
