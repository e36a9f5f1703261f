"""What every Client promises, whatever stands behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from ipaddress import IPv4Address
from typing import Any, cast

import pytest

from app.client.protocol import Client
from app.errors import BootcartError, ConflictError, InvalidError, NotFoundError
from app.model.event import Event
from app.model.machine import LoaderChoice
from app.model.query import Query
from app.model.subnet import Range

RACK = {"name": "rack7", "cidr": "10.7.0.0/24", "ranges": ["10.7.0.100-10.7.0.200"], "router": "10.7.0.1"}
NODE = {"name": "node-07", "macs": ["52-54-00-00-00-07"]}
KEPT = {"address": "10.7.0.50", "mac": "52:54:00:00:00:50", "hostname": "switch"}
NOUNS = (
    "machines",
    "profiles",
    "subnets",
    "reservations",
    "leases",
    "options",
    "bootenvs",
    "services",
    "interfaces",
    "prefs",
    "commands",
    "files",
    "certificates",
)


async def test_a_subnets_life(client: Client) -> None:
    made = await client.subnets.create(RACK)
    assert made.ranges == (Range(start=IPv4Address("10.7.0.100"), end=IPv4Address("10.7.0.200")),)
    assert await client.subnets.show("rack7") == made
    assert (await client.subnets.list()).items == (made,)

    changed = await client.subnets.update("rack7", {"lease_time": 600, "router": None})
    assert changed == made.model_copy(update={"lease_time": 600, "router": None})
    assert await client.subnets.show("rack7") == changed

    await client.subnets.delete("rack7")
    assert (await client.subnets.list()).total == 0


async def test_a_machine_goes_by_its_id_its_name_and_its_indices(client: Client) -> None:
    made = await client.machines.create(NODE)

    assert made.macs == ("52:54:00:00:00:07",)
    for key in (str(made.id), "node-07", "Name:node-07", "Mac:52:54:00:00:00:07", f"Uuid:{made.id}"):
        assert (await client.machines.show(key)).id == made.id, key


async def test_a_rename_keeps_the_machine(client: Client) -> None:
    made = await client.machines.create(NODE)
    renamed = await client.machines.update("node-07", {"name": "node-08", "description": "moved"})

    assert (renamed.id, renamed.name, renamed.description) == (made.id, "node-08", "moved")
    with pytest.raises(NotFoundError):
        await client.machines.show("node-07")


async def test_a_reservation_goes_by_its_address(client: Client) -> None:
    await client.subnets.create(RACK)
    await client.reservations.create(KEPT)
    changed = await client.reservations.update("10.7.0.50", {"never_boot": True})

    assert await client.reservations.show("10.7.0.50") == changed
    assert changed.never_boot
    await client.reservations.delete("Address:10.7.0.50")
    assert (await client.reservations.list()).items == ()


async def test_a_profile_is_what_machines_have_in_common(client: Client) -> None:
    made = await client.profiles.create({"name": "storage", "options": {"interface-mtu": "9000"}})
    machine = await client.machines.create({**NODE, "profiles": ["storage"]})

    assert (machine.profiles, await client.profiles.show("storage")) == (("storage",), made)
    changed = await client.profiles.update("storage", {"description": "jumbo frames"})
    assert (await client.profiles.list()).items == (changed,)
    await client.machines.update("node-07", {"profiles": []})
    await client.profiles.delete("storage")
    assert (await client.profiles.list()).total == 0


@pytest.mark.parametrize("noun", NOUNS)
async def test_what_is_not_there_is_not_found(client: Client, noun: str) -> None:
    door: Any = getattr(client, noun)
    for key in ("no-such-thing", "a/b", "..", " ", "Uuid:nobody", "10.99.0.1", "$(id)", "é", "999999"):
        # A command's key is a number; and not every noun has every index.
        odd = noun == "commands" or ":" in key
        with pytest.raises((NotFoundError, InvalidError) if odd else NotFoundError) as caught:
            await door.show(key)
        assert caught.value.message, key


async def test_verbs_on_what_is_not_there(client: Client) -> None:
    for call in (
        client.machines.update("nobody", {"held": True}),
        client.machines.delete("nobody"),
        client.machines.assign("nobody", "local"),
        client.machines.reboot("nobody"),
        client.machines.timeline("nobody"),
        client.machines.diagnosis("nobody"),
        client.machines.script("nobody"),
        client.subnets.delete("nowhere"),
        client.leases.delete("10.99.0.1"),
        client.services.restart("nothing"),
        client.interfaces.probe("nothing0"),
        client.prefs.set("nothing", "x"),
        client.commands.undo("999999"),
        client.bootenvs.render("nothing", "nobody"),
    ):
        with pytest.raises(NotFoundError):
            await call
    assert (await client.commands.list()).total == 0


@pytest.mark.parametrize(
    ("noun", "body", "field"),
    [
        ("subnets", {"name": "x"}, "cidr"),
        ("subnets", {"name": "x", "cidr": "10.9.0.0/24", "colour": "red"}, "colour"),
        ("subnets", {"name": "x y", "cidr": "10.9.0.0/24"}, "name"),
        ("subnets", {"name": "x", "cidr": "10.9.0.0/24", "ranges": ["10.8.0.1-10.8.0.9"]}, "ranges.0.start"),
        ("subnets", {"name": "x", "cidr": "10.9.0.0/24", "lease_time": 5}, "lease_time"),
        ("subnets", {"name": "x", "cidr": "10.9.0.0/24", "router": "10.8.0.1"}, "router"),
        ("reservations", {"address": "10.7.0.300", "mac": "52:54:00:00:00:50"}, "address"),
        ("reservations", {"address": "10.7.0.50", "mac": "ff:ff:ff:ff:ff:ff"}, "mac"),
        ("machines", {"name": "x", "macs": ["nonsense"]}, "macs.0"),
    ],
)
async def test_bad_input_names_its_field_and_saves_nothing(
    client: Client, noun: str, body: dict[str, Any], field: str
) -> None:
    door: Any = getattr(client, noun)
    with pytest.raises(InvalidError) as caught:
        await door.create(body)

    assert caught.value.field == field
    assert caught.value.message
    assert caught.value.hint
    assert (await door.list()).total == 0
    assert (await client.commands.list()).total == 0


async def test_a_bad_change_changes_nothing(client: Client) -> None:
    made = await client.subnets.create(RACK)
    with pytest.raises(InvalidError):
        await client.subnets.update("rack7", {"lease_time": "soon"})

    assert await client.subnets.show("rack7") == made


@pytest.mark.parametrize(
    ("noun", "first", "second"),
    [
        ("machines", NODE, {"name": "node-07", "macs": ["52:54:00:00:00:08"]}),
        ("machines", NODE, {"name": "node-08", "macs": ["52:54:00:00:00:07"]}),
        ("subnets", RACK, {"name": "rack7", "cidr": "10.8.0.0/24"}),
    ],
)
async def test_what_is_taken_is_a_conflict(
    client: Client, noun: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    door: Any = getattr(client, noun)
    await door.create(first)
    with pytest.raises(ConflictError):
        await door.create(second)

    assert (await door.list()).total == 1


async def test_filter_sort_and_page(client: Client) -> None:
    for number in range(1, 6):
        await client.machines.create(
            {
                "name": f"n{number}",
                "macs": [f"52:54:00:00:00:0{number}"],
                "description": "odd" if number % 2 else "even",
            }
        )

    async def names(**query: Any) -> tuple[list[str], int]:
        page = await client.machines.list(Query(**query))
        return [machine.name for machine in page.items], page.total

    assert await names(sort="-name", limit=2, offset=1) == (["n4", "n3"], 5)
    assert await names(filter=("description=odd",), sort="name") == (["n1", "n3", "n5"], 3)
    assert await names(filter=("description=odd", "!n3"), sort="name") == (["n1", "n5"], 2)
    assert await names(filter=("no-such-word",)) == ([], 0)
    with pytest.raises(InvalidError) as caught:
        await names(sort="colour")
    assert caught.value.field == "sort"


async def test_assign(client: Client) -> None:
    await client.machines.create(NODE)
    assigned = await client.machines.assign("node-07", "local")

    assert assigned.bootenv == "local"
    assert (await client.machines.show("node-07")).bootenv == "local"
    assert (await client.machines.assign("node-07", "")).bootenv == ""


async def test_how_full_subnets_are_is_told_in_one_call(client: Client) -> None:
    await client.subnets.create(RACK)
    (rack,) = await client.subnets.usage()

    assert (rack.subnet, rack.size, rack.bound, rack.free) == ("rack7", 101, 0, 101)


async def test_the_boot_loader_is_chosen(client: Client) -> None:
    await client.machines.create(NODE)
    chosen = await client.machines.set_loader("node-07", "shim")
    assert chosen.loader is LoaderChoice.SHIM
    assert chosen.status is not None
    assert chosen.status.loader == "shim (set for it)"
    assert (await client.machines.show("node-07")).loader is LoaderChoice.SHIM
    assert (await client.machines.set_loader("node-07", "auto")).loader is LoaderChoice.AUTO
    with pytest.raises(InvalidError):
        await client.machines.set_loader("node-07", "lilo")


@pytest.mark.parametrize("bootenv", ["no-such-env", "discovery"])
async def test_what_cannot_be_assigned_is_refused(client: Client, bootenv: str) -> None:
    await client.machines.create(NODE)
    with pytest.raises(BootcartError) as caught:
        await client.machines.assign("node-07", bootenv)

    assert isinstance(caught.value, (InvalidError, NotFoundError))
    assert bootenv in caught.value.message
    assert (await client.machines.show("node-07")).bootenv == ""


async def test_a_reboot_without_an_agent_keeps_the_assignment_and_says_what_to_do(client: Client) -> None:
    await client.machines.create(NODE)
    with pytest.raises(ConflictError) as caught:
        await client.machines.assign("node-07", "local", reboot=True)

    assert "power-cycle" in str(caught.value)
    assert (await client.machines.show("node-07")).bootenv == "local"
    with pytest.raises(ConflictError):
        await client.machines.reboot("node-07")


async def test_undo_of_each_kind_of_command(client: Client) -> None:
    made = await client.subnets.create(RACK)
    changed = await client.subnets.update("rack7", {"lease_time": 600})
    await client.subnets.delete("rack7")

    deleted = (await client.commands.list()).items[-1]
    undoing = await client.commands.undo()
    assert await client.subnets.show("rack7") == changed
    assert (await client.commands.show(str(deleted.id))).undone_by == undoing.id
    await client.commands.undo()
    assert await client.subnets.show("rack7") == made
    await client.commands.undo()
    assert (await client.subnets.list()).total == 0
    with pytest.raises(NotFoundError):
        await client.commands.undo()


async def test_a_reservation_moves_to_another_address_and_back(client: Client) -> None:
    await client.subnets.create(RACK)
    made = await client.reservations.create({"address": "10.7.0.50", "mac": "52:54:00:00:00:50"})
    await client.reservations.create({"address": "10.7.0.51", "mac": "52:54:00:00:00:51"})
    with pytest.raises(ConflictError) as caught:
        await client.reservations.update("10.7.0.50", {"address": "10.7.0.51"})
    assert caught.value.field == "address"

    moved = await client.reservations.update("10.7.0.50", {"address": "10.7.0.60"})

    assert moved == await client.reservations.show("10.7.0.60")
    assert (moved.mac, (await client.reservations.list()).total) == (made.mac, 2)
    with pytest.raises(NotFoundError):
        await client.reservations.show("10.7.0.50")
    undone = await client.commands.undo()
    assert await client.reservations.show("10.7.0.50") == made
    redone = await client.commands.undo(str(undone.id))
    assert (undone.verb, redone.verb, redone.undoes) == ("undo", "redo", undone.undoes)
    assert await client.reservations.show("10.7.0.60") == moved


async def test_undo_by_number_and_only_once(client: Client) -> None:
    await client.machines.create(NODE)
    await client.machines.assign("node-07", "local")
    assigned = (await client.commands.list()).items[-1]
    await client.subnets.create(RACK)

    await client.commands.undo(str(assigned.id))
    assert (await client.machines.show("node-07")).bootenv == ""
    assert (await client.subnets.list()).total == 1
    with pytest.raises(ConflictError):
        await client.commands.undo(str(assigned.id))


async def test_the_command_log_says_who_and_what(client: Client) -> None:
    await client.subnets.create(RACK)
    [command] = (await client.commands.list()).items

    assert command.actor.startswith("user:")
    assert (command.noun, command.key, command.undoable, command.undone_by) == ("subnets", "rack7", True, None)
    assert command.summary


async def test_preferences(client: Client) -> None:
    changed = await client.prefs.set("default-bootenv", "ignore")

    assert (changed.value, changed.default) == ("ignore", "local")
    assert (await client.prefs.show("default-bootenv")).value == "ignore"
    for name, value in (("loader-bios", "grub.efi"), ("unknown-bootenv", "no-such-env")):
        before = await client.prefs.show(name)
        with pytest.raises((InvalidError, NotFoundError)):
            await client.prefs.set(name, value)
        assert await client.prefs.show(name) == before


async def test_the_engine_and_the_switch_over_everything(client: Client) -> None:
    info = await client.info()
    held = await client.hold(True)

    assert info.pid > 0
    assert not info.holding
    assert held.holding
    assert (await client.info()).holding
    assert not (await client.hold(False)).holding
    assert (await client.info()).instance == info.instance


async def test_services_and_interfaces_are_there(client: Client) -> None:
    services = (await client.services.list()).items
    interfaces = (await client.interfaces.list()).items

    assert {"dhcp", "tftp", "http"} <= {service.name for service in services}
    assert await client.services.show("tftp") in services
    for interface in interfaces:
        assert (await client.interfaces.show(interface.name)).index == interface.index


async def test_a_machines_script_and_timeline(client: Client) -> None:
    await client.machines.create(NODE)
    timeline = await client.machines.timeline("node-07")

    assert (await client.machines.script("node-07")).startswith("#!ipxe")
    assert (await client.bootenvs.render("discovery", "node-07")).startswith("#!ipxe")
    # It has never booted.
    assert not timeline.complete
    diagnosis = await client.machines.diagnosis("node-07")
    assert (diagnosis.name, diagnosis.findings) == ("node-07", ())


async def audits(client: Client) -> list[Event]:
    """The audit events, which the engine may store a moment after its answer."""
    async with asyncio.timeout(5):
        while not (found := (await client.events.list(kind="audit.")).items):
            await asyncio.sleep(0.01)
    return list(found)


async def test_a_change_is_an_audit_event(client: Client) -> None:
    await client.subnets.create(RACK)
    [event] = await audits(client)

    assert event.kind == "audit.create"
    assert event.actor.startswith("user:")
    assert (event.data["noun"], event.data["key"]) == ("subnets", "rack7")


async def test_a_watch_from_an_event_on_sees_what_was_and_what_comes(client: Client) -> None:
    await client.subnets.create(RACK)
    [first] = await audits(client)
    source = cast("AsyncGenerator[Event, None]", client.events.watch(first.id - 1, kind="audit."))
    async with asyncio.timeout(10):
        old = await anext(source)
        await client.subnets.delete("rack7")
        new = await anext(source)
    await source.aclose()

    assert old == first
    assert new.kind == "audit.delete"
    assert new.id > old.id


async def test_a_watch_from_now_sees_only_what_comes(client: Client) -> None:
    await client.subnets.create(RACK)
    await audits(client)
    source = cast("AsyncGenerator[Event, None]", client.events.watch(kind="audit."))

    async def first() -> Event:
        return await anext(source)

    waiting = asyncio.create_task(first())
    number = 0
    async with asyncio.timeout(10):
        # When exactly a watch begins is not said; what comes after it has begun is seen.
        while not waiting.done():
            number += 1
            await client.subnets.update("rack7", {"description": f"change {number}"})
            await asyncio.wait({waiting}, timeout=0.1)
    event = await waiting
    await source.aclose()

    assert event.kind == "audit.update"


async def test_watching_one_machine_that_does_not_exist(client: Client) -> None:
    source = cast("AsyncGenerator[Event, None]", client.events.watch(machine="nobody"))
    with pytest.raises(NotFoundError):
        await anext(source)


async def test_a_dry_run_of_a_boot(client: Client) -> None:
    await client.machines.create(NODE)
    found = await client.machines.boot("node-07", architecture="uefi-x64")
    assert (found.machine, found.mac, found.registered) == ("node-07", "52:54:00:00:00:07", True)
    assert [one.name for one in found.firmware] == ["uefi-x64"]
    assert [answer.stage for answer in found.firmware[0].answers] == ["rom", "ipxe"]

    stranger = await client.machines.boot("52:54:00:00:00:99")
    assert (stranger.mac, stranger.registered) == ("52:54:00:00:00:99", False)
    assert (await client.machines.list()).total == 1
    with pytest.raises(InvalidError):
        await client.machines.boot("node-07", architecture="toaster")
    with pytest.raises(NotFoundError):
        await client.machines.boot("nobody")
