"""The agent's calls: what is taken, what is refused in words, how a token is renewed."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from app.model.machine import Access
from app.netboot import login
from app.netboot.login import password, sha512_crypt
from app.netboot.token import Claims, TokenKind, mint, read
from app.services.boothttp import agent
from tests.services.bootfs.world import ID, KEY, MAC, WEB1
from tests.services.boothttp.conftest import HOME, Listener

TOKEN = mint(Claims(TokenKind.MACHINE, MAC, HOME, 5000.0, 1000.0, str(ID)), KEY)
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
AT = f"/agent/machines/{ID}"


@pytest.fixture(autouse=True)
def _known(listener: Listener) -> None:
    listener.world.view.machines[MAC] = WEB1


async def test_an_inventory_is_kept_and_unknown_fields_are_dropped(listener: Listener) -> None:
    body = {
        "system": {"product": "X1", "colour": "red"},
        "disks": [{"name": "sda", "size": 5}],
        "reported": 7,
        "new": 1,
    }
    status, _, said = await listener.ask("PUT", f"{AT}/inventory", json=body, headers=HEADERS)
    assert (status, said) == (204, b"")
    name, (machine, inventory) = listener.registry.calls[0]
    assert (name, machine) == ("inventory", ID)
    assert (inventory.system.product, inventory.disks[0].size) == ("X1", 5)
    assert inventory.reported == 1500.0  # our clock, not the machine's


@pytest.mark.parametrize(
    ("path", "method", "body", "status", "words"),
    [
        ("inventory", "PUT", b"{", 400, "not JSON"),
        ("inventory", "PUT", b"[1]", 400, "not a JSON object"),
        ("inventory", "PUT", b"\xff\xfe", 400, "not JSON"),
        ("inventory", "PUT", b"[" * 100_000, 400, "not JSON"),
        ("inventory", "PUT", b'{"disks": 5}', 422, "tuple"),
        ("inventory", "PUT", b'{"disks": [{}]}', 422, "required"),
        ("inventory", "PUT", b'{"x": "' + b"x" * (1 << 20) + b'"}', 413, "larger than 1 MiB"),
        ("inventory", "PUT", b'{"memory": {"total": 1' + b"0" * 400 + b"}}", 422, "a number that no machine has"),
        ("inventory", "PUT", b'{"disks": [' + b'{"name": "a"},' * 3000 + b'{"name": "b"}]}', 422, "a list of 3001"),
        ("inventory", "PUT", b'{"memory": {"total": "1' + b"0" * 400 + b'"}}', 422, "a number that no machine has"),
        ("events", "POST", b"{}", 422, "no such kind"),
        ("events", "POST", b'{"kind": "assigned"}', 422, "no such kind"),
    ],
    ids=range(12),
)
async def test_bad_bodies_are_refused_in_words(
    listener: Listener, path: str, method: str, body: bytes, status: int, words: str
) -> None:
    got, _, said = await listener.ask(method, f"{AT}/{path}", content=body, headers=HEADERS)
    assert got == status
    assert words in json.loads(said)["message"]
    assert listener.registry.calls == []


async def test_a_chunked_body_is_bounded_too(listener: Listener) -> None:
    async def parts() -> Any:
        for _ in range(40):
            yield b"x" * 65536

    got, _, said = await listener.ask("PUT", f"{AT}/inventory", content=parts(), headers=HEADERS)
    assert got == 413
    assert "larger" in json.loads(said)["message"]


async def test_a_body_that_never_comes(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "BODY_SECONDS", 0.2)
    head = f"PUT {AT}/inventory HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 500\r\n\r\n{{"
    said = await listener.raw(head.encode(), seconds=25)
    assert said.startswith(b"HTTP/1.1 408 ")


async def test_events_are_made_safe_to_show(listener: Listener) -> None:
    body = {"kind": "failed", "step": "disk\x1b[2J", "output": "one\ntwo\x07\n" + "x" * 9000}
    assert (await listener.ask("POST", f"{AT}/events", json=body, headers=HEADERS))[0] == 204
    _, (machine, kind, step, output) = listener.registry.calls[0]
    assert (machine, kind, step) == (ID, "failed", "disk.[2J")
    assert "\x07" not in output
    assert len(output) <= agent.OUTPUT_MAX


async def test_a_heartbeat_carries_orders_and_renews_the_token_at_half_time(listener: Listener) -> None:
    async def beat() -> dict[str, Any]:
        status, _, said = await listener.ask("POST", f"{AT}/heartbeat", json={}, headers=HEADERS)
        assert status == 200
        return json.loads(said)

    assert await beat() == {"action": ""}
    listener.registry.action = "reboot"
    listener.world.clock.time = 4000.0
    renewed = await beat()
    assert renewed["action"] == "reboot"
    assert read(renewed["token"], KEY) == Claims(TokenKind.MACHINE, MAC, HOME, 4000.0 + 3600, 1000.0, str(ID))


async def test_a_machine_reads_its_own_record(listener: Listener) -> None:
    status, headers, said = await listener.ask("GET", AT, headers=HEADERS)
    assert status == 200
    assert headers["Content-Type"].startswith("application/json")
    assert json.loads(said)["name"] == "web1"


async def test_what_the_registrar_refuses_is_told(listener: Listener) -> None:
    listener.registry.refuses = True
    status, _, said = await listener.ask("POST", "/agent/register", json={"macs": [MAC]}, headers=HEADERS)
    assert status == 409
    assert json.loads(said) == {
        "code": "conflict",
        "message": "it is another machine's",
        "hint": "delete one",
        "field": "macs",
    }


async def test_calls_do_not_wait_for_each_other(listener: Listener) -> None:
    calls = (listener.ask("POST", f"{AT}/heartbeat", json={}, headers=HEADERS) for _ in range(30))
    assert {status for status, _, _ in await asyncio.gather(*calls)} == {200}


KEY_LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEe4cJ2yUZ1zFZ8nQ3lfN3dGJ0mCkJ1mQ2K2g0QbH1aB"


async def test_a_machine_is_told_who_may_log_in(listener: Listener) -> None:
    status, headers, said = await listener.ask("GET", f"{AT}/access", headers=HEADERS)
    assert (status, json.loads(said)) == (200, {"password_hash": "", "ssh_keys": ""})
    assert headers["Cache-Control"] == "no-store"

    listener.world.view.machines[MAC] = WEB1.model_copy(update={"access": Access(issued=1400.5)})
    listener.world.view.prefs["discovery-ssh-keys"] = f"{KEY_LINE} op@desk, {KEY_LINE} again"
    told = json.loads((await listener.ask("GET", f"{AT}/access", headers=HEADERS))[2])
    secret = password(KEY, ID, 1400.5)
    assert told["password_hash"] == sha512_crypt(secret, told["password_hash"].split("$")[2])
    assert told["ssh_keys"] == f"{KEY_LINE} op@desk\n{KEY_LINE} again\n"
    assert secret not in repr(listener.world.events)


async def test_hashing_a_password_keeps_no_transfer_waiting(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed_in: list[threading.Thread] = []

    def password_hash(*_: object) -> str:
        hashed_in.append(threading.current_thread())
        return "$6$salt$hash"

    monkeypatch.setattr(login, "password_hash", password_hash)
    listener.world.view.machines[MAC] = WEB1.model_copy(update={"access": Access(issued=1400.5)})
    assert (await listener.ask("GET", f"{AT}/access", headers=HEADERS))[0] == 200
    # The listener runs in the loop of this test.
    assert hashed_in != [threading.current_thread()]
    assert len(hashed_in) == 1


@pytest.mark.parametrize("token", [None, "unknown"])
async def test_nobody_else_is_told(listener: Listener, token: str | None) -> None:
    headers = {}
    if token:
        headers = {"Authorization": "Bearer " + mint(Claims(TokenKind.UNKNOWN, MAC, HOME, 5000.0, 1000.0), KEY)}
    status, _, said = await listener.ask("GET", f"{AT}/access", headers=headers)
    assert status in (401, 403)
    assert b"password" not in said


async def test_a_machine_tells_its_host_key(listener: Listener) -> None:
    print_ = "ssh-ed25519 SHA256:" + "aB+/" * 10 + "abc"
    assert (await listener.ask("PUT", f"{AT}/access", json={"host_key": print_}, headers=HEADERS))[0] == 204
    assert listener.registry.calls == [("host_key", (ID, print_))]
    for wrong in ("", "ssh-ed25519 SHA256:short", print_ + "\n", f"{print_}<b>", None):
        status, _, said = await listener.ask("PUT", f"{AT}/access", json={"host_key": wrong}, headers=HEADERS)
        assert (status, json.loads(said)["field"]) == (422, "host_key")
