"""Boot scripts: the right one for the machine, to nobody else, and never nothing."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from app.errors import InvalidError, NotFoundError
from app.model.event import EVENT_KINDS
from app.model.subnet import Lease, Reservation
from app.netboot.bootpath import Refusal, Role, Served
from app.netboot.render import RenderError
from app.netboot.token import Claims, TokenKind, read
from tests.services.bootfs.world import HERE, ID, KEY, LOCAL, MAC, NOBODY, OTHER, THERE, WEB1, World

SCRIPT = "boot/52-54-00-00-00-07.ipxe"


def _token(text: str) -> Claims:
    return read(text.partition("t=")[2].split()[0], KEY)


def test_an_unknown_machine_gets_the_unknown_bootenv_and_a_token_that_may_only_register(world: World) -> None:
    text = world.script()
    assert text.startswith("#!ipxe\nkernel http://10.7.0.1:8090/discovery/amd64/vmlinuz a=1 t=")
    assert text.endswith(f" m={MAC}\n# d52-54-00-00-00-07\n")
    assert _token(text) == Claims(TokenKind.UNKNOWN, MAC, HERE, 1500 + 600, 1000.0)


def test_a_known_machine_gets_what_was_assigned_and_its_own_token(world: World) -> None:
    world.view.machines[MAC] = WEB1.model_copy(update={"bootenv": "rescue"})
    text = world.script()
    assert text.endswith("# web1\n")
    assert _token(text) == Claims(TokenKind.MACHINE, MAC, HERE, 1500 + 3600, 1000.0, str(ID))


def test_the_answer_tells_the_timeline_what_it_boots(world: World) -> None:
    answer = world.ask(SCRIPT)
    assert isinstance(answer, Served)
    assert answer.role is Role.SCRIPT
    assert dict(answer.facts) == {"bootenv": "rescue", "boots": "kernel", "loads": "kernel initrd"}


def test_a_fixed_address_is_what_urls_name(world: World) -> None:
    world.tree = world.made(IPv4Address("192.0.2.9"))
    assert "http://192.0.2.9:8090/" in world.script()


@pytest.mark.parametrize("peer", [THERE, NOBODY], ids=["a machine with a lease", "an address without one"])
def test_a_second_machine_on_the_segment_cannot_read_the_first_ones_script(world: World, peer: IPv4Address) -> None:
    answer = world.ask(SCRIPT, peer)
    assert isinstance(answer, Refusal)
    assert str(peer) in answer.why


def test_beside_another_dhcp_server_the_arp_table_decides(world: World) -> None:
    world.view.leases.clear()
    assert isinstance(world.ask(SCRIPT), Refusal)
    world.neighbours[HERE] = OTHER
    assert isinstance(world.ask(SCRIPT), Refusal)
    world.neighbours[HERE] = MAC
    # What was learned is there before the token is made, so that the token is bound to it.
    assert _token(world.script()).since == 1500.0
    assert world.learned == [(MAC, HERE)]
    assert world.tree.mac_of(HERE) == MAC


def test_an_address_another_server_gave_to_the_next_machine_is_the_next_machines(world: World) -> None:
    world.view.leases[HERE] = Lease(address=HERE, mac=OTHER, since=5, expires=9e9)  # learned: it has no subnet
    world.neighbours[HERE] = MAC
    assert world.script()
    assert world.learned == [(MAC, HERE)]


def test_our_own_lease_is_never_overruled_by_the_arp_table(world: World) -> None:
    world.neighbours[THERE] = MAC
    assert isinstance(world.ask(SCRIPT, THERE), Refusal)
    assert world.learned == []


@pytest.mark.parametrize(
    ("changed", "reserved", "words"),
    [({}, False, "web1 "), ({"held": True}, False, "web1 it is held"), ({}, True, "says never to boot it")],
    ids=["default", "held", "reservation"],
)
def test_a_machine_that_boots_its_disk_is_told_so(
    world: World, changed: dict[str, object], reserved: bool, words: str
) -> None:
    world.view.machines[MAC] = WEB1.model_copy(update=changed)
    if reserved:
        world.view.reserved[MAC] = Reservation(address=HERE, mac=MAC, never_boot=True)
    text = world.script()
    assert words in text
    assert text.endswith("exit\n")


def test_a_machine_to_be_ignored_is_not_answered(world: World) -> None:
    world.view.machines[MAC] = WEB1.model_copy(update={"bootenv": "ignore"})
    answer = world.ask(SCRIPT)
    assert isinstance(answer, Refusal)
    assert "left alone" in answer.why


def test_a_render_error_becomes_a_script_that_says_it_and_an_event(world: World) -> None:
    world.content.template("rescue", "#!ipxe\n\nkernel {{ nothing_here }}\n")
    answer = world.ask(SCRIPT)
    assert isinstance(answer, Served)
    assert answer.role is Role.FILE  # the script hop has failed, and must not look done
    assert answer.body is not None
    text = answer.body.decode()
    assert "echo   boot line 3\n" in text
    assert "echo   'nothing_here' is undefined\n" in text
    assert "chain --replace http://10.7.0.1:8090/boot/52-54-00-00-00-07.ipxe?attempt=1" in text
    (event,) = world.events
    assert (event.kind, event.mac, event.address) == ("render.failed", MAC, str(HERE))
    assert event.data == {"bootenv": "rescue", "template": "boot", "line": 3, "why": "'nothing_here' is undefined"}
    assert set(event.data) == set(EVENT_KINDS["render.failed"].split(", "))


def test_it_waits_longer_each_time_and_boots_as_soon_as_it_is_mended(world: World) -> None:
    world.content.broken("rescue", "amd64: discovery/amd64/vmlinuz is not there")
    assert "sleep 5 " in world.script()
    assert "sleep 40 " in world.script(attempt="3")
    assert "sleep 5 " in world.script(attempt="many")
    assert "discovery/amd64/vmlinuz is not there" in world.script()
    world.content.broken("rescue")
    assert "kernel http" in world.script(attempt="4")


def test_an_unknown_boot_environment_is_told_on_the_machines_screen(world: World) -> None:
    world.view.machines[MAC] = WEB1.model_copy(update={"bootenv": "gone"})
    assert "echo Bootcart: web1 cannot boot gone now\n" in world.script()
    assert world.events[0].kind == "render.failed"
    assert "assign another one" in world.events[0].message


def test_an_error_in_the_arguments_names_them(world: World) -> None:
    bootenv, templates = world.content.found["rescue"]
    world.content.found["rescue"] = (bootenv, {**templates, "arguments": "x={{ param('nope') }}"})
    assert "there is no parameter 'nope'" in world.script()
    assert world.events[0].data["template"] == "arguments"


@pytest.mark.parametrize(
    ("what", "role"), [("kernel", "kernel"), ("initrd", "initrd"), ("start", "file"), ("\x1b[", "file")]
)
def test_what_a_loader_reports_as_failed_becomes_an_event_of_that_hop(world: World, what: str, role: str) -> None:
    assert world.script(failed=what, errno="0x2d0c613b", **{"try": "2"}) == "noted\n"
    (event,) = world.events
    assert (event.kind, event.data["role"], event.mac) == ("http.failed", role, MAC)
    assert set(event.data) == set(EVENT_KINDS["http.failed"].split(", "))
    assert "https://ipxe.org/2d0c613b" in event.message
    assert "\x1b" not in event.message


def test_a_stranger_cannot_report_for_a_machine(world: World) -> None:
    assert isinstance(world.ask(SCRIPT, THERE, failed="kernel"), Refusal)
    assert world.events == []


def test_autoexec_is_missing_where_we_lease_and_leads_to_the_script_where_we_do_not(world: World) -> None:
    assert world.ask("autoexec.ipxe") is None
    world.view.leases.clear()
    assert world.ask("autoexec.ipxe") is None
    world.neighbours[HERE] = MAC
    assert world.text("autoexec.ipxe") == (
        "#!ipxe\n"
        "dhcp || dhcp ||\n"
        f"chain --replace http://10.7.0.1:8090/{SCRIPT} ||\n"
        "iseq ${platform} efi && exit 1 ||\n"
        "exit\n"
    )


def test_the_preview_is_what_it_would_get_with_its_token_masked(world: World) -> None:
    machine = WEB1.model_copy(update={"bootenv": "rescue"})
    world.view.machines[MAC] = machine
    text = world.tree.preview(machine)
    assert f"a=1 t=******** m={MAC}" in text
    assert "# web1" in text
    assert world.tree.preview(machine, "local").startswith("#!ipxe\necho web1")
    assert "no answer" in world.tree.preview(machine, "ignore")
    assert world.tree.preview(machine, "rescue", "arguments").startswith("a=1")


def test_the_preview_fails_in_words(world: World) -> None:
    with pytest.raises(NotFoundError, match="no boot environment 'gone'"):
        world.tree.preview(WEB1, "gone")
    with pytest.raises(InvalidError, match="no MAC address"):
        world.tree.preview(WEB1.model_copy(update={"macs": ()}))
    world.content.template("rescue", "{{ nothing_here }}")
    with pytest.raises(RenderError, match="rescue/boot line 1: 'nothing_here' is undefined"):
        world.tree.preview(WEB1, "rescue")
    assert world.events == []


def test_urls_lead_back_to_the_address_that_was_reached(world: World) -> None:
    assert world.tree.base(LOCAL) == "http://10.7.0.1:8090"
