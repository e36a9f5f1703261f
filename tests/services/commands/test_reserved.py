"""Reservations as the command layer takes them: scopes, networks of their own, client identifiers; links of two."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

from app.errors import BootcartError, ConflictError, InvalidError
from app.services.commands.layer import CommandLayer

RACK = {"name": "rack7", "cidr": "10.7.0.0/24", "ranges": ["10.7.0.100-10.7.0.200"]}
ANNEX = {"name": "annex", "cidr": "10.9.0.0/24", "ranges": ["10.9.0.100-10.9.0.200"]}
MAC = "52:54:00:00:00:50"
KEPT = {"address": "10.7.0.50", "mac": MAC}
NEW = {"address": "10.7.0.51", "mac": "52:54:00:00:00:51"}
FAR = {"address": "10.20.0.50", "mac": MAC, "scope": "global", "prefix": 24}


@pytest.fixture
def world(layer: CommandLayer) -> CommandLayer:
    layer.own_addresses = lambda: {IPv4Address("10.7.0.1"): "eth0"}
    for body in (RACK, ANNEX):
        layer.create("op", "subnets", body)
    layer.create("op", "reservations", KEPT)
    return layer


@pytest.mark.parametrize(
    "body",
    [
        {"address": "10.9.0.50", "mac": MAC},
        {"address": "10.7.0.51", "mac": MAC, "scope": "global"},
        FAR,
        {**FAR, "router": "10.20.0.1", "next_server": "10.7.0.1", "lease_time": 600},
        {"address": "10.7.0.51", "client_id": "FF:00:00-01 02"},
        {"address": "10.20.0.50", "mac": "52:54:00:00:00:51"},
    ],
)
def test_allowed(world: CommandLayer, body: dict[str, Any]) -> None:
    made: Any = world.create("op", "reservations", body)
    world.undo("op")

    assert str(made.address) == body["address"]
    left: list[Any] = list(world.listing("reservations"))
    assert [str(each.address) for each in left] == ["10.7.0.50"]


@pytest.mark.parametrize(
    ("name", "body", "error", "field", "words"),
    [
        ("another there", {"address": "10.7.0.51", "mac": MAC}, ConflictError, "mac", "already has"),
        ("no one's", {"address": "10.7.0.51"}, InvalidError, "mac", "is missing"),
        ("two ways", {"address": "10.7.0.51", "mac": MAC, "client_id": "ff00"}, InvalidError, "client_id", "leave one"),
        ("no identifier", {"address": "10.7.0.51", "client_id": "xyz"}, InvalidError, "client_id", "is not a client"),
        ("no mask", {**FAR, "prefix": None}, InvalidError, "prefix", "cannot be told its network mask"),
        ("on which subnet", {**FAR, "scope": "subnet"}, InvalidError, "scope", "on which should"),
        ("the subnet's mask", {**NEW, "prefix": 24}, InvalidError, "prefix", "that of subnet rack7"),
        ("a router elsewhere", {**FAR, "router": "10.21.0.1"}, InvalidError, "router", "is not a router of 10.20"),
        ("a network's address", {**FAR, "address": "10.20.0.0"}, InvalidError, "address", "network or broadcast"),
        ("our own", {**NEW, "address": "10.7.0.1"}, ConflictError, "address", "this host's own address on eth0"),
        ("a boot server", {**NEW, "next_server": "0.0.0.0"}, InvalidError, "next_server", "the address of a host"),
        ("too long", {**FAR, "lease_time": 59}, InvalidError, "lease_time", "seconds"),
    ],
)  # fmt: skip
def test_refused(
    world: CommandLayer, name: str, body: dict[str, Any], error: type[BootcartError], field: str, words: str
) -> None:
    given = {name: value for name, value in body.items() if value is not None}

    with pytest.raises(error) as raised:
        world.create("op", "reservations", given)

    assert raised.value.field == field
    assert words in str(raised.value)
    assert raised.value.hint


def test_two_that_count_everywhere_are_one_too_many(world: CommandLayer) -> None:
    world.create("op", "reservations", FAR)

    with pytest.raises(ConflictError, match=r"already has the reservation 10\.20\.0\.50 that counts everywhere"):
        world.create("op", "reservations", {**FAR, "address": "10.9.0.50", "prefix": None})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"cidr": "10.8.0.0/31", "ranges": ["10.8.0.0-10.8.0.1"]}, "cidr"),
        ({"cidr": "10.8.0.0/32", "ranges": ["10.8.0.0-10.8.0.0"], "pickers": "point-to-point"}, "cidr"),
        ({"cidr": "10.8.0.0/24", "ranges": ["10.8.0.5-10.8.0.9"], "pickers": "hint, hint"}, "pickers"),
        ({"cidr": "10.8.0.0/24", "ranges": ["10.8.0.5-10.8.0.9"], "pickers": []}, "pickers"),
        ({"cidr": "10.8.0.0/24", "ranges": ["10.8.0.5-10.8.0.9"], "pickers": ["best"]}, "pickers.0"),
        ({"cidr": "10.8.0.0/24", "ranges": ["10.8.0.5-10.8.0.9"], "identity": "guid"}, "identity"),
    ],
)
def test_subnets_refused(layer: CommandLayer, body: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidError) as raised:
        layer.create("op", "subnets", {"name": "new", **body})

    assert raised.value.field == field
    assert raised.value.hint


def test_a_link_of_two_is_a_subnet(layer: CommandLayer) -> None:
    body = {"name": "link", "cidr": "10.8.0.0/31", "ranges": ["10.8.0.0-10.8.0.1"], "pickers": "point-to-point, none"}
    made: Any = layer.create("op", "subnets", body)
    layer.create("op", "reservations", {"address": "10.8.0.0", "mac": MAC})

    assert [picker.value for picker in made.pickers] == ["point-to-point", "none"]
