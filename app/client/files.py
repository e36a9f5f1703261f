"""Files over the engine's socket: downloads and tus uploads stream, whatever their size."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterable, AsyncIterator
from urllib.parse import quote

from app.client.wire import Wire, model_of, page_of, params_of
from app.errors import NotFoundError
from app.model.file import File, Upload
from app.model.query import Page, Query

_TUS = {"Tus-Resumable": "1.0.0"}
STORE_SECONDS = 900.0
"""How long the engine may take to bring the end of a large file to disk."""


class HttpFiles:
    """The noun `files`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def list(self, query: Query | None = None) -> Page[File]:
        return page_of(File, await self._wire.ask("GET", "files", params=params_of(query)))

    async def show(self, key: str) -> File:
        return model_of(File, await self._wire.ask("GET", _path("files", key)))

    async def delete(self, key: str, *, recursive: bool = False) -> None:
        params = [("recursive", "true")] if recursive else []
        await self._wire.ask("DELETE", _path("files", key.rstrip("/")), params=params)

    async def download(self, key: str) -> AsyncIterator[bytes]:
        async with self._wire.octets(_path("downloads", key)) as parts:
            async for part in parts:
                yield part

    async def unfinished(self, query: Query | None = None) -> Page[Upload]:
        return page_of(Upload, await self._wire.ask("GET", "uploads", params=params_of(query)))

    async def begin(self, name: str, size: int, *, sha256: str = "", replace: bool = False) -> str:
        told = [f"name {_base64(name)}", *([f"sha256 {_base64(sha256)}"] if sha256 else [])]
        headers = {**_TUS, "Upload-Length": str(size), "Upload-Metadata": ",".join(told + ["replace"] * replace)}
        said = await self._wire.send("POST", "uploads", headers)
        return said.get("location", "").rpartition("/")[2]

    async def offset(self, key: str) -> int:
        return int((await self._wire.send("HEAD", f"uploads/{quote(key, safe='')}", _TUS))["upload-offset"])

    async def send(self, key: str, offset: int, content: AsyncIterable[bytes], *, sha256: str = "") -> int:
        headers = {**_TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        if sha256:
            headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"
        path = f"uploads/{quote(key, safe='')}"
        said = await self._wire.send("PATCH", path, headers, content, seconds=STORE_SECONDS)
        return int(said["upload-offset"])

    async def abandon(self, key: str) -> None:
        await self._wire.send("DELETE", f"uploads/{quote(key, safe='')}", _TUS)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _path(noun: str, key: str) -> str:
    """The path of one file. Raises NotFoundError for a key no file can have."""
    name = key.removeprefix("Name:")
    if not name.strip() or any(part in ("", ".", "..") for part in name.split("/")):
        raise NotFoundError(f"no file {key!r}", hint="see: bootcart files list")
    return f"{noun}/{quote(name)}"
