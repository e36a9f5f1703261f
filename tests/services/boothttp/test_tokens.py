"""Every route of the boot listener with every kind of token: the table the listener's safety rests on."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import Any

import pytest

from app.netboot.token import Claims, TokenKind, mint, read
from tests.services.bootfs.world import ID, KEY, MAC, OTHER, WEB1
from tests.services.boothttp.conftest import HOME, NEIGHBOUR, Listener

OWN = Claims(TokenKind.MACHINE, MAC, HOME, 2000.0, 1000.0, str(ID))
UNKNOWN = Claims(TokenKind.UNKNOWN, MAC, HOME, 2000.0, 1000.0)
ROUTES: list[tuple[str, str, Any, int]] = [
    ("POST", "/agent/register", {"macs": [MAC]}, 200),
    ("PUT", f"/agent/machines/{ID}/inventory", {"cpu": {"model": "x"}}, 204),
    ("POST", f"/agent/machines/{ID}/heartbeat", {}, 200),
    ("POST", f"/agent/machines/{ID}/events", {"kind": "started"}, 204),
    ("GET", f"/agent/machines/{ID}", None, 200),
]
OF_MACHINE = ROUTES[1:]
TOKENS: list[tuple[str, str | None, int]] = [
    ("none", None, 401),
    ("empty", "", 401),
    ("garbage", "garbage", 401),
    ("wrong key", mint(OWN, b"x" * 32), 401),
    ("expired", mint(replace(OWN, expires=1500.0), KEY), 401),
    ("of an earlier lease", mint(replace(OWN, since=900.0), KEY), 401),
    ("of another address", mint(replace(OWN, address=NEIGHBOUR), KEY), 403),
]


async def call(
    listener: Listener, route: tuple[str, str, Any, int], token: str | None, scheme: str = "Bearer", **extra: Any
) -> int:
    method, path, body, _ = route
    headers = {} if token is None else {"Authorization": f"{scheme} {token}".strip()}
    status, answered, said = await listener.ask(method, path, json=body, headers=headers, **extra)
    if status >= 400:
        assert json.loads(said)["message"]
        assert (status == 401) == ("WWW-Authenticate" in answered)
    return status


@pytest.fixture(autouse=True)
def _known(listener: Listener) -> None:
    listener.world.view.machines[MAC] = WEB1
    listener.world.view.machines[OTHER] = WEB1.model_copy(update={"id": uuid.uuid4(), "name": "web2", "macs": (OTHER,)})


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route[0]} {route[1]}")
@pytest.mark.parametrize(("name", "token", "status"), TOKENS, ids=[row[0] for row in TOKENS])
async def test_wrong_tokens(
    listener: Listener, route: tuple[str, str, Any, int], name: str, token: str | None, status: int
) -> None:
    assert await call(listener, route, token) == status
    assert listener.registry.calls == []
    refused = await listener.told("http.refused")
    assert refused.data["status"] == status
    assert refused.data["reason"]
    assert refused.mac == MAC


@pytest.mark.parametrize("route", OF_MACHINE, ids=lambda route: f"{route[0]} {route[1]}")
async def test_an_unknown_machines_token_may_only_register(
    listener: Listener, route: tuple[str, str, Any, int]
) -> None:
    assert await call(listener, route, mint(UNKNOWN, KEY)) == 403
    assert listener.registry.calls == []


@pytest.mark.parametrize("route", OF_MACHINE, ids=lambda route: f"{route[0]} {route[1]}")
async def test_another_machines_token(listener: Listener, route: tuple[str, str, Any, int]) -> None:
    other = listener.world.view.machines[OTHER]
    token = mint(Claims(TokenKind.MACHINE, OTHER, NEIGHBOUR, 2000.0, 1000.0, str(other.id)), KEY)
    assert await call(listener, route, token, peer=NEIGHBOUR) == 403
    assert listener.registry.calls == []


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route[0]} {route[1]}")
async def test_the_right_token_from_another_address(listener: Listener, route: tuple[str, str, Any, int]) -> None:
    assert await call(listener, route, mint(OWN, KEY), peer=NEIGHBOUR) == 403
    assert listener.registry.calls == []


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route[0]} {route[1]}")
async def test_the_right_token(listener: Listener, route: tuple[str, str, Any, int]) -> None:
    assert await call(listener, route, mint(OWN, KEY)) == route[3]
    assert await call(listener, route, mint(OWN, KEY), scheme="Basic") == 401


@pytest.mark.parametrize("route", OF_MACHINE, ids=lambda route: f"{route[0]} {route[1]}")
async def test_a_machine_that_was_deleted(listener: Listener, route: tuple[str, str, Any, int]) -> None:
    listener.world.view.machines.clear()
    assert await call(listener, route, mint(OWN, KEY)) == 404


async def test_an_unknown_machine_registers_and_its_new_token_is_its_own(listener: Listener) -> None:
    listener.world.view.machines.clear()
    headers = {"Authorization": f"Bearer {mint(UNKNOWN, KEY)}"}
    body = {"macs": [MAC.upper(), "52-54-00-00-00-17", "not Ethernet", "80:00:02:08:fe:80:00:00"], "firmware": "uefi"}
    status, _, said = await listener.ask("POST", "/agent/register", json=body, headers=headers)
    assert status == 200
    answer = json.loads(said)
    assert answer["heartbeat"] == 10
    assert answer["name"] == "d52-54-00-00-00-07"
    claims = read(answer["token"], KEY)
    assert claims == Claims(TokenKind.MACHINE, MAC, HOME, 1500.0 + 3600, 1000.0, answer["id"])
    name, told = listener.registry.calls[0]
    assert name == "register"
    assert told["mac"] == MAC
    assert told["address"] == HOME
    assert told["macs"] == [MAC, "52:54:00:00:00:17"]
    route = ("GET", f"/agent/machines/{answer['id']}", None, 200)
    assert await call(listener, route, answer["token"]) == 200


async def test_a_machine_cannot_register_as_another(listener: Listener) -> None:
    headers = {"Authorization": f"Bearer {mint(UNKNOWN, KEY)}"}
    status, _, said = await listener.ask("POST", "/agent/register", json={"macs": [OTHER]}, headers=headers)
    assert status == 422
    assert json.loads(said)["field"] == "macs"
    assert listener.registry.calls == []


async def test_a_known_machines_token_registers_nobody_else(listener: Listener) -> None:
    listener.world.view.machines[MAC] = WEB1.model_copy(update={"id": uuid.uuid4()})
    assert await call(listener, ROUTES[0], mint(OWN, KEY)) == 403


async def test_there_is_nothing_for_operators_here(listener: Listener) -> None:
    headers = {"Authorization": f"Bearer {mint(OWN, KEY)}"}
    for path in ("/api/v1/machines", "/api", "/docs", "/openapi.json", "/agent", "/agent/", "/agent/machines"):
        for method in ("GET", "POST", "PUT", "DELETE"):
            status, _, _ = await listener.ask(method, path, headers=headers)
            assert status in (404, 405), (method, path)
    for method, path in (("DELETE", f"/agent/machines/{ID}"), ("PUT", f"/agent/machines/{ID}/heartbeat")):
        assert (await listener.ask(method, path, headers=headers))[0] == 405
    assert (await listener.ask("GET", f"/agent/machines/{ID}/secrets", headers=headers))[0] == 404
    assert (await listener.ask("GET", "/agent/machines/none", headers=headers))[0] == 404
