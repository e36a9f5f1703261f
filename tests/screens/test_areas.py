"""Subnets, leases, reservations, boot environments, services, interfaces, preferences, the command log."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface

import pytest

from app.errors import ConflictError
from app.model.engine import ServiceState
from app.model.subnet import Subnet, SubnetMode
from app.screens.areas.area import ListArea
from app.screens.dialogs.form import Form, Row
from app.screens.dialogs.frame import Ask, Page
from app.screens.widgets.table import Table
from tests.fakes.client import FakeClient
from tests.screens.stage import VT, WIDE, Stage, opened


async def area(stage: Stage, key: str, name: str) -> ListArea:
    await stage.press(key)
    await stage.until(lambda: stage.crumbs.startswith(f" {name} > all"), name)
    found = stage.area
    assert isinstance(found, ListArea)
    await stage.until(lambda: found.table.items or name == "commands", "rows")
    return found


async def form(stage: Stage) -> Form:
    await stage.until(lambda: isinstance(stage.app.screen, Form), "the form")
    found = stage.app.screen
    assert isinstance(found, Form)
    return found


async def fill(stage: Stage, name: str, text: str) -> None:
    """Put text into a field, by keys: the old text is taken out first."""
    found = await form(stage)
    row: Row = next(row for row in found.rows if row.field.name == name)
    row.input.focus()
    await stage.settle()
    await stage.press(*["end"], *["backspace"] * len(row.value))
    await stage.type(text)


async def save(stage: Stage) -> None:
    found = await form(stage)
    found.answers.focus()
    await stage.press("enter")


@pytest.mark.parametrize("size", [VT, WIDE])
async def test_ux12_subnets_say_their_state_in_words(size: tuple[int, int]) -> None:
    async with opened(size=size) as stage:
        await area(stage, "2", "subnets")
        assert "+ served" in stage.row("rack7 ")
        assert "= HELD" in stage.row("rack8 ")
        assert "- off" in stage.row("old-lab ")
        assert "10.7.0.100-10.7.0.200" in stage.row("rack7 ")


async def test_a_subnet_is_made_by_keys_alone() -> None:
    async with opened() as stage:
        await area(stage, "2", "subnets")
        await stage.press("a")
        await fill(stage, "name", "rack9")
        await fill(stage, "cidr", "10.9.0.0/24")
        await fill(stage, "ranges", "10.9.0.10-10.9.0.20, 10.9.0.30-10.9.0.40")
        await fill(stage, "dns", "10.9.0.1,10.9.0.2")
        await save(stage)
        await stage.see("subnet rack9 is saved")
        made = stage.client.subnets.resolve("rack9")
        assert [one.size for one in made.ranges] == [11, 11]
        assert made.dns == (IPv4Address("10.9.0.1"), IPv4Address("10.9.0.2"))
        await stage.see("10.9.0.0/24")


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("cidr", "10.9.0.5/24", "is an address in"),
        ("cidr", "10.7.0.0/24", "taken"),
        ("ranges", "10.9.0.10-10.8.0.20", "ends"),
        ("lease_time", "soon", "not a number"),
        ("router", "10.10.0.1", "not in"),
    ],
)
async def test_ux16_form_errors_stand_beside_their_field(field: str, text: str, said: str) -> None:
    async with opened() as stage:
        await area(stage, "2", "subnets")
        await stage.press("a")
        await fill(stage, "name", "rack9")
        await fill(stage, "cidr", "10.9.0.0/24")
        await fill(stage, field, text)
        await save(stage)
        found = await form(stage)
        await stage.until(lambda: any(row.error for row in found.rows), "an error")
        row = next(row for row in found.rows if row.error)
        assert row.field.name == field
        assert said in row.error
        assert "! " in stage.row(row.field.label)
        assert row.input.has_focus
        assert len(stage.client.subnets.items) == 4


async def test_authoritative_beside_another_server_is_for_the_wizard() -> None:
    async with opened() as stage:
        await area(stage, "2", "subnets")
        await stage.press("a")
        found = await form(stage)
        await fill(stage, "name", "rack9")
        await fill(stage, "cidr", "10.9.0.0/24")
        where = next(row for row in found.rows if row.field.name == "interface")
        where.input.focus()
        while where.value != "eth2":
            await stage.press("right")
        assert found.values["mode"] == "authoritative"
        await save(stage)
        await stage.see("10.8.0.1 answers DHCP on eth2")
        assert len(stage.client.subnets.items) == 4


def with_address(client: FakeClient, name: str, address: str) -> None:
    """The interface has this address."""
    interface = client.interfaces.resolve(name)
    client.interfaces.items[name] = interface.model_copy(update={"addresses": (IPv4Interface(address),)})


@pytest.mark.parametrize("size", [VT, WIDE])
async def test_a_subnet_from_an_interface_takes_two_keys(size: tuple[int, int]) -> None:
    client = FakeClient()
    client.subnets.items.pop("rack7")
    async with opened(client, size=size) as stage:
        (await area(stage, "8", "interfaces")).table.go("eth1")
        await stage.press("a")
        await stage.until(lambda: isinstance(stage.app.screen, Ask), "the proposal")
        for words in ("10.7.0.0/24  authoritative on eth1", "10.7.0.100-10.7.0.200", "router, DNS   10.7.0.1"):
            assert words in stage.text
        assert "z takes it back" in stage.text
        assert ">[ Esc Cancel ]" in stage.text
        await stage.press("y")
        await stage.until(lambda: "eth1" in client.subnets.items, "saved")
        made = client.subnets.resolve("eth1")
        assert isinstance(made, Subnet)
        assert (made.mode, made.interface, str(made.router)) == (SubnetMode.AUTHORITATIVE, "eth1", "10.7.0.1")
        await stage.press("z")
        await stage.until(lambda: "eth1" not in client.subnets.items, "taken back")


async def test_a_subnet_beside_another_server_is_a_proxy_with_two_keys() -> None:
    client = FakeClient()
    client.subnets.items.pop("rack8")
    with_address(client, "eth2", "10.8.0.5/24")
    async with opened(client) as stage:
        (await area(stage, "8", "interfaces")).table.go("eth2")
        await stage.press("a")
        await stage.see("10.8.0.1 gives addresses here")
        await stage.see("10.8.0.0/24  proxy on eth2")
        await stage.press("y")
        await stage.until(lambda: "eth2" in client.subnets.items, "saved")
        made = client.subnets.resolve("eth2")
        assert isinstance(made, Subnet)
        assert (made.mode, made.ranges, made.confirmed) == (SubnetMode.PROXY, (), False)


async def test_an_interface_nobody_asked_on_is_asked_before_a_subnet_is_proposed() -> None:
    client = FakeClient()
    client.subnets.items.pop("office")
    client.interfaces.answers["eth0"] = client.interfaces.answers["eth2"]
    async with opened(client) as stage:
        (await area(stage, "8", "interfaces")).table.go("eth0")
        await stage.press("a")
        await stage.see("192.168.1.0/24  proxy on eth0")
        await stage.see("This is the uplink")
        await stage.press("escape")
        await stage.gone("This is the uplink")
        assert "eth0" not in client.subnets.items


async def test_what_cannot_be_saved_as_proposed_opens_the_form_with_the_reason() -> None:
    async with opened() as stage:
        (await area(stage, "8", "interfaces")).table.go("eth1")
        await stage.press("a")
        found = await form(stage)
        await stage.see("10.7.0.0/24 overlaps rack7")
        row = next(row for row in found.rows if row.field.name == "cidr")
        assert row.input.has_focus
        await stage.press("escape")
        await stage.until(lambda: stage.area.area == "interfaces", "left")


async def test_the_proposal_can_be_changed_first() -> None:
    client = FakeClient()
    client.subnets.items.pop("rack7")
    async with opened(client) as stage:
        (await area(stage, "8", "interfaces")).table.go("eth1")
        await stage.press("a")
        await stage.see("10.7.0.100-10.7.0.200")
        await stage.press("e")
        await fill(stage, "name", "mine")
        await save(stage)
        await stage.see("I agree")
        await stage.press("y")
        await stage.until(lambda: "mine" in client.subnets.items, "saved")


async def test_changing_a_subnet_sends_only_what_changed() -> None:
    async with opened() as stage:
        await area(stage, "2", "subnets")
        await stage.press("e")
        await fill(stage, "description", "spare")
        await save(stage)
        await stage.see("subnet saved: rack7")
        update = next(call for call in stage.client.calls if call[:2] == ("subnets", "update"))
        assert update[2:] == ("rack7", {"description": "spare"})


async def test_ux8_deleting_a_subnet_is_asked_and_undone_with_z() -> None:
    async with opened() as stage:
        await area(stage, "2", "subnets")
        await stage.press("d", "enter")
        assert "rack7" in stage.client.subnets.items
        await stage.press("d")
        await stage.until(lambda: isinstance(stage.app.screen, Ask), "the question")
        await stage.press("y")
        await stage.until(lambda: "rack7" not in stage.client.subnets.items, "deleted")
        await stage.press("z")
        await stage.until(lambda: "rack7" in stage.client.subnets.items, "back")


async def test_leaving_a_form_with_changes_wants_esc_twice() -> None:
    async with opened() as stage:
        await area(stage, "2", "subnets")
        await stage.press("a")
        await fill(stage, "name", "x")
        await stage.press("escape")
        assert "not saved" in stage.text
        await stage.press("escape")
        assert not isinstance(stage.app.screen, Form)


async def test_a_lease_becomes_a_reservation_with_one_key() -> None:
    async with opened() as stage:
        found = await area(stage, "3", "leases")
        assert "! DECLINED" in stage.row("10.7.0.152")
        found.table.go("10.7.0.103")
        await stage.press("r")
        await stage.until(lambda: "10.7.0.103" in stage.client.reservations.items, "reserved")
        await stage.until(lambda: "yes" in stage.row("10.7.0.103"), "the column")
        await stage.press("z")
        await stage.until(lambda: "10.7.0.103" not in stage.client.reservations.items, "undone")


async def test_a_machine_whose_name_is_none_is_reserved_without_it() -> None:
    async with opened() as stage:
        leases = stage.client.leases.items
        leases["10.7.0.103"] = leases["10.7.0.103"].model_copy(
            update={"hostname": "my_box!", "mac": "52:54:00:99:99:99"}
        )
        found = await area(stage, "3", "leases")
        found.table.go("10.7.0.103")
        await stage.press("r")
        await stage.until(lambda: "10.7.0.103" in stage.client.reservations.items, "reserved")
        assert stage.client.reservations.resolve("10.7.0.103").hostname == ""


async def test_a_lease_that_is_reserved_is_told() -> None:
    async with opened() as stage:
        found = await area(stage, "3", "leases")
        found.table.go("10.7.0.107")
        await stage.press("r")
        await stage.see("kept for this machine already")
        await stage.client.reservations.create({"address": "10.7.0.104", "mac": "52:54:00:00:09:99"})
        await stage.until(lambda: "other" in stage.row("10.7.0.104"), "somebody else's")
        found.table.go("10.7.0.104")
        await stage.press("r")
        await stage.see("10.7.0.104 is taken by reservation")


async def test_what_a_machine_boots_is_assigned_from_its_lease() -> None:
    async with opened() as stage:
        found = await area(stage, "3", "leases")
        found.table.go("10.7.0.103")
        await stage.press("b", "m", "enter")
        await stage.see("node-03: boot memtest?")
        await stage.press("y")
        await stage.until(lambda: stage.client.machines.resolve("node-03").bootenv == "memtest", "assigned")


async def test_leases_and_reservations_are_searched() -> None:
    async with opened() as stage:
        await area(stage, "3", "leases")
        await stage.press("slash")
        await stage.type("mac~00:03")
        await stage.press("enter")
        await stage.see("1 of 15")
        assert "10.7.0.103" in stage.text
        await stage.press("4")
        await stage.see("switch-7a")
        await stage.press("slash")
        await stage.type("top-of-rack")
        await stage.press("enter")
        await stage.see("1 of 2")


async def test_ux8_forgetting_a_lease_is_asked_and_undone_with_z() -> None:
    async with opened() as stage:
        found = await area(stage, "3", "leases")
        found.table.go("10.7.0.152")
        await stage.press("d")
        await stage.see("z undoes it")
        await stage.press("y")
        await stage.until(lambda: "10.7.0.152" not in stage.client.leases.items, "forgotten")
        await stage.press("z")
        await stage.until(lambda: "10.7.0.152" in stage.client.leases.items, "back")


async def test_a_lease_opens_its_machine() -> None:
    async with opened() as stage:
        found = await area(stage, "3", "leases")
        found.table.go("10.7.0.103")
        await stage.press("enter")
        await stage.see("machines > node-03 > timeline")


async def test_reservations_are_made_and_changed() -> None:
    async with opened() as stage:
        await area(stage, "4", "reservations")
        await stage.press("a")
        await fill(stage, "address", "10.7.0.60")
        await fill(stage, "mac", "nonsense")
        await save(stage)
        await stage.see("is not a MAC address")
        await fill(stage, "mac", "52:54:00:00:00:60")
        await save(stage)
        await stage.until(lambda: "10.7.0.60" in stage.client.reservations.items, "made")
        await stage.see("10.7.0.60")


@pytest.mark.parametrize("size", [VT, WIDE])
async def test_ux12_bootenvs_say_why_not(size: tuple[int, int]) -> None:
    async with opened(size=size) as stage:
        found = await area(stage, "5", "bootenvs")
        assert "! NOT NOW" in stage.row("debian-13")
        assert "WIPES" in stage.row("debian-12")
        found.table.go("debian-13")
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, Page), "the details")
        assert "cannot be used" in stage.text
        assert "debian-13/amd64/linux is missing" in stage.text


async def test_services_say_why_and_what_to_do_and_are_restarted() -> None:
    client = FakeClient()
    healed = {"failures": 3, "last_failed": client.services.items["tftp"].since, "last_reason": "port 69 was taken"}
    client.services.items["tftp"] = client.services.items["tftp"].model_copy(update=healed)
    async with opened(client) as stage:
        found = await area(stage, "7", "services")
        # What it failed of is known although it is up.
        assert " 3 " in stage.row("+ up       tftp")
        found.table.go("tftp")
        await stage.see("port 69 was taken")
        await stage.press("enter")
        await stage.see("The last failure")
        await stage.see("3 times since the engine started")
        await stage.press("escape")
        assert "UDP port 4011 is taken by dnsmasq" in stage.row("! FAILED   proxydhcp")
        assert "udp 0.0.0.0:67 eth1" in stage.row("dhcp ")
        found.table.go("proxydhcp")
        await stage.press("enter")
        await stage.see("stop dnsmasq")
        await stage.press("escape", "R")
        await stage.until(lambda: stage.client.services.items["proxydhcp"].state is ServiceState.UP, "restarted")
        await stage.until(lambda: "PXE FAILED" not in stage.crumbs, "the lamp")
        found.table.go("dhcp")
        await stage.press("R", "enter")
        assert ("services", "restart", "dhcp") not in stage.client.calls, "what is up is asked for first"


async def test_an_interface_is_probed() -> None:
    client = FakeClient()
    client.interfaces.answers["eth0"] = client.interfaces.answers["eth2"]
    async with opened(client) as stage:
        found = await area(stage, "8", "interfaces")
        found.table.go("eth0")
        await stage.press("p")
        await stage.until(lambda: "DHCP 10.8.0.1" in stage.row("eth0"), "heard")
        client.fail(ConflictError("wlan0 is down", hint="bring it up"), "interfaces.probe")
        found.table.go("wlan0")
        await stage.press("p")
        await stage.see("wlan0 is down")


async def test_a_reservation_says_what_its_machine_boots_and_changes_it() -> None:
    client = FakeClient()
    async with opened(client) as stage:
        found = await area(stage, "4", "reservations")
        assert "never" in stage.row("10.7.0.50 ")
        assert "local" in stage.row("10.7.0.107")
        assert found.table.go("10.7.0.107")
        await stage.press("e")
        opened_form = await form(stage)
        assert "10.7.0.107" in stage.row("Address")
        await fill(stage, "address", "10.7.0.50")
        await save(stage)
        await stage.see("10.7.0.50 is taken by reservation")
        await fill(stage, "address", "10.7.0.108")
        boots = next(row for row in opened_form.rows if row.field.name == "bootenv")
        assert boots.value == "local"
        boots.input.focus()
        while boots.value != "memtest":
            await stage.press("right")
        await fill(stage, "hostname", "web")
        await save(stage)
        await stage.until(lambda: client.machines.resolve("node-07").bootenv == "memtest", "assigned")
        await stage.see("z undoes what it boots, z again the rest")
        assert client.reservations.resolve("10.7.0.108").hostname == "web"
        await stage.until(lambda: "memtest" in stage.row("10.7.0.108"), "the list says so")
        await stage.press("z", "z")
        await stage.until(lambda: "10.7.0.107" in client.reservations.items, "undone")
        assert client.reservations.resolve("10.7.0.107").hostname == "node-07"
        assert client.machines.resolve("node-07").bootenv == "local"


async def test_a_reservation_for_a_machine_nobody_has_seen_puts_it_on_record() -> None:
    client = FakeClient()
    async with opened(client) as stage:
        await area(stage, "4", "reservations")
        await stage.press("a")
        await fill(stage, "address", "10.7.0.61")
        await fill(stage, "mac", "52:54:00:00:00:61")
        await fill(stage, "hostname", "new-one")
        boots = next(row for row in (await form(stage)).rows if row.field.name == "bootenv")
        boots.input.focus()
        await stage.press("left")
        wanted = boots.value
        await save(stage)
        await stage.until(lambda: "10.7.0.61" in client.reservations.items, "made")
        await stage.until(lambda: any(one.name == "new-one" for one in client.machines.items.values()), "on record")
        assert client.machines.resolve("new-one").bootenv == wanted != "(default)"


async def test_a_preference_shows_its_default_and_gets_it_back() -> None:
    async with opened() as stage:
        found = await area(stage, "9", "prefs")
        found.table.go("known-token-timeout")
        await stage.until(lambda: "r default" not in stage.keys, "not offered")
        await stage.press("e")
        await fill(stage, "value", "60")
        await save(stage)
        await stage.until(lambda: " 60 " in stage.row(" known-token-timeout"), "set")
        assert "3600" in stage.row(" known-token-timeout")
        assert "a known machine's token is good for" in stage.text
        await stage.until(lambda: not stage.app.news, "the keys are seen")
        assert "r default" in stage.keys
        await stage.press("r")
        await stage.until(lambda: stage.client.prefs.items["known-token-timeout"].value == "3600", "the default")
        await stage.press("z")
        await stage.until(lambda: stage.client.prefs.items["known-token-timeout"].value == "60", "undone")


async def test_preferences_are_changed_by_choice_and_by_text() -> None:
    async with opened() as stage:
        found = await area(stage, "9", "prefs")
        assert "what a machine nobody has named boots" in stage.text
        found.table.go("loader-bios")
        await stage.press("e", "right")
        await save(stage)
        await stage.until(lambda: stage.client.prefs.items["loader-bios"].value == "ipxe.pxe", "set")
        await stage.until(lambda: "undionly.kpxe" in stage.row("loader-bios"), "its default is shown")
        found.table.go("debian-mirror")
        await stage.press("e")
        await fill(stage, "value", "http://mirror.test/debian")
        await save(stage)
        await stage.see("http://mirror.test/debian")


async def test_ux9_command_log_shows_and_undoes_one() -> None:
    client = FakeClient()
    await client.subnets.update("rack7", {"description": "spare"})
    await client.subnets.delete("old-lab")
    async with opened(client) as stage:
        found = await area(stage, "@", "commands")
        await stage.see("update subnets rack7")
        found.table.go("1")
        await stage.press("enter")
        await stage.see("What changed")
        assert '"spare"' in stage.text
        await stage.press("escape", "u")
        await stage.until(lambda: stage.client.subnets.resolve("rack7").description == "", "undone")
        await stage.see("undone by 3")
        assert "old-lab" not in stage.client.subnets.items
        assert "u undo it" not in stage.keys


async def test_ux9_what_was_undone_is_done_again_step_by_step() -> None:
    client = FakeClient()
    async with opened(client) as stage:
        await area(stage, "2", "subnets")
        await client.prefs.set("unknown-token-timeout", "700")
        had = client.subnets.resolve("rack7").description
        await client.subnets.update("rack7", {"description": "spare"})

        def now() -> tuple[str, str]:
            return client.prefs.items["unknown-token-timeout"].value, client.subnets.resolve("rack7").description

        await stage.press("Z")
        await stage.see("nothing to do again")
        await stage.press("z")
        await stage.until(lambda: "Z does it again" in stage.app.news, "the first")
        await stage.press("z")
        await stage.until(lambda: now()[0] == "600", "the second")
        await stage.press("Z")
        await stage.see("done again (z undoes it): redo of 1 (set prefs unknown-token-timeout")
        await stage.until(lambda: now()[0] == "700", "again")
        await stage.press("Z")
        await stage.until(lambda: now()[1] == "spare", "the other again")
        await stage.press("Z")
        await stage.see("nothing to do again")
        await stage.press("z")
        await stage.until(lambda: now() == ("700", had), "undone once more")
        await client.prefs.set("unknown-token-timeout", "800")
        await stage.press("Z")
        await stage.see("nothing to do again")
        assert now() == ("800", had)


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("default-bootenv", ("local", "ignore", "memtest")),
        ("unknown-bootenv", ("discovery", "local", "ignore", "memtest")),
    ],
)
async def test_what_wipes_disks_is_not_offered_for_every_machine(name: str, choices: tuple[str, ...]) -> None:
    async with opened() as stage:
        found = await area(stage, "9", "prefs")
        assert found.table.go(name)
        await stage.press("e")
        (row,) = (await form(stage)).rows
        assert row.field.choices == choices


async def test_ux9_forgetting_what_has_no_record_says_it_is_for_good() -> None:
    async with opened() as stage:
        seen = next(one for one in stage.client.machines.items.values() if not one.registered)
        table = stage.area.query_one(Table)
        table.go(str(seen.id))
        await stage.press("d")
        await stage.see("This cannot be undone.")
        await stage.press("escape")
        table.go(str(stage.client.machines.resolve("node-07").id))
        await stage.press("d")
        await stage.see("z undoes it.")


async def test_modes_are_words_of_the_model() -> None:
    async with opened() as stage:
        await area(stage, "2", "subnets")
        await stage.press("e")
        found = await form(stage)
        seen = set()
        for _ in SubnetMode:
            seen.add(found.values["mode"])
            next(row for row in found.rows if row.field.name == "mode").input.focus()
            await stage.press("right")
        assert seen == {mode.value for mode in SubnetMode}


async def test_services_say_how_long_machines_are_answered_yet() -> None:
    client = FakeClient()
    client._info = client._info.model_copy(update={"serve_until": client.now + 5400.5})
    async with opened(client) as stage:
        await stage.press("7")
        await stage.see("yes, for 90 min, until ")
        assert "serve-until" in stage.row("yes, for 90 min")
