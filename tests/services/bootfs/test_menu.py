"""Menus for U-Boot and petitboot: each machine its own, with a token, and to nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.model.bootenv import BootFiles
from app.netboot.bootpath import FileRequest, Refusal, Role, Served
from app.netboot.menu import menu_file, menu_of, menu_path, menu_place
from app.services.content.reader import read
from tests.services.bootfs.world import HERE, LOCAL, MAC, NOBODY, THERE, WEB1, World

MENU = "pxelinux.cfg/01-52-54-00-00-00-07"
DEFAULT = "pxelinux.cfg/default-arm-armv8"
SHIPPED = Path(__file__).resolve().parents[3] / "bootenvs"
KERNEL, INITRD = "discovery/arm64/vmlinuz", "discovery/arm64/initrd.img"


@pytest.mark.parametrize(
    ("path", "mac"),
    [
        ("pxelinux.cfg/01-52-54-00-00-00-0A", "52:54:00:00:00:0a"),
        ("sub/pxelinux.cfg/default", ""),
        ("pxelinux.cfg/default-arm-armv8-qemu_arm64", ""),
        ("pxelinux.cfg", ""),
        ("pxelinux.cfg/0A070064", None),
        ("pxelinux.cfg/11111111-2222-3333-4444-555555555555", None),
        ("pxelinux.cfg/01-00-00-00-00-00-00", None),
        ("pxelinux.cfg/20-52-54-00-00-00-0a", None),
        ("pxelinux.0", None),
    ],
)
def test_the_names_a_menu_is_asked_for_by(path: str, mac: str | None) -> None:
    assert menu_of(path) == mac


def test_a_machine_without_an_ethernet_address_takes_the_menu_of_who_asks() -> None:
    assert [menu_of(menu_path(*one)) for one in ((MAC, "arm64"), ("", ""))] == [MAC, ""]
    assert (menu_file(""), menu_file("armhf")) == ("menus/untold/pxelinux.cfg", "menus/armhf/pxelinux.cfg")
    assert menu_place("menus/arm64/discovery/vmlinuz") == ("arm64", "discovery/vmlinuz")
    assert menu_place("menus/../x") == ("", "menus/../x")


@pytest.fixture
def arm64(world: World) -> World:
    """The shipped discovery system, for a machine that is an arm64 one."""
    for name in ("discovery", "local"):
        found = read(SHIPPED / name)
        world.content.found[name] = (found.bootenv, found.templates)
    world.view.machines[MAC] = WEB1.model_copy(update={"architecture": "arm64", "bootenv": "discovery"})
    return world


def _menu(world: World, path: str = MENU, protocol: str = "tftp") -> str:
    answer = world.tree.resolve(FileRequest(path, HERE, LOCAL, protocol=protocol))
    assert isinstance(answer, Served)
    assert answer.body is not None
    return answer.body.decode()


@pytest.mark.parametrize("path", [MENU, DEFAULT, "pxelinux.cfg"])
def test_the_shipped_menu_boots_the_discovery_system(arm64: World, path: str) -> None:
    lines = [line.strip() for line in _menu(arm64, path).splitlines() if line.strip()]

    assert lines[0] == "MENU TITLE Bootcart at http://10.7.0.1:8090: Discovery on web1"
    assert lines[1:6] == ["DEFAULT bootcart", "PROMPT 0", "TIMEOUT 10", "LABEL bootcart", "MENU LABEL Discovery"]
    assert lines[6:8] == [f"KERNEL {KERNEL}", f"INITRD {INITRD}"]
    assert lines[8].startswith("APPEND quiet loglevel=3 panic=60 bootcart.url=http://10.7.0.1:8090 bootcart.token=")
    assert lines[8].endswith(f" bootcart.mac={MAC}")
    assert len(lines) == 9
    answer = arm64.tree.resolve(FileRequest(path, HERE, LOCAL, protocol="tftp"))
    assert isinstance(answer, Served)
    assert answer.role is Role.SCRIPT
    assert dict(answer.facts) == {"bootenv": "discovery", "boots": "kernel", "loads": "kernel initrd"}


def test_where_it_looks_tells_of_which_processor_it_is(arm64: World) -> None:
    del arm64.view.machines[MAC]
    arm64.view.prefs["unknown-bootenv"] = "discovery"

    assert f"KERNEL {KERNEL}\n" in _menu(arm64, f"menus/arm64/{MENU}")
    assert "there is nothing for riscv64 machines in Discovery" in _menu(arm64, "menus/riscv64/pxelinux.cfg")
    kernel = arm64.ask("menus/arm64/discovery/amd64/vmlinuz")
    assert isinstance(kernel, Served)
    assert (kernel.path, kernel.role) == ("discovery/amd64/vmlinuz", Role.KERNEL)
    assert arm64.ask("menus/arm64/boot/52-54-00-00-00-07.ipxe") is None


def test_firmware_that_told_no_processor_tells_it_by_the_last_names_it_asks_for(arm64: World) -> None:
    """Debian's U-Boot for RISC-V sends no architecture type, and asks for its own menu before `default-riscv`."""
    here = "menus/untold/pxelinux.cfg"
    known = arm64.view.machines.pop(MAC)
    arm64.view.prefs["unknown-bootenv"] = "discovery"

    for name in ("", "/01-52-54-00-00-00-07", "/default-arm-board", "/default"):
        assert arm64.ask(here + name) is None, name
    assert "there is nothing for riscv64 machines in Discovery" in _menu(arm64, f"{here}/default-riscv-generic")
    assert "KERNEL discovery/amd64/vmlinuz" in _menu(arm64, f"{here}/default-x86")
    assert isinstance(arm64.ask("menus/untold/discovery/amd64/vmlinuz"), Served)
    # A record that names it will do.
    arm64.view.machines[MAC] = known
    assert f"KERNEL {KERNEL}\n" in _menu(arm64, f"{here}/01-52-54-00-00-00-07")


def test_over_http_its_files_are_urls(arm64: World) -> None:
    assert f"KERNEL http://10.7.0.1:8090/{KERNEL}\n" in _menu(arm64, protocol="http")


def test_another_machine_gets_its_own_and_not_the_one_it_names(arm64: World) -> None:
    assert isinstance(arm64.ask(MENU, THERE), Refusal)
    assert arm64.ask(DEFAULT, NOBODY) is None


@pytest.mark.parametrize("path", [MENU, "pxelinux.cfg/default"])
def test_the_operators_own_menu_comes_first(arm64: World, path: str) -> None:
    own = arm64.root / "pxelinux.cfg" / "default"
    own.parent.mkdir()
    own.write_text("SAY mine\n")
    answer = arm64.ask(path)
    assert (answer.file if isinstance(answer, Served) else answer) == (own if path.endswith("default") else None)


def test_a_held_machine_is_sent_to_its_disk(arm64: World) -> None:
    arm64.view.machines[MAC] = WEB1.model_copy(update={"bootenv": "discovery", "held": True})
    text = _menu(arm64)
    assert "MENU TITLE Bootcart: web1 boots its own disk: it is held.\n" in text
    assert text.endswith("LABEL local\n    LOCALBOOT 0\n")


@pytest.mark.parametrize("wrong", ["processor", "initrds", "template"])
def test_what_cannot_be_booted_is_said_and_the_firmware_goes_on(arm64: World, wrong: str) -> None:
    bootenv, templates = arm64.content.found["discovery"]
    if wrong == "processor":
        words = "there is nothing for ppc64el machines in Discovery"
        arm64.view.machines[MAC] = arm64.view.machines[MAC].model_copy(update={"architecture": "ppc64el"})
    elif wrong == "initrds":
        words = "the firmware takes one initrd, and Discovery has several"
        two = {"arm64": BootFiles(kernel=KERNEL, initrds=(INITRD, INITRD))}
        arm64.content.found["discovery"] = (bootenv.model_copy(update={"architectures": two}), templates)
    else:
        words = "it has no template named pxelinux, so it has no script for a menu of PXELINUX's kind"
        rest = {name: text for name, text in templates.items() if name != "pxelinux"}
        arm64.content.found["discovery"] = (bootenv, rest)

    text = _menu(arm64)

    assert text.startswith("MENU TITLE Bootcart: web1 cannot boot discovery now\n")
    assert f"SAY {words}\n" in text
    assert "LABEL" not in text.removeprefix("MENU")
    assert [event.kind for event in arm64.events] == ["render.failed"]
