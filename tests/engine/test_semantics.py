"""What an operator sets by the command line, as clients get it: options, reservations, pickers, draining."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import netns
from tests.engine.card import card
from tests.engine.conftest import new_mac
from tests.engine.process import Engine, running

pytestmark = pytest.mark.root


class Lan:
    """An engine that serves rack7, a client's namespace, and an interface without a subnet with a client of its own."""

    def __init__(self, engine: Engine, client: str, far: str) -> None:
        self.engine = engine
        self.client = client
        self.far = far


@pytest.fixture(scope="module")
def lan(artefacts: Path) -> Iterator[Lan]:
    with contextlib.ExitStack() as stack:
        segment = stack.enter_context(netns.segment("10.7.0.1/24", clients=1))
        far = stack.enter_context(netns.namespace("far", ipv6=False))
        netns.link(segment.server, "eth1", far, "eth0", address="10.9.0.1/24")
        flags = ("--interface", "eth0", "--interface", "eth1", "--artefacts", str(artefacts))
        engine = stack.enter_context(running(segment.server, *flags))
        engine.told(
            "subnets", "create", "rack7", "--cidr", "10.7.0.0/24", "--range", "10.7.0.100-10.7.0.150",
            "--router", "10.7.0.1", "--option", "ntp-servers=10.7.0.1, 10.7.0.2",
            "--option", "121=10.0.0.0/8 via 10.7.0.3", "--option", "host-name={{ 'h-' ~ address.split('.')[3] }}",
            "--option", "nis-domain={{ machine.name }}",
        )  # fmt: skip
        engine.served()
        yield Lan(engine, segment.clients[0], far)


def asking(*codes: int) -> list[Any]:
    return [("vendor_class_id", b"dhcpcd"), ("param_req_list", [1, 3, *codes])]


def test_options_as_a_client_gets_them(lan: Lan) -> None:
    mac = new_mac()
    before = lan.engine.newest()
    with card(lan.client, mac, asking(12, 40, 42, 121)) as client:
        ack = client.lease()
    told = {str(name): value for name, value in ack.options.items()}

    assert told["hostname"] == f"h-{ack.address.split('.')[3]}".encode()
    assert "router" not in told  # it takes routes
    assert "NIS_domain" not in told
    assert told.get("121", told.get("classless_static_routes")) == ["10.0.0.0/8:10.7.0.3", "0.0.0.0/0:10.7.0.1"]
    failed = lan.engine.event("dhcp.option", after=before, mac=mac)
    assert "option 40 (nis-domain) of subnet rack7 is left out" in failed.message
    lan.engine.told("subnets", "update", "rack7", "--option", "nis-domain=", "--option", "ntp-servers=10.7.0.9")
    with card(lan.client, mac, asking(42)) as client:
        assert client.lease().options["NTP_server"] == "10.7.0.9"
    refused = lan.engine.cli("subnets", "update", "rack7", "--option", "dhcp-server-identifier=10.7.0.9")
    assert (refused.returncode, "54 (dhcp-server-identifier) cannot be set" in refused.stderr) == (2, True)


def test_of_all_levels_the_most_particular_counts(lan: Lan) -> None:
    """For all, subnet, profile (the first of two), reservation, machine: each is heard over the one before."""
    mac, told = new_mac(), lan.engine.told
    told("profiles", "create", "berlin", "--option", "time-offset=3", "--option", "17=/berlin")
    told("profiles", "create", "storage", "--option", "time-offset={{ 2 + 2 }}")
    levels: list[tuple[int, tuple[str, ...]]] = [
        (1, ("prefs", "set", "dhcp-options", "time-offset=1")),
        (2, ("subnets", "update", "rack7", "--option", "time-offset=2")),
        (3, ("machines", "create", "leveller", "--mac", mac, "--profile", "berlin")),
        (4, ("machines", "update", "leveller", "--profile", "storage", "--profile", "berlin")),
        (5, ("reservations", "create", "10.7.0.60", "--mac", mac, "--option", "time-offset=5")),
        (6, ("machines", "update", "leveller", "--option", "time-offset=6")),
    ]
    options: dict[str, Any] = {}
    for expected, words in levels:
        told(*words)
        with card(lan.client, mac, asking(2, 17)) as client:
            options = client.lease().options
        assert options["time_zone"] == expected, words
    assert options["root_disk_path"] == b"/berlin"
    refused = lan.engine.cli("profiles", "delete", "berlin")
    assert (refused.returncode, "in use by leveller" in refused.stderr) == (4, True)
    told("prefs", "set", "dhcp-options", "")
    told("subnets", "update", "rack7", "--option", "time-offset=")
    told("reservations", "delete", "10.7.0.60")


def test_a_reservation_outside_any_subnet(lan: Lan) -> None:
    mac, stranger = new_mac(), new_mac()
    lan.engine.told(
        "reservations", "create", "10.20.0.50", "--mac", mac, "--scope", "global", "--prefix", "28",
        "--router", "10.20.0.49", "--lease-time", "600", "--option", "interface-mtu=1400",
    )  # fmt: skip
    before = lan.engine.newest()
    for ns in (lan.client, lan.far):
        with card(ns, mac, asking(26)) as client:
            ack = client.lease()
        assert (ack.address, ack.options["subnet_mask"], ack.options["router"]) == (
            "10.20.0.50", "255.255.255.240", "10.20.0.49",
        )  # fmt: skip
        assert (ack.options["lease_time"], ack.options["interface-mtu"]) == (600, 1400)
    with card(lan.far, stranger, asking()) as client:
        client.say("discover", new=True)
        lan.engine.event("dhcp.discover", after=before, mac=stranger)
        assert client.waiting() == []


def test_pickers_and_identity(lan: Lan) -> None:
    lan.engine.told("subnets", "update", "rack7", "--pickers", "hint,none", "--identity", "client-id")
    mac, named = new_mac(), [*asking(), ("client_id", b"\xff\1\2\3")]
    with card(lan.client, mac, named) as client:
        hinted = client.discover(("requested_addr", "10.7.0.140"))
        assert client.take(hinted).address == "10.7.0.140"
    with card(lan.client, new_mac(), named) as client:
        moved = client.discover()
        assert (moved.address, moved.options["client_id"]) == ("10.7.0.140", b"\xff\1\2\3")
    before = lan.engine.newest()
    with card(lan.client, mac, asking()) as client:
        client.say("discover", new=True)
        silent = lan.engine.event("dhcp.silent", after=before, mac=mac)
        assert silent.data["reason"] == "no-picker"
    lan.engine.told("subnets", "update", "rack7", "--pickers", "hint,next-free,most-expired", "--identity", "mac")


def test_a_lease_is_drained_only_where_that_is_said(lan: Lan) -> None:
    mac = new_mac()
    with card(lan.client, mac, asking()) as client:
        offer = client.discover(("requested_addr", "10.7.0.130"))
        assert client.take(offer).address == "10.7.0.130"
        smaller = ("subnets", "update", "rack7", "--range", "10.7.0.100-10.7.0.120")
        netns.until(lambda: "10.7.0.130" in lan.engine.leases(), what="the lease is stored")
        refused = lan.engine.cli(*smaller)
        assert (refused.returncode, "10.7.0.130" in refused.stderr, "--drain" in refused.stderr) == (4, True, True)
        lan.engine.told(*smaller, "--drain")
        assert "10.7.0.130" in lan.engine.event("subnet.draining").message
        client.say("request", ciaddr="10.7.0.130", to="10.7.0.1")
        assert client.hear().kind == 6
        assert client.lease().address != "10.7.0.130"


def test_an_address_that_passes_to_another_machine_is_told_with_both_names(lan: Lan) -> None:
    first, second = new_mac(), new_mac()
    with card(lan.client, second, asking()) as client:
        offer = client.discover()
        lan.engine.told("machines", "create", "node-a", "--mac", first)
        lan.engine.told("machines", "create", "node-b", "--mac", second)
        lan.engine.told("machines", "set", "node-a", "address", offer.address)
        client.take(offer)
    told = lan.engine.event("machine.address", mac=second)

    assert (told.data["name"], told.data["other"]) == ("node-b", "node-a")
    listed = {line.split("\t")[0]: line.split("\t")[2] for line in lan.engine.told("machines", "list").splitlines()}
    assert (listed["node-b"], listed["node-a"]) == (offer.address, "")
