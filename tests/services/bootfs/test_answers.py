"""Answer files: what the shipped installers are told, and that nobody else is told it."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from app.model.engine import PREFERENCES
from app.netboot.bootpath import FileRequest, Refusal, Role, Served
from app.netboot.render import RenderError
from app.netboot.token import TokenKind, mint, read
from app.services.content import ContentService, shipped
from tests.services.bootfs.world import HERE, ID, KEY, LOCAL, MAC, OTHER, THERE, WEB1, World

GOLDEN = Path(__file__).parent / "golden"
SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH1c1wrN0bHRnm5hFBy5VJgCxvqJCDHKx9mYyVQhWSNa"
NAMES = ["debian-12", "debian-13"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world with what is shipped, whose machine web1 is to be installed with Debian 12."""
    made = World(tmp_path)
    content = ContentService([shipped()], there=lambda _: True, publish=lambda _: None)
    content.load()
    made.content = content  # pyright: ignore[reportAttributeAccessIssue]
    made.tree = made.made(LOCAL)
    made.view.prefs = {each.name: each.default for each in PREFERENCES}
    made.view.prefs["install-ssh-keys"] = f"{SSH} ann, {SSH} bob"
    made.view.machines[MAC] = WEB1.model_copy(update={"bootenv": "debian-12"})
    return made


def token(world: World, **changed: Any) -> str:
    return mint(world.claims(machine=str(ID), **changed), KEY)


@pytest.mark.parametrize("template", ["boot", "preseed"])
@pytest.mark.parametrize("name", NAMES)
def test_what_an_installer_is_given(world: World, name: str, template: str) -> None:
    text = world.tree.preview(WEB1, name, template)
    golden = GOLDEN / f"{name}.{'ipxe' if template == 'boot' else 'preseed.cfg'}"
    assert text == golden.read_text(), f"it differs from {golden}"


def test_debian_12_and_13_differ_in_their_release_alone(world: World) -> None:
    for template in ("boot", "preseed"):
        old, new = (world.tree.preview(WEB1, name, template) for name in NAMES)
        for one, other in (("debian-12", "debian-13"), ("Debian 12", "Debian 13"), ("bookworm", "trixie")):
            old = old.replace(one, other)
        assert old == new


@pytest.mark.parametrize(
    ("mirror", "lines"),
    [
        ("http://ftp.debian.org/debian", ["protocol string http", "http/hostname string ftp.debian.org"]),
        ("https://m.example:8443", ["protocol string https", "https/hostname string m.example:8443"]),
        ("http://m/a/b", ["http/hostname string m", "http/directory string /a/b"]),
        ("http://m", ["http/directory string /"]),
    ],
)
def test_the_mirror_is_the_operators(world: World, mirror: str, lines: list[str]) -> None:
    world.view.prefs["debian-mirror"] = mirror
    text = world.tree.preview(WEB1, "debian-12", "preseed")
    assert [line for line in lines if f"\nd-i mirror/{line}\n" not in text] == []


def test_a_system_nobody_could_log_in_to_is_not_installed(world: World) -> None:
    world.view.prefs["install-ssh-keys"] = ""
    for template in ("boot", "preseed"):
        with pytest.raises(RenderError, match="set the preference install-ssh-keys first"):
            world.tree.preview(WEB1, "debian-12", template)
    assert "set the preference install-ssh-keys first" in world.script()
    assert world.events[-1].kind == "render.failed"


def test_the_script_leads_to_the_machines_own_answers(world: World) -> None:
    answer = world.ask("boot/52-54-00-00-00-07.ipxe")
    assert isinstance(answer, Served)
    assert dict(answer.facts) == {"bootenv": "debian-12", "boots": "installer", "loads": "kernel initrd"}
    assert answer.body is not None
    found = re.search(r" url=http://10\.7\.0\.1:8090/(answers/(\S+)/preseed\.cfg) ", answer.body.decode())
    assert found is not None
    claims = read(found[2], KEY)
    assert (claims.kind, claims.mac, claims.address, claims.machine) == (TokenKind.MACHINE, MAC, HERE, str(ID))

    served = world.ask(found[1])
    assert isinstance(served, Served)
    # What events show of it holds no token.
    assert (served.path, served.role, dict(served.facts)) == (
        "answers/preseed.cfg",
        Role.ANSWER,
        {"bootenv": "debian-12"},
    )
    assert served.body is not None
    reports = re.findall(r"'http://10\.7\.0\.1:8090/reports/(\S+)/(\w+)'", served.body.decode())
    assert [step for _, step in reports] == ["started", "finished"]
    # An installation takes longer than its boot.
    assert {read(each, KEY).expires for each, _ in reports} == {world.clock.time + 12 * 3600}


def test_nobody_else_is_told(world: World) -> None:
    elsewhere = world.claims(machine=str(ID), mac=OTHER)
    refused = {
        "garbage": ("garbage", HERE),
        "another address": (token(world), THERE),
        "expired": (token(world, expires=world.clock.time), HERE),
        "an earlier lease": (token(world, since=1.0), HERE),
        "another key": (mint(world.claims(machine=str(ID)), b"x" * 32), HERE),
        "a machine nobody has named": (mint(world.claims(), KEY), HERE),
        "another machine's card": (mint(replace(elsewhere, address=THERE), KEY), THERE),
    }
    for name, (given, peer) in refused.items():
        answer = world.ask(f"answers/{given}/preseed.cfg", peer)
        assert isinstance(answer, Refusal), name
        assert answer.path == "answers/preseed.cfg", name
        assert given not in answer.why, name


@pytest.mark.parametrize(
    "changes", [{"bootenv": "local"}, {"bootenv": ""}, {"bootenv": "discovery"}, {"held": True}, {"bootenv": "gone"}]
)
def test_only_while_the_machine_is_to_be_installed(world: World, changes: dict[str, object]) -> None:
    path = f"answers/{token(world)}/preseed.cfg"
    assert isinstance(world.ask(path), Served)
    world.view.machines[MAC] = world.view.machines[MAC].model_copy(update=changes)
    answer = world.ask(path)
    assert isinstance(answer, Refusal)
    assert answer.why == "web1 is not to be installed now"


@pytest.mark.parametrize("path", ["answers/{}/boot.ipxe", "answers/{}/other", "reports/{}/started"])
def test_what_is_no_answer_file(world: World, path: str) -> None:
    assert isinstance(world.ask(path.format(token(world))), Refusal)


def test_not_over_tftp(world: World) -> None:
    path = f"answers/{token(world)}/preseed.cfg"
    assert isinstance(world.tree.resolve(FileRequest(path, HERE, LOCAL, protocol="tftp")), Refusal)


def test_a_token_fits_the_longest_name_of_a_path(world: World) -> None:
    longest = world.claims(machine=str(ID), address=IPv4Address("255.255.255.254"), expires=9e9, since=9e9 + 0.999)
    assert len(mint(longest, KEY)) <= 255
