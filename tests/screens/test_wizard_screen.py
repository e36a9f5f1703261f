"""The wizard: interfaces with what was heard, proposal, review with commands, consent, the plan for the launcher."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from app.errors import ConflictError
from app.model.hostplan import RESTART_FOR_HOST, HostPlan
from app.model.subnet import Subnet
from app.screens.dialogs.form import Form
from app.screens.dialogs.frame import Ask, Page
from app.screens.wizard.outcome import tell
from app.screens.wizard.screen import Wizard
from tests.fakes.client import FakeClient
from tests.screens.stage import VT, WIDE, Stage, opened
from tests.screens.test_areas import fill, form, save


async def wizard(stage: Stage) -> Wizard:
    await stage.until(lambda: isinstance(stage.app.screen, Wizard), "the wizard")
    found = stage.app.screen
    assert isinstance(found, Wizard)
    await stage.until(lambda: found.table.items and not found.asking and found.probed, "asked everywhere")
    await stage.gone("asking ...")
    return found


async def choose(stage: Stage, name: str) -> Form:
    found = await wizard(stage)
    assert found.table.go(name)
    await stage.press("enter")
    return await form(stage)


async def review(stage: Stage) -> str:
    await save(stage)
    await stage.until(lambda: isinstance(stage.app.screen, Ask), "the review")
    found = stage.app.screen
    assert isinstance(found, Ask)
    return found.page.text


@pytest.mark.parametrize("size", [VT, WIDE])
async def test_ux17_first_start_shows_each_interface_and_who_answers_there(size: tuple[int, int]) -> None:
    async with opened(FakeClient.empty(), size=size) as stage:
        await wizard(stage)
        assert "uplink" in stage.row("link eth0 ")
        assert "02:00:00:00:00:02" in stage.row("link eth1 ")
        assert "10.7.0.1/24" in stage.row("link eth1 ")
        assert "10G" in stage.row("link eth1 ")
        assert "none" in stage.row("link eth1 ")
        assert "10.8.0.1 answers" in stage.row("link eth2 ")
        assert "- down" in stage.row("wlan0 ")
        assert stage.row("link eth1 ").startswith(">")
        probed = {call[2] for call in stage.client.calls if call[:2] == ("interfaces", "probe")}
        assert probed == {"eth0", "eth1", "eth2"}
        assert "lo " not in stage.text


async def test_ux17_not_opened_where_a_subnet_exists_but_reachable() -> None:
    async with opened() as stage:
        assert not isinstance(stage.app.screen, Wizard)
        await stage.press("W")
        await wizard(stage)
        await stage.press("escape")
        assert not isinstance(stage.app.screen, Wizard)


async def test_ux17_address_of_the_interface_is_proposed_reviewed_and_saved_with_consent(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    async with opened(FakeClient.empty(), host_plan=plan) as stage:
        found = await choose(stage, "eth1")
        assert found.values["cidr"] == "10.7.0.0/24"
        assert found.values["ranges"] == "10.7.0.100-10.7.0.200"
        assert found.values["mode"] == "authoritative"
        assert found.values["address"] == "10.7.0.1/24"
        text = await review(stage)
        assert "bootcart subnets create eth1 --cidr 10.7.0.0/24" in text
        assert "masquerade what eth1 sends out through eth0" in text
        assert "ip address add" not in text
        assert not stage.client.subnets.items
        await stage.press("enter")
        assert not stage.client.subnets.items, "the safe answer has the focus"
        await review(stage)
        await stage.press("y")
        await stage.until(lambda: stage.app.return_value is not None, "left")
        assert stage.app.return_value == RESTART_FOR_HOST == 75
        assert "eth1" in stage.client.subnets.items
    left = HostPlan.model_validate_json(plan.read_text(), strict=True)
    assert (left.interface, left.address, left.nat_uplink) == ("eth1", None, "eth0")
    assert left.preview == left.describe()
    assert os.stat(plan).st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["plan.json"]


async def test_ux17_an_interface_without_address_is_given_a_free_private_network(tmp_path: Path) -> None:
    client = FakeClient.empty()
    client.interfaces.answers.clear()
    client.interfaces.items["eth2"] = client.interfaces.items["eth2"].model_copy(update={"foreign": ()})
    async with opened(client, host_plan=tmp_path / "plan.json") as stage:
        found = await choose(stage, "eth2")
        assert found.values["address"] == "10.8.0.1/24", "10.7.0.0/24 is on eth1"
        assert found.values["unmanaged"] == "yes"
        text = await review(stage)
        assert "ip address add 10.8.0.1/24" in text
        assert "nmcli device set eth2 managed no" in text
        await stage.press("y")
        await stage.until(lambda: stage.app.return_value == RESTART_FOR_HOST, "left")
    assert json.loads((tmp_path / "plan.json").read_text())["address"] == "10.8.0.1/24"


async def test_ux17_another_server_means_proxy() -> None:
    async with opened(FakeClient.empty()) as stage:
        found = await choose(stage, "eth2")
        assert found.values["mode"] == "proxy"
        assert found.values["cidr"] == "10.8.0.0/24"
        assert "10.8.0.1 gives addresses here" in stage.text
        await save(stage)
        await stage.see("the interface has no address")
        await fill(stage, "address", "10.8.0.2/24")
        text = await review(stage)
        assert "--mode proxy" in text
        await stage.press("y")
        await stage.until(lambda: "eth2" in stage.client.subnets.items, "saved")
        made = stage.client.subnets.items["eth2"]
        assert isinstance(made, Subnet)
        assert (made.mode.value, made.confirmed) == ("proxy", False)


async def test_authoritative_where_another_server_answers_wants_the_interface_typed() -> None:
    async with opened(FakeClient.empty()) as stage:
        found = await choose(stage, "eth2")
        await fill(stage, "address", "10.8.0.2/24")
        await fill(stage, "ranges", "10.8.0.100-10.8.0.120")
        next(row for row in found.rows if row.field.name == "mode").input.focus()
        await stage.press("left")
        text = await review(stage)
        assert "DANGER" in text
        assert "10.8.0.1 answers DHCP on eth2" in " ".join(text.split())
        await stage.press("y", "enter")
        assert not stage.client.subnets.items
        await stage.press("backspace")
        await stage.type("eth2")
        await stage.press("enter")
        await stage.until(lambda: "eth2" in stage.client.subnets.items, "saved")
        made = stage.client.subnets.items["eth2"]
        assert isinstance(made, Subnet)
        assert made.confirmed


async def test_without_the_launcher_the_commands_are_shown_to_be_run_by_hand() -> None:
    async with opened(FakeClient.empty()) as stage:
        await choose(stage, "eth1")
        await review(stage)
        await stage.press("y")
        await stage.until(lambda: isinstance(stage.app.screen, Page), "the commands")
        assert "as root" in " ".join(stage.text.split())
        assert "sysctl -w net/ipv4/conf/eth1/forwarding=1" in stage.text
        assert stage.app.return_value is None


async def test_what_the_engine_refuses_comes_back_into_the_form() -> None:
    from app.errors import InvalidError

    client = FakeClient.empty()
    async with opened(client) as stage:
        await choose(stage, "eth1")
        await fill(stage, "domain", "rack7.test")
        await review(stage)
        client.fail(InvalidError("the domain is not one", field="domain"), "subnets.create")
        await stage.press("y")
        found = await form(stage)
        await stage.until(lambda: any(row.error for row in found.rows), "the error")
        assert found.values["domain"] == "rack7.test", "nothing typed is lost"
        assert "the domain is not one" in stage.text


async def test_first_boot_environment_of_new_machines_is_chosen_here() -> None:
    async with opened(FakeClient.empty()) as stage:
        found = await choose(stage, "eth1")
        row = next(row for row in found.rows if row.field.name == "unknown")
        # Not what wipes disks, and what cannot be used now.
        assert row.field.choices == ("discovery", "local", "ignore", "memtest")
        row.input.focus()
        await stage.press("right")
        assert found.values["unknown"] == "local"
        await review(stage)
        await stage.press("y")
        await stage.until(lambda: stage.client.prefs.items["unknown-bootenv"].value == "local", "set")


async def test_lab_is_offered_where_no_segment_is_free() -> None:
    client = FakeClient.empty()
    for name in ("eth1", "eth2"):
        del client.interfaces.items[name]
    async with opened(client) as stage:
        await wizard(stage)
        await stage.see("No free segment")
        assert "bootcart lab" in stage.text
        await stage.press("L")
        await stage.until(lambda: stage.app.return_value == 0, "left")
        assert "sudo ./bootcart lab" in stage.app.farewell


async def test_an_interface_that_cannot_be_asked_says_so_and_the_wizard_goes_on() -> None:
    client = FakeClient.empty()
    client.fail(ConflictError("no permission to open a raw socket"), "interfaces.probe")
    async with opened(client) as stage:
        await wizard(stage)
        await stage.see("cannot ask")
        assert not stage.app.failures


async def test_a_plan_that_cannot_be_written_is_told_and_the_interface_stays(tmp_path: Path) -> None:
    async with opened(FakeClient.empty(), host_plan=tmp_path / "missing" / "plan.json") as stage:
        await choose(stage, "eth1")
        await review(stage)
        await stage.press("y")
        await stage.see("cannot be written")
        assert stage.app.return_value is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"ok": true, "commands": ["a", "b"], "message": "", "hint": ""}', "2 commands run"),
        ('{"ok": false, "commands": [], "message": "no nft", "hint": "install nftables"}', "no nft"),
        ("rubbish", "cannot be read"),
    ],
)
async def test_what_came_of_the_plan_is_told(tmp_path: Path, body: str, said: str) -> None:
    result = tmp_path / "host-result.json"
    result.write_text(body)
    async with opened() as stage:
        tell(stage.app, result)
        await stage.see(said)
        stage.app.failures.clear()
        stage.app.say("")
        tell(stage.app, result, now=result.stat().st_mtime + 3600)
        tell(stage.app, tmp_path / "none.json")
        assert not stage.app.failures
        assert not stage.app.news
