"""The nouns `files` and `certificates` in memory."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import TYPE_CHECKING

from app.errors import ConflictError, InvalidError, NotFoundError
from app.model.certificate import Certificate
from app.model.file import File, Upload
from app.model.query import Page, Query, apply
from app.services.files.shelf import checked_name

if TYPE_CHECKING:
    from tests.fakes.client import FakeClient

FILES = {"linux/vmlinuz": b"a kernel", "linux/initrd.img": b"its first file system"}


CA = Certificate(
    name="ca",
    subject="CN=Bootcart CA 00c0ffee,O=Bootcart",
    issuer="CN=Bootcart CA 00c0ffee,O=Bootcart",
    not_before=946684800,
    not_after=2524607999,
    sha256="c0ffee" * 10 + "00c0",
)


class FakeCertificates:
    """The appliance's authority; nothing is signed here."""

    def __init__(self, engine: FakeClient) -> None:
        self.engine = engine
        self.items = {CA.name: CA}

    async def list(self, query: Query | None = None) -> Page[Certificate]:
        await self.engine.enter("certificates", "list", query)
        return apply(self.items.values(), query or Query())

    async def show(self, key: str) -> Certificate:
        await self.engine.enter("certificates", "show", key)
        found = self.items.get(key.removeprefix("Name:"))
        if found is None:
            raise NotFoundError(f"no certificate {key!r}", hint="there are: ca, server")
        return found

    async def export(self, form: str = "pem") -> bytes:
        await self.engine.enter("certificates", "export", form)
        return {"pem": b"-----BEGIN CERTIFICATE-----\n", "der": b"\x30\x82", "esl": b"\xa1\x59\xc0\xa5"}[form]


class FakeFiles:
    """Files of a fake engine; `contents` by name."""

    def __init__(self, engine: FakeClient, contents: Mapping[str, bytes]) -> None:
        self.engine = engine
        self.contents = dict(contents)
        self.drafts: dict[str, tuple[Upload, bytearray, str, bool]] = {}

    @property
    def items(self) -> dict[str, File]:
        """The files as they are listed."""
        return {
            name: File(name=name, size=len(octets), modified=self.engine.now, sha256=hashlib.sha256(octets).hexdigest())
            for name, octets in sorted(self.contents.items())
        }

    async def list(self, query: Query | None = None) -> Page[File]:
        await self.engine.enter("files", "list", query)
        return apply(self.items.values(), query or Query())

    async def show(self, key: str) -> File:
        await self.engine.enter("files", "show", key)
        found = self.items.get(key.removeprefix("Name:"))
        if found is None:
            raise NotFoundError(f"no file {key!r}", hint="see: bootcart files list")
        return found

    async def delete(self, key: str, *, recursive: bool = False) -> None:
        await self.engine.enter("files", "delete", key)
        inside = [name for name in self.contents if name.startswith(f"{key.rstrip('/')}/")]
        if inside and not recursive:
            raise ConflictError(f"{key} is a directory with {len(inside)} files", hint="give --recursive")
        if not inside and key not in self.contents:
            raise NotFoundError(f"no file {key!r}", hint="see: bootcart files list")
        for name in inside or [key]:
            del self.contents[name]

    async def download(self, key: str) -> AsyncIterator[bytes]:
        await self.show(key)
        yield self.contents[key.removeprefix("Name:")]

    async def unfinished(self, query: Query | None = None) -> Page[Upload]:
        await self.engine.enter("files", "unfinished", query)
        drafts = (upload.model_copy(update={"offset": len(here)}) for upload, here, _, _ in self.drafts.values())
        return apply(drafts, query or Query())

    async def begin(self, name: str, size: int, *, sha256: str = "", replace: bool = False) -> str:
        await self.engine.enter("files", "begin", name, size)
        if checked_name(name) in self.contents and not replace:
            raise ConflictError(f"there is a file {name} already", hint="give --replace", field="name")
        if any(upload.name == name for upload, *_ in self.drafts.values()):
            raise ConflictError(f"somebody is uploading {name}", hint="let it end", field="name")
        key, now = f"{len(self.engine.calls):032x}", self.engine.now
        upload = Upload(id=key, name=name, size=size, offset=0, actor="user:tester", began=now, expires=now + 86400)
        self.drafts[key] = (upload, bytearray(), sha256, replace)
        if not size:
            self._end(key, "")
        return key

    async def offset(self, key: str) -> int:
        await self.engine.enter("files", "offset", key)
        return len(self._draft(key)[1])

    def _draft(self, key: str) -> tuple[Upload, bytearray, str, bool]:
        if key not in self.drafts:
            raise NotFoundError("there is no such upload any more", hint="begin it anew")
        return self.drafts[key]

    async def send(self, key: str, offset: int, content: AsyncIterable[bytes], *, sha256: str = "") -> int:
        await self.engine.enter("files", "send", key, offset)
        upload, here, _, _ = self._draft(key)
        if offset != len(here):
            raise ConflictError(f"{len(here)} bytes are here, not {offset}", hint="go on there", field="offset")
        async for part in content:
            here += part
        if len(here) == upload.size:
            self._end(key, sha256)
        return len(here)

    def _end(self, key: str, sha256: str) -> None:
        upload, here, promised, _ = self.drafts.pop(key)
        got = hashlib.sha256(here).hexdigest()
        if any(wanted not in ("", got) for wanted in (sha256, promised)):
            raise InvalidError(f"what came of {upload.name} has the SHA-256 {got}", hint="upload it again")
        self.contents[upload.name] = bytes(here)

    async def abandon(self, key: str) -> None:
        await self.engine.enter("files", "abandon", key)
        self._draft(key)
        del self.drafts[key]
