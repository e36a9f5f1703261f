"""Scripts at hand are what a rendering would give now, for the machine that asks alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.model.subnet import Lease, Reservation
from app.netboot.bootpath import Role, Served
from app.netboot.token import TokenKind, read
from tests.services.bootfs.world import HERE, KEY, LOCAL, MAC, NOBODY, OTHER, THERE, WEB1, World


def _at_hand(world: World, mac: str = MAC) -> Served | None:
    return world.tree.script_at_hand(mac, HERE if mac == MAC else THERE, LOCAL)


def _text(served: Served | None) -> str:
    assert served is not None
    assert served.body is not None
    return served.body.decode()


@pytest.fixture
def asked(world: World) -> World:
    """A world in which one machine has had its script."""
    world.script()
    return world


def test_until_one_was_rendered_nothing_is_at_hand(world: World) -> None:
    assert _at_hand(world) is None
    text = world.script()
    assert _text(_at_hand(world)) == text


def test_the_next_machine_has_its_own(asked: World) -> None:
    served = _at_hand(asked, OTHER)
    text = _text(served)
    assert served is not None
    assert (served.role, served.path) == (Role.SCRIPT, "boot/52-54-00-00-00-08.ipxe")
    assert dict(served.facts) == {"bootenv": "rescue", "boots": "kernel", "loads": "kernel initrd"}
    assert text.endswith(f" m={OTHER}\n# d52-54-00-00-00-08\n")
    claims = read(text.partition("t=")[2].split()[0], KEY)
    assert (claims.kind, claims.mac, claims.address, claims.since) == (TokenKind.UNKNOWN, OTHER, THERE, 1000.0)
    assert text == _rendered(asked)


def _rendered(world: World) -> str:
    """The script of the second machine, from a tree that has nothing at hand."""
    world.tree = world.made()
    world.content.template("rescue", world.content.templates("rescue")["boot"] + "{% if mac %}{% endif %}")
    answer = world.ask("boot/52-54-00-00-00-08.ipxe", THERE)
    assert isinstance(answer, Served)
    assert _at_hand(world, OTHER) is None
    return _text(answer)


def test_nobody_else_is_given_it(asked: World) -> None:
    tree = asked.tree
    assert tree.script_at_hand(MAC, THERE, LOCAL) is None
    assert tree.script_at_hand(MAC, NOBODY, LOCAL) is None
    asked.view.held = True
    assert _at_hand(asked) is None


def test_a_machine_that_asks_again_at_once_gets_the_same(asked: World) -> None:
    first = _at_hand(asked)
    assert _at_hand(asked) is first
    asked.clock.time += 6
    later = _text(_at_hand(asked))
    assert read(later.partition("t=")[2].split()[0], KEY).expires == asked.clock.time + 600


def _renewed(world: World) -> None:
    world.view.leases[HERE] = Lease(address=HERE, mac=MAC, since=1400.0, expires=9000.0, subnet="lan")


def _registered(world: World) -> None:
    world.view.machines[MAC] = WEB1.model_copy(update={"bootenv": "rescue"})


def _renamed(world: World) -> None:
    world.view.machines[MAC] = WEB1.model_copy(update={"bootenv": "rescue", "name": "other"})


def _held(world: World) -> None:
    world.view.machines[MAC] = WEB1.model_copy(update={"held": True})


def _never(world: World) -> None:
    world.view.reserved[MAC] = Reservation(address=HERE, mac=MAC, never_boot=True)


def _preferred(world: World) -> None:
    world.view.prefs["unknown-bootenv"] = "local"


def _written(world: World) -> None:
    world.content.template("rescue", "#!ipxe\n# another {{ machine.name }}\n")


def _broken(world: World) -> None:
    world.content.broken("rescue", "no files")


CHANGES = (_renewed, _registered, _renamed, _held, _never, _preferred, _written, _broken)


@pytest.mark.parametrize("change", CHANGES, ids=[each.__name__ for each in CHANGES])
def test_whatever_is_changed_shows_at_once(asked: World, change: Callable[[World], None]) -> None:
    before = _text(_at_hand(asked))
    change(asked)
    served = _at_hand(asked)
    fresh = _afresh(asked)
    if served is not None:
        assert _text(served) == fresh
    assert fresh != before


def _afresh(world: World) -> str:
    """What a tree gives that knows nothing of before."""
    world.tree = world.made()
    return world.script()


def test_a_parameter_that_a_template_asks_for_shows_at_once(world: World) -> None:
    world.content.template("rescue", "#!ipxe\n# {{ param('default-bootenv') }} {{ mac }}\n")
    world.script()
    assert _text(_at_hand(world)) == f"#!ipxe\n# local {MAC}\n"
    world.view.prefs["default-bootenv"] = "rescue"
    assert _at_hand(world) is None
    assert world.script() == f"#!ipxe\n# rescue {MAC}\n"
    assert _text(_at_hand(world)) == f"#!ipxe\n# rescue {MAC}\n"


def test_a_template_that_looks_at_the_machine_is_rendered_each_time(world: World) -> None:
    world.content.template("rescue", "#!ipxe\n{% if mac.endswith('7') %}seven{% endif %}\n")
    assert "seven" in world.script()
    assert _at_hand(world) is None


@pytest.mark.parametrize(("one", "other"), [("bios", "uefi"), ("uefi", "bios")])
def test_kinds_of_machines_are_kept_apart(world: World, one: str, other: str) -> None:
    world.content.template("rescue", "#!ipxe\n# {{ machine.firmware }} {{ machine.name }}\n")

    def become(firmware: str) -> None:
        world.view.machines[MAC] = WEB1.model_copy(update={"bootenv": "rescue", "firmware": firmware})

    become(one)
    assert world.script() == f"#!ipxe\n# {one} web1\n"
    become(other)
    assert _at_hand(world) is None
    assert world.script() == f"#!ipxe\n# {other} web1\n"
    become(one)
    assert _text(_at_hand(world)) == f"#!ipxe\n# {one} web1\n"


def test_an_address_of_ours_is_in_its_own_scripts_alone(asked: World) -> None:
    first = _text(_at_hand(asked))
    elsewhere = asked.tree.script_at_hand(MAC, HERE, LOCAL + 1)
    assert elsewhere is None
    assert str(LOCAL) in first
