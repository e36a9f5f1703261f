"""A machine behind ISC's relay agent, on a segment this host is not on, boots from the subnet its giaddr chooses."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from tests import netns
from tests.lab.site import ENGINE, SWITCH, Site, done, site

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(900)]

RELAY = "10.8.0.1"
BEHIND = {
    "name": "behind",
    "cidr": "10.8.0.0/24",
    "ranges": ["10.8.0.100-10.8.0.101"],
    "router": RELAY,
    "dns": [ENGINE],
}


@pytest.fixture
def branch(tmp_path: Path) -> Iterator[tuple[Site, str]]:
    """A site and the switch of a second segment: machines - 10.8.0.1 relay and router 10.7.0.2 - 10.7.0.1 engine."""
    with site(tmp_path) as made:
        relay = made.namespace("relay", "10.7.0.2/24")
        switch = made.stack.enter_context(netns.namespace("branch", ipv6=False))
        netns.bridge(switch, SWITCH)
        netns.attach(switch, SWITCH, relay, "branch", address=f"{RELAY}/24")
        netns.run(relay, ["sysctl", "-qw", "net.ipv4.ip_forward=1"])
        netns.run(made.server, ["ip", "route", "add", "10.8.0.0/24", "via", "10.7.0.2"])
        made.run(relay, ["dhcrelay", "-4", "-d", "-a", "-id", "branch", "-iu", "eth0", ENGINE])
        yield made, switch


def test_a_machine_behind_a_relay_boots_to_inventory(branch: tuple[Site, str]) -> None:
    site, switch = branch
    site.engine.subnet()
    site.engine.subnet(**BEHIND)
    vm = site.power_on("bios", switch=switch)
    machine, boot = site.inventory(vm, "behind a relay")
    asked = site.engine.event("dhcp.discover", mac=vm.mac)
    given = site.engine.event("dhcp.ack", mac=vm.mac)

    assert machine.address in IPv4Network("10.8.0.0/24")
    assert (asked.data["relay"], given.data["subnet"]) == (RELAY, "behind")
    assert site.engine.lease(str(machine.address)).mac == vm.mac
    assert done(boot) == ("discover", "offer", "request", "ack", "script", "kernel", "initrd", "agent", "inventory")
    assert site.engine.machine(vm.mac) is not None
    # It reaches us, and we it, through the router: URLs name the address on our side.
    assert given.data["bootfile"].startswith(f"http://{ENGINE}:")
    assert IPv4Address(given.data["next_server"]) == IPv4Address(ENGINE)
