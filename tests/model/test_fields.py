"""The rules that single fields obey."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from app.model.fields import normal_mac
from app.model.machine import Machine, machine_id_for, machine_name_for
from app.model.subnet import Reservation, Subnet


@pytest.mark.parametrize(
    "text", ["52:54:00:AB:00:07", "52-54-00-ab-00-07", "525400ab0007", "5254.00ab.0007", " 52:54:00:ab:00:07 "]
)
def test_every_spelling_of_a_mac_is_one_mac(text: str) -> None:
    assert normal_mac(text) == "52:54:00:ab:00:07"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "52:54:00:00:00",
        "52:54:00:00:00:0g",
        "52:54-00:00:00:07",
        "ff:ff:ff:ff:ff:ff",
        "00:00:00:00:00:00",
        "01:00:5e:00:00:01",
    ],
)
def test_what_is_not_one_machines_mac_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="MAC address"):
        normal_mac(text)


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "x" * 64, "a\n", "é"])
def test_names_that_would_break_a_path_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        Machine(id=machine_id_for("52:54:00:00:00:07"), name=name)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"ranges": ["10.7.0.200-10.7.0.100"]}, "before it starts"),
        ({"ranges": ["10.8.0.1-10.8.0.9"]}, "not in"),
        ({"ranges": ["10.7.0.0-10.7.0.9"]}, "network or broadcast"),
        ({"ranges": ["10.7.0.9-10.7.0.255"]}, "network or broadcast"),
        ({"ranges": ["10.7.0.1-10.7.0.9", "10.7.0.5-10.7.0.20"]}, "overlaps"),
        ({"ranges": ["10.7.0.5-10.7.0.6", "10.7.0.1-10.7.0.9"]}, "overlaps"),
        ({"ranges": ["10.7.0.5"]}, "not a range"),
        ({"router": "10.8.0.1"}, "not in"),
        ({"lease_time": 59}, "60"),
        ({"cidr": "10.7.0.1/24"}, "write 10.7.0.0/24"),
        ({"cidr": "ten/24"}, "not an IPv4 network"),
        ({"colour": "red"}, "not permitted"),
    ],
)
def test_impossible_subnets(fields: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        Subnet.model_validate({"name": "rack7", "cidr": "10.7.0.0/24", **fields})


def test_a_point_to_point_subnet_may_use_both_addresses() -> None:
    subnet = Subnet.model_validate({"name": "p2p", "cidr": "10.7.0.0/31", "ranges": ["10.7.0.0-10.7.0.1"]})

    assert subnet.ranges[0].size == 2


def test_ids_and_names_follow_from_the_mac() -> None:
    assert (
        machine_id_for("52:54:00:00:00:07")
        == machine_id_for("52:54:00:00:00:07")
        != machine_id_for("52:54:00:00:00:08")
    )
    assert machine_name_for("52:54:00:00:00:07") == "d52-54-00-00-00-07"


def test_objects_cannot_be_changed_behind_the_stores_back() -> None:
    reservation = Reservation.model_validate({"address": "10.7.0.50", "mac": "52:54:00:00:00:50"})
    with pytest.raises(ValidationError):
        reservation.hostname = "x"
