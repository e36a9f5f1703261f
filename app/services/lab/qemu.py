"""QEMU's command line for each machine kind; pure, so that it can be read in a test as it will be run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.services.lab.plan import MachineSpec

BINARY = "qemu-system-x86_64"
ROM = Path("/usr/lib/ipxe/qemu/pxe-virtio.rom")
OVMF_PAIRS: tuple[tuple[Path, Path], ...] = tuple(
    (Path("/usr/share/OVMF", code), Path("/usr/share/OVMF", variables))
    for code, variables in (("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"), ("OVMF_CODE.fd", "OVMF_VARS.fd"))
)

# Every way of booting that comes before the wanted one in OVMF's order costs half a minute of waiting.
_UEFI_NETWORK = {
    "uefi": {"IPv4PXESupport": "y", "IPv6PXESupport": "n"},
    "uefi-http": {"IPv4PXESupport": "n", "IPv6PXESupport": "n"},
}


@dataclass(frozen=True, slots=True)
class Files:
    """Where one machine's files lie; `variables` is its copy of the UEFI variable store."""

    folder: Path
    ovmf_code: Path | None = None

    @property
    def disk(self) -> Path:
        return self.folder / "disk.raw"

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


def firmware() -> tuple[Path, Path] | None:
    """OVMF's code and its empty variable store, where they are installed."""
    for code, variables in OVMF_PAIRS:
        if code.is_file() and variables.is_file():
            return code, variables
    return None


def command(machine: MachineSpec, files: Files, tap_fd: int, *, lab: str, kvm: bool) -> list[str]:
    """The argv that powers the machine on with its network card on the tap open as `tap_fd`."""
    argv = [BINARY, "-name", f"{lab}/{machine.name},debug-threads=on"]
    argv += ["-nodefaults", "-no-user-config", "-display", "none"]
    argv += ["-machine", "q35,hpet=off,vmport=off,graphics=off", "-accel", "kvm" if kvm else "tcg,thread=multi"]
    argv += ["-cpu", "host" if kvm else "max", "-smp", "1", "-m", str(machine.memory)]
    # A machine that powers itself off waits for `lab reset`, as real iron waits for its button.
    argv += ["-action", "shutdown=pause,panic=none"]
    if machine.uefi:
        argv += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={files.ovmf_code}"]
        argv += ["-drive", f"if=pflash,unit=1,format=raw,file={files.variables}"]
        for option, value in _UEFI_NETWORK[machine.kind].items():
            argv += ["-fw_cfg", f"name=opt/org.tianocore/{option},string={value}"]
    argv += ["-smbios", "type=0,vendor=Bootcart lab,version=1"] if not machine.uefi else []
    system = f"manufacturer=Bootcart,product=Lab machine ({machine.kind})"
    argv += ["-smbios", f"type=1,{system},serial={machine.serial},uuid={machine.uuid}"]
    argv += ["-smbios", f"type=2,manufacturer=Bootcart,product=Lab board,serial={machine.serial}-B"]
    argv += ["-smbios", f"type=3,manufacturer=Bootcart,serial={machine.serial}-C"]
    argv += ["-uuid", machine.uuid]
    # SeaBIOS takes Debian's ROM only for the modern virtio id; OVMF has a driver of its own and needs no ROM.
    rom = f"romfile={ROM}" if not machine.uefi else "romfile="
    argv += ["-netdev", f"tap,id=net0,fd={tap_fd}"]
    argv += ["-device", f"virtio-net-pci,netdev=net0,mac={machine.mac},disable-legacy=on,{rom},bootindex=0"]
    argv += ["-drive", f"if=none,id=disk0,format=raw,file={files.disk},discard=unmap"]
    argv += ["-device", f"virtio-blk-pci,drive=disk0,serial={machine.serial}-D,bootindex=1"]
    argv += ["-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0"]
    line = f"socket,id=line,path={files.console},server=on,wait=off"
    argv += ["-chardev", f"{line},logfile={files.serial_log},logappend=on"]
    argv += ["-serial", "chardev:line", "-qmp", f"unix:{files.qmp},server=on,wait=off"]
    return argv
