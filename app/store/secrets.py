"""Keys of this appliance: made once, in files only the engine's user can read."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from app.errors import BootcartError
from app.store.place import refusal, sync_directory

FOLDER = "secrets"
TOKEN_KEY = "token.key"  # noqa: S105  a file name
KEY_BYTES = 32


SEAL_KEY = "seal.key"


def token_key(data_dir: Path) -> bytes:
    """The key that signs machines' tokens, `<data_dir>/secrets/token.key`; made when there is none.

    Raises BootcartError when the file is readable by others, of another user, empty or of another length.
    """
    return _key(data_dir, TOKEN_KEY, "machines that run must boot again")


def seal_key(data_dir: Path) -> bytes:
    """The key that other secrets on this disk are encrypted with, `<data_dir>/secrets/seal.key`; as `token_key`."""
    return _key(data_dir, SEAL_KEY, "what it sealed cannot be read any more")


def _key(data_dir: Path, name: str, loss: str) -> bytes:
    folder = data_dir / FOLDER
    path = folder / name
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        own(folder, 0o700)
        if not path.exists() and not path.is_symlink():
            _make(path)
        own(path, 0o600)
        key = path.read_bytes()
    except OSError as error:
        hint = "free space, or mend the mode of its directory"
        raise refusal(error, f"the key {path} cannot be read or made", hint) from error
    if len(key) != KEY_BYTES:
        said = "is empty" if not key else f"has {len(key)} bytes instead of {KEY_BYTES}"
        raise BootcartError(
            f"the key {path} {said}",
            hint=f"restore it from a backup, or delete it: a new one is made, and {loss}",
        )
    return key


def own(path: Path, mode: int) -> None:
    """Raise BootcartError where others may read a secret or its directory, or it is not this user's."""
    told = path.lstat()
    if stat.S_ISLNK(told.st_mode):
        raise BootcartError(f"{path} is a symbolic link", hint="put the file itself there")
    if told.st_uid != os.geteuid():
        raise BootcartError(f"{path} belongs to another user", hint=f"chown it to uid {os.geteuid()}")
    if stat.S_IMODE(told.st_mode) & 0o077:
        raise BootcartError(
            f"{path} has mode {stat.S_IMODE(told.st_mode):o}: others may read it",
            hint=f"chmod {mode:o} {path}; if others did read it, delete it to have a new one made",
        )


def _make(path: Path) -> None:
    """Write the whole key under another name first, so that a kill leaves no half of one."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(descriptor)
        try:
            # Unlike a rename, a link does not replace a key that somebody else made meanwhile.
            os.link(draft, path)
        except FileExistsError:
            return
        sync_directory(path.parent)
    finally:
        draft.unlink(missing_ok=True)
