"""Powers one machine on: its folder, its disk, its tap, its QEMU."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from app.errors import BootcartError
from app.services.lab import disk, firmware, network, qemu
from app.services.lab.account import Account, drop
from app.services.lab.kernel import namespace_path
from app.services.lab.plan import LabPlan, MachineSpec
from app.services.lab.process import identify
from app.services.lab.state import MachineState

_PIECE = 64 * 1024


def files_of(folder: Path, machine: MachineSpec) -> qemu.Files:
    """Where the machine's files lie under the lab's folder."""
    return qemu.Files(folder / "machines" / machine.name)


def describe(folder: Path, machine: MachineSpec) -> MachineState:
    """The machine's record before it is powered on."""
    return MachineState(
        name=machine.name,
        kind=machine.kind,
        mac=machine.mac,
        serial=machine.serial,
        uuid=machine.uuid,
        marker=machine.marker,
        folder=str(files_of(folder, machine).folder),
        nics=machine.build.nics,
        disks=machine.build.disks,
    )


def furnish(files: qemu.Files, machine: MachineSpec) -> None:
    """Make the machine's folder with its disks and, for UEFI, its variable store."""
    files.folder.mkdir(parents=True)
    for number in range(machine.build.disks):
        disk.write(files.disk(number), machine.build.disk_size << 20, "" if number else machine.marker)
    if machine.build.sort.uefi:
        _copy_sparsely(_images(machine).variables, files.variables)


def prepare(folder: Path, machine: MachineSpec, account: Account) -> None:
    """Furnish the machine where only `account` gets at its files."""
    files = files_of(folder, machine)
    furnish(files, machine)
    # The folder comes last: once it is the account's, whatever is in it may be a link to anything.
    for path in files.folder.iterdir():
        path.chmod(0o600)
        os.chown(path, account.uid, account.gid)
    files.folder.chmod(0o755)
    os.chown(files.folder, account.uid, account.gid)


def _images(machine: MachineSpec) -> firmware.Pair:
    found = firmware.find(machine.build)
    if found is None:
        package = firmware.PACKAGES[machine.build.sort.architecture]
        raise BootcartError("UEFI firmware for virtual machines is missing", hint=f"apt-get install {package}")
    return found


def _copy_sparsely(source: Path, target: Path) -> None:
    # An empty arm64 variable store is 64 MiB of zeros, and labs live in memory.
    with source.open("rb") as old, target.open("wb") as new:
        while piece := old.read(_PIECE):
            if piece.count(0) == len(piece):
                new.seek(len(piece), os.SEEK_CUR)
            else:
                new.write(piece)
        new.truncate(old.tell())


def power_on(
    folder: Path, plan: LabPlan, machine: MachineSpec, taps: Sequence[str], account: Account, *, kvm: bool
) -> tuple[subprocess.Popen[bytes], MachineState]:
    """Start QEMU on fresh taps; the process, and the machine's record. Raises BootcartError when it does not start."""
    files = files_of(folder, machine)
    images = _images(machine) if machine.build.sort.uefi else None
    enter = ["nsenter", f"--net={namespace_path(plan.lan_namespace)}", "--"]
    with contextlib.ExitStack() as stack:
        fds: list[int] = []
        for tap in taps:
            fds.append(network.plug(plan, tap))
            stack.callback(os.close, fds[-1])
        fast = kvm and qemu.native(machine.build, os.uname().machine)
        argv = qemu.command(machine, files, images, fds, lab=plan.name, kvm=fast)
        with files.output.open("ab") as output:
            child = subprocess.Popen(
                [*enter, *drop(account), *argv],
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
            )
    process = identify(child.pid)
    if process is None:
        child.wait()
        raise BootcartError(f"{machine.name} did not start: {said(files)}", hint=f"see {files.output}")
    return child, replace(describe(folder, machine), process=process, started=time.time())


def said(files: qemu.Files) -> str:
    """QEMU's last line."""
    lines = files.output.read_text(errors="replace").strip().splitlines() if files.output.exists() else []
    return lines[-1] if lines else "QEMU said nothing"
