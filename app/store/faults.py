"""What a failing disk or database means, said in words with what to do."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from app.errors import BootcartError, ConflictError, UnavailableError

AGAIN = "the engine goes on by itself as soon as it can write again"
AT_START = "then start the engine again; as a service it tries by itself"

_SAID: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_FULL: ("the disk that holds {where} is full", "free some space; {then}"),
    sqlite3.SQLITE_READONLY: ("{where} cannot be written: it is read-only", "mount its file system writable; {then}"),
    sqlite3.SQLITE_BUSY: (
        "another process keeps {where} locked",
        "`fuser {file}` names it; {then}",
    ),
    sqlite3.SQLITE_IOERR: (
        "the disk that holds {where} reports an input/output error",
        f"look at `dmesg` and check the disk; {AGAIN}",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "{where} cannot be opened",
        "check that its directory exists and belongs to the user the engine runs as",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "{where} is damaged",
        "stop the engine, move the file away and put a backup in its place",
    ),
    sqlite3.SQLITE_NOTADB: (
        "{where} is not a database",
        "move the file away and put a backup in its place",
    ),
}


def free_bytes(path: Path) -> int:
    """Bytes an unprivileged process can still write on the file system of `path`; -1 where that cannot be told.

    0 also where no file can be made any more: the file system has run out of inodes.
    """
    try:
        told = os.statvfs(path if path.exists() else path.parent)
    except OSError:
        return -1
    if told.f_files and not told.f_favail:
        return 0
    return told.f_bavail * told.f_frsize


def _read_only(path: Path) -> bool:
    """The file system of `path` takes no change, as the kernel sees to where it met an error on it."""
    try:
        # What is mounted and how may not tell: only who tries is told.
        os.utime(path.parent)
    except OSError as error:
        return error.errno == errno.EROFS
    return False


def explain(error: BaseException, where: str, path: Path | None = None, then: str = AGAIN) -> BootcartError:
    """`error` from the database as an error for an operator; a BootcartError is returned as it is.

    `where` names the database, `path` is its file where it is one, `then` what follows once the fault is mended.
    """
    if isinstance(error, BootcartError):
        return error
    original: BaseException = error
    if isinstance(error, DBAPIError) and error.orig is not None:
        original = error.orig
    code = getattr(original, "sqlite_errorcode", None)
    if isinstance(original, sqlite3.IntegrityError):
        return ConflictError(f"the store refused it: {original}", hint="another object already has this value")
    if isinstance(code, int):
        primary = code & 0xFF
        # A full disk shows as an input/output error where SQLite cannot extend its shared memory, or cannot make it.
        extending = primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
        if extending and path is not None and 0 <= free_bytes(path) < 65536:
            primary = sqlite3.SQLITE_FULL
        elif extending and path is not None and _read_only(path):
            # Files that were open before report no more than that writing failed.
            primary = sqlite3.SQLITE_READONLY
        if primary in _SAID:
            message, hint = _SAID[primary]
            return UnavailableError(message.format(where=where), hint=hint.format(file=path or "FILE", then=then))
    return UnavailableError(f"{where} failed: {str(original) or type(original).__name__}", hint=then)
