"""The shelf: whole files under a root of their own, each with the checksum of what was received."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from app.errors import BootcartError, ConflictError, InvalidError, NotFoundError
from app.model.file import File
from app.netboot.bootpath import BadPathError, normalise
from app.store.place import refusal, sync_directory

PREFIX = "files"
"""Where the boot tree shows the shelf."""
NAME_MAX = 1000
"""Bytes; with the prefix it is a path of the boot tree."""


def checked_name(text: str) -> str:
    """The name if it can be one. Raises InvalidError for a path that climbs, hides something or is written oddly."""
    try:
        name = normalise(text)
    except BadPathError as error:
        raise InvalidError(
            f"{text!r} cannot be a file's name: {error}", hint="for example linux/vmlinuz", field="name"
        ) from None
    if not name:
        raise InvalidError("a file needs a name", hint="for example linux/vmlinuz", field="name")
    if name != text:
        raise InvalidError(f"{text!r} is not written as a name is", hint=f"write it as {name}", field="name")
    if len(name.encode()) > NAME_MAX:
        raise InvalidError(f"the name is longer than {NAME_MAX} bytes", hint="give a shorter one", field="name")
    return name


def alike(text: str) -> str:
    """What is the same for names that firmware may take for each other."""
    return unicodedata.normalize("NFC", text).casefold()


class Shelf:
    """The files of one engine. Any thread may call; every method blocks."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made when the first file comes; `folder/tree` is what machines may read."""
        self.folder = folder
        self.root = folder / "tree"
        self._sums = folder / "sums"
        self._lock = threading.RLock()

    # --- reading ------------------------------------------------------------------------------------------------------

    def listing(self) -> list[File]:
        """All files by name."""
        return [self._told(name, status) for name, status in sorted(self._walk(self.root, ""))]

    def _walk(self, folder: Path, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
        try:
            entries = list(os.scandir(folder))
        except OSError:  # there is none yet, or no more
            return
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    yield from self._walk(folder / entry.name, f"{prefix}{entry.name}/")
                elif entry.is_file(follow_symlinks=False):
                    yield prefix + entry.name, entry.stat(follow_symlinks=False)
            except OSError:  # gone since
                continue

    def show(self, key: str) -> File:
        """The file of this name (`Name:` may stand before it). Raises NotFoundError."""
        name = key.removeprefix("Name:")
        found = self._status(name)
        if found is None or not stat.S_ISREG(found.st_mode):
            raise NotFoundError(f"no file {name!r}", hint="see: bootcart files list")
        return self._told(name, found)

    def path(self, key: str) -> Path:
        """Where the content of a file is. Raises NotFoundError."""
        return self.root / self.show(key).name

    def _status(self, name: str) -> os.stat_result | None:
        """What has this name, no link followed; None where nothing has."""
        try:
            checked_name(name)
            at, found = self.root, self.root.lstat()
            for part in name.split("/"):
                if not stat.S_ISDIR(found.st_mode):
                    return None
                at /= part
                found = at.lstat()
        except (OSError, InvalidError):
            return None
        return found

    def _told(self, name: str, status: os.stat_result) -> File:
        return File(name=name, size=status.st_size, modified=status.st_mtime, sha256=self._sum(name, status))

    def _sum(self, name: str, status: os.stat_result) -> str:
        """The checksum that was noted; empty where the file is not the one it was noted of."""
        try:
            noted, size, modified = self._note(name).read_text().split()
        except (OSError, ValueError):
            return ""
        return noted if (int(size), int(modified)) == (status.st_size, status.st_mtime_ns) else ""

    def _note(self, name: str) -> Path:
        return self._sums / hashlib.sha256(name.encode()).hexdigest()

    # --- changing -----------------------------------------------------------------------------------------------------

    def check_free(self, name: str, *, replace: bool) -> None:
        """Raise InvalidError or ConflictError where a file cannot be put under this name."""
        checked_name(name)
        at, done = self.root, ""
        parts = name.split("/")
        for place, part in enumerate(parts):
            last = place == len(parts) - 1
            try:
                status = (at / part).lstat()
            except FileNotFoundError:
                self._check_case(at, part, done)
                return
            except OSError as error:
                raise refusal(error, f"{name} cannot be looked for", "mend the data directory") from error
            done = f"{done}/{part}".lstrip("/")
            if not last and not stat.S_ISDIR(status.st_mode):
                raise ConflictError(f"{done} is a file, not a directory", hint="choose another name", field="name")
            if last and not stat.S_ISREG(status.st_mode):
                raise ConflictError(f"{done} is a directory", hint="choose another name", field="name")
            if last and not replace:
                raise ConflictError(
                    f"there is a file {name} already", hint="give --replace to put this one in its place", field="name"
                )
            at /= part

    @staticmethod
    def _check_case(folder: Path, part: str, prefix: str) -> None:
        try:
            with os.scandir(folder) as entries:
                other = next((entry.name for entry in entries if alike(entry.name) == alike(part)), None)
        except FileNotFoundError:
            return
        if other is not None:
            there = f"{prefix}/{other}".lstrip("/")
            why = f"{there} is there, which differs in capitals alone: not every firmware tells them apart"
            raise ConflictError(why, hint="choose another name", field="name")

    def put(self, draft: Path, name: str, sha256: str, *, replace: bool) -> File:
        """Move a whole, synced file of the same file system to its name, at once and for good.

        Raises ConflictError where something is in the way, UnavailableError where the disk does not take it.
        """
        with self._lock:
            self.check_free(name, replace=replace)
            target = self.root / name
            try:
                self._make(target.parent)
                self._sums.mkdir(mode=0o700, parents=True, exist_ok=True)
                status = draft.stat()
                # Noted first: a note of a file that does not come to its name is a note of nothing.
                self._note(name).write_text(f"{sha256} {status.st_size} {status.st_mtime_ns}\n")
                if replace:
                    draft.replace(target)
                else:
                    target.hardlink_to(draft)
                    draft.unlink()
                sync_directory(target.parent)
            except FileExistsError:
                raise ConflictError(f"there is a file {name} already", hint="give --replace", field="name") from None
            except OSError as error:
                raise refusal(
                    error, f"{name} cannot be put in its place", "free some space and send the rest again"
                ) from error
            return self._told(name, target.stat())

    def _make(self, folder: Path) -> None:
        """Make a directory and what is above it, durably."""
        missing: list[Path] = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for each in reversed(missing):
            each.mkdir(mode=0o700, exist_ok=True)
            sync_directory(each.parent)

    def delete(self, key: str, *, recursive: bool = False) -> list[str]:
        """Delete a file, or with `recursive` a directory and all in it; the names that are gone.

        Raises NotFoundError, ConflictError for a directory without `recursive`.
        """
        name = key.removeprefix("Name:").rstrip("/")
        with self._lock:
            status = self._status(name)
            if status is None or not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
                raise NotFoundError(f"no file {name!r}", hint="see: bootcart files list")
            target = self.root / name
            try:
                if stat.S_ISDIR(status.st_mode):
                    gone = [each for each, _ in sorted(self._walk(target, f"{name}/"))]
                    if not recursive:
                        said = f"{name} is a directory with {len(gone)} files"
                        raise ConflictError(said, hint="give --recursive to delete all of them")
                    shutil.rmtree(target)
                else:
                    gone = [name]
                    target.unlink()
                for each in gone:
                    self._note(each).unlink(missing_ok=True)
                self._tidy(target.parent)
            except OSError as error:
                raise BootcartError(
                    f"{name} cannot be deleted: {error.strerror}", hint="mend the data directory"
                ) from error
            return gone

    def _tidy(self, folder: Path) -> None:
        """Directories that hold nothing go with the last file."""
        while folder != self.root and folder.is_relative_to(self.root):
            try:
                folder.rmdir()
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise
                break
            folder = folder.parent
        sync_directory(folder)
