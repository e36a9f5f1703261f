"""`bootcart machines packets`, `machines pcap` and `events inspect`."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from app.cli.main import main
from tests.cli.conftest import Running
from tests.fakes.packets import CAPTURE


def number(bootcart: Running, kind: str) -> str:
    return str(next(event.id for event in bootcart.world.events.ring if event.kind == kind))


def test_packets_are_listed(bootcart: Running) -> None:
    result = bootcart("machines", "packets", "node-05", "--limit", "1")

    assert result.code == 0
    assert "0.0.0.0:68" in result.lines[-1]
    assert "DISCOVER xid 11223344 rom" in result.lines[-1]
    assert bootcart("machines", "packets", "nobody").code == 3


def test_a_capture_is_written_and_never_over_another_file(
    bootcart: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = bootcart("machines", "pcap", "node-05")
    again = bootcart("machines", "pcap", "node-05", "-o", str(tmp_path))

    assert (result.code, result.out) == (0, "the last boots of node-05 are in node-05.pcapng\n")
    assert (tmp_path / "node-05.pcapng").read_bytes() == CAPTURE
    assert (tmp_path / "node-05.pcapng").stat().st_mode & 0o777 == 0o600
    assert again.code == 4
    assert "--replace" in again.err
    assert bootcart("machines", "pcap", "node-05", "--replace", "--boots", "2", "--json").json["path"]
    assert bootcart.world.calls[-1][-1] == 2
    assert bootcart("machines", "pcap", "node-05", "-o", str(tmp_path / "none/x")).code == 1


def test_a_capture_goes_to_standard_output(bootcart: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr("sys.stdout", out)

    assert main(["machines", "pcap", "node-05", "-o", "-", "--endpoint", bootcart.endpoint]) == 0
    assert out.buffer.getvalue() == CAPTURE  # type: ignore[attr-defined]


def test_a_machine_without_a_recording(bootcart: Running, tmp_path: Path) -> None:
    bootcart.world.packets.gone = True
    result = bootcart("machines", "pcap", "node-05", "-o", str(tmp_path / "x"))

    assert (result.code, os.listdir(tmp_path)) == (3, [])


def test_an_exchange_is_shown(bootcart: Running) -> None:
    result = bootcart("events", "inspect", number(bootcart, "dhcp.offer"))

    assert result.code == 0
    assert result.lines[0].startswith("dhcp.offer  OFFER 10.7.0.105")
    assert "REQUEST 0.0.0.0:68 -> 255.255.255.255:67 on eth1, 306 octets" in result.lines
    assert "  53  dhcp-message-type       OFFER" in result.lines
    assert not any(line.startswith("0000 ") for line in result.lines)


def test_octets_and_json_where_they_are_asked_for(bootcart: Running) -> None:
    key = number(bootcart, "dhcp.offer")

    assert any(line.startswith("0000  01 01 06") for line in bootcart("events", "inspect", key, "--hex").lines)
    assert bootcart("events", "inspect", key, "--json").json["request"]["octets"] == 306
    assert bootcart("events", "inspect", "x").code == 2
    assert bootcart("events", "inspect", "999999").code == 3


def test_what_could_not_be_read_says_why(bootcart: Running) -> None:
    bootcart.world.packets.fault = "option 55 runs 239 octets past the end"
    result = bootcart("events", "inspect", number(bootcart, "dhcp.offer"))

    assert "! cannot be read: option 55 runs 239 octets past the end" in result.lines
