"""What a lab has on disk: `state.json`, written atomically, and a lock that its keeper holds as long as it lives."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from app.errors import BootcartError, ConflictError, ForbiddenError, NotFoundError
from app.services.lab.plan import DEFAULT_DIRECTORY
from app.services.lab.process import Process

STARTING, UP, STOPPING = "starting", "up", "stopping"
_STATE = "state.json"
# What tells a lab's folder from any other: only such a folder is ever removed, wherever BOOTCART_LAB_DIR points.
_LOCK = "bootcart-lab.lock"


@dataclass(frozen=True, slots=True)
class MachineState:
    """A machine as the keeper runs it; `process` is QEMU."""

    name: str
    kind: str
    mac: str
    serial: str
    uuid: str
    marker: str
    folder: str
    nics: int = 1
    disks: int = 1
    process: Process | None = None
    started: float = 0.0
    ended: str = ""

    @property
    def console(self) -> Path:
        """Unix socket of its serial line."""
        return Path(self.folder, "console.sock")

    @property
    def qmp(self) -> Path:
        """Unix socket of QEMU's control protocol."""
        return Path(self.folder, "qmp.sock")

    @property
    def serial_log(self) -> Path:
        """Everything it has written to its serial line."""
        return Path(self.folder, "serial.log")


@dataclass(frozen=True, slots=True)
class LabState:
    """One lab: where it is in its life, who keeps it, what belongs to it."""

    name: str
    phase: str
    namespaces: tuple[str, ...]
    keeper: Process | None = None
    leash: Process | None = None
    """The command this lab lives and dies with; None: it stays until `lab down`."""
    engine: Process | None = None
    socket: str = ""
    cidr: str = ""
    user: str = ""
    created: float = 0.0
    machines: tuple[MachineState, ...] = ()

    @property
    def all_processes(self) -> tuple[Process, ...]:
        """Everything recorded except the keeper."""
        found = [self.engine, *(machine.process for machine in self.machines)]
        return tuple(process for process in found if process is not None)

    def with_machine(self, machine: MachineState) -> LabState:
        """The same lab with this machine's record replaced."""
        return replace(self, machines=tuple(machine if old.name == machine.name else old for old in self.machines))


def lab_directory() -> Path:
    """Where labs live: `BOOTCART_LAB_DIR`, else `/run/bootcart/lab`.

    What is in it decides what root ends and removes, and the engine may make files beside it: raises ForbiddenError
    where it belongs to anybody but root and the caller.
    """
    found = Path(os.environ.get("BOOTCART_LAB_DIR") or DEFAULT_DIRECTORY).absolute()
    try:
        owner = found.lstat().st_uid
    except OSError:  # it is not there yet, or not for us to see
        return found
    if str(owner) not in ("0", str(os.geteuid()), os.environ.get("SUDO_UID", "")):
        raise ForbiddenError(
            f"{found} belongs to user {owner} and is not trusted with labs",
            hint="look who made it and remove it, or give another BOOTCART_LAB_DIR",
        )
    return found


_STATE_FORM = TypeAdapter(LabState)


def encode(state: LabState) -> str:
    """`state` as JSON."""
    return _STATE_FORM.dump_json(state, indent=1).decode() + "\n"


def decode(text: str) -> LabState:
    """The inverse of `encode`; raises ValueError for a file that is not ours."""
    return _STATE_FORM.validate_json(text)


def write(folder: Path, state: LabState) -> None:
    """Replace `state.json`: a reader, or a kill at any moment, sees the old file or the new one."""
    path = folder / _STATE
    fresh = folder / f".{_STATE}.{os.getpid()}"
    with fresh.open("w") as file:
        file.write(encode(state))
        file.flush()
        os.fsync(file.fileno())
    fresh.chmod(0o644)
    fresh.replace(path)


def read(folder: Path) -> LabState | None:
    """The lab of this folder; None when nothing readable was written there yet."""
    try:
        return decode((folder / _STATE).read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        # Half of a file cannot come from us; whoever reaps treats it like a lab that never got to write.
        return None


def load(directory: Path, name: str) -> LabState:
    """The lab of this name; raises NotFoundError."""
    state = read(directory / name)
    if state is None:
        raise NotFoundError(f"no lab {name!r} is up", hint="see `bootcart lab list`; `bootcart lab up` starts one")
    return state


def folders(directory: Path) -> Iterator[Path]:
    """The folder of every lab, half-made ones too; folders that are no lab's are passed over."""
    try:
        entries = sorted(directory.iterdir())
    except FileNotFoundError:
        return
    for entry in entries:
        if is_lab(entry):
            yield entry


def is_lab(folder: Path) -> bool:
    """The folder is a lab's, or is empty as one is that was only just begun."""
    if not folder.is_dir() or folder.is_symlink():
        return False
    try:
        return (folder / _LOCK).exists() or not any(folder.iterdir())
    except FileNotFoundError:  # it was taken down while we looked
        return False


class Lock:
    """The lock of one lab's folder; the kernel lets go of it when its holder dies, however it dies (flock(2))."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _LOCK
        self._fd = -1

    def take(self) -> bool:
        """Take it if nobody has it; raises BootcartError when the folder cannot be written."""
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise BootcartError(f"cannot open {self._path}: {error.strerror}", hint="run this as root") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        # Between open and flock a reaper may have removed the folder: then this is a lock on nothing.
        try:
            current = os.stat(self._path).st_ino == os.fstat(fd).st_ino
        except FileNotFoundError:
            current = False
        if not current:
            os.close(fd)
            return False
        self._fd = fd
        return True

    def release(self) -> None:
        """Let go; harmless when it is not held."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _open_directory(path: Path) -> None:
    # The caller's umask may be 077; the engine and the machines run as another user and must get through.
    if not path.exists():
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o755)


def claim(directory: Path, name: str) -> tuple[Path, Lock]:
    """Make the folder of a new lab and hold its lock. Raises ConflictError when a lab of this name is there."""
    folder = directory / name
    for _ in range(3):
        try:
            _open_directory(directory.parent)
            _open_directory(directory)
            folder.mkdir(exist_ok=True)
            if not is_lab(folder):
                break
            folder.chmod(0o711)
        except OSError as error:
            raise BootcartError(f"cannot make {folder}: {error.strerror}", hint="run this as root") from error
        lock = Lock(folder)
        if lock.take():
            if read(folder) is None:
                return folder, lock
            lock.release()
            break
    raise ConflictError(
        f"a lab {name!r} is there already",
        hint=f"`bootcart lab down {name}` ends it; another NAME makes a second one",
        field="name",
    )
