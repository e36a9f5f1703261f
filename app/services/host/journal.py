"""What was done to the host, on disk before it is done: a file only root writes, whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from app.errors import BootcartError, ForbiddenError
from app.model.fields import Model
from app.services.host.changes import LASTING, Change

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SIZE_MAX = 1024 * 1024


class Record(Model):
    """Changes in the order they were made, and the boot of the host they were made in."""

    boot: str
    changes: tuple[Change, ...] = Field(default=())


def boot_id() -> str:
    """A name for this boot of the host (random(4))."""
    return BOOT_ID.read_text().strip()


class Journal:
    """The file of done changes."""

    def __init__(self, path: Path, boot: str | None = None) -> None:
        self.path = path
        self.boot = boot_id() if boot is None else boot

    def changes(self) -> tuple[Change, ...]:
        """What still stands, oldest first: after a reboot only what a reboot does not undo.

        Raises ForbiddenError when another user could have written the file, BootcartError when it is not a record.
        """
        raw = read_private(self.path, os.geteuid())
        if raw is None:
            return ()
        try:
            record = Record.model_validate_json(raw)
        except ValidationError as error:
            raise BootcartError(
                f"{self.path} is not a record of changes: {error.errors()[0]['msg']}",
                hint="look at it; remove it once the host is as you want it",
            ) from error
        if record.boot == self.boot:
            return record.changes
        return tuple(change for change in record.changes if isinstance(change, LASTING))

    def write(self, changes: Sequence[Change]) -> None:
        """Replace the record; it is on disk when this returns. No changes: no file."""
        if not changes:
            self.path.unlink(missing_ok=True)
        else:
            record = Record(boot=self.boot, changes=tuple(changes))
            fresh = self.path.with_name(self.path.name + ".new")
            fresh.unlink(missing_ok=True)
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(record.model_dump_json(indent=1).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, self.path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read_private(path: Path, owner: int) -> bytes | None:
    """A regular file that belongs to `owner` and that nobody else may write; None where there is none.

    Never follows a link in the last component and never waits (for a pipe's other end). Raises ForbiddenError.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ForbiddenError(f"{path} cannot be read: {error.strerror}", hint="it must be a plain file") from error
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != owner or found.st_mode & 0o022:
            raise ForbiddenError(
                f"{path} is not a plain file that user {owner} alone may write", hint="it is not trusted; remove it"
            )
        if found.st_size > SIZE_MAX:
            raise ForbiddenError(f"{path} is larger than {SIZE_MAX} bytes", hint="it is not trusted; remove it")
        return os.read(handle, SIZE_MAX)
    finally:
        os.close(handle)
