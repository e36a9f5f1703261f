"""D01 to D05: no offer, an offer that is not taken, other servers."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

from app.model.diagnosis import Severity
from app.model.engine import ForeignServer, Service, ServiceState
from app.model.event import Event
from tests.netboot.diagnose.stories import (
    OTHER,
    again,
    edited,
    facts,
    judged,
    kind,
    machine,
    problems,
    recorded,
    then,
    upto,
    without,
)


def silent(reason: str, why: str, count: int = 1, **data: Any) -> list[Event]:
    """A machine that asks and is not answered."""
    story = upto(recorded("bios-nosubnet"), kind("dhcp.silent"))
    asked, told = story[-2], edited(story[-1], reason=reason, why=why, subnet="diag", **data)
    return [edited(event, 4.0 * n) for n in range(count) for event in (asked, told)]


def test_d01_no_subnet_covers_it() -> None:
    story = recorded("bios-nosubnet")
    asked = upto(story, kind("dhcp.silent"))
    found = judged(asked, 5)

    assert problems(found) == {"D01"}
    one = found["D01"]
    assert (one.seen, one.means) == (
        "asked for an address once and got no offer",
        "no subnet is defined for interface eth0",
    )
    assert (one.action, one.brief) == ("wizard", "no subnet covers it")
    assert set(one.events) == {event.id for event in asked if event.kind in ("dhcp.discover", "dhcp.silent")}
    assert problems(judged(asked, 2)) == set()
    assert problems(judged(story, 30)) == {"D01"}


@pytest.mark.parametrize(("family", "found"), [(6, set[str]()), (4, {"D01"})])
def test_d01_where_ipv6_answers_that_ipv4_does_not_is_no_problem(family: int, found: set[str]) -> None:
    asked = upto(recorded("bios-nosubnet"), kind("dhcp.silent"))
    answer = edited(asked[-1], -1.0).model_copy(update={"kind": "dhcp.ack"})
    answer = answer.model_copy(update={"data": {**answer.data, "family": family, "bootfile": "", "reason": "local"}})

    assert problems(judged([asked[0], answer, *asked[1:]], 10)) == found


@pytest.mark.parametrize(
    ("reason", "brief", "command"),
    [
        ("disabled", "its subnet is disabled", "bootcart subnets update diag --enabled"),
        ("subnet-held", "its subnet is held", "bootcart subnets show diag"),
        ("holding", "the engine is on hold", "bootcart release"),
        ("pool-exhausted", "no free address left", "bootcart subnets update diag --range FIRST-LAST"),
        ("reservations-only", "it has no reservation", "bootcart reservations create ADDRESS --mac 52:54:00:98:be:00"),
        (
            "no-picker",
            "its subnet's pickers find nothing",
            "bootcart subnets update diag --pickers hint,next-free,most-expired",
        ),
        ("no-address", "our interface has no address", "bootcart interfaces list"),
        ("bad-relay", "the relay's address is wrong", "bootcart events list --machine node-07"),
        ("not-stored", "its lease cannot be stored", "bootcart events list --kind store."),
    ],
)
def test_d01_says_why_and_what_to_do(reason: str, brief: str, command: str) -> None:
    one = judged(silent(reason, "in words"), 6)["D01"]

    assert (one.brief, one.means, one.command) == (brief, "in words", command)


@pytest.mark.parametrize(
    ("name", "asked", "fetches", "found"),
    [
        ("the site's server answers, and the loader is slow to come", [0], False, set()),
        ("it takes a second DISCOVER until the site's server answers", [0, 4], False, set()),
        ("the site's server names our loader", [0, 4], True, set()),
        ("nobody answers", [0, 4, 12], False, {"D01"}),
        ("nobody answers, and it begins anew each time", [0, 10, 20, 30, 40], False, {"D01"}),
    ],
)
def test_d01_where_dhcp_is_off(name: str, asked: list[float], fetches: bool, found: set[str]) -> None:
    """Off is what a subnet is where the site's own server boots the machines with files of ours."""
    first = silent("off", "DHCP is off on subnet diag")
    fresh = len(asked) > 3
    story = [edited(event, at, **({"xid": f"{at:g}"} if fresh else {})) for at in asked for event in first]
    if fetches:
        story = then(story, "tftp.started", 3, file="ipxe.efi", role="loader")

    told = judged(story, 45)

    assert problems(told) & {"D01"} == found, name
    if found:
        one = told["D01"]
        assert (one.brief, one.means) == ("DHCP is off on its subnet", "DHCP is off on subnet diag")
        assert one.command == "bootcart subnets update diag --mode authoritative"


def test_d01_is_over_with_an_offer() -> None:
    answered = [*silent("no-subnet", "x"), *recorded("bios", at=30)]

    assert problems(judged(answered)) == set()
    for reason in ("proxy", "not-booting", "no-record"):
        assert problems(judged(silent(reason, "x"), 60)) == set()


def test_d01_a_dhcp_service_that_does_not_run() -> None:
    asked = upto(recorded("uefi"), kind("dhcp.discover"))
    failed = Service(name="dhcp", state=ServiceState.FAILED, reason="port 67 is taken by dnsmasq", hint="stop dnsmasq")
    world = facts(services=(failed,))
    one = judged(asked, 6, world=world)["D01"]

    assert (one.means, one.do, one.action) == (
        "the DHCP service is failed: port 67 is taken by dnsmasq",
        "stop dnsmasq",
        "services",
    )
    assert problems(judged(asked, 6)) == set()


def other_won(name: str = "uefi") -> list[Event]:
    story = upto(recorded(name), kind("dhcp.request"))
    return [*story[:-1], edited(story[-1], ours=False, server="10.77.0.2", requested="10.77.0.40")]


def test_d02_another_server_won() -> None:
    found = judged(other_won(), 1, world=facts(foreign={"eth0": (OTHER,)}))

    assert problems(found) == {"D02"}
    assert found["D02"].seen == "got our offer and took that of 10.77.0.2 (02:00:00:00:00:02)"
    assert found["D02"].command == "bootcart subnets update diag --mode proxy"
    assert found["D02"].action == "subnets"


def test_d02_is_not_for_a_segment_where_another_server_is_meant_to_lease() -> None:
    assert "D02" not in judged(upto(recorded("uefi-proxy"), kind("dhcp.request")), 1)
    assert "D02" not in judged(upto(recorded("uefi"), kind("dhcp.request")), 1)
    # It came back to us after all.
    assert "D02" not in judged([*other_won(), *recorded("uefi", at=40)])


def test_d03_our_offer_does_not_arrive() -> None:
    story = upto(recorded("uefi"), kind("dhcp.offer"))
    asked = next(event for event in story if event.kind == "dhcp.discover")
    repeats = [*story, edited(asked, 4), edited(asked, 12)]
    found = judged(repeats, 0.5)

    assert problems(found) == {"D03"}
    assert found["D03"].seen.startswith("was offered 10.77.0.")
    assert found["D03"].seen.endswith("still asks (2 repeats)")
    assert problems(judged([*repeats, *again(recorded("uefi"), 30)])) == set()
    # One repeat is firmware that waits for more offers.
    assert problems(judged([*story, edited(asked, 4)], 3)) == set()


def test_d03_names_the_relay_and_a_proxy_that_nobody_leases_beside() -> None:
    story = upto(recorded("uefi"), kind("dhcp.offer"))
    asked = next(event for event in story if event.kind == "dhcp.discover")
    relayed = [*story, edited(asked, 4, relay="10.9.0.1"), edited(asked, 12, relay="10.9.0.1")]
    assert judged(relayed)["D03"].means == "relay 10.9.0.1 did not bring the offer back, or a firewall dropped it"

    beside = upto(recorded("uefi-proxy"), kind("proxy.offer"))
    asked = next(event for event in beside if event.kind == "dhcp.discover")
    one = judged([*beside, edited(asked, 4), edited(asked, 12)])["D03"]
    assert one.brief == "no DHCP server gives it an address"


def test_d03_leaves_firmware_alone_that_is_given_no_file_on_purpose() -> None:
    story = upto(recorded("uefi-local"), kind("dhcp.offer"))
    asked = next(event for event in story if event.kind == "dhcp.discover")
    who = machine(story)

    assert problems(judged([*story, edited(asked, 4), edited(asked, 12), edited(asked, 28)], 5, who)) == set()


def test_d04_a_held_subnet_names_the_server_that_is_there() -> None:
    story = recorded("bios-held")
    world = facts(foreign={"eth0": (OTHER,)})
    found = judged(story, 5, world=world)

    assert problems(found) == {"D04"}
    assert "10.77.0.2 (02:00:00:00:00:02)" in found["D04"].seen
    assert found["D04"].command == "bootcart subnets update diag --mode proxy"
    # Held for another reason: its subnet says which.
    assert problems(judged(story, 5)) == {"D01"}


def test_d04_is_a_note_where_the_other_server_was_accepted() -> None:
    asked = upto(recorded("uefi"), kind("dhcp.offer"))
    found = judged(asked, 20, world=facts(foreign={"eth0": (OTHER,)}))

    assert found["D04"].severity is Severity.NOTE
    assert problems(found) == set()
    assert "D04" not in judged(recorded("uefi"), 20, world=facts(foreign={"eth0": (OTHER,)}))


WINDOWS = ForeignServer(server=IPv4Address("10.77.0.2"), mac="02:00:00:00:00:02", vendor_class="PXEClient")


def test_d05_a_site_server_that_calls_itself_a_boot_server() -> None:
    taken = upto(recorded("uefi-proxy"), kind("dhcp.request"))
    world = facts(foreign={"eth0": (WINDOWS,)})
    found = judged(taken, 16, world=world)

    assert problems(found) == {"D05"}
    assert found["D05"].means == "10.77.0.2 sends option 60 PXEClient, so UEFI firmware asks it, not us"
    assert problems(judged(taken, 10, world=world)) == set()
    assert "D05" not in judged(recorded("uefi-proxy"), 30, world=world)
    assert problems(judged(taken, 16, world=facts(foreign={"eth0": (OTHER,)}))) == {"D10"}


def test_stories_without_a_request_are_cut_as_told() -> None:
    """The edits above are of real boots: what they drop is there."""
    whole = recorded("uefi")

    assert len(without(whole, kind("dhcp.request"))) < len(whole)
    assert then(whole, "agent.failed")[-1].time > whole[-1].time
