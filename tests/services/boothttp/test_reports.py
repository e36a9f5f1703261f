"""Reports of installers: whose they are is in their path, and that path is in no event."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from app.netboot.token import Claims, TokenKind, mint
from tests.services.bootfs.world import ID, KEY, MAC, WEB1
from tests.services.boothttp.conftest import HOME, NEIGHBOUR, Listener

OWN = Claims(TokenKind.MACHINE, MAC, HOME, 2000.0, 1000.0, str(ID), "debian-12")
GOOD = mint(OWN, KEY)


@pytest.fixture(autouse=True)
def _known(listener: Listener) -> None:
    listener.world.view.machines[MAC] = WEB1


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("started", (ID, "started", "", "debian-12")),
        ("finished", (ID, "finished", "", "debian-12")),
        ("failed?words=no%20disk%0a%1b[2J", (ID, "failed", "no disk..[2J", "debian-12")),
    ],
)
async def test_a_report_is_passed_on(listener: Listener, path: str, call: tuple[uuid.UUID, str, str, str]) -> None:
    status, headers, body = await listener.ask("GET", f"/reports/{GOOD}/{path}")
    assert (status, body, headers["Cache-Control"]) == (200, b"noted\n", "no-store")
    assert listener.registry.calls == [("report", call)]


REFUSED = {
    "garbage": "garbage",
    "another key": mint(OWN, b"x" * 32),
    "expired": mint(replace(OWN, expires=1500.0), KEY),
    "an earlier lease": mint(replace(OWN, since=900.0), KEY),
    "another address": mint(replace(OWN, address=NEIGHBOUR), KEY),
    "a stranger's": mint(Claims(TokenKind.UNKNOWN, MAC, HOME, 2000.0, 1000.0), KEY),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_report_without_the_right_token_is_nothing(listener: Listener, name: str) -> None:
    status, _, body = await listener.ask("GET", f"/reports/{REFUSED[name]}/finished")
    assert (status, body) == (404, b"not found\n")
    assert listener.registry.calls == []
    told = await listener.told("http.refused")
    assert told.data["path"] == "reports/finished"
    assert REFUSED[name] not in told.model_dump_json()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "halfway", 404),
        ("GET", "finished/at/last", 404),
        ("HEAD", "finished", 404),
        ("POST", "finished", 405),
        ("PUT", "finished", 405),
    ],
)
async def test_what_is_no_report(listener: Listener, method: str, path: str, status: int) -> None:
    assert (await listener.ask(method, f"/reports/{GOOD}/{path}"))[0] == status
    assert listener.registry.calls == []


async def test_a_refused_answer_file_shows_no_token(listener: Listener) -> None:
    status, _, _ = await listener.ask("GET", f"/answers/{GOOD}/preseed.cfg")
    assert status == 404
    told = await listener.told("http.refused")
    assert (told.data["path"], told.data["why"]) == ("answers/preseed.cfg", "web1 is not to be installed now")
    assert GOOD not in told.model_dump_json()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("answers/{}", "http.refused"),
        ("answers/{}/d-i/bookworm/preseed.cfg", "http.refused"),
        ("answers/{}/%2e%2e/preseed.cfg", "http.refused"),
        ("answers/{}/%00", "http.refused"),
        ("answer/{}/preseed.cfg", "http.missing"),
    ],
)
async def test_no_way_to_write_a_path_brings_a_token_into_an_event(listener: Listener, path: str, kind: str) -> None:
    assert (await listener.ask("GET", "/" + path.format(GOOD)))[0] == 404
    assert GOOD not in (await listener.told(kind)).model_dump_json()
