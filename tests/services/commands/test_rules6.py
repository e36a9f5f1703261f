"""What is refused of IPv6 subnets, with field and remedy, and what becomes of their leases."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Any

import pytest

from app.errors import BootcartError, ConflictError, InvalidError
from app.model.subnet import LeaseState
from app.model.subnet6 import Lease6, Subnet6
from app.services.commands.layer import CommandLayer
from tests.services.commands.test_rules import world as _world

world = _world

SIX: dict[str, Any] = {"name": "six", "cidr": "fd00:7::/64", "ranges": ["fd00:7::100-fd00:7::1ff"]}


def _six(**changes: Any) -> dict[str, Any]:
    return {**SIX, **changes}


REFUSED: list[tuple[str, dict[str, Any], type[BootcartError], str, str]] = [
    ("host bits", _six(cidr="fd00:7::7/64"), InvalidError, "cidr", "write fd00:7::/64"),
    ("no network", _six(cidr="fd00:7:::/64"), InvalidError, "cidr", "like fd00:7::/64"),
    ("one address", _six(cidr="fd00:7::100/128", ranges=["fd00:7::100-fd00:7::100"]), InvalidError, "cidr", "128 bits"),
    ("link-local", _six(cidr="fe80::/64"), InvalidError, "cidr", "no network whose addresses"),
    ("no range", _six(ranges=[]), InvalidError, "ranges", "or is stateless"),
    ("range elsewhere", _six(ranges=["fd00:8::1-fd00:8::2"]), InvalidError, "ranges.0.start", "not in fd00:7::/64"),
    ("IPv4 range", _six(ranges=["10.7.0.1-10.7.0.2"]), InvalidError, "ranges.0.start", "10.7.0.1"),
    ("anycast", _six(ranges=["fd00:7::-fd00:7::2"]), InvalidError, "ranges.0.start", "every router's address"),
    ("backwards", _six(ranges=["fd00:7::2-fd00:7::1"]), InvalidError, "ranges.0", "before it starts"),
    ("no dash", _six(ranges=["fd00:7::2"]), InvalidError, "ranges.0", "like fd00:7::100-fd00:7::1ff"),
    ("too large", _six(ranges=["fd00:7::1-fd00:7::2:0"]), InvalidError, "ranges.0", "too large, 65536 at most"),
    (
        "overlapping",
        _six(ranges=["fd00:7::1-fd00:7::9", "fd00:7::9-fd00:7::a"]),
        InvalidError,
        "ranges.1",
        "overlaps fd00:7::1-fd00:7::9",
    ),
    ("stateless with a range", _six(stateless=True), InvalidError, "ranges", "gives no addresses"),
    ("proxy", _six(mode="proxy"), InvalidError, "mode", "stateless gives boot files"),
    ("router", _six(router="fd00:7::1"), InvalidError, "", "Router Advertisements"),
    ("lease time", _six(lease_time=59), InvalidError, "lease_time", "60"),
    ("no domain", _six(domain="a..b"), InvalidError, "domain", "no domain name"),
    ("misspelt", _six(stateles=True), InvalidError, "stateles", "did you mean stateless?"),
    ("DHCP options", _six(options={"ntp-servers": "10.7.0.1"}), InvalidError, "options", "there is no field"),
    ("a name of IPv4", _six(name="RACK7"), ConflictError, "name", "already a subnet rack7"),
    ("overlap", _six(name="other", cidr="fd00:9::/48"), ConflictError, "cidr", "overlaps subnet nine"),
]


@pytest.mark.parametrize(("_why", "body", "error", "field", "words"), REFUSED, ids=[each[0] for each in REFUSED])
def test_creating_is_refused(
    world: CommandLayer, _why: str, body: dict[str, Any], error: type[BootcartError], field: str, words: str
) -> None:
    nine = _six(name="nine", cidr="fd00:9::/64", ranges=["fd00:9::100-fd00:9::1ff"])
    world.create("op", "subnets", nine)
    if field == "cidr" and error is ConflictError:
        body = {**body, "ranges": ["fd00:9::100-fd00:9::1ff"]}

    with pytest.raises(error) as caught:
        world.create("op", "subnets", body)

    assert caught.value.field == field
    assert words in f"{caught.value.message} {caught.value.hint}"


def test_a_life(world: CommandLayer) -> None:
    made = world.create("op", "subnets", SIX)
    assert isinstance(made, Subnet6)
    assert world.resolve("subnets", "six") == world.resolve("subnets", "Cidr:fd00:7::/64") == made
    changed = world.update("op", "subnets", "six", {"lease_time": 600, "dns": ["fd00:7::1"]})
    assert isinstance(changed, Subnet6)
    assert (changed.lease_time, changed.dns) == (600, (IPv6Address("fd00:7::1"),))
    assert "subnet six (fd00:7::/64): dns" in world.commands()[-1].summary
    world.undo("op")
    assert world.resolve("subnets", "six") == made
    world.delete("op", "subnets", "six")
    assert all(getattr(each, "name", "") != "six" for each in world.listing("subnets"))
    world.undo("op")
    assert world.resolve("subnets", "six") == made


def test_a_live_lease_is_not_left_behind_unasked(world: CommandLayer) -> None:
    world.create("op", "subnets", SIX)
    directory = world._directory  # pyright: ignore[reportPrivateUsage]
    now = world._clock.now()  # pyright: ignore[reportPrivateUsage]
    lease = Lease6(
        address=IPv6Address("fd00:7::180"), mac="52:54:00:00:00:07", client_id="0004", subnet="six", expires=now + 600
    )
    directory.six.put_leases([lease])
    with pytest.raises(ConflictError, match=r"1 live lease would be left behind: fd00:7::180"):
        world.update("op", "subnets", "six", {"ranges": ["fd00:7::100-fd00:7::11f"]})
    with pytest.raises(ConflictError, match="left behind"):
        world.delete("op", "subnets", "six")
    world.update("op", "subnets", "six", {"ranges": ["fd00:7::100-fd00:7::11f"]}, drain=True)
    assert world.resolve("leases", "FD00:7:0::180") == lease
    world.delete("op", "leases", "fd00:7::180")
    assert directory.six.lease(lease.address) is None
    world.undo("op")
    restored = directory.six.lease(lease.address)
    assert restored is not None
    assert restored.state is LeaseState.BOUND
    world.delete("op", "subnets", "six", drain=True)
