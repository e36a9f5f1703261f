"""Every area shows what the engine has, and what is done there is done in the engine."""

from __future__ import annotations

import pytest

from app.errors import NotFoundError
from app.model.engine import PREFERENCES
from app.model.query import Query
from app.model.subnet import SubnetMode
from app.screens.dialogs.form import Form
from app.screens.dialogs.frame import Page
from app.screens.profile import ConsoleProfile
from tests.screens.stage import CONSOLE, FULL
from tests.tui.conftest import Rack
from tests.tui.desk import AREA_KEYS, seated

pytestmark = pytest.mark.root


async def test_every_area_shows_what_the_engine_has(rack: Rack, profile: ConsoleProfile) -> None:
    async with seated(rack.engine, profile) as desk:
        shown = {
            "machines": ["no machine yet"],
            "subnets": ["+ served", "rack7", "10.7.0.0/24"],
            "leases": ["no address given yet"],
            "reservations": ["no reservation"],
            "bootenvs": [env.name for env in (await desk.api.bootenvs.list()).items],
            "events": ["engine ready in", "created subnet rack7"],
            "decisions": ["ASKED", "ANSWER", "following"],
            "services": [service.name for service in (await desk.api.services.list()).items],
            "interfaces": ["eth0", "10.7.0.1/24", "served"],
            "prefs": [pref.name for pref in PREFERENCES[:16]],  # as many as a small screen shows
            "commands": ["created subnet rack7"],
        }
        assert set(shown) == set(AREA_KEYS)
        for area, words in shown.items():
            await desk.go(area)
            for word in words:
                await desk.see(word)


async def test_a_subnet_is_made_changed_and_taken_away(rack: Rack) -> None:
    async with seated(rack.engine, CONSOLE) as desk:
        subnets = desk.api.subnets
        await desk.go("subnets")
        await desk.press("a")
        form = await desk.fill(name="lab8", cidr="10.8.0.5/24", ranges="10.8.0.100-10.8.0.200")
        await desk.submit(form)
        await desk.refused(form, "cidr", "write 10.8.0.0/24")
        with pytest.raises(NotFoundError):
            await subnets.show("lab8")

        await desk.fill(cidr="10.8.0.0/24", ranges="10.8.0.100-10.9.0.200")
        await desk.submit(form)
        await desk.refused(form, "ranges", "10.9.0.200 is not in 10.8.0.0/24")
        await desk.fill(cidr="10.7.0.128/25", ranges="")
        await desk.submit(form)
        await desk.refused(form, "cidr", "rack7")
        with pytest.raises(NotFoundError):
            await subnets.show("lab8")

        await desk.save(cidr="10.8.0.0/24", ranges="10.8.0.100-10.8.0.200", lease_time="7200")
        made = await subnets.show("lab8")
        assert (str(made.cidr), made.mode, made.lease_time) == ("10.8.0.0/24", SubnetMode.AUTHORITATIVE, 7200)
        assert [str(one.start) for one in made.ranges] == ["10.8.0.100"]

        await desk.cursor_to("lab8")
        await desk.press("e")
        await desk.save(mode="proxy", ranges="", description="row 8")
        after = await subnets.show("lab8")
        assert (after.mode, after.ranges, after.description) == (SubnetMode.PROXY, (), "row 8")
        await desk.press("z")
        await desk.comes(lambda: subnets.show("lab8"), lambda one: one.mode is SubnetMode.AUTHORITATIVE)

        await desk.cursor_to("lab8")
        await desk.press("x")
        await desk.answer("Delete?", "escape")
        await subnets.show("lab8")
        await desk.press("x")
        await desk.answer("Delete?", "y")
        await desk.absent(lambda: subnets.show("lab8"))
        await desk.press("z")
        again = await desk.comes(lambda: subnets.list(Query(("name=lab8",))), lambda page: page.items)
        assert again.items[0].lease_time == 7200
        await desk.see("lab8")


async def test_a_reservation_is_made_changed_and_taken_away(rack: Rack) -> None:
    async with seated(rack.engine, FULL) as desk:
        kept = desk.api.reservations
        await desk.go("reservations")
        await desk.press("a")
        form = await desk.fill(address="10.7.0.1", mac="52:54:00:00:09:07")
        await desk.submit(form)
        await desk.refused(form, "address", "10.7.0.1")
        await desk.fill(address="10.7.0.7", mac="nonsense")
        await desk.submit(form)
        await desk.refused(form, "mac", "nonsense")
        assert not (await kept.list()).items

        await desk.save(mac="52-54-00-00-09-07", hostname="web7")
        made = await kept.show("10.7.0.7")
        assert (made.mac, made.hostname, made.never_boot) == ("52:54:00:00:09:07", "web7", False)
        await desk.cursor_to("10.7.0.7")
        await desk.press("enter")
        await desk.save(never_boot="yes", address="10.7.0.8")
        assert (await kept.show("10.7.0.8")).never_boot
        await desk.absent(lambda: kept.show("10.7.0.7"))
        await desk.see("never")
        await desk.press("z")
        await desk.absent(lambda: kept.show("10.7.0.8"))
        await desk.cursor_to("10.7.0.7")
        await desk.press("d")
        await desk.answer("Delete?", "y")
        await desk.absent(lambda: kept.show("10.7.0.7"))


async def test_a_boot_environment_is_read(rack: Rack) -> None:
    async with seated(rack.engine, CONSOLE) as desk:
        env = await desk.api.bootenvs.show("discovery")
        await desk.go("bootenvs")
        await desk.cursor_to("discovery")
        await desk.press("enter")
        page = await desk.dialog(Page, "Boot environment discovery")
        assert env.kind.value in page.page.text
        for template in env.templates:
            assert template.path in page.page.text


async def test_a_service_is_restarted_after_a_question(rack: Rack, profile: ConsoleProfile) -> None:
    async with seated(rack.engine, profile) as desk:
        before = await desk.api.services.show("tftp")
        await desk.go("services")
        await desk.cursor_to("tftp")
        await desk.press("R")
        await desk.answer("Restart?", "enter")
        assert (await desk.api.services.show("tftp")).since == before.since
        await desk.press("R")
        await desk.answer("Restart?", "y")
        after = await desk.comes(lambda: desk.api.services.show("tftp"), lambda one: one.since > before.since)
        assert after.state.value in ("starting", "up")
        await desk.comes(lambda: desk.api.services.show("tftp"), lambda one: one.state.value == "up")
        await desk.until(lambda: "TFTP up" in desk.crumbs and desk.has("tftp", "+ up"), "shown as up")


async def test_a_preference_is_changed_and_put_back(rack: Rack) -> None:
    async with seated(rack.engine, CONSOLE) as desk:
        prefs = desk.api.prefs
        await desk.go("prefs")
        await desk.cursor_to("unknown-token-timeout")
        await desk.press("e")
        form = await desk.fill(value="soon")
        await desk.submit(form)
        await desk.refused(form, "value", "soon")
        assert (await prefs.show("unknown-token-timeout")).value == "600"
        await desk.save(value="900")
        assert (await prefs.show("unknown-token-timeout")).value == "900"
        await desk.cursor_to("loader-uefi")
        await desk.press("enter")
        await desk.save(value="snponly.efi")
        assert (await prefs.show("loader-uefi")).value == "snponly.efi"
        await desk.press("z")
        await desk.comes(lambda: prefs.show("loader-uefi"), lambda one: one.value == "ipxe.efi")
        await desk.until(lambda: desk.has("loader-uefi", without="snponly.efi"), "the list says so")


async def test_an_interface_is_asked_and_a_subnet_made_from_it(rack: Rack) -> None:
    engine = rack.engine
    async with seated(engine, FULL) as desk:
        before = await desk.api.interfaces.show("eth0")
        await desk.go("interfaces")
        await desk.cursor_to("eth0")
        await desk.press("p")
        await desk.comes(
            lambda: desk.api.interfaces.show("eth0"), lambda one: one.probed and one.probed > (before.probed or 0)
        )
        await desk.see("none heard")
        await desk.press("a")
        form = await desk.dialog(Form)
        assert (form.values["cidr"], form.values["ranges"]) == ("10.7.0.0/24", "10.7.0.100-10.7.0.200")
        await desk.refused(form, "cidr", "rack7")
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is not form, "closed")
        await desk.api.subnets.delete("rack7")
        await desk.press("a")
        await desk.answer("Review: eth0", "y")
        made = (await desk.comes(desk.api.subnets.list, lambda page: page.items)).items[0]
        assert (made.name, str(made.cidr), made.interface) == ("eth0", "10.7.0.0/24", "eth0")
        await desk.comes(lambda: desk.api.interfaces.show("eth0"), lambda one: one.served)


async def test_the_command_log_takes_back_one_command(rack: Rack) -> None:
    async with seated(rack.engine, CONSOLE) as desk:
        await desk.api.reservations.create({"address": "10.7.0.8", "mac": "52:54:00:00:09:08"})
        await desk.api.reservations.create({"address": "10.7.0.9", "mac": "52:54:00:00:09:09"})
        await desk.go("commands")
        await desk.cursor_to("10.7.0.8")
        await desk.press("u")
        await desk.absent(lambda: desk.api.reservations.show("10.7.0.8"))
        await desk.api.reservations.show("10.7.0.9")
        await desk.until(lambda: "undone by" in desk.text, "the log says so")


async def test_hold_answers_no_one_until_it_is_lifted(rack: Rack, profile: ConsoleProfile) -> None:
    async with seated(rack.engine, profile) as desk:
        await desk.press("H")
        await desk.answer("Hold: answer no one?", "enter")
        assert not (await desk.api.info()).holding
        await desk.press("H")
        await desk.answer("Hold: answer no one?", "y")
        await desk.comes(desk.api.info, lambda info: info.holding)
        await desk.until(lambda: "HOLD" in desk.crumbs, "the breadcrumb says so")
        await desk.press("H")
        await desk.answer("Lift the hold?", "y")
        await desk.comes(desk.api.info, lambda info: not info.holding)
        await desk.until(lambda: "HOLD" not in desk.crumbs, "the breadcrumb says so")
