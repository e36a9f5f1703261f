"""Powers one machine on: its folder, its disk, its tap, its QEMU."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from app.errors import BootcartError
from app.services.lab import disk, network, qemu
from app.services.lab.account import Account, drop
from app.services.lab.kernel import namespace_path
from app.services.lab.plan import LabPlan, MachineSpec
from app.services.lab.process import identify
from app.services.lab.state import MachineState


def files_of(folder: Path, machine: MachineSpec) -> qemu.Files:
    """Where the machine's files lie under the lab's folder."""
    pair = qemu.firmware() if machine.uefi else None
    return qemu.Files(folder / "machines" / machine.name, pair[0] if pair else None)


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
    )


def prepare(folder: Path, machine: MachineSpec, account: Account) -> None:
    """Make the machine's folder with its disk and, for UEFI, its variable store."""
    files = files_of(folder, machine)
    files.folder.mkdir(parents=True)
    disk.write(files.disk, machine.marker)
    pair = qemu.firmware()
    if machine.uefi:
        if pair is None:
            raise BootcartError("UEFI firmware for virtual machines is missing", hint="apt-get install ovmf")
        shutil.copyfile(pair[1], files.variables)
    for path in (files.folder, *files.folder.iterdir()):
        os.chown(path, account.uid, account.gid)
        path.chmod(0o755 if path.is_dir() else 0o600)


def power_on(
    folder: Path, plan: LabPlan, machine: MachineSpec, tap: str, account: Account, *, kvm: bool
) -> tuple[subprocess.Popen[bytes], MachineState]:
    """Start QEMU on a fresh tap; the process, and the machine's record. Raises BootcartError when it does not start."""
    files = files_of(folder, machine)
    fd = network.plug(plan, tap)
    argv = qemu.command(machine, files, fd, lab=plan.name, kvm=kvm)
    enter = ["nsenter", f"--net={namespace_path(plan.lan_namespace)}", "--"]
    try:
        with files.output.open("ab") as output:
            child = subprocess.Popen(
                [*enter, *drop(account), *argv],
                pass_fds=[fd],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
            )
    finally:
        os.close(fd)
    process = identify(child.pid)
    if process is None:
        child.wait()
        raise BootcartError(f"{machine.name} did not start: {said(files)}", hint=f"see {files.output}")
    return child, replace(describe(folder, machine), process=process, started=time.time())


def said(files: qemu.Files) -> str:
    """QEMU's last line."""
    lines = files.output.read_text(errors="replace").strip().splitlines() if files.output.exists() else []
    return lines[-1] if lines else "QEMU said nothing"
