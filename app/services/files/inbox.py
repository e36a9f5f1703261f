"""The inbox: uploads that come in pieces, go on where they stopped, and are a file only when they are whole.

What is here of an upload is the length of its draft, so a killed engine loses no more than what was on its way.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.clock import Clock
from app.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from app.model.event import EventDraft
from app.model.file import File, Upload
from app.model.inert import inert
from app.model.sizes import decimal
from app.services.files.shelf import Shelf, alike
from app.store.place import refusal

RESERVE = 256 << 20
"""Bytes of the disk that uploads leave: leases need it more."""
KEEP_SECONDS = 24 * 3600.0
"""How long a draft waits for its rest."""
SWEEP_SECONDS = 600.0
DRAFTS_MAX = 256
SIZE_MAX = 1 << 44
_READ = 1 << 20


@dataclass(slots=True)
class _Draft:
    """One unfinished upload; `lock` is held by whoever sends."""

    id: str
    name: str
    size: int
    actor: str
    began: float
    sha256: str = ""
    replace: bool = False
    offset: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    digest: Any = None
    """Over what is here; None where another engine took some of it."""


class Inbox:
    """The drafts of one engine. Any thread may call; every method blocks."""

    def __init__(
        self, shelf: Shelf, emit: Callable[[EventDraft], None], clock: Clock, *, reserve: int = RESERVE
    ) -> None:
        self.shelf = shelf
        self._folder = shelf.folder / "drafts"
        self._emit = emit
        self._clock = clock
        self._reserve = reserve
        self._lock = threading.RLock()
        self._drafts: dict[str, _Draft] | None = None

    # --- what is there ------------------------------------------------------------------------------------------------

    def uploads(self) -> list[Upload]:
        """All that have not come to their end, by name."""
        self.sweep()
        with self._lock:
            return sorted((self._told(draft) for draft in self._known().values()), key=lambda each: each.name)

    def show(self, key: str) -> Upload:
        """One of them. Raises NotFoundError."""
        return self._told(self._draft(key))

    def _told(self, draft: _Draft) -> Upload:
        return Upload(
            id=draft.id,
            name=draft.name,
            size=draft.size,
            offset=draft.offset,
            actor=draft.actor,
            began=draft.began,
            expires=self._touched(draft) + KEEP_SECONDS,
            sending=draft.lock.locked(),
        )

    def _touched(self, draft: _Draft) -> float:
        try:
            return self._part(draft.id).stat().st_mtime
        except OSError:
            return draft.began

    def _part(self, key: str) -> Path:
        return self._folder / f"{key}.part"

    def _facts(self, key: str) -> Path:
        return self._folder / f"{key}.json"

    def _draft(self, key: str) -> _Draft:
        with self._lock:
            found = self._known().get(key)
        if found is None:
            raise NotFoundError("there is no such upload any more", hint="begin it anew")
        return found

    def _known(self) -> dict[str, _Draft]:
        """The drafts; read from disk when first asked."""
        if self._drafts is None:
            self._drafts = {}
            for facts in self._folder.glob("*.json"):
                with contextlib.suppress(OSError, ValueError, TypeError):
                    draft = _Draft(**json.loads(facts.read_text()))
                    draft.offset = self._part(draft.id).stat().st_size
                    self._drafts[draft.id] = draft
        return self._drafts

    # --- an upload's life ---------------------------------------------------------------------------------------------

    def begin(self, actor: str, name: str, size: int, *, sha256: str = "", replace: bool = False) -> Upload:
        """Make room for a file of this size. Raises InvalidError, ConflictError, UnavailableError where it is none."""
        if not 0 <= size <= SIZE_MAX:
            raise InvalidError(f"{size} is no file's size", hint="give its length in bytes", field="size")
        self.shelf.check_free(name, replace=replace)
        self.sweep()
        with self._lock:
            known = self._known()
            other = next((each for each in known.values() if alike(each.name) == alike(name)), None)
            if other is not None:
                here = f"{decimal(other.offset)} of {decimal(other.size)} are here"
                said = f"{other.actor} is uploading {other.name}: {here}"
                raise ConflictError(said, hint="let it end, or give --restart to throw it away", field="name")
            if len(known) >= DRAFTS_MAX:
                hint = "finish them or throw them away: bootcart files unfinished"
                raise ConflictError(f"{DRAFTS_MAX} uploads have not come to their end", hint=hint)
            draft = _Draft(secrets.token_hex(16), name, size, actor, self._clock.now(), sha256, replace)
            draft.digest = hashlib.sha256()
            try:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._check_room(draft, size)
                facts = {
                    each: getattr(draft, each) for each in ("id", "name", "size", "actor", "began", "sha256", "replace")
                }
                self._part(draft.id).touch(mode=0o600, exist_ok=False)
                self._facts(draft.id).write_text(json.dumps(facts))
            except OSError as error:
                self._drop(draft)
                raise refusal(error, f"{name} cannot be taken", "free some space") from error
            known[draft.id] = draft
        return self._told(draft)

    def _check_room(self, draft: _Draft, count: int) -> None:
        """Raise UnavailableError where writing so many bytes would take what others need."""
        told = os.statvfs(self._folder)
        free = told.f_bavail * told.f_frsize - self._reserve
        if count > free:
            left = f"{decimal(max(0, free))} are left for files"
            raise UnavailableError(
                f"the disk is full: {inert(draft.name)} needs {decimal(count)} more, {left}",
                hint=f"{decimal(draft.offset)} of it are kept for a day: free some space and call it again to go on",
            )

    def open(self, key: str, offset: int, count: int | None = None) -> Sending:
        """Take more of an upload, beginning at `offset`; `count`: bytes that are to come, where that is known.

        Raises NotFoundError, ConflictError where that is not where it stands or somebody else sends it.
        """
        draft = self._draft(key)
        if not draft.lock.acquire(blocking=False):
            raise ConflictError(f"{draft.name} is being sent by somebody else", hint="let it end")
        try:
            if key not in self._known():
                raise NotFoundError("there is no such upload any more", hint="begin it anew")
            if offset != draft.offset:
                raise ConflictError(f"{draft.offset} bytes are here, not {offset}", hint="go on there", field="offset")
            if count is not None and offset + count > draft.size:
                raise InvalidError(
                    f"that is more than the {draft.size} bytes of the file", hint="send no more than that"
                )
            file = os.open(self._part(key), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            draft.lock.release()
            raise refusal(error, f"{draft.name} cannot be written", "free some space and call it again") from error
        except BaseException:
            draft.lock.release()
            raise
        return Sending(self, draft, file)

    def take(self, draft: _Draft, file: int, octets: bytes) -> None:
        """Append to a draft. Raises UnavailableError where the disk is full: what fitted is kept."""
        if draft.offset + len(octets) > draft.size:
            raise InvalidError(f"that is more than the {draft.size} bytes of the file", hint="send no more than that")
        self._check_room(draft, len(octets))
        left = memoryview(octets)
        while left:
            try:
                count = os.write(file, left)
            except OSError as error:
                hint = f"{decimal(draft.offset)} of it are kept for a day: free some space and call it again to go on"
                raise refusal(error, f"{draft.name} cannot be written", hint) from error
            if draft.digest is not None:
                draft.digest.update(left[:count])
            draft.offset += count
            left = left[count:]

    def finish(self, draft: _Draft, file: int, actor: str, sha256: str) -> File:
        """Check a whole draft and make it a file. Raises InvalidError where it is not what was to be sent."""
        try:
            os.utime(file)
            os.fsync(file)
            got = draft.digest.hexdigest() if draft.digest is not None else self._read(draft)
        except OSError as error:
            raise refusal(error, f"{draft.name} cannot be stored", "mend the disk and call it again") from error
        for wanted in (draft.sha256, sha256):
            if wanted and wanted.lower() != got:
                self._drop(draft)
                said = f"what came of {draft.name} has the SHA-256 {got}, not {wanted.lower()}"
                raise InvalidError(said, hint="nothing of it is kept; upload it again", field="sha256")
        made = self.shelf.put(self._part(draft.id), draft.name, got, replace=draft.replace)
        self._drop(draft)
        self._audit("create", actor, draft.name, f"uploaded {inert(draft.name)} ({decimal(draft.size)}, SHA-256 {got})")
        return made

    def _read(self, draft: _Draft) -> str:
        digest = hashlib.sha256()
        with self._part(draft.id).open("rb") as whole:
            while octets := whole.read(_READ):
                digest.update(octets)
        return digest.hexdigest()

    def abandon(self, actor: str, key: str) -> None:
        """Throw an upload away. Raises NotFoundError, ConflictError while somebody sends it."""
        draft = self._draft(key)
        if not draft.lock.acquire(blocking=False):
            raise ConflictError(f"{draft.name} is being sent at the moment", hint="end that first")
        try:
            self._drop(draft)
        finally:
            draft.lock.release()
        self._audit("delete", actor, draft.name, f"threw away the upload of {inert(draft.name)}")

    def _drop(self, draft: _Draft) -> None:
        with self._lock:
            self._known().pop(draft.id, None)
        for path in (self._facts(draft.id), self._part(draft.id)):
            with contextlib.suppress(OSError):
                path.unlink()

    def delete(self, actor: str, key: str, *, recursive: bool = False) -> None:
        """Delete a file of the shelf, or a directory. Raises NotFoundError, ConflictError."""
        for name in self.shelf.delete(key, recursive=recursive):
            self._audit("delete", actor, name, f"deleted {inert(name)}")

    def _audit(self, what: str, actor: str, name: str, said: str) -> None:
        facts = {"noun": "files", "key": name}
        message = f"{actor}: {said}"
        self._emit(EventDraft(time=self._clock.now(), kind=f"audit.{what}", message=message, actor=actor, data=facts))

    # --- what nobody finishes -----------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Throw away what nobody went on with for KEEP_SECONDS."""
        now = self._clock.now()
        with self._lock:
            left = [each for each in self._known().values() if self._touched(each) + KEEP_SECONDS < now]
            known = set(self._known())
        for draft in left:
            if draft.lock.acquire(blocking=False):
                try:
                    self._drop(draft)
                finally:
                    draft.lock.release()
                said = f"nobody went on with the upload of {inert(draft.name)} for a day"
                self._audit("delete", draft.actor, draft.name, said)
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                # A kill between the two files of an upload leaves one.
                if path.stem not in known and path.stat().st_mtime + KEEP_SECONDS < now:
                    path.unlink()

    async def run(self) -> None:
        """Sweep now and then, until cancelled."""
        while True:
            await asyncio.to_thread(self.sweep)
            await asyncio.sleep(SWEEP_SECONDS)


class Sending:
    """An upload while some of it comes; `close` it in any case."""

    def __init__(self, inbox: Inbox, draft: _Draft, file: int) -> None:
        self._inbox = inbox
        self._draft = draft
        self._file = file

    @property
    def offset(self) -> int:
        """Bytes that are here."""
        return self._draft.offset

    def write(self, octets: bytes) -> None:
        """Append. Raises InvalidError for more than was announced, UnavailableError where the disk is full."""
        self._inbox.take(self._draft, self._file, octets)

    def end(self, actor: str, sha256: str = "") -> File | None:
        """The file, once all is here; None: some is missing. Raises InvalidError where the checksum is another."""
        if self._draft.offset < self._draft.size:
            return None
        return self._inbox.finish(self._draft, self._file, actor, sha256)

    def close(self) -> None:
        """Let others send."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            self._draft.lock.release()
