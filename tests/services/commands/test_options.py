"""DHCP options through the command layer: their own names, merged changes, refusals, undo, the preference."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import InvalidError
from app.services.commands.layer import CommandLayer

RACK = {"name": "rack7", "cidr": "10.7.0.0/24", "ranges": ["10.7.0.100-10.7.0.200"]}
KEPT = {"address": "10.7.0.50", "mac": "52:54:00:00:00:50"}
NODE = {"name": "node-07", "macs": ["52:54:00:00:00:07"]}


@pytest.mark.parametrize(("noun", "body"), [("subnets", RACK), ("reservations", KEPT), ("machines", NODE)])
def test_options_are_kept_under_their_own_names(layer: CommandLayer, noun: str, body: dict[str, Any]) -> None:
    made: Any = layer.create("op", noun, {**body, "options": ["42=10.7.0.1", "Interface-MTU = 9000"]})

    assert made.options == {"ntp-servers": "10.7.0.1", "interface-mtu": "9000"}


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("one more", {"interface-mtu": 9000}, {"ntp-servers": "10.7.0.1", "interface-mtu": "9000"}),
        ("another value, by number", ["42=10.7.0.2"], {"ntp-servers": "10.7.0.2"}),
        ("one away", {"42": None}, {}),
        ("one away by a flag", ["ntp-servers=", "17=nfs:/r"], {"root-path": "nfs:/r"}),
        ("all away", [], {}),
        ("null", None, {}),
        ("a line is all of them", "17=nfs:/r", {"root-path": "nfs:/r"}),
        ("an empty line", "", {}),
    ],
)
def test_changes_are_laid_over(layer: CommandLayer, name: str, changes: Any, expected: dict[str, str]) -> None:
    layer.create("op", "subnets", {**RACK, "options": {"ntp-servers": "10.7.0.1"}})
    changed: Any = layer.update("op", "subnets", "rack7", {"options": changes})

    assert changed.options == expected
    layer.undo("op")
    now: Any = layer.resolve("subnets", "rack7")
    assert now.options == {"ntp-servers": "10.7.0.1"}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"ntp-servers": "ten"}, "options.ntp-servers"),
        ({"lease-time": "60"}, "options.lease-time"),
        (["ntp-servers"], "options"),
        ({"ntp-servers": ""}, "options.ntp-servers"),
        ({str(code): "hex:00" for code in range(128, 200)}, "options"),
        ({"root-path": "a" * 2049}, "options"),
    ],
)
def test_options_are_refused(layer: CommandLayer, options: Any, field: str) -> None:
    with pytest.raises(InvalidError) as raised:
        layer.create("op", "subnets", {**RACK, "options": options})

    assert raised.value.field == field
    assert raised.value.hint
    assert layer.listing("subnets") == []


def test_options_for_all(layer: CommandLayer) -> None:
    layer.update("op", "prefs", "dhcp-options", {"value": "42=10.7.0.1; interface-mtu = 9000"})

    value: Any = layer.resolve("prefs", "dhcp-options")
    assert value.value == "ntp-servers=10.7.0.1; interface-mtu=9000"
    for bad in ("ntp-servers", "53=5", "ntp-servers=ten"):
        with pytest.raises(InvalidError) as raised:
            layer.update("op", "prefs", "dhcp-options", {"value": bad})
        assert raised.value.field.startswith("value")


def test_the_log_tells_which(layer: CommandLayer) -> None:
    layer.create("op", "subnets", RACK)
    layer.update("op", "subnets", "rack7", {"options": ["42=10.7.0.1"]})

    assert layer.commands()[-1].summary == "changed subnet rack7 (10.7.0.0/24): options none → ntp-servers=10.7.0.1"
