"""What the discovery system's slow probes make of their programs' output: JSON that Bootcart's inventory takes."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.model.inventory import Bmc, BootEntry, Health, Neighbour
from tests.packaging.discovery_image import LIB, Unpacked


def said(image: Unpacked, program: str, text: str, **variables: str) -> Any:
    """The last line of JSON a program writes, or None."""
    argv = [str(image.busybox), "awk"]
    for name, value in variables.items():
        argv += ["-v", f"{name}={value}"]
    done = subprocess.run(
        [*argv, "-f", str(LIB / "json.awk"), "-f", str(LIB / f"{program}.awk")],
        input=text.encode("latin-1"), capture_output=True, check=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.stderr == b""
    lines = done.stdout.splitlines()
    return json.loads(lines[-1]) if lines else None


# --- neighbours ------------------------------------------------------------------------------------------------------


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!H", kind << 9 | len(value)) + value


def frame(*parts: bytes, kind: str = "88cc") -> str:
    """A frame as `socat -x` writes it."""
    octets = bytes.fromhex("0180c200000e02aabbccdd01" + kind) + b"".join(parts)
    return f"> 2026/01/01 00:00:00.000000001  length={len(octets)} from=0 to={len(octets) - 1}\n {octets.hex(' ')}\n"


MAC = bytes.fromhex("02aabbccdd00")
CHASSIS, PORT, TTL = tlv(1, b"\x04" + MAC), tlv(2, b"\x05Gi1/0/7"), tlv(3, b"\0\x78")
END = tlv(0, b"")
KNOWN = frame(CHASSIS, PORT, TTL, END)

FRAMES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("what is required", KNOWN, {"switch": "02:aa:bb:cc:dd:00", "chassis": "02:aa:bb:cc:dd:00", "port": "Gi1/0/7"}),
    ("padding", frame(CHASSIS, PORT, TTL, END, b"\xff" * 30), {"port": "Gi1/0/7"}),
    ("names", frame(CHASSIS, PORT, TTL, tlv(4, b'up "link" \\1\0'), tlv(5, b"sw\xe9"), tlv(6, b"Model 7\nBoot 2"), END),
     {"switch": "sw\xe9", "port_description": 'up "link" \\1', "description": "Model 7\nBoot 2"}),
    ("a port that is an address", frame(CHASSIS, tlv(2, b"\x03" + MAC), TTL, END), {"port": "02:aa:bb:cc:dd:00"}),
    ("a chassis that is an address", frame(tlv(1, b"\x05\x01\x0a\0\0\x09"), PORT, TTL, END), {"chassis": "10.0.0.9"}),
    ("an address by IPv6",
     frame(CHASSIS, PORT, TTL, tlv(8, b"\x11\x02\x20\x01\x0d\xb8" + bytes(11) + b"\x01\x02"), END),
     {"address": "2001:db8:0:0:0:0:0:1"}),
    ("the first address counts",
     frame(CHASSIS, PORT, TTL, tlv(8, b"\x05\x01\x0a\0\0\x02\x02\0"), tlv(8, b"\x05\x01\x0a\0\0\x03\x02\0"), END),
     {"address": "10.0.0.2"}),
    ("a VLAN", frame(CHASSIS, PORT, TTL, tlv(127, bytes.fromhex("0080c201 0fa1")), END), {"vlan": 4001}),
    ("another maker's words", frame(CHASSIS, PORT, TTL, tlv(127, bytes.fromhex("00120f01 0fa1")), END), {"vlan": 0}),
    ("a long text", frame(CHASSIS, PORT, TTL, tlv(6, b"x" * 511), END), {"description": "x" * 511}),
)  # fmt: skip


def neighbour(image: Unpacked, folder: Path, text: str) -> Neighbour | None:
    """What stands in the file afterwards, None where it is empty or not there."""
    out, news = folder / "lldp.eth0", folder / "news"
    assert said(image, "lldp", text, OUT=str(out), NEWS=str(news)) is None
    return Neighbour.model_validate_json(out.read_text()) if out.exists() and out.read_text().strip() else None


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in FRAMES], ids=[case[0] for case in FRAMES])
def test_neighbour(image: Unpacked, tmp_path: Path, text: str, expected: Mapping[str, Any]) -> None:
    found = neighbour(image, tmp_path, text)
    assert found is not None
    assert {name: getattr(found, name) for name in expected} == expected


BROKEN = (
    ("another protocol", frame(CHASSIS, PORT, TTL, END, kind="0800")),
    ("cut short", frame(CHASSIS, PORT, TTL, tlv(5, b"switch")[:-3])),
    ("no port", frame(CHASSIS, TTL, END)),
    ("no time to live", frame(CHASSIS, PORT, END)),
    ("nothing", frame()),
    ("words of socat", "2026/01/01 socat W exiting on signal 15\n"),
)


@pytest.mark.parametrize("text", [case[1] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_what_is_no_neighbour(image: Unpacked, tmp_path: Path, text: str) -> None:
    assert neighbour(image, tmp_path, text) is None
    found = neighbour(image, tmp_path, KNOWN + text)
    assert found is not None
    assert found.port == "Gi1/0/7"


def test_news_are_told_once_for_each_change(image: Unpacked, tmp_path: Path) -> None:
    moved = frame(CHASSIS, tlv(2, b"\x05Gi1/0/8"), TTL, END)
    found = neighbour(image, tmp_path, KNOWN * 3 + moved * 2)
    assert found is not None
    assert found.port == "Gi1/0/8"
    assert (tmp_path / "news").read_text() == ".."


def test_neighbour_that_leaves(image: Unpacked, tmp_path: Path) -> None:
    assert neighbour(image, tmp_path, KNOWN + frame(CHASSIS, PORT, tlv(3, b"\0\0"), END)) is None
    assert (tmp_path / "news").read_text() == ".."


# --- disks -----------------------------------------------------------------------------------------------------------

ATA = """\
SMART overall-health self-assessment test result: {}
Vendor Specific SMART Attributes with Thresholds:
ID# ATTRIBUTE_NAME          FLAG     VALUE WORST THRESH TYPE      UPDATED  WHEN_FAILED RAW_VALUE
  5 Reallocated_Sector_Ct   0x0033   100   100   010    Pre-fail  Always       -       12
  9 Power_On_Hours          0x0032   068   068   000    Old_age   Always       -       28113h+31m+12.345s
177 Wear_Leveling_Count     0x0013   097   097   000    Pre-fail  Always       -       61
190 Airflow_Temperature_Cel 0x0032   066   045   000    Old_age   Always       -       34 (Min/Max 21/55)
197 Current_Pending_Sector  0x0012   100   100   000    Old_age   Always       -       3
198 Offline_Uncorrectable   0x0010   100   100   000    Old_age   Offline      -       1
"""
NVME = """\
SMART overall-health self-assessment test result: PASSED
Critical Warning:                   0x00
Temperature:                        34 Celsius
Available Spare:                    98%
Available Spare Threshold:          10%
Percentage Used:                    3%
Power On Hours:                     12,345
Media and Data Integrity Errors:    2
Temperature Sensor 1:               40 Celsius
"""
SCSI = """\
SMART Health Status: {}
Percentage used endurance indicator: 4%
Current Drive Temperature:     29 C
Drive Trip Temperature:        60 C
Accumulated power on time, hours:minutes 41234:15
Elements in grown defect list: 7
"""
DISKS = (
    ("ATA", ATA.format("PASSED"), Health(status="passed", reallocated=12, hours=28113, used=3, temperature=34,
                                         pending=3, uncorrectable=1)),
    ("ATA that fails", ATA.format("FAILED!").splitlines()[0], Health(status="failed")),
    ("NVMe", NVME, Health(status="passed", temperature=34, spare=98, used=3, hours=12345, media_errors=2)),
    ("SCSI", SCSI.format("OK"), Health(status="passed", used=4, temperature=29, hours=41234, reallocated=7)),
    ("SCSI that fails", "SMART Health Status: FAILURE PREDICTION THRESHOLD EXCEEDED [asc=5d]", Health(status="failed")),
    ("a disk that says nothing", "/dev/sda: Unable to detect device type\n", None),
)  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in DISKS], ids=[case[0] for case in DISKS])
def test_health(image: Unpacked, text: str, expected: Health | None) -> None:
    found = said(image, "smart", text)
    assert (Health.model_validate(found) if found else None) == expected


# --- management controllers, boot entries ----------------------------------------------------------------------------

INFO = """\
Device ID                 : 32
Firmware Revision         : 4.22
IPMI Version              : 2.0
"""
LAN = """\
Set in Progress         : Set Complete
Auth Type Enable        : Callback : MD5 PASSWORD
                        : User     : MD5 PASSWORD
IP Address Source       : Static Address
IP Address              : 10.9.0.17
Subnet Mask             : 255.255.255.0
MAC Address             : 3C:EC:EF:00:00:17
Default Gateway IP      : 10.9.0.1
802.1q VLAN ID          : {}
"""
CONTROLLERS = (
    ("whole", INFO + LAN.format("12"), Bmc(address="10.9.0.17", mac="3c:ec:ef:00:00:17", source="static",
                                           gateway="10.9.0.1", vlan=12, version="4.22")),
    ("without a VLAN", INFO + LAN.format("Disabled").replace("Static Address", "DHCP Address"),
     Bmc(address="10.9.0.17", mac="3c:ec:ef:00:00:17", source="dhcp", gateway="10.9.0.1", version="4.22")),
    ("without a network", INFO, Bmc(version="4.22")),
    ("none", "", None),
)  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [c[1:] for c in CONTROLLERS], ids=[c[0] for c in CONTROLLERS])
def test_management_controller(image: Unpacked, text: str, expected: Bmc | None) -> None:
    found = said(image, "bmc", text)
    assert (Bmc.model_validate(found) if found else None) == expected


ENTRIES = """\
BootNext: 0003
BootCurrent: 0001
Timeout: 1 seconds
BootOrder: 0001,0000,0009
Boot0000* debian\tHD(1,GPT,4f68bce3)/File(\\EFI\\debian\\shimx64.efi)
      dp: 04 01 2a 00
Boot0001* UEFI PXEv4 (MAC:525400000007)\tPciRoot(0x0)/Pci(0x2,0x0)/MAC(525400000007,1)/IPv4(0.0.0.0)
Boot0003  Diagnostics
"""


def test_boot_entries(image: Unpacked) -> None:
    found = [BootEntry.model_validate(entry) for entry in said(image, "bootorder", ENTRIES)]
    assert [(one.number, one.name, one.active, one.current, one.next) for one in found] == [
        ("0001", "UEFI PXEv4 (MAC:525400000007)", True, True, False),
        ("0000", "debian", True, False, False),
        ("0003", "Diagnostics", False, False, True),
    ]
    assert found[1].path == r"HD(1,GPT,4f68bce3)/File(\EFI\debian\shimx64.efi)"


def test_no_boot_entries(image: Unpacked) -> None:
    assert said(image, "bootorder", "EFI variables are not supported on this system.\n") is None
