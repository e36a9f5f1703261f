"""What machines of a lab need of their host, and which Debian package brings it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from app.errors import BootcartError
from app.services.lab import firmware, qemu
from app.services.lab.build import Build

COMMANDS: dict[str, str] = {
    "ip": "iproute2",
    "setpriv": "util-linux",
    "nsenter": "util-linux",
}
"""What every lab runs."""


def missing(
    builds: Iterable[Build],
    which: Callable[[str], str | None] = shutil.which,
    is_file: Callable[[Path], bool] = Path.is_file,
) -> list[str]:
    """Debian packages a lab of these machines needs and this host has not; sorted, each once."""
    packages = {package for command, package in COMMANDS.items() if which(command) is None}
    for build in builds:
        binary, package = qemu.BINARIES[build.sort.architecture]
        if which(binary) is None:
            packages.add(package)
        if not build.sort.uefi and not is_file(firmware.NETWORK_ROM):
            packages.add("ipxe-qemu")
        if build.sort.uefi and firmware.find(build, is_file) is None:
            packages.add(firmware.PACKAGES[build.sort.architecture])
    return sorted(packages)


def images(builds: Iterable[Build]) -> list[str]:
    """The architectures of which these machines need a discovery image; sorted, each once."""
    return sorted({build.sort.architecture for build in builds})


def check(builds: Iterable[Build]) -> None:
    """Raise BootcartError naming the packages when something is missing."""
    packages = missing(builds)
    if packages:
        raise BootcartError("the lab needs " + ", ".join(packages), hint="apt-get install " + " ".join(packages))
