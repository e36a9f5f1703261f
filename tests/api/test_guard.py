"""Deny by default: no route answers a caller nobody vouches for, or one without its permission."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from app.api.app import PREFIX, create_app
from app.api.callers import Admission, Caller, Peer
from app.api.guard import Gate
from tests.fakes.engine import FakeEngine

# One request for each operation of the document; the value fills the path's parameters.
KEYS = {
    "machines": "node-03",
    "profiles": "storage",
    "subnets": "rack7",
    "reservations": "10.7.0.50",
    "leases": "10.7.0.101",
}
BODIES: dict[str, Any] = {
    "assign": {"bootenv": "local"},
    "loader": {"loader": "auto"},
    "hold": {"on": True},
    "prefs": {"value": "local"},
    "subnets": {"name": "x", "cidr": "10.9.0.0/24"},
    "machines": {"name": "x"},
    "profiles": {"name": "x"},
    "reservations": {"address": "10.7.0.60", "mac": "52:54:00:00:00:98"},
}


def operations(app: FastAPI) -> list[tuple[str, str]]:
    """Every verb and path the document knows."""
    paths: dict[str, dict[str, Any]] = app.openapi()["paths"]
    return [(verb.upper(), path) for path, verbs in paths.items() for verb in verbs]


def with_caller(app: FastAPI, caller: Caller | None) -> httpx.AsyncClient:
    """A client whose requests the application takes for this caller's."""

    async def vouch(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {} if caller is None else {"caller": caller}
        await app(scope, receive, send)

    return httpx.AsyncClient(transport=httpx.ASGITransport(vouch), base_url="http://e")


def request_for(verb: str, path: str) -> dict[str, Any]:
    parts = path.removeprefix(PREFIX).strip("/").split("/")
    url = re.sub(r"\{\w+\}", KEYS.get(parts[0], "1"), path)
    body = next((BODIES[part] for part in reversed(parts) if part in BODIES), {})
    return {"method": verb, "url": url} | ({"json": body} if verb in ("POST", "PUT", "PATCH") else {})


async def test_the_document_knows_every_route() -> None:
    app = create_app(FakeEngine())
    document = set(operations(app))

    def routes(holder: Any) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for route in holder.routes:
            if isinstance(route, APIRoute):
                found |= {(method, route.path.replace(":path}", "}")) for method in route.methods or ()}
            elif hasattr(route, "original_router"):
                found |= {(verb, PREFIX + path) for verb, path in routes(route.original_router)}
        return found

    assert len(document) > 40
    assert routes(app) == document


@pytest.mark.parametrize(
    "rights", [None, frozenset[str](), frozenset({"other.read"})], ids=["none", "no rights", "other"]
)
async def test_every_route_refuses_who_may_not(rights: frozenset[str] | None) -> None:
    engine = FakeEngine()
    app = create_app(engine)
    caller = None if rights is None else Caller("user:eve", 4711, 1, rights)
    async with with_caller(app, caller) as http:
        for verb, path in operations(app):
            reply = await http.request(**request_for(verb, path))
            assert reply.status_code == 403, (verb, path)
            # What answers HEAD has no body.
            assert verb == "HEAD" or reply.json()["code"] == "not-allowed", (verb, path)

    assert engine.world.calls == []
    assert engine.emitted == []
    assert not engine.world.stopped


async def test_a_reader_may_read_and_nothing_else() -> None:
    engine = FakeEngine()
    app = create_app(engine)
    nouns = {path.removeprefix(PREFIX + "/").split("/")[0] for _, path in operations(app)} | {"engine"}
    caller = Caller("user:eve", 4711, 1, frozenset(f"{noun}.read" for noun in nouns))
    statuses: dict[tuple[str, str], int] = {}
    async with with_caller(app, caller) as http:
        for verb, path in operations(app):
            if not path.endswith("/stream"):
                statuses[verb, path] = (await http.request(**request_for(verb, path))).status_code

    # Its interface may tell that it failed, which changes nothing.
    changing = {key for key in statuses if key[0] not in ("GET", "HEAD", "OPTIONS")} - {("POST", f"{PREFIX}/faults")}
    assert {key for key, status in statuses.items() if status == 403} == changing
    assert engine.commands.actors == []
    assert engine.emitted == []


@pytest.mark.parametrize(
    ("peer", "status"),
    [(None, 403), (Peer(1, 4711, 4711), 403), (Peer(1, 0, 0), 200), (Peer(1, 4712, 4712), 200)],
    ids=["unknown", "stranger", "root", "named"],
)
async def test_the_gate_admits_by_peer(peer: Peer | None, status: int) -> None:
    engine = FakeEngine()
    gate = Gate(create_app(engine), Admission(frozenset({0, 4712}), group="no-such-group"), engine.emit)

    async def connected(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {"peer": peer}
        await gate(scope, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(connected), base_url="http://e") as http:
        replies = [await http.get(f"{PREFIX}/info") for _ in range(3)]

    assert [reply.status_code for reply in replies] == [status] * 3
    # However often a stranger knocks, the ring holds it once in a while.
    assert [event.kind for event in engine.emitted] == ([] if status == 200 else ["api.refused"])
    if status == 403:
        assert replies[0].json()["code"] == "not-allowed"
        assert engine.emitted[0].data == {
            "uid": peer.uid if peer else -1,
            "pid": peer.pid if peer else 0,
            "path": f"{PREFIX}/info",
        }
