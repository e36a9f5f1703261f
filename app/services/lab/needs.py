"""What a lab needs of its host, and which Debian package brings it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from app.errors import BootcartError
from app.services.lab import qemu

COMMANDS: dict[str, str] = {
    qemu.BINARY: "qemu-system-x86",
    "ip": "iproute2",
    "setpriv": "util-linux",
    "nsenter": "util-linux",
}


def missing(
    which: Callable[[str], str | None] = shutil.which, is_file: Callable[[Path], bool] = Path.is_file
) -> list[str]:
    """Debian packages a lab needs and this host has not; sorted, each once."""
    packages = {package for command, package in COMMANDS.items() if which(command) is None}
    if not is_file(qemu.ROM):
        packages.add("ipxe-qemu")
    if not any(is_file(code) and is_file(variables) for code, variables in qemu.OVMF_PAIRS):
        packages.add("ovmf")
    return sorted(packages)


def check() -> None:
    """Raise BootcartError naming the packages when something is missing."""
    packages = missing()
    if packages:
        raise BootcartError("the lab needs " + ", ".join(packages), hint="apt-get install " + " ".join(packages))
