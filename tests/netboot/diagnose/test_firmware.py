"""D06 to D09: no boot file, architectures, firmware modes, HTTP boot."""

from __future__ import annotations

from typing import Any

import pytest

from app.model.diagnosis import Severity
from app.model.event import Event
from tests.netboot.diagnose.stories import (
    edited,
    inventory,
    judged,
    kind,
    machine,
    problems,
    recorded,
    upto,
)


def offered(name: str = "uefi", **data: Any) -> list[Event]:
    """A boot up to our OFFER, which says something else."""
    story = upto(recorded(name), kind("dhcp.offer"))
    return [*story[:-1], edited(story[-1], **data)]


def asked(name: str = "uefi", **data: Any) -> list[Event]:
    """A boot up to our OFFER, by other firmware."""
    story = upto(recorded(name), kind("dhcp.offer"))
    return [edited(event, **data) if event.kind == "dhcp.discover" else event for event in story]


@pytest.mark.parametrize(
    ("reason", "severity", "action"),
    [
        ("no-bootenv", Severity.PROBLEM, "assign"),
        ("unmanaged", Severity.PROBLEM, "subnets"),
        ("subnet-off", Severity.PROBLEM, "subnets"),
        ("held", Severity.NOTE, "edit_machine"),
        ("never-boot", Severity.NOTE, "reservations"),
        ("ignore", Severity.NOTE, "assign"),
    ],
)
def test_d06_no_boot_file(reason: str, severity: Severity, action: str) -> None:
    found = judged(offered(bootfile="", reason=reason, why="the reason in words"), 1)

    assert set(found) == {"D06"}
    assert (found["D06"].severity, found["D06"].action) == (severity, action)
    assert found["D06"].means == "the reason in words"


def test_d06_is_not_for_machines_that_boot_their_disk_or_got_a_file() -> None:
    assert judged(offered(bootfile="", reason="local", why="x"), 60) == {}
    assert judged(offered(), 1) == {}


def test_d07_no_loader_for_the_architecture() -> None:
    story = asked(arch=27, arch_name="UEFI RISC-V 64")
    story[-1] = edited(story[-1], bootfile="", reason="unsupported-arch", why="there is no boot loader for it")
    found = judged(story, 1)

    assert problems(found) == {"D07"}
    assert found["D07"].seen == "it boots as UEFI RISC-V 64, and there is no boot loader for that"


def test_d07_the_boot_environment_does_not_serve_it() -> None:
    story = asked(arch=11, arch_name="UEFI ARM 64")
    story[-1] = edited(story[-1], bootenv="debian-12")
    found = judged(story, 1)

    assert problems(found) == {"D07"}
    assert found["D07"].seen == "it boots as UEFI ARM 64; debian-12 is for amd64 only"
    assert found["D07"].means == "served for arm64: discovery"
    assert found["D07"].action == "assign"


def test_d07_is_silent_where_it_is_served() -> None:
    assert judged(asked(arch=11, arch_name="UEFI ARM 64"), 1) == {}
    bios = offered("bios", bootenv="debian-12")
    assert judged(bios, 1) == {}


@pytest.mark.parametrize(("then", "name"), [("uefi", "bios"), ("bios", "uefi")])
def test_d08_the_firmware_mode_changed(then: str, name: str) -> None:
    story = upto(recorded(name), kind("dhcp.ack"))
    found = judged(story, 1, machine(story, inventory=inventory(then)))
    assert found["D08"].severity is Severity.NOTE
    assert found["D08"].seen == f"it boots as {name.upper()} now and was {then.upper()} when it last reported"

    local = upto(recorded(f"{name}-local"), kind("dhcp.ack"))
    found = judged(local, 1, machine(local, inventory=inventory(then)))
    assert problems(found) == {"D08"}


def test_d08_is_over_once_it_was_discovered_anew() -> None:
    story = recorded("uefi")

    assert judged(story, 1, machine(story, inventory=inventory("bios"))) == {}
    assert judged(story, 1, machine(story, inventory=inventory("uefi"))) == {}
    assert judged(story, 1, machine(story, inventory=inventory(""))) == {}


def test_d09_http_boot_without_a_url() -> None:
    found = judged(offered("uefi-http", bootfile="ipxe.efi"), 1)

    assert problems(found) == {"D09"}
    assert found["D09"].seen == "HTTP boot firmware was told ipxe.efi, which is no URL"
    assert judged(offered("uefi-http"), 1) == {}


def test_d09_http_boot_that_took_another_offer() -> None:
    story = upto(recorded("uefi-http"), kind("dhcp.request"))
    taken = [*story[:-1], edited(story[-1], ours=False, server="10.77.0.2")]
    found = judged(taken, 16)

    assert problems(found) == {"D09"}
    assert found["D09"].seen.startswith("HTTP boot firmware took 10.77.0.2's offer 16 s ago")
    assert "D09" not in judged(taken, 10)
    assert "D09" not in judged(recorded("uefi-http-proxy"), 60)
