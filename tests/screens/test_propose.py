"""What the wizard proposes, and what it refuses before anything is saved: pure functions."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from app.errors import InvalidError
from app.model.engine import ForeignServer, Interface
from app.model.hostplan import HostPlan
from app.model.subnet import Subnet, SubnetMode
from app.screens.wizard.draft import draft
from app.screens.wizard.propose import best, free_network, plan_for, propose, span_in
from app.screens.wizard.resolvers import resolvers

MAC = "02:00:00:00:00:09"
BARE = Interface(name="eth9", mac=MAC, up=True, link=True, kind="ethernet")
UPLINK = Interface(
    name="eth0", mac="02:00:00:00:00:01", up=True, link=True, uplink=True, addresses=(IPv4Interface("192.168.1.20/24"),)
)
ADDRESSED = BARE.model_copy(update={"addresses": (IPv4Interface("10.20.0.1/24"),)})
CONTESTED = BARE.model_copy(
    update={
        "foreign": (
            ForeignServer(
                server=IPv4Address("10.8.0.1"),
                offered=IPv4Address("10.8.0.37"),
                subnet_mask=IPv4Address("255.255.255.0"),
            ),
        )
    }
)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.7.0.1/24", "10.7.0.100-10.7.0.200"),
        ("10.7.0.150/24", "10.7.0.151-10.7.0.200"),
        ("10.7.0.190/24", "10.7.0.100-10.7.0.189"),
        ("10.7.0.1/16", "10.7.0.100-10.7.0.200"),
        ("10.7.0.1/28", "10.7.0.4-10.7.0.14"),
        ("10.7.0.1/30", "10.7.0.2-10.7.0.2"),
        ("10.7.0.0/31", ""),
        ("10.7.0.1/32", ""),
    ],
)
def test_a_range_leaves_the_hosts_own_address_out(address: str, expected: str) -> None:
    own = IPv4Interface(address)
    found = span_in(own)
    assert found == expected
    if found:
        made = Subnet.model_validate({"name": "x", "cidr": str(own.network), "ranges": [found]})
        assert own.ip not in made.ranges[0]


def test_a_free_network_overlaps_nothing_known() -> None:
    assert str(free_network([])) == "10.7.0.0/24"
    assert str(free_network([IPv4Network("10.7.0.128/25"), IPv4Network("10.8.0.0/16")])) == "10.9.0.0/24"
    assert str(free_network([IPv4Network("10.0.0.0/8")])) == "192.168.77.0/24"


def test_an_addressed_interface_proposes_its_own_network_and_the_uplink_for_nat() -> None:
    found = propose(ADDRESSED, [UPLINK, ADDRESSED], [])
    assert (found.mode, found.cidr, found.address, found.nat) == (
        SubnetMode.AUTHORITATIVE,
        "10.20.0.0/24",
        "",
        "eth0",
    )


RESOLV = """# written by hand
nameserver 127.0.0.53
nameserver 192.168.1.1
nameserver ::1
nameserver nonsense
nameserver 192.168.1.1
nameserver 9.9.9.9
"""


def test_name_servers_of_the_host_are_proposed_where_there_is_a_way_out(tmp_path: Path) -> None:
    stub, real = tmp_path / "stub", tmp_path / "real"
    stub.write_text("nameserver 127.0.0.53\noptions edns0\n")
    real.write_text(RESOLV)
    servers = (IPv4Address("192.168.1.1"), IPv4Address("9.9.9.9"))
    assert resolvers((tmp_path / "none", stub, real)) == servers
    assert resolvers((stub,)) == ()
    assert propose(ADDRESSED, [UPLINK, ADDRESSED], [], servers).dns == "192.168.1.1, 9.9.9.9"
    assert propose(ADDRESSED, [ADDRESSED], [], servers).dns == ""


def test_a_bare_interface_proposes_a_free_network_and_an_address() -> None:
    found = propose(BARE, [UPLINK, BARE], [IPv4Network("10.7.0.0/24")])
    assert (found.cidr, found.address, found.ranges) == ("10.8.0.0/24", "10.8.0.1/24", "10.8.0.100-10.8.0.200")


def test_another_server_proposes_proxy_and_never_guesses_an_address() -> None:
    found = propose(CONTESTED, [UPLINK, CONTESTED], [])
    assert (found.mode, found.cidr, found.address, found.ranges) == (SubnetMode.PROXY, "10.8.0.0/24", "", "")
    assert "10.8.0.1" in found.why


def test_the_uplink_is_never_natted_to_itself() -> None:
    assert propose(UPLINK, [UPLINK, BARE], []).nat == ""


def test_the_best_interface_is_free_then_not_the_uplink() -> None:
    assert best([UPLINK, CONTESTED, BARE.model_copy(update={"name": "eth3"})]) == "eth3"
    assert best([UPLINK, CONTESTED]) == "eth9"
    assert best([UPLINK]) == "eth0"
    assert best([]) == ""


VALUES = {
    "name": "rack9",
    "mode": "authoritative",
    "address": "10.9.0.1/24",
    "cidr": "10.9.0.0/24",
    "ranges": "10.9.0.100-10.9.0.200",
    "router": "10.9.0.1",
    "dns": "",
    "domain": "",
    "unknown": "discovery",
    "nat": "eth0",
    "firewall": "yes",
    "unmanaged": "yes",
}


def test_a_good_draft() -> None:
    made = draft(BARE, VALUES, [])
    assert made.plan.address == IPv4Interface("10.9.0.1/24")
    assert made.plan.preview == made.plan.describe()
    assert made.body["interface"] == "eth9"
    assert Subnet.model_validate(made.body).ranges == made.subnet.ranges
    assert not made.contested
    assert made.command() == (
        "bootcart subnets create rack9 --cidr 10.9.0.0/24 --mode authoritative --range 10.9.0.100-10.9.0.200"
        " --router 10.9.0.1 --lease-time 3600 --interface eth9"
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "-bad"}, "name"),
        ({"name": "taken"}, "name"),
        ({"cidr": "10.9.0.0/33"}, "cidr"),
        ({"cidr": "10.1.0.0/16", "address": "10.1.0.1/16", "ranges": "10.1.0.5-10.1.0.9", "router": ""}, "cidr"),
        ({"ranges": ""}, "ranges"),
        ({"ranges": "10.9.0.1-10.9.0.9"}, "ranges"),
        ({"ranges": "10.9.0.9"}, "ranges"),
        ({"ranges": "10.9.0.1-10.9.1.9"}, "ranges"),
        ({"router": "10.1.1.1"}, "router"),
        ({"dns": "nowhere"}, "dns"),
        ({"address": ""}, "address"),
        ({"address": "10.9.0.300/24"}, "address"),
        ({"address": "10.9.0.1"}, "address"),
        ({"address": "10.9.0.0/24", "router": ""}, "address"),
    ],
)
def test_a_bad_draft_names_its_field(changes: dict[str, str], field: str) -> None:
    existing = [Subnet(name="taken", cidr=IPv4Network("10.1.2.0/24"))]
    with pytest.raises(InvalidError) as caught:
        draft(BARE, {**VALUES, **changes}, existing)
    assert caught.value.field.split(".")[0] == field, caught.value


def test_authoritative_beside_another_server_is_contested_and_confirmed() -> None:
    made = draft(CONTESTED, VALUES, [])
    assert made.contested
    assert made.body["confirmed"] is True
    proxy = draft(CONTESTED, {**VALUES, "mode": "proxy", "ranges": ""}, [])
    assert proxy.body["confirmed"] is False


def test_a_plan_that_changes_nothing_is_empty() -> None:
    made = plan_for("eth9", "", "", firewall=False, network_manager=False)
    assert made.empty
    assert made.preview == ()


@pytest.mark.parametrize(
    "bad",
    [
        {"interface": "-rf"},
        {"interface": "a b"},
        {"interface": "eth0;reboot"},
        {"interface": "x" * 16},
        {"interface": "eth9", "nat_uplink": "eth9"},
        {"interface": "eth9", "address": "10.9.0.255/24"},
        {"interface": "eth9", "more": 1},
    ],
)
def test_a_host_plan_takes_nothing_that_could_be_an_option_or_a_command(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        HostPlan.model_validate(bad)
