"""Whatever goes wrong, the caller gets one shape of JSON and never a traceback."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.api.guard import BODY_MAX
from app.errors import BY_CODE
from tests.fakes.engine import FakeEngine
from tests.fakes.serving import served

SHAPE = {"code", "message", "hint", "field"}


@pytest.mark.parametrize(
    ("verb", "path", "sent", "status", "code", "field"),
    [
        ("GET", "/nothing", {}, 404, "not-found", ""),
        ("GET", "/machines/", {}, 404, "not-found", ""),
        ("GET", "/machines/nobody", {}, 404, "not-found", ""),
        ("GET", "/machines/a%2Fb", {}, 404, "not-found", ""),
        ("GET", "/services/nobody", {}, 404, "not-found", ""),
        ("GET", "/commands/99", {}, 404, "not-found", ""),
        ("GET", "/commands/x", {}, 422, "invalid", "key"),
        ("DELETE", "/info", {}, 405, "invalid", ""),
        ("BREW", "/info", {}, 405, "invalid", ""),
        ("PATCH", "/leases/10.7.0.101", {"json": {"mac": "x"}}, 405, "invalid", ""),
        ("POST", "/subnets", {}, 422, "invalid", ""),
        ("POST", "/subnets", {"content": b"{", "headers": {"content-type": "application/json"}}, 422, "invalid", ""),
        (
            "POST",
            "/subnets",
            {"content": b"\xff\xfe", "headers": {"content-type": "application/json"}},
            422,
            "invalid",
            "",
        ),
        ("POST", "/subnets", {"json": []}, 422, "invalid", ""),
        ("POST", "/subnets", {"json": {"name": "x"}}, 422, "invalid", "cidr"),
        ("POST", "/subnets", {"json": {"name": "x", "cidr": "10.9.0.0/24", "colour": 1}}, 422, "invalid", "colour"),
        ("POST", "/subnets", {"json": {"name": "x", "cidr": "10.7.0.0/24"}}, 409, "conflict", "cidr"),
        ("PATCH", "/subnets/rack7", {"json": {}}, 422, "invalid", ""),
        ("PATCH", "/subnets/rack7", {"json": {"ranges": ["10.9.0.1-10.9.0.9"]}}, 422, "invalid", "ranges.0.start"),
        ("POST", "/machines/node-03/assign", {"json": {"bootenv": "nope"}}, 404, "not-found", ""),
        ("POST", "/machines/node-03/assign", {"json": {"bootenv": "discovery"}}, 422, "invalid", "bootenv"),
        ("POST", "/machines/node-03/assign", {"json": {"env": "local"}}, 422, "invalid", "bootenv"),
        ("POST", "/hold", {"json": {"on": "perhaps"}}, 422, "invalid", "on"),
        ("PUT", "/prefs/loader-bios", {"json": {"value": "grub"}}, 422, "invalid", "value"),
        ("GET", "/machines?limit=-1", {}, 422, "invalid", "limit"),
        ("GET", "/machines?fliter=x", {}, 422, "invalid", "fliter"),
        ("GET", "/machines?sort=colour", {}, 422, "invalid", "sort"),
        ("GET", "/events?kind=DHCP%0a", {}, 422, "invalid", "kind"),
        ("GET", "/events/stream?machin=x", {}, 422, "invalid", "machin"),
        ("GET", "/events/stream?after=x", {}, 422, "invalid", "after"),
        ("POST", "/subnets", {"content": b"x" * (BODY_MAX + 1)}, 413, "invalid", ""),
        ("POST", "/subnets", {"content": b"[" * 100_000}, 422, "invalid", ""),
    ],
)
async def test_every_refusal_has_the_shape(
    http: httpx.AsyncClient, verb: str, path: str, sent: dict[str, Any], status: int, code: str, field: str
) -> None:
    reply = await http.request(verb, path, **sent)
    body = reply.json()

    assert (reply.status_code, body["code"], body["field"]) == (status, code, field)
    assert set(body) == SHAPE
    assert body["message"]
    assert "\n" not in body["message"]
    assert code in BY_CODE


async def test_a_body_of_untold_length_is_cut_off_too(http: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(BODY_MAX // 65536 + 2):
            yield b" " * 65536

    reply = await http.post("/subnets", content=endless(), headers={"content-type": "application/json"})

    assert (reply.status_code, set(reply.json())) == (413, SHAPE)


async def test_what_nobody_foresaw_has_a_number_and_is_logged(
    http: httpx.AsyncClient, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.commands.broken = RuntimeError("the canary sang")
    with caplog.at_level(logging.ERROR):
        reply = await http.get("/machines")

    body = reply.json()
    number = body["message"].rpartition("number ")[2].rstrip(")")
    assert (reply.status_code, set(body)) == (500, SHAPE)
    assert "canary" not in reply.text
    logged = [record for record in caplog.records if number in record.getMessage()]
    assert len(logged) == 1
    assert logged[0].exc_info is not None
    assert "canary" in str(logged[0].exc_info[1])
    assert (await http.get("/services")).status_code == 200


HOSTILE = ("$(touch X)", "`touch X`", "a\nb", "-rf", "a\0b", "../../etc/passwd", "\x1b[2J", "\u202e", "' or 1=1 --")


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(st.text(max_size=300), min_size=8, max_size=8))
async def test_any_text_is_stored_as_it_is_or_refused(drawn: list[str]) -> None:
    async with (
        served(FakeEngine()) as listener,
        httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(listener.path)), base_url="http://e/api/v1"
        ) as http,
    ):
        for text in (*HOSTILE, *drawn):
            for path, body in (
                ("/machines", {"name": text, "macs": ["52:54:00:00:00:99"]}),
                ("/machines", {"name": "ok", "macs": [text]}),
                ("/machines", {"name": "ok", "description": text}),
                ("/subnets", {"name": "ok", "cidr": "10.9.0.0/24", "description": text}),
                ("/reservations", {"address": "10.7.0.60", "mac": "52:54:00:00:00:98", "hostname": text}),
            ):
                reply = await http.post(path, json=body)
                assert reply.status_code in (201, 409, 422), reply.text
                if reply.status_code == 201:
                    stored = reply.json()
                    assert [stored[field] for field, value in body.items() if value == text] == [text]
                    await http.delete(reply.headers["Location"].removeprefix("/api/v1"))
