"""Lists, objects and their verbs over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.model.machine import Machine
from app.model.timeline import Timeline
from tests.fakes import world
from tests.fakes.engine import FakeEngine

NOUNS = (
    *("machines", "profiles", "subnets", "reservations", "leases", "bootenvs", "prefs", "services", "interfaces"),
    "events",
)


@pytest.mark.parametrize("noun", NOUNS)
async def test_a_list_says_how_many_there_are(http: httpx.AsyncClient, noun: str) -> None:
    reply = await http.get(f"/{noun}", params={"limit": 1, "offset": 1})
    body = reply.json()

    assert reply.status_code == 200
    assert len(body["items"]) == 1
    assert body["offset"] == 1
    assert reply.headers["X-Total-Count"] == str(body["total"])
    assert body["total"] >= 2


async def test_items_keep_every_field(http: httpx.AsyncClient) -> None:
    body = (await http.get("/machines", params={"filter": "name=node-07"})).json()

    assert Machine.model_validate(body["items"][0]) == world.machines()[6]


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"filter": "state=fail"}, ["node-08"]),
        ({"filter": ["firmware=bios", "!state=new"]}, ["node-04"]),
        ({"filter": "arm", "sort": "name"}, ["arm-01"]),
        ({"sort": "-address", "limit": 2}, ["arm-01", "node-11"]),
        ({"limit": 0}, []),
    ],
)
async def test_filter_sort_limit(http: httpx.AsyncClient, params: dict[str, Any], names: list[str]) -> None:
    body = (await http.get("/machines", params=params)).json()

    assert [item["name"] for item in body["items"]] == names


@pytest.mark.parametrize("key", ["node-07", "Name:node-07", "Mac:52:54:00:00:00:07", "Address:10.7.0.107"])
async def test_a_key_is_an_id_a_name_or_an_index(http: httpx.AsyncClient, key: str) -> None:
    machine = (await http.get(f"/machines/{key}")).json()

    assert machine["name"] == "node-07"
    assert (await http.get(f"/machines/{machine['id']}")).json() == machine


async def test_create_change_delete(http: httpx.AsyncClient, engine: FakeEngine) -> None:
    made = await http.post("/subnets", json={"name": "r9", "cidr": "10.9.0.0/24", "ranges": ["10.9.0.10-10.9.0.20"]})
    changed = await http.patch("/subnets/r9", json={"lease_time": 600})
    gone = await http.delete("/subnets/r9")

    assert made.status_code == 201
    assert made.headers["Location"] == "/api/v1/subnets/r9"
    assert made.json()["ranges"] == [{"start": "10.9.0.10", "end": "10.9.0.20"}]
    assert changed.json()["lease_time"] == 600
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await http.get("/subnets/r9")).status_code == 404
    assert engine.commands.actors == ["user:root"] * 3


async def test_a_machines_location_is_its_id(http: httpx.AsyncClient) -> None:
    made = await http.post("/machines", json={"name": "node-20", "macs": ["52-54-00-00-00-20"]})

    assert made.headers["Location"] == f"/api/v1/machines/{made.json()['id']}"


async def test_assign_and_reboot(http: httpx.AsyncClient, engine: FakeEngine) -> None:
    reply = await http.post("/machines/node-03/assign", json={"bootenv": "local", "reboot": True})

    assert reply.json()["bootenv"] == "local"
    assert reply.json()["reboot_wanted"] is True
    assert engine.world.machines.resolve("node-03").reboot_wanted


async def test_a_boot_loader_is_chosen_and_the_event_says_by_whom(http: httpx.AsyncClient, engine: FakeEngine) -> None:
    given: list[str] = []
    for wanted in ("shim", "next", "auto"):
        reply = await http.post("/machines/node-03/loader", json={"loader": wanted})
        assert reply.status_code == 200, reply.text
        given.append(reply.json()["loader"])

    assert given == ["shim", "grub", "auto"]
    assert engine.loaders_reset == ["node-03"]
    told = [event for event in engine.emitted if event.kind == "machine.loader"]
    assert [event.data for event in told] == [
        {"loader": "shim", "before": "auto"},
        {"loader": "grub", "before": "shim"},
        {"loader": "auto", "before": "grub"},
    ]
    assert all(event.actor and event.message.startswith(f"{event.actor}: node-03 is given") for event in told)


async def test_assign_stands_where_no_agent_listens(http: httpx.AsyncClient, engine: FakeEngine) -> None:
    reply = await http.post("/machines/node-10/assign", json={"bootenv": "debian-12", "reboot": True})

    assert reply.status_code == 409
    assert reply.json()["message"].startswith("node-10 is assigned debian-12, but cannot be rebooted:")
    assert "power-cycle" in reply.json()["hint"]
    assert engine.world.machines.resolve("node-10").bootenv == "debian-12"


async def test_timeline_and_script(http: httpx.AsyncClient) -> None:
    timeline = await http.get("/machines/node-05/timeline")
    script = await http.get("/machines/node-05/script")

    assert Timeline.model_validate(timeline.json()).at == "kernel"
    assert script.headers["content-type"].startswith("text/plain")
    assert script.text.startswith("#!ipxe\n")


async def test_render(http: httpx.AsyncClient) -> None:
    good = await http.get("/bootenvs/debian-12/render", params={"machine": "node-03", "template": "preseed"})
    bad = await http.get("/bootenvs/debian-12/render", params={"machine": "node-03", "template": "broken"})
    unnamed = await http.get("/bootenvs/debian-12/render")

    assert "debian-12/preseed for node-03" in good.text
    assert (bad.status_code, bad.json()["message"]) == (422, "boot.ipxe.j2:3: 'ntp' is undefined")
    assert (unnamed.status_code, unnamed.json()["field"]) == (422, "machine")


async def test_undo_takes_back_the_newest_and_then_one_by_number(http: httpx.AsyncClient, engine: FakeEngine) -> None:
    await http.post("/machines/node-03/assign", json={"bootenv": "local"})
    await http.delete("/reservations/10.7.0.50")
    newest = await http.post("/commands/undo")
    first = await http.post("/commands/1/undo")
    again = await http.post("/commands/1/undo")

    assert newest.json()["noun"] == "reservations"
    assert first.json()["noun"] == "machines"
    assert again.status_code == 409
    assert engine.world.machines.resolve("node-03").bootenv == ""
    assert "10.7.0.50" in engine.world.reservations.items
    assert [c["undone_by"] for c in (await http.get("/commands")).json()["items"]] == [4, 3, None, None]
    assert (await http.get("/commands/1")).json()["undone_by"] == 4


async def test_actions_outside_the_command_log_leave_one_audit_event(
    http: httpx.AsyncClient, engine: FakeEngine
) -> None:
    await http.post("/services/proxydhcp/restart")
    await http.post("/interfaces/eth1/probe")
    await http.post("/stop")

    said = [(e.actor, e.data["noun"], e.data["key"], e.data["action"]) for e in engine.emitted]
    assert said == [
        ("user:root", "services", "proxydhcp", "restart"),
        ("user:root", "interfaces", "eth1", "probe"),
        ("user:root", "engine", "", "stop"),
    ]
    assert {e.kind for e in engine.emitted} == {"audit.action"}
    assert engine.world.stopped


async def test_a_fault_of_an_interface_is_kept_as_an_event(http: httpx.AsyncClient, engine: FakeEngine) -> None:
    fault = {
        "id": "E-1",
        "screen": "machines",
        "doing": "drawing",
        "error": "KeyError: \x1b[2J",
        "trace": "a\nb\n" * 9999,
    }

    assert (await http.post("/faults", json=fault)).status_code == 204

    (kept,) = engine.emitted
    assert (kept.kind, kept.level, kept.actor) == ("ui.failed", "error", "user:root")
    assert "failed on machines: KeyError: " in kept.message
    assert kept.message.endswith("(E-1)")
    assert "\x1b" not in kept.message + kept.data["error"]
    assert len(kept.data["trace"]) <= 4000
    assert (await http.post("/faults", json={**fault, "more": 1})).status_code == 422


async def test_info_hold_and_prefs(http: httpx.AsyncClient, engine: FakeEngine) -> None:
    held = (await http.post("/hold", json={"on": True})).json()
    pref = (await http.put("/prefs/unknown-bootenv", json={"value": "local"})).json()

    assert held["holding"] is True
    assert engine.commands.actors == ["user:root"] * 2
    assert (await http.get("/info")).json()["holding"] is True
    assert (pref["value"], pref["default"]) == ("local", "discovery")


async def test_events_of_one_machine_and_kind(http: httpx.AsyncClient) -> None:
    reply = await http.get("/events", params={"machine": "node-05", "kind": "dhcp."})
    unknown = await http.get("/events", params={"machine": "nobody"})
    unseen = await http.get("/events", params={"machine": "52:54:00:00:99:99"})

    newest = await http.get("/events", params={"limit": 2, "offset": 1})

    ids = [event["id"] for event in newest.json()["items"]]
    assert ids == [newest.json()["total"] - 2, newest.json()["total"] - 1]
    kinds = [event["kind"] for event in reply.json()["items"]]
    assert kinds == ["dhcp.discover", "dhcp.offer", "dhcp.request", "dhcp.ack", "dhcp.ack"]
    assert unknown.status_code == 404
    assert unseen.json()["total"] == 0
