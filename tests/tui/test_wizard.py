"""The first start with an empty store: the wizard, by keyboard alone, with and without another DHCP server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import NotFoundError
from app.model.hostplan import RESTART_FOR_HOST, HostPlan
from app.model.subnet import Subnet, SubnetMode
from app.screens.areas.machines import MachinesArea
from app.screens.dialogs.form import Form
from app.screens.dialogs.frame import Ask, Page
from app.screens.profile import ConsoleProfile
from app.screens.wizard.screen import Wizard
from tests import netns
from tests.engine.card import card, pxe
from tests.engine.process import running
from tests.screens.stage import CONSOLE, FULL
from tests.tui.conftest import Rack
from tests.tui.desk import Desk, seated

pytestmark = pytest.mark.root

DNSMASQ = [
    "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--no-ping", "--interface=eth0",
    "--bind-dynamic", "--dhcp-range=10.7.0.50,10.7.0.60,255.255.255.0,1h", "--dhcp-authoritative",
]  # fmt: skip


@pytest.fixture(scope="module")
def _bare(artefacts: Path) -> Iterator[Rack]:
    with netns.segment("10.7.0.1/24", clients=2) as segment:
        netns.run(segment.clients[1], ["ip", "address", "add", "10.7.0.9/24", "dev", "eth0"])
        # A second cable, without an address.
        netns.attach(segment.switch, "br0", segment.server, "eth1", mac="52:54:00:00:00:02")
        flags = ("--interface", "eth0", "--interface", "eth1", "--artefacts", str(artefacts))
        with running(segment.server, *flags) as engine:
            yield Rack(engine, segment)


@pytest.fixture
def bare(_bare: Rack) -> Iterator[Rack]:
    """An engine that has no subnet."""
    yield _bare
    ask, client = _bare.engine.ask, _bare.engine.client
    for subnet in ask(client.subnets.list()).items:
        ask(client.subnets.delete(subnet.name, drain=True))
    ask(client.prefs.set("unknown-bootenv", "discovery"))
    _bare.engine.sound()


@pytest.fixture
def other_server(bare: Rack, tmp_path: Path) -> Iterator[str]:
    """dnsmasq gives addresses on the segment; its address."""
    leases = f"--dhcp-leasefile={tmp_path / 'leases'}"
    with netns.running(bare.segment.clients[1], [*DNSMASQ, leases]) as process:

        def answers() -> bool:
            assert process.poll() is None, "dnsmasq ended"
            found = bare.engine.ask(bare.engine.client.interfaces.probe("eth0"))
            return [str(one.server) for one in found.foreign] == ["10.7.0.9"]

        netns.until(answers, what="dnsmasq is heard")
        yield "10.7.0.9"


async def at_interface(desk: Desk, heard: str) -> None:
    """The wizard has asked on every interface, anew, and says so of eth0."""
    opened = time.time() - 1

    def asked() -> bool:
        wizard = desk.app.screen
        return isinstance(wizard, Wizard) and not wizard.asking and asked_since(wizard, opened)

    await desk.until(asked, "the wizard has asked", 20)
    await desk.until(lambda: desk.has("> ", "eth0", heard), f"eth0: {heard}", 20)


def asked_since(wizard: Wizard, when: float) -> bool:
    """It has interfaces, and each was probed after this."""
    found = [one.probed or 0 for one in wizard.table.items]
    return bool(found) and min(found) > when


async def test_an_empty_store_is_set_up_by_keyboard(bare: Rack, profile: ConsoleProfile, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    async with seated(bare.engine, profile, wizard=True, host_plan=plan) as desk:
        await at_interface(desk, "none")
        await desk.press("enter")
        form = await desk.fill(name="rack7", ranges="10.7.0.100-10.8.0.1")
        await desk.submit(form)
        await desk.refused(form, "ranges", "10.8.0.1 is not in 10.7.0.0/24")
        form = await desk.fill(ranges="10.7.0.100-10.7.0.150", domain="rack7.example.net", unknown="ignore")
        await desk.submit(form)
        await desk.dialog(Ask, "Review: eth0")
        await desk.see("--range 10.7.0.100-10.7.0.150")
        await desk.press("enter")
        await desk.dialog(Form, "Set up eth0")
        with pytest.raises(NotFoundError):
            await desk.api.subnets.show("rack7")

        form = await desk.dialog(Form)
        assert form.values["ranges"] == "10.7.0.100-10.7.0.150"
        await desk.submit(form)
        await desk.answer("Review: eth0", "y")
        made = await desk.comes(lambda: desk.api.subnets.list(), lambda page: page.items)
        subnet = made.items[0]
        assert isinstance(subnet, Subnet)
        assert (subnet.name, str(subnet.cidr), subnet.mode) == ("rack7", "10.7.0.0/24", SubnetMode.AUTHORITATIVE)
        assert (subnet.interface, subnet.domain, subnet.confirmed) == ("eth0", "rack7.example.net", False)
        await desk.comes(lambda: desk.api.prefs.show("unknown-bootenv"), lambda pref: pref.value == "ignore")
        # The rest is the launcher's: it is left a plan, and the exit code says so.
        await desk.until(lambda: desk.app.return_value is not None, "left for the launcher")
        assert desk.app.return_value == RESTART_FOR_HOST
        assert HostPlan.model_validate_json(plan.read_text()).interface == "eth0"
        assert plan.stat().st_mode & 0o777 == 0o600


async def test_beside_another_server_proxy_is_proposed(bare: Rack, other_server: str, profile: ConsoleProfile) -> None:
    async with seated(bare.engine, profile, wizard=True) as desk:
        await at_interface(desk, f"{other_server} answers")
        await desk.see("another DHCP server")
        await desk.see("Enter sets up the interface at the cursor")
        await desk.press("enter")
        form = await desk.dialog(Form)
        assert (form.values["mode"], form.values["cidr"]) == ("proxy", "10.7.0.0/24")
        await desk.fill(name="guest", firewall="no")
        await desk.submit(form)
        await desk.answer("Review: eth0", "y")
        made = await desk.comes(lambda: desk.api.subnets.list(), lambda page: page.items)
        assert (made.items[0].mode, made.items[0].ranges) == (SubnetMode.PROXY, ())
        await desk.until(lambda: isinstance(desk.app.screen, MachinesArea), "the wizard is done")
        await desk.comes(lambda: desk.api.services.show("proxydhcp"), lambda one: one.state.value == "up")


async def test_authoritative_beside_another_server_wants_the_name_typed(bare: Rack, other_server: str) -> None:
    async with seated(bare.engine, CONSOLE, wizard=True) as desk:
        await at_interface(desk, f"{other_server} answers")
        await desk.press("enter")
        form = await desk.fill(name="mine", mode="authoritative", ranges="10.7.0.100-10.7.0.150", firewall="no")
        await desk.submit(form)
        review = await desk.dialog(Ask, "Review: eth0")
        await desk.see("DANGER")
        # Neither the letter nor a wrong word does it.
        await desk.press("y", "enter")
        await desk.see("nothing was done")
        assert desk.app.screen is review
        with pytest.raises(NotFoundError):
            await desk.api.subnets.show("mine")
        await desk.press("ctrl+u")
        await desk.type("eth0")
        await desk.press("enter")
        made = await desk.comes(lambda: desk.api.subnets.list(), lambda page: page.items)
        subnet = made.items[0]
        assert isinstance(subnet, Subnet)
        assert (subnet.mode, subnet.confirmed) == (SubnetMode.AUTHORITATIVE, True)
        await desk.comes(lambda: desk.api.subnets.show("mine"), lambda subnet: not subnet.hold)


async def test_leaving_the_wizard_saves_nothing_and_it_comes_back(bare: Rack) -> None:
    async with seated(bare.engine, FULL, wizard=True) as desk:
        await at_interface(desk, "none")
        await desk.press("enter")
        form = await desk.fill(name="dropped")
        await desk.press("escape", "escape")
        await desk.until(lambda: desk.app.screen is not form, "the form is closed")
        await desk.press("escape")
        await desk.until(lambda: isinstance(desk.app.screen, MachinesArea), "the wizard is left")
        assert not (await desk.api.subnets.list()).items
        await desk.command("wizard")
        await at_interface(desk, "none")
        await desk.press("enter")
        await desk.save(firewall="no")
        await desk.answer("Review: eth0", "y")
        await desk.comes(lambda: desk.api.subnets.list(), lambda page: page.items)
        await desk.until(lambda: isinstance(desk.app.screen, MachinesArea), "the wizard is done")

        # It is served at once.
        def lease() -> str:
            with card(bare.segment.clients[0], "52:54:00:00:01:01", pxe(7)) as firmware:
                return firmware.lease().address

        assert (await asyncio.to_thread(lease)).startswith("10.7.0.1")


async def test_an_interface_without_an_address_is_given_one(bare: Rack, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    async with seated(bare.engine, CONSOLE, wizard=True, host_plan=plan) as desk:
        await at_interface(desk, "none")
        await desk.press("down")
        await desk.until(lambda: desk.has("> ", "eth1"), "eth1")
        await desk.press("enter")
        form = await desk.dialog(Form, "Set up eth1")
        assert (form.values["address"], form.values["cidr"]) == ("10.8.0.1/24", "10.8.0.0/24")
        await desk.fill(address="10.8.0.1/16")
        await desk.submit(form)
        await desk.refused(form, "address", "not in 10.8.0.0/24")
        await desk.fill(address="10.8.0.1/24")
        await desk.submit(form)
        await desk.dialog(Ask, "Review: eth1")
        await desk.see("ip address add 10.8.0.1/24")
        await desk.press("y")
        made = await desk.comes(lambda: desk.api.subnets.list(), lambda page: page.items)
        assert (str(made.items[0].cidr), made.items[0].interface) == ("10.8.0.0/24", "eth1")
        await desk.until(lambda: desk.app.return_value == RESTART_FOR_HOST, "left for the launcher")
        assert str(HostPlan.model_validate_json(plan.read_text()).address) == "10.8.0.1/24"


async def test_without_a_launcher_the_commands_for_the_host_are_shown(bare: Rack) -> None:
    async with seated(bare.engine, CONSOLE, wizard=True) as desk:
        await at_interface(desk, "none")
        await desk.press("enter")
        await desk.save(firewall="yes")
        await desk.answer("Review: eth0", "y")
        page = await desk.dialog(Page, "To be run on this host")
        assert "8090" in page.page.text
        assert (await desk.api.subnets.list()).total == 1
        await desk.press("escape")
        await desk.until(lambda: isinstance(desk.app.screen, MachinesArea), "the wizard is done")
