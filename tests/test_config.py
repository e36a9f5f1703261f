"""Settings: flags over environment over file over defaults; wrong values are named."""

from __future__ import annotations

from dataclasses import fields
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from app import config
from app.errors import InvalidError


def test_defaults_are_the_system_engine(tmp_path: Path) -> None:
    settings = config.load({}, {}, None)

    assert (settings.data_dir, settings.socket) == (config.SYSTEM_DATA_DIR, config.SYSTEM_SOCKET)
    assert (settings.dhcp_port, settings.pxe_port, settings.tftp_port, settings.http_port) == (67, 4011, 69, 8090)


def test_each_source_beats_the_one_below(tmp_path: Path) -> None:
    file = tmp_path / "bootcart.toml"
    file.write_text('http-port = 1000\ntftp-port = 1001\ndhcp-port = 1002\ninterface = ["eth5", "eth6"]\n')
    settings = config.load(
        {"http_port": 3000, "tftp_port": None}, {"BOOTCART_HTTP_PORT": "2000", "BOOTCART_TFTP_PORT": "2001"}, file
    )

    assert (settings.http_port, settings.tftp_port, settings.dhcp_port) == (3000, 2001, 1002)
    assert settings.interface == ("eth5", "eth6")


def test_environment_lists_are_separated_by_commas(tmp_path: Path) -> None:
    settings = config.load(
        {}, {"BOOTCART_INTERFACE": "eth1,eth2", "BOOTCART_DATA_DIR": str(tmp_path), "BOOTCART_ADDRESS": "10.7.0.1"}
    )

    assert settings.interface == ("eth1", "eth2")
    assert settings.socket == tmp_path / "api.sock"
    assert settings.address == IPv4Address("10.7.0.1")


@pytest.mark.parametrize(
    ("flags", "field"),
    [
        ({"http_port": "99999"}, "http_port"),
        ({"dhcp_port": "x"}, "dhcp_port"),
        ({"dhcp": "maybe"}, "dhcp"),
        ({"log_level": "loud"}, "log_level"),
        ({"disable": ["ftp"]}, "disable"),
        ({"address": "::1"}, "address"),
        ({"data_dir": "/x" * 60}, "api_socket"),
        ({"data_dir": ""}, "data_dir"),
        ({"data_dir": "~nobody-of-this-name/x"}, "data_dir"),
        ({"take_over": "perhaps"}, "take_over"),
        ({"dhcp6": "perhaps"}, "dhcp6"),
        ({"dhcp6_port": "0"}, "dhcp6_port"),
        ({"tftp_port": "69.0"}, "tftp_port"),
        ({"probe_seconds": "-1"}, "probe_seconds"),
        ({"probe_seconds": "1.5"}, "probe_seconds"),
        ({"probe_seconds": "3601"}, "probe_seconds"),
    ],
)
def test_wrong_values_name_their_field_and_a_remedy(flags: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        config.load(flags, {})

    assert caught.value.field == field
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("tftp-port = true", "tftp_port"),
        ("tftp-port = 69.5", "tftp_port"),
        ("tftp-port = [69]", "tftp_port"),
        ("probe-seconds = true", "probe_seconds"),
        ("interface = 7", "interface"),
        ("interface = ['eth0', 7]", "interface"),
        ("interface = {eth0 = true}", "interface"),
        ("log-level = 3", "log_level"),
        ("take-over = 'perhaps'", "take_over"),
        ("take-over = []", "take_over"),
        ("data-dir = ''", "data_dir"),
        ('data-dir = "/tmp/\\u0000"', "data_dir"),
        ("[dhcp]\nx = 1", "dhcp"),
        ("database-url = 3", "database_url"),
    ],
)
def test_a_value_of_another_kind_in_the_file_is_named(tmp_path: Path, text: str, field: str) -> None:
    file = tmp_path / "bootcart.toml"
    file.write_text(text)
    with pytest.raises(InvalidError) as caught:
        config.load({}, {}, file)

    assert caught.value.field == field
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"), [("true", True), ("false", False), ("'yes'", True), ("'off'", False), ("1", True)]
)
def test_a_switch_in_the_file(tmp_path: Path, text: str, expected: bool) -> None:
    file = tmp_path / "bootcart.toml"
    file.write_text(f"take-over = {text}")

    assert config.load({}, {}, file).take_over is expected


@pytest.mark.parametrize("text", [b"no-such-setting = 1\n", b"http-port = \n", b"address = 'caf\xe9'"])
def test_a_wrong_file_is_told(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "bootcart.toml"
    file.write_bytes(text)
    with pytest.raises(InvalidError, match=r"bootcart\.toml"):
        config.load({}, {"BOOTCART_CONFIG": str(file)})


def test_a_file_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="cannot read"):
        config.load({}, {}, tmp_path / "missing.toml")


def test_every_setting_says_what_it_is() -> None:
    assert all(f.metadata.get("doc") for f in fields(config.Settings))
