"""The data directory: its mode, its owner, and the lock that keeps a second engine out."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import stat
from pathlib import Path

from app.errors import BootcartError, ConflictError, UnavailableError

LOCK_NAME = "lock"

_WHY = {
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOSPC: "the disk is full",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: "a part of the path is a file, not a directory",
    errno.EDQUOT: "the disk quota is used up",
}


def _words(error: OSError) -> str:
    return _WHY.get(error.errno or 0, error.strerror or str(error))


# What others may mend while the engine waits: it is started again and again until they have.
_PASSING = frozenset({errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO, errno.ENFILE})


def refusal(error: OSError, message: str, hint: str) -> BootcartError:
    """`error` for an operator: an UnavailableError where it may pass, `message` with its words at the end."""
    kind = UnavailableError if error.errno in _PASSING else BootcartError
    return kind(f"{message}: {_words(error)}", hint=hint)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def prepare_directory(path: Path) -> None:
    """Make `path` a directory of this user with mode 0700. Raises BootcartError that says what stands in the way."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        told = path.stat()
    except FileExistsError:
        raise BootcartError(f"{path} is a file, not a directory", hint="give another --data-dir") from None
    except OSError as error:
        hint = "free space, mend the path or give another --data-dir"
        raise refusal(error, f"the data directory {path} cannot be made", hint) from error
    if not stat.S_ISDIR(told.st_mode):
        raise BootcartError(f"{path} is not a directory", hint="give another --data-dir")
    if told.st_uid != os.geteuid():
        owner, me = _user(told.st_uid), _user(os.geteuid())
        raise BootcartError(
            f"the data directory {path} belongs to {owner}, but the engine runs as {me}",
            hint=f"run it as {owner}, or `chown -R {me} {path}`",
        )
    if stat.S_IMODE(told.st_mode) & 0o077:
        # Leases, tokens and command history are nobody else's business; the owner may always narrow the mode.
        try:
            path.chmod(0o700)
        except OSError as error:
            raise BootcartError(
                f"the data directory {path} is open to other users: {_words(error)}", hint=f"chmod 700 {path}"
            ) from error


def sync_directory(path: Path) -> None:
    """Make renames and new names in `path` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class DirectoryLock:
    """An exclusive flock on `<data_dir>/lock`, held until `release` or the end of the process, however it ends."""

    def __init__(self, data_dir: Path) -> None:
        """Take the lock. Raises ConflictError naming the process that holds it, BootcartError if it cannot be made."""
        path = data_dir / LOCK_NAME
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            hint = "free space, mend its mode or give another --data-dir"
            raise refusal(error, f"the data directory {data_dir} cannot be written", hint) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            named = f"pid {holder}" if holder.isdigit() else "its pid is not known yet"
            raise ConflictError(
                f"another engine ({named}) already uses {data_dir}",
                hint="attach to it with `bootcart`, stop it, or give another --data-dir",
            ) from None
        except OSError as error:
            os.close(self._descriptor)
            raise BootcartError(
                f"{path} cannot be locked: {_words(error)}", hint="keep the data directory on a local file system"
            ) from error
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(self._descriptor)
            raise refusal(error, f"the data directory {data_dir} cannot be written", "free some space") from error

    def release(self) -> None:
        """Let another engine have the directory; the lock file stays, so that nobody locks a removed one."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
