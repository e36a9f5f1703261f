"""The form of an IPv6 subnet, and what the form of a new subnet makes of an IPv6 network."""

from __future__ import annotations

import pytest

from app.errors import InvalidError
from app.model.engine import Interface
from app.model.subnet6 import Subnet6
from app.screens.areas.subnet6_form import body6, fields6
from app.screens.areas.subnets import fields_of

SIX = Subnet6.model_validate(
    {
        "name": "six",
        "cidr": "fd00:7::/64",
        "ranges": ["fd00:7::100-fd00:7::1ff"],
        "dns": ["fd00:7::1"],
        "domain": "a.test",
    }
)


def test_a_form_that_is_not_touched_says_what_the_subnet_is() -> None:
    values = {field.name: field.value for field in fields6(SIX, [Interface(name="eth1")])}

    assert Subnet6.model_validate(body6(values)) == SIX
    assert body6({**values, "interface": "eth1", "enabled": "no"})["interface"] == "eth1"


def test_the_form_of_a_new_subnet_takes_an_ipv6_network() -> None:
    values = {field.name: field.value for field in fields_of(None, ())}
    values |= {"name": "new", "cidr": "fd00:8::/64", "mode": "authoritative"}

    assert Subnet6.model_validate(body6(values)).stateless, "without addresses to give it gives none"
    made = Subnet6.model_validate(body6({**values, "ranges": "fd00:8::1-fd00:8::9; fd00:8::20-fd00:8::29"}))
    assert (made.stateless, len(made.ranges)) == (False, 2)


@pytest.mark.parametrize(("name", "value"), [("lease_time", "an hour"), ("router", "fd00:8::1")])
def test_what_ipv6_has_not_is_refused_beside_its_field(name: str, value: str) -> None:
    values = {field.name: field.value for field in fields_of(None, ())}

    with pytest.raises(InvalidError) as caught:
        body6({**values, "cidr": "fd00:8::/64", name: value})

    assert caught.value.field == name
