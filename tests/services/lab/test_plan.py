"""A lab's layout: the same every time, and refused in words where it cannot be."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from uuid import UUID

import pytest

from app.errors import InvalidError
from app.model.fields import normal_mac
from app.services.lab import build, plan

HOME = plan.DEFAULT_DIRECTORY


def test_the_same_lab_has_the_same_machines_every_time() -> None:
    first, again = plan.plan("lab", HOME), plan.plan("lab", HOME)

    assert first == again
    assert [machine.name for machine in first.machines] == ["bios1", "uefi1"]


def test_machines_are_counted_by_kind() -> None:
    made = plan.plan("lab", HOME, ["arm64", "bios:disks=0", "arm64-http", "bios", "arm64"])

    assert [machine.name for machine in made.machines] == ["arm64-1", "bios1", "arm64-http1", "bios2", "arm64-2"]


def test_machines_of_different_labs_and_places_differ() -> None:
    made = [one for name in ("lab", "rack") for one in plan.plan(name, HOME, ["bios:nics=3"] * 16).machines]

    assert len({mac for one in made for mac in one.macs}) == 96


def test_identity_is_of_the_form_firmware_and_engine_accept() -> None:
    for machine in plan.plan("lab", HOME, list(build.KINDS)).machines:
        assert normal_mac(machine.mac) == machine.mac
        assert machine.mac.startswith("52:54:00:")
        assert str(UUID(machine.uuid)) == machine.uuid
        assert UUID(machine.uuid).version == 4


def test_a_lab_kept_elsewhere_has_namespaces_of_its_own() -> None:
    assert plan.namespaces_of("lab", HOME) == ("bootcart-lab-engine", "bootcart-lab-lan")

    elsewhere = plan.namespaces_of("lab", Path("/srv/labs"))

    assert elsewhere != plan.namespaces_of("lab", HOME)
    assert elsewhere != plan.namespaces_of("lab", Path("/srv/other"))


def test_the_engine_is_outside_the_range() -> None:
    made = plan.plan("lab", HOME)
    first, last = plan.range_of(made.cidr)

    assert str(made.engine_address) == "10.77.0.1"
    assert (str(first), str(last)) == ("10.77.0.128", "10.77.0.254")


@pytest.mark.parametrize(
    ("name", "kinds", "cidr", "field"),
    [
        ("", ["bios"], "10.77.0.0/24", "name"),
        ("../etc", ["bios"], "10.77.0.0/24", "name"),
        ("Lab", ["bios"], "10.77.0.0/24", "name"),
        ("a" * 21, ["bios"], "10.77.0.0/24", "name"),
        ("lab", [], "10.77.0.0/24", "machines"),
        ("lab", ["bios", "amiga"], "10.77.0.0/24", "machines"),
        ("lab", ["bios"] * 33, "10.77.0.0/16", "machines"),
        ("lab", ["bios"], "10.77.0.0/30", "cidr"),
        ("lab", ["bios"] * 8, "10.77.0.0/28", "cidr"),
        ("lab", ["bios:nics=4"] * 2, "10.77.0.0/28", "cidr"),
    ],
)
def test_what_cannot_be_is_refused_with_field_and_remedy(name: str, kinds: list[str], cidr: str, field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        plan.plan(name, HOME, kinds, IPv4Network(cidr))

    assert caught.value.field == field
    assert caught.value.hint
