"""The record of changes, and what is not trusted: plans and records that another user could have written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from app import host
from app.errors import BootcartError, ForbiddenError, InvalidError
from app.services.host.changes import AddressAdded, UfwPort
from app.services.host.journal import Journal, read_private

ADDRESS = AddressAdded(interface="eth1", address=IPv4Interface("10.7.0.1/24"))
RULE = UfwPort(interface="eth1", protocol="udp", port=67)
ME = os.geteuid()


def test_what_is_written_is_read_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state.json", boot="a")

    journal.write([ADDRESS, RULE])

    assert Journal(tmp_path / "state.json", boot="a").changes() == (ADDRESS, RULE)
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600


def test_after_a_reboot_only_lasting_changes_stand(tmp_path: Path) -> None:
    Journal(tmp_path / "state.json", boot="a").write([ADDRESS, RULE])

    assert Journal(tmp_path / "state.json", boot="b").changes() == (RULE,)


def test_no_changes_no_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state.json", boot="a")
    journal.write([ADDRESS])

    journal.write([])

    assert list(tmp_path.iterdir()) == []
    assert journal.changes() == ()


def test_a_record_that_is_none_is_said(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"boot": "a", "changes": [{"kind": "run", "argv": ["id"]}]}')

    with pytest.raises(BootcartError, match="is not a record of changes"):
        Journal(path, boot="a").changes()


def symlink(path: Path) -> None:
    real = path.with_name("real")
    real.write_text("{}")
    path.symlink_to(real)


def writable(path: Path) -> None:
    path.write_text("{}")
    path.chmod(0o666)


def large(path: Path) -> None:
    path.write_text(" " * (1024 * 1024 + 1))


UNTRUSTED: list[tuple[str, Callable[[Path], object]]] = [
    ("a symbolic link", symlink),
    ("a pipe, which would be waited for", os.mkfifo),
    ("a directory", Path.mkdir),
    ("writable by others", writable),
    ("endless", large),
]


@pytest.mark.parametrize("make", [row[1] for row in UNTRUSTED], ids=[row[0] for row in UNTRUSTED])
def test_untrusted_files_are_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "plan.json")

    with pytest.raises(ForbiddenError):
        read_private(tmp_path / "plan.json", ME)


def test_another_users_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{}")

    with pytest.raises(ForbiddenError):
        read_private(tmp_path / "plan.json", ME + 1)


BAD_PLANS: list[tuple[str, object, str]] = [
    ("not JSON", "{", ""),
    ("no interface", {}, "interface"),
    ("an option for an interface", {"interface": "-x"}, "interface"),
    ("commands", {"interface": "eth1", "commands": ["id"]}, "commands"),
    ("a number for a switch", {"interface": "eth1", "firewall_ports": 1}, "firewall_ports"),
    ("a network's own address", {"interface": "eth1", "address": "10.7.0.0/24"}, ""),
    ("the uplink itself", {"interface": "eth1", "nat_uplink": "eth1"}, ""),
]


@pytest.mark.parametrize(("body", "field"), [row[1:] for row in BAD_PLANS], ids=[row[0] for row in BAD_PLANS])
def test_bad_plans_name_the_field(tmp_path: Path, body: object, field: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(body if isinstance(body, str) else json.dumps(body))

    with pytest.raises(InvalidError) as caught:
        host.load(path, ME)

    assert caught.value.field == field


def test_no_plan_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="there is no plan"):
        host.load(tmp_path / "plan.json", ME)
