"""GRUB's configuration, which the signed shim leads to: this machine's, with a token, and to nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.netboot.bootpath import Refusal, Role, Served
from app.services.bootfs.scripts import GRUB
from app.services.content.reader import read
from tests.services.bootfs.world import MAC, NOBODY, THERE, WEB1, World

CONFIG = "grub/grub.cfg"
NAMED = "grub/grub.cfg-01-52-54-00-00-00-07"
SHIPPED = Path(__file__).resolve().parents[3] / "bootenvs"


@pytest.fixture
def grub(world: World) -> World:
    bootenv, templates = world.content.found["rescue"]
    source = "linux /{{ boot_file('kernel') }} {{ grub(arguments) }}\n# {{ machine.name }}\n"
    world.content.found["rescue"] = (bootenv, {**templates, GRUB: source})
    return world


def _text(world: World, path: str = CONFIG) -> str:
    answer = world.ask(path)
    assert isinstance(answer, Served)
    assert answer.body is not None
    return answer.body.decode()


@pytest.mark.parametrize("path", [CONFIG, "grub.cfg", NAMED])
def test_the_machine_that_asks_is_given_its_own_with_a_token(grub: World, path: str) -> None:
    text = _text(grub, path)
    assert text.startswith("linux /discovery/amd64/vmlinuz 'a=1' 't=")
    assert text.endswith(f" 'm={MAC}'\n# d52-54-00-00-00-07\n")
    answer = grub.ask(path)
    assert isinstance(answer, Served)
    assert answer.role is Role.SCRIPT
    assert dict(answer.facts) == {"bootenv": "rescue", "boots": "kernel", "loads": "kernel initrd"}


def test_another_machine_gets_its_own_and_not_the_one_it_names(grub: World) -> None:
    assert isinstance(grub.ask(NAMED, THERE), Refusal)
    assert grub.ask(CONFIG, NOBODY) is None
    answer = grub.ask(CONFIG, THERE)
    assert isinstance(answer, Served)
    assert MAC not in (answer.body or b"").decode()


@pytest.mark.parametrize("path", [CONFIG, NAMED])
def test_the_operators_own_configuration_comes_first(grub: World, path: str) -> None:
    (grub.root / "grub").mkdir()
    own = grub.root / CONFIG
    own.write_text("set timeout=5\n")
    answer = grub.ask(path)
    assert (answer.file if isinstance(answer, Served) else answer) == (own if path == CONFIG else None)


def test_an_environment_without_a_script_for_grub_says_so_on_the_screen(world: World) -> None:
    assert "'no' 'template' 'named' 'grub,'" in _text(world)
    assert [event.kind for event in world.events] == ["render.failed"]


def test_a_held_machine_goes_on_to_its_disk(grub: World) -> None:
    grub.view.machines[MAC] = WEB1.model_copy(update={"bootenv": "rescue", "held": True})
    found = read(SHIPPED / "local")
    grub.content.found["local"] = (found.bootenv, found.templates)
    text = _text(grub)
    assert "'web1' 'boots' 'its' 'own' 'disk:' 'it' 'is' 'held.'" in text
    assert text.endswith("exit 1\n")


def test_over_ipv6_nothing_made_for_one_machine_is_given(grub: World) -> None:
    assert grub.tree.shared(CONFIG) is None


def test_the_shipped_script_boots_the_discovery_system(grub: World) -> None:
    found = read(SHIPPED / "discovery")
    grub.content.found["discovery"] = (found.bootenv, found.templates)
    grub.view.prefs["unknown-bootenv"] = "discovery"
    text = _text(grub)
    assert 'for base in "(http,10.7.0.1:8090)" "(tftp,10.7.0.1)"; do' in text
    assert "if linux \"$base/discovery/amd64/vmlinuz\" 'quiet' 'loglevel=3' " in text
    assert f" 'bootcart.mac={MAC}' $more; then" in text
    assert 'if initrd "$base/discovery/amd64/initrd.img"; then' in text
    assert 'set more="console=ttyS0,115200 console=tty0"' in text
    assert text.count('if [ "$grub_cpu" = ') == 2
