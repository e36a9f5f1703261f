"""The operator's files: list, show, download, delete; and uploads that go on where they stopped.

Uploads speak tus 1.0.0 (https://tus.io/protocols/resumable-upload: core, creation, expiration, termination), for which
clients exist in every language. Beyond it: a checksum that a client knows beforehand is `sha256` in Upload-Metadata;
one that it knows at the end goes with the last PATCH (Repr-Digest, RFC 9530).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import re
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.requests import ClientDisconnect

from app.api.callers import Caller
from app.api.failures import FAILURES, ShieldedRoute, failure
from app.api.guard import UPLOADS, calling
from app.api.listings import Listing, PageQuery, answer
from app.api.nouns import router_for
from app.api.ports import EnginePort, SendingPort
from app.errors import BootcartError, InvalidError, TimedOutError
from app.model.file import File, Upload

VERSION = "1.0.0"
EXTENSIONS = "creation,expiration,termination"
CONTENT = "application/offset+octet-stream"
SILENCE_SECONDS = 60.0
"""How long a sender may send nothing before others may go on with its upload."""
BLOCK = 1 << 20
"""Bytes that are written at a time; no more of an upload is in memory."""
_HEADERS = {"Tus-Resumable": VERSION, "Cache-Control": "no-store"}
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]{44}):")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class _TusRoute(ShieldedRoute):
    """A route of the tus protocol: its version is told with every answer, and asked of every request."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def versioned(request: Request) -> Response:
            if request.method != "OPTIONS" and request.headers.get("Tus-Resumable", VERSION) != VERSION:
                told = InvalidError(f"this is tus {VERSION}", hint=f"send Tus-Resumable: {VERSION}")
                return failure(told, status=412, headers={"Tus-Version": VERSION, **_HEADERS})
            try:
                reply = await handle(request)
            except BootcartError as error:
                # What is left of the body is not worth reading.
                return failure(error, headers={**_HEADERS, "Connection": "close"})
            reply.headers.update(_HEADERS)
            return reply

        return versioned


def file_routes(engine: EnginePort) -> APIRouter:
    """Files: list, show, delete."""
    router = router_for("files")
    reading, writing = calling("files.read"), calling("files.write")

    @router.get("", response_model=Listing[File], dependencies=[reading], summary="List uploaded files")
    def listed(params: PageQuery) -> Response:
        return answer(engine.files.listing(), params)

    @router.get("/{key:path}", response_model=File, dependencies=[reading], summary="Show one uploaded file")
    def shown(key: str) -> File:
        return engine.files.show(key)

    @router.delete("/{key:path}", status_code=204, summary="Delete a file, or a directory")
    def deleted(
        key: str,
        recursive: Annotated[bool, Query(description="a directory, and all files in it")] = False,
        caller: Caller = writing,
    ) -> None:
        engine.inbox.delete(caller.actor, key, recursive=recursive)

    _ = (listed, shown, deleted)
    return router


def download_routes(engine: EnginePort) -> APIRouter:
    """The content of files."""
    router = APIRouter(prefix="/downloads", tags=["files"], route_class=ShieldedRoute, responses=FAILURES)

    @router.get(
        "/{key:path}",
        response_class=FileResponse,
        dependencies=[calling("files.read")],
        summary="The content of a file; takes ranges",
    )
    def content(key: str) -> FileResponse:
        return FileResponse(engine.files.path(key), media_type="application/octet-stream")

    _ = content
    return router


def upload_routes(engine: EnginePort) -> APIRouter:
    """Uploads, by the tus protocol."""
    router = APIRouter(prefix="/uploads", tags=["files"], route_class=_TusRoute, responses=FAILURES)
    reading, writing = calling("files.read"), calling("files.write")

    @router.options("", status_code=204, dependencies=[reading], summary="What of tus is spoken")
    def spoken() -> Response:
        return Response(status_code=204, headers={"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS})

    @router.get("", response_model=Listing[Upload], dependencies=[reading], summary="List unfinished uploads")
    def listed(params: PageQuery) -> Response:
        return answer(engine.inbox.uploads(), params)

    @router.post("", status_code=201, summary="Begin an upload")
    async def begun(
        upload_length: Annotated[str, Header(description="bytes of the whole file")] = "",
        upload_metadata: Annotated[
            str, Header(description="`name`, also `sha256`, and `replace` for a file that is there; values in base64")
        ] = "",
        caller: Caller = writing,
    ) -> Response:
        told = _metadata(upload_metadata)
        size, name = _number(upload_length, "Upload-Length"), told.get("name") or told.get("filename", "")
        sha256 = told.get("sha256", "")
        if sha256 and not _SHA256.fullmatch(sha256):
            raise InvalidError("that is no SHA-256", hint="64 hexadecimal digits", field="sha256")
        replace = "replace" in told
        made = await asyncio.to_thread(engine.inbox.begin, caller.actor, name, size, sha256=sha256, replace=replace)
        if not size:
            await _ended(engine, made.id, caller)
        return Response(status_code=201, headers={"Location": f"{UPLOADS}{made.id}", **_stand(made, size)})

    @router.head("/{key}", dependencies=[reading], summary="How much of an upload is here")
    def stand(key: str) -> Response:
        found = engine.inbox.show(key)
        return Response(headers={"Upload-Length": str(found.size), **_stand(found, found.offset)})

    @router.patch(
        "/{key}",
        status_code=204,
        summary="Send more of an upload; it is a file once all is here",
        max_body_size=2**63 - 1,
    )
    async def more(
        key: str,
        request: Request,
        upload_offset: Annotated[str, Header(description="where it goes on: what is here already")] = "",
        repr_digest: Annotated[str, Header(description="of the whole file: `sha-256=:base64:`")] = "",
        content_length: Annotated[str, Header()] = "",
        caller: Caller = writing,
    ) -> Response:
        if request.headers.get("Content-Type", "") != CONTENT:
            raise InvalidError("the body is no part of an upload", hint=f"send it as Content-Type: {CONTENT}")
        count = int(content_length) if content_length.isdecimal() else None
        offset, sha256 = _number(upload_offset, "Upload-Offset"), _digest(repr_digest)
        sending = await asyncio.to_thread(engine.inbox.open, key, offset, count)
        try:
            found = engine.inbox.show(key)
            await _received(request, sending)
            # Whoever goes away now has sent all the same.
            await asyncio.shield(asyncio.to_thread(sending.end, caller.actor, sha256))
            return Response(status_code=204, headers=_stand(found, sending.offset))
        finally:
            await asyncio.shield(asyncio.to_thread(sending.close))

    @router.delete("/{key}", status_code=204, summary="Throw an unfinished upload away")
    def abandoned(key: str, caller: Caller = writing) -> Response:
        engine.inbox.abandon(caller.actor, key)
        return Response(status_code=204)

    _ = (spoken, listed, begun, stand, more, abandoned)
    return router


async def _received(request: Request, sending: SendingPort) -> None:
    """Write the body as it comes; what came before it broke off is kept."""
    kept = bytearray()
    parts = aiter(request.stream())
    try:
        with contextlib.suppress(StopAsyncIteration, ClientDisconnect):
            while True:
                async with asyncio.timeout(SILENCE_SECONDS):
                    kept += await anext(parts)
                if len(kept) >= BLOCK:
                    block = bytes(kept)
                    kept.clear()
                    await asyncio.to_thread(sending.write, block)
    except TimeoutError:
        raise TimedOutError(f"nothing came for {SILENCE_SECONDS:.0f} s", hint="call it again to go on") from None
    finally:
        if kept:
            await asyncio.shield(asyncio.to_thread(sending.write, bytes(kept)))


async def _ended(engine: EnginePort, key: str, caller: Caller) -> None:
    """An empty file is whole at once."""
    sending = await asyncio.to_thread(engine.inbox.open, key, 0, 0)
    try:
        await asyncio.to_thread(sending.end, caller.actor)
    finally:
        await asyncio.to_thread(sending.close)


def _stand(upload: Upload, offset: int) -> dict[str, str]:
    expires = formatdate(upload.expires, usegmt=True)
    return {"Upload-Offset": str(offset), "Upload-Expires": expires}


def _number(text: str, name: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise InvalidError(f"{name} is missing or no number", hint="a number of bytes", field=name)
    return int(text)


def _metadata(text: str) -> dict[str, str]:
    """Upload-Metadata: pairs of a key and a value in base64, parted by commas; a value may be missing."""
    told: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key, _, value = pair.partition(" ")
        try:
            told[key] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise InvalidError(
                f"the value of {key} is not base64", hint="see tus 1.0.0", field="Upload-Metadata"
            ) from None
    return told


def _digest(text: str) -> str:
    """The SHA-256 of a Repr-Digest, in hexadecimal; empty where there is none."""
    found = _DIGEST.search(text)
    return base64.b64decode(found[1]).hex() if found is not None else ""
