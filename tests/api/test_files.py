"""Uploads by tus 1.0.0, as any of its clients makes them; downloads; what is refused."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator

import httpx
import pytest

from app.api import files as api
from app.api.guard import BODY_MAX
from app.api.listener import ApiListener
from tests.fakes.engine import FakeEngine

TUS = {"Tus-Resumable": "1.0.0"}
PART = {**TUS, "Content-Type": "application/offset+octet-stream"}


def told(**values: str) -> str:
    """Upload-Metadata."""
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}".strip() for key, value in values.items())


async def begun(http: httpx.AsyncClient, name: str, size: int, **more: str) -> str:
    """The URL of a new upload."""
    headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": told(name=name, **more)}
    reply = await http.post("/uploads", headers=headers)
    assert (reply.status_code, reply.headers["Tus-Resumable"]) == (201, "1.0.0"), reply.text
    return reply.headers["Location"].removeprefix("/api/v1")


async def test_what_is_spoken(http: httpx.AsyncClient) -> None:
    reply = await http.options("/uploads")

    assert (reply.status_code, reply.headers["Tus-Version"]) == (204, "1.0.0")
    assert reply.headers["Tus-Extension"] == "creation,expiration,termination"
    wrong = await http.post("/uploads", headers={"Tus-Resumable": "0.2.1", "Upload-Length": "1"})
    assert (wrong.status_code, wrong.headers["Tus-Version"]) == (412, "1.0.0")


async def test_an_upload_in_parts(http: httpx.AsyncClient, engine: FakeEngine) -> None:
    octets = bytes(range(256)) * 30_000
    assert len(octets) > BODY_MAX
    where = await begun(http, "big/image.iso", len(octets))

    first = await http.patch(where, content=octets[:1000], headers={**PART, "Upload-Offset": "0"})
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "1000")
    stand = await http.head(where, headers=TUS)
    assert (stand.headers["Upload-Offset"], stand.headers["Upload-Length"]) == ("1000", str(len(octets)))
    assert (stand.headers["Cache-Control"], "Upload-Expires" in stand.headers) == ("no-store", True)
    assert (await http.get("/files/big/image.iso")).status_code == 404
    assert (await http.get("/uploads")).json()["items"][0]["offset"] == 1000

    digest = base64.b64encode(hashlib.sha256(octets).digest()).decode()
    rest = {**PART, "Upload-Offset": "1000", "Repr-Digest": f"sha-256=:{digest}:"}
    last = await http.patch(where, content=octets[1000:], headers=rest)
    assert (last.status_code, last.headers["Upload-Offset"]) == (204, str(len(octets)))
    assert (await http.get("/files/big/image.iso")).json()["sha256"] == hashlib.sha256(octets).hexdigest()
    assert (await http.get("/downloads/big/image.iso")).content == octets
    part = await http.get("/downloads/big/image.iso", headers={"Range": "bytes=255-257"})
    assert (part.status_code, part.content) == (206, b"\xff\x00\x01")
    assert engine.emitted[-1].kind == "audit.create"
    assert engine.emitted[-1].actor.startswith("user:")


async def test_a_sender_that_goes_away_has_sent_what_came(http: httpx.AsyncClient, listener: ApiListener) -> None:
    where = await begun(http, "image.iso", 10 << 20)
    reader, writer = await asyncio.open_unix_connection(str(listener.path))
    head = "".join(f"{name}: {value}\r\n" for name, value in {**PART, "Upload-Offset": "0"}.items())
    writer.write(f"PATCH /api/v1{where} HTTP/1.1\r\nHost: engine\r\nContent-Length: {10 << 20}\r\n{head}\r\n".encode())
    writer.write(bytes(3 << 20))
    await writer.drain()
    writer.close()
    del reader

    async def settled() -> int:
        while True:
            item = (await http.get("/uploads")).json()["items"][0]
            if item["offset"] and not item["sending"]:
                return item["offset"]
            await asyncio.sleep(0.05)

    offset = await asyncio.wait_for(settled(), 20)
    assert 0 < offset <= 3 << 20
    left = (10 << 20) - offset
    last = await http.patch(where, content=bytes(left), headers={**PART, "Upload-Offset": str(offset)})
    assert last.status_code == 204


async def test_a_sender_that_falls_silent_gives_its_upload_free(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "SILENCE_SECONDS", 0.2)
    where = await begun(http, "image.iso", 10)
    hours = asyncio.Event()

    async def silent() -> AsyncIterator[bytes]:
        yield b"12345"
        await hours.wait()

    sender = asyncio.create_task(http.patch(where, content=silent(), headers={**PART, "Upload-Offset": "0"}))
    for _ in range(400):
        item = (await http.get("/uploads")).json()["items"][0]
        if item["offset"] == 5 and not item["sending"]:
            break
        await asyncio.sleep(0.05)
    rest = await http.patch(where, content=b"67890", headers={**PART, "Upload-Offset": "5"})
    assert rest.status_code == 204
    hours.set()
    await asyncio.wait({sender}, timeout=20)


async def test_one_upload_of_a_name(http: httpx.AsyncClient) -> None:
    where = await begun(http, "image.iso", 10)
    again = await http.post(
        "/uploads", headers={**TUS, "Upload-Length": "10", "Upload-Metadata": told(name="Image.iso")}
    )
    assert (again.status_code, again.json()["code"], again.headers["Tus-Resumable"]) == (409, "conflict", "1.0.0")

    assert (await http.delete(where, headers=TUS)).status_code == 204
    assert (await http.head(where, headers=TUS)).status_code == 404
    await begun(http, "image.iso", 10)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Offset": "3"}, 409),
        ({"Upload-Offset": ""}, 422),
        ({"Upload-Offset": "-1"}, 422),
        ({"Upload-Offset": "0", "Content-Type": "text/plain"}, 422),
    ],
)
async def test_parts_that_do_not_fit(http: httpx.AsyncClient, headers: dict[str, str], status: int) -> None:
    where = await begun(http, "image.iso", 10)
    reply = await http.patch(where, content=b"12345", headers={**PART, **headers})

    assert reply.status_code == status
    assert reply.json()["hint"]
    assert (await http.head(where, headers=TUS)).headers["Upload-Offset"] == "0"


async def test_more_than_was_announced(http: httpx.AsyncClient) -> None:
    where = await begun(http, "image.iso", 10)

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield bytes(1 << 20)

    for content in (bytes(11), endless()):
        try:
            reply = await http.patch(where, content=content, headers={**PART, "Upload-Offset": "0"})
        except httpx.TransportError:
            continue  # cut off amid what nobody reads
        assert reply.status_code == 422
    assert (await http.get("/files")).json()["total"] == 2


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Upload-Length": "x"},
        {"Upload-Length": "1" * 19},
        {"Upload-Length": "99999999999999999"},
        {"Upload-Length": "5"},
        {"Upload-Length": "5", "Upload-Metadata": "name ???"},
        {"Upload-Length": "5", "Upload-Metadata": told(name="../x")},
        {"Upload-Length": "5", "Upload-Metadata": told(name="x", sha256="12")},
    ],
)
async def test_beginnings_that_are_none(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    reply = await http.post("/uploads", headers={**TUS, **headers})

    assert reply.status_code == 422
    assert reply.json()["hint"]
    assert (await http.get("/uploads")).json()["total"] == 0


async def test_another_routes_body_is_still_bounded(http: httpx.AsyncClient) -> None:
    reply = await http.post("/machines", content=bytes(BODY_MAX + 1))

    assert reply.status_code == 413


@pytest.mark.parametrize("path", ["/files/..%2f..%2fetc%2fpasswd", "/downloads/..%2f..%2fetc%2fpasswd", "/downloads/x"])
async def test_nothing_beside_the_shelf(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404


async def test_an_empty_file_is_there_at_once(http: httpx.AsyncClient) -> None:
    await begun(http, "empty", 0)

    assert (await http.get("/files/empty")).json()["size"] == 0
