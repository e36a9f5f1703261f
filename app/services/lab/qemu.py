"""QEMU's command line for each machine kind; pure, so that it can be read in a test as it will be run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.services.lab.build import Build
from app.services.lab.firmware import NETWORK_ROM, Pair
from app.services.lab.plan import MachineSpec

BINARIES = {
    "amd64": ("qemu-system-x86_64", "qemu-system-x86"),
    "arm64": ("qemu-system-aarch64", "qemu-system-arm"),
}
"""By architecture: the emulator, and the Debian package that brings it."""

# What a processor is called under Linux, for which hardware virtualisation can be used.
_NATIVE = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True, slots=True)
class Files:
    """Where one machine's files lie; `variables` is its copy of the UEFI variable store."""

    folder: Path

    def disk(self, number: int) -> Path:
        return self.folder / f"disk{number}.raw"

    @property
    def variables(self) -> Path:
        return self.folder / "uefi-vars.fd"

    @property
    def serial_log(self) -> Path:
        return self.folder / "serial.log"

    @property
    def console(self) -> Path:
        return self.folder / "console.sock"

    @property
    def qmp(self) -> Path:
        return self.folder / "qmp.sock"

    @property
    def output(self) -> Path:
        """What QEMU itself says."""
        return self.folder / "qemu.log"


def native(build: Build, machine: str) -> bool:
    """A host whose kernel calls its processor `machine` could run this one without emulating it."""
    return _NATIVE[build.sort.architecture] == machine


def command(
    machine: MachineSpec, files: Files, firmware: Pair | None, tap_fds: Sequence[int], *, lab: str, kvm: bool
) -> list[str]:
    """The argv that powers the machine on with its network cards on the taps open as `tap_fds`."""
    build = machine.build
    argv = [BINARIES[build.sort.architecture][0], "-name", f"{lab}/{machine.name},debug-threads=on"]
    argv += ["-nodefaults", "-no-user-config", "-display", "none"]
    argv += _board(build, kvm=kvm)
    argv += ["-smp", "1", "-m", str(build.memory)]
    # A machine that powers itself off waits for `lab reset`, as real iron waits for its button.
    argv += ["-action", "shutdown=pause,panic=none"]
    argv += _firmware(build, files, firmware)
    system = f"manufacturer=Bootcart,product=Lab machine ({machine.kind})"
    argv += ["-smbios", f"type=1,{system},serial={machine.serial},uuid={machine.uuid}"]
    argv += ["-smbios", f"type=2,manufacturer=Bootcart,product=Lab board,serial={machine.serial}-B"]
    argv += ["-smbios", f"type=3,manufacturer=Bootcart,serial={machine.serial}-C"]
    argv += ["-uuid", machine.uuid]
    # SeaBIOS takes Debian's ROM only for the modern virtio id; UEFI has a driver of its own and needs no ROM.
    rom = "romfile=" if build.sort.uefi else f"romfile={NETWORK_ROM}"
    order = boot_order(build.boot, build.nics, build.disks)
    for number, (mac, fd) in enumerate(zip(machine.macs, tap_fds, strict=True)):
        argv += ["-netdev", f"tap,id=net{number},fd={fd}"]
        card = f"virtio-net-pci,id=nic{number},netdev=net{number},mac={mac},disable-legacy=on,{rom}"
        argv += ["-device", f"{card},bootindex={order[f'nic{number}']}"]
    for number in range(build.disks):
        argv += ["-drive", f"if=none,id=drive{number},format=raw,file={files.disk(number)},discard=unmap"]
        # A second disk is named after its place; the first keeps the name that a machine with one disk has.
        serial = f"{machine.serial}-D" + (str(number) if number else "")
        disk = f"virtio-blk-pci,id=disk{number},drive=drive{number},serial={serial}"
        argv += ["-device", f"{disk},bootindex={order[f'disk{number}']}" if number == 0 else disk]
    argv += ["-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0"]
    line = f"socket,id=line,path={files.console},server=on,wait=off"
    argv += ["-chardev", f"{line},logfile={files.serial_log},logappend=on"]
    argv += ["-serial", "chardev:line", "-qmp", f"unix:{files.qmp},server=on,wait=off"]
    return argv


def boot_order(first: str, nics: int, disks: int) -> dict[str, int]:
    """QEMU's `bootindex` of each device that firmware tries; only the first disk has anything to boot."""
    cards = [f"nic{number}" for number in range(nics)]
    disk = ["disk0"] if disks else []
    return {device: place for place, device in enumerate([*disk, *cards] if first == "disk" else [*cards, *disk])}


def _board(build: Build, *, kvm: bool) -> list[str]:
    accel = ["-accel", "kvm" if kvm else "tcg,thread=multi"]
    if build.sort.architecture == "arm64":
        # `max` signs every return address, which costs an emulated machine half of its speed.
        return ["-machine", "virt,gic-version=max", *accel, "-cpu", "host" if kvm else "cortex-a57"]
    # The firmware that holds Secure Boot's keys lets only System Management Mode write them.
    smm = ",smm=on" if build.secureboot else ""
    lock = ["-global", "driver=cfi.pflash01,property=secure,value=on"] if build.secureboot else []
    board = f"q35,hpet=off,vmport=off,graphics=off{smm}"
    return ["-machine", board, *lock, *accel, "-cpu", "host" if kvm else "max"]


def _firmware(build: Build, files: Files, firmware: Pair | None) -> list[str]:
    if firmware is None:
        return ["-smbios", "type=0,vendor=Bootcart lab,version=1"]
    argv = ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={firmware.code}"]
    argv += ["-drive", f"if=pflash,unit=1,format=raw,file={files.variables}"]
    # Every way of booting that comes before the wanted one in EDK2's order costs half a minute of waiting.
    pxe = not build.sort.http
    for option, wanted in (("IPv4PXESupport", pxe and build.ip == 4), ("IPv6PXESupport", pxe and build.ip == 6)):
        argv += ["-fw_cfg", f"name=opt/org.tianocore/{option},string={'y' if wanted else 'n'}"]
    return argv
