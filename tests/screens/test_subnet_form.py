"""The form of a subnet: what it is filled with is what it sends."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import InvalidError
from app.model.subnet import Subnet
from app.screens.areas.subnets import body_of, fields_of

PLAIN: dict[str, Any] = {"name": "rack7", "cidr": "10.7.0.0/24", "ranges": ["10.7.0.100-10.7.0.150"]}
FULL: dict[str, Any] = {
    **PLAIN,
    "router": "10.7.0.1",
    "dns": ["10.7.0.1", "10.7.0.2"],
    "reserved_lease_time": 7200,
    "pickers": ["most-expired", "none"],
    "identity": "client-id",
    "shared_network": "floor",
    "options": {"vendor-encapsulated-options": "1=ip:10.0.0.1; 2=string:a", "host-name": "{{ 'a;b' }}"},
}


@pytest.mark.parametrize("body", [PLAIN, FULL])
def test_a_form_that_is_not_touched_changes_nothing(body: dict[str, Any]) -> None:
    subnet = Subnet.model_validate(body)
    values = {field.name: field.value for field in fields_of(subnet, ())}

    assert Subnet.model_validate(body_of(values)) == subnet


@pytest.mark.parametrize("name", ["lease_time", "reserved_lease_time"])
def test_times_are_numbers(name: str) -> None:
    values = {field.name: field.value for field in fields_of(Subnet.model_validate(PLAIN), ())}

    with pytest.raises(InvalidError) as raised:
        body_of({**values, name: "an hour"})

    assert raised.value.field == name
