"""Profiles through the command layer: machines name those there are, and none is taken from under them."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import ConflictError, InvalidError
from app.services.commands.layer import CommandLayer

NODE = {"name": "node-07", "macs": ["52:54:00:00:00:07"]}
STORAGE = {"name": "storage", "options": ["26=9000"]}


@pytest.fixture
def world(layer: CommandLayer) -> CommandLayer:
    layer.create("op", "profiles", STORAGE)
    layer.create("op", "profiles", {"name": "berlin"})
    layer.create("op", "machines", {**NODE, "profiles": "storage, berlin"})
    return layer


def test_a_machine_has_profiles_in_order(world: CommandLayer) -> None:
    machine: Any = world.resolve("machines", "node-07")
    profile: Any = world.resolve("profiles", "Name:STORAGE")

    assert machine.profiles == ("storage", "berlin")
    assert profile.options == {"interface-mtu": "9000"}
    assert [each.name for each in world.listing("profiles") if hasattr(each, "name")] == ["berlin", "storage"]  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("name", "profiles", "words"),
    [
        ("one that is not there", ["storge"], "did you mean storage"),
        ("one given twice", ["berlin", "berlin"], "name each profile once"),
        ("too many", [f"p{number}" for number in range(17)], "16 profiles at most"),
        ("a name that is none", ["a/b"], "bootcart profiles list"),
    ],
)
def test_what_a_machine_cannot_have(world: CommandLayer, name: str, profiles: list[str], words: str) -> None:
    with pytest.raises(InvalidError) as raised:
        world.update("op", "machines", "node-07", {"profiles": profiles})

    assert raised.value.field.startswith("profiles"), name
    assert words in f"{raised.value.message} {raised.value.hint}"


def test_a_profile_in_use_stays(world: CommandLayer) -> None:
    with pytest.raises(ConflictError, match="in use by node-07"):
        world.delete("op", "profiles", "storage")
    world.update("op", "machines", "node-07", {"profiles": None})
    world.delete("op", "profiles", "storage")
    with pytest.raises(InvalidError, match="no profile 'storage'"):
        world.undo("op", next(each.id for each in world.commands() if "profiles [" in each.summary))
    world.undo("op")

    assert len(world.listing("profiles")) == 2


def test_the_making_of_a_profile_in_use_is_not_taken_back(world: CommandLayer) -> None:
    made = next(each for each in world.commands() if each.noun == "profiles")
    with pytest.raises(ConflictError, match="in use by node-07"):
        world.undo("op", made.id)


def test_names_are_theirs_alone(world: CommandLayer) -> None:
    with pytest.raises(ConflictError, match="already a profile storage"):
        world.create("op", "profiles", {"name": "Storage"})
    with pytest.raises(InvalidError, match="cannot be changed"):
        world.update("op", "profiles", "storage", {"name": "disks"})
