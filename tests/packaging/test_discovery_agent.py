"""The discovery system's scripts under its own busybox, with made-up /sys and /proc: what they say must be JSON."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.model.inventory import Inventory
from tests.packaging.discovery_image import LIB, Unpacked

GUID = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
MAC = "52:54:00:aa:bb:01"


@dataclass(frozen=True, slots=True)
class Box:
    """A place to run the scripts in, with trees to fill."""

    busybox: Path
    folder: Path

    def put(self, files: Mapping[str, str | bytes]) -> None:
        """Files below `sys/`, `proc/` or beside them; a str gets the newline the kernel ends its lines with."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode() + b"\n")

    def link(self, name: str, target: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (self.folder / target).mkdir(parents=True, exist_ok=True)
        path.symlink_to(os.path.relpath(self.folder / target, path.parent))

    def run(self, *argv: str, stdin: bytes = b"", **variables: str) -> bytes:
        done = subprocess.run(
            [str(self.busybox), *argv], input=stdin, capture_output=True, check=False, cwd=self.folder,
            env={
                "PATH": "/nonexistent", "LC_ALL": "C", "BOOTCART_SYS": str(self.folder / "sys"),
                "BOOTCART_PROC": str(self.folder / "proc"), "BOOTCART_LIB": str(LIB), "BOOTCART_UNAME": "x86_64",
                "BOOTCART_RUN": str(self.folder / "run"), "BOOTCART_DMIDECODE": "cat dmi",
                "BOOTCART_ADDRESSES": "cat addresses",
                **variables,
            },
        )  # fmt: skip
        assert done.stderr == b"", done.stderr.decode(errors="replace")
        assert done.returncode == 0
        return done.stdout

    def sh(self, script: str) -> str:
        """Lines of shell with common.sh and http.sh sourced."""
        return self.run("sh", "-c", f". {LIB}/common.sh; . {LIB}/http.sh; {script}").decode()

    def inventory(self, what: str = "report", machine: str = "x86_64") -> dict[str, Any]:
        return json.loads(self.run("sh", str(LIB / "inventory"), what, BOOTCART_UNAME=machine))


@pytest.fixture
def box(image: Unpacked, tmp_path: Path) -> Box:
    made = Box(image.busybox, tmp_path)
    made.put(
        {
            "proc/cmdline": f"quiet bootcart.url=http://10.0.0.1:8090 bootcart.token=a.b bootcart.mac={MAC}",
            "proc/meminfo": "MemTotal:        1000000 kB\nMemFree:  1 kB",
            "proc/uptime": "12.34 5.67",
            "proc/sys/kernel/osrelease": "6.12.0-amd64",
            "proc/cpuinfo": "processor\t: 0\nmodel name\t: Intel(R)  Xeon(R)\nflags\t\t: fpu vme avx2",
            "dmi": b"", "addresses": b"", "run/empty": "",
        }
    )  # fmt: skip
    for name in ("class/net", "block"):
        (tmp_path / "sys" / name).mkdir(parents=True)
    return made


def nic(box: Box, name: str, mac: str, uevent: str, *, parent: str = "", **facts: str) -> None:
    device = f"sys/devices/pci0000:00/{name}-function" + ("/virtio0" if parent else "")
    box.put({f"sys/class/net/{name}/address": mac, f"{device}/uevent": uevent})
    box.put({f"sys/class/net/{name}/{key}": value for key, value in facts.items()})
    if parent:
        box.put({f"sys/devices/pci0000:00/{name}-function/uevent": parent})
    box.link(f"sys/class/net/{name}/device", device)


def disk(box: Box, name: str, where: str, files: Mapping[str, str | bytes]) -> None:
    path = f"sys/devices/{where}/block/{name}"
    box.put({f"{path}/{key}": content for key, content in files.items()})
    box.link(f"sys/block/{name}", path)


def test_empty_machine_is_a_valid_inventory(box: Box) -> None:
    found = Inventory.model_validate(box.inventory())
    assert (found.firmware, found.secure_boot, found.kernel) == ("bios", "unsupported", "6.12.0-amd64")
    assert (found.disks, found.nics, found.memory.modules) == ((), (), ())
    assert found.memory.total == 1_024_000_000
    assert found.cpu.model_dump() == {
        "model": "Intel(R) Xeon(R)", "architecture": "amd64", "sockets": 1, "cores": 1, "threads": 1,
        "flags": ("fpu", "vme", "avx2"),
    }  # fmt: skip


def test_identity(box: Box) -> None:
    dmi = {
        "sys_vendor": "Dell Inc.", "product_name": "PowerEdge R640", "product_serial": "ABC1234",
        "product_uuid": "4C4C4544-0042-3510-8031-B7C04F333632", "board_vendor": "Dell Inc.", "board_name": "0H28RR",
        "chassis_type": "23", "bios_vendor": "Dell Inc.", "bios_version": "2.19.1", "bios_date": "06/04/2023",
    }  # fmt: skip
    box.put({f"sys/class/dmi/id/{key}": value for key, value in dmi.items()})
    assert box.inventory()["system"] == {
        "manufacturer": "Dell Inc.", "product": "PowerEdge R640", "serial": "ABC1234",
        "uuid": "4c4c4544-0042-3510-8031-b7c04f333632", "board": "Dell Inc. 0H28RR", "chassis": "rack mount",
        "bios_vendor": "Dell Inc.", "bios_version": "2.19.1", "bios_date": "06/04/2023",
    }  # fmt: skip


HOSTILE = (
    ("quotes", b'say "hi"', 'say "hi"'),
    ("backslashes", rb"C:\new\table\u0041", r"C:\new\table\u0041"),
    ("both", rb'\"\\"', r'\"\\"'),
    ("control bytes", b"a\x01b\x1b[31mc\x7f\x0bd", "a\x01b\x1b[31mc\x7f\x0bd"),
    ("tabs", b"a\tb", "a\tb"),
    ("Latin-1", b"Caf\xe9 \xa9 \xff\x80", "Caf\xe9 \xa9 \xff\x80"),
    ("UTF-8 is read as Latin-1", "é".encode(), "\xc3\xa9"),
    ("percent signs", b"%s%n%d 100%", "%s%n%d 100%"),
    ("shell", b"$(reboot) `reboot` ; reboot & *", "$(reboot) `reboot` ; reboot & *"),
    ("awk replacements", b"a&b\\&c", "a&b\\&c"),
    ("JSON", b'","uuid":"x', '","uuid":"x'),
    ("blanks around", b"   Default string   ", "Default string"),
    ("long", b"x" * 4000, "x" * 4000),
    ("nothing", b"", ""),
)


@pytest.mark.parametrize(("raw", "expected"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_hostile_strings(box: Box, raw: bytes, expected: str) -> None:
    box.put({"sys/class/dmi/id/product_name": raw + b"\n", "sys/class/dmi/id/product_serial": raw + b"\n"})
    disk(box, "sda", "pci0/ata1/host0/target0:0:0/0:0:0:0", {"size": "8", "device/model": raw + b"\n"})
    box.put({"dmi": b"Memory Device\n\tSize: 4 GB\n\tLocator: " + raw + b"\n\n"})
    found = Inventory.model_validate(box.inventory())
    assert (found.system.product, found.system.serial, found.disks[0].model) == (expected, expected, expected)
    assert [module.removesuffix(": 4 GB") for module in found.memory.modules] == [expected]
    assert box.inventory("register")["serial"] == expected


SECURE_BOOT = (
    ("enabled", {"SecureBoot": 1, "SetupMode": 0}, "enabled"),
    ("disabled", {"SecureBoot": 0, "SetupMode": 0}, "disabled"),
    ("setup mode", {"SecureBoot": 0, "SetupMode": 1}, "setup"),
    ("setup mode wins", {"SecureBoot": 1, "SetupMode": 1}, "setup"),
    ("no setup variable", {"SecureBoot": 1}, "enabled"),
    ("no variables", {}, "unsupported"),
)


@pytest.mark.parametrize(("variables", "expected"), [c[1:] for c in SECURE_BOOT], ids=[c[0] for c in SECURE_BOOT])
def test_secure_boot(box: Box, variables: dict[str, int], expected: str) -> None:
    (box.folder / "sys/firmware/efi").mkdir(parents=True)
    box.put({f"sys/firmware/efi/efivars/{k}-{GUID}": b"\x06\0\0\0" + bytes([v]) for k, v in variables.items()})
    found = box.inventory()
    assert (found["firmware"], found["secure_boot"]) == ("uefi", expected)
    assert box.inventory("register")["firmware"] == "uefi"


def test_network_cards(box: Box) -> None:
    virtio = "PCI_SLOT_NAME=0000:00:03.0\nPCI_ID=1AF4:1041"
    nic(box, "eth0", MAC, "DRIVER=virtio_net", parent=virtio, carrier="1", speed="-1")
    intel = "DRIVER=i40e\nPCI_ID=8086:1572\nPCI_SLOT_NAME=0000:3b:00.0"
    nic(box, "eth1", "3c:fd:fe:00:00:01", intel, carrier="1", speed="10000")
    nic(box, "eth2", "3c:fd:fe:00:00:02", "DRIVER=i40e\nPCI_SLOT_NAME=0000:3b:00.1", carrier="0")
    nic(box, "usb0", "be:3a:f2:b6:05:9f", "DEVTYPE=usb_interface\nDRIVER=cdc_ether", carrier="1")
    box.put({"sys/class/net/lo/address": "00:00:00:00:00:00"})
    box.put({"addresses": "2: eth0    inet 10.7.0.12/24 brd 10.7.0.255 scope global eth0"})
    found = Inventory.model_validate(box.inventory())
    assert [card.model_dump(exclude_none=True) for card in found.nics[:3]] == [
        {"name": "eth0", "mac": MAC, "driver": "virtio_net", "link": True, "speed": 0, "address": "10.7.0.12",
         "pci": "0000:00:03.0", "model": "1af4:1041", "boot": True},
        {"name": "eth1", "mac": "3c:fd:fe:00:00:01", "driver": "i40e", "link": True, "speed": 10000, "address": "",
         "pci": "0000:3b:00.0", "model": "8086:1572", "boot": False},
        {"name": "eth2", "mac": "3c:fd:fe:00:00:02", "driver": "i40e", "link": False, "speed": 0, "address": "",
         "pci": "0000:3b:00.1", "model": "", "boot": False},
    ]  # fmt: skip
    assert [card.name for card in found.nics] == ["eth0", "eth1", "eth2", "usb0"]
    # A management controller's USB interface has one address in a whole series of machines: it identifies nobody.
    assert box.inventory("register") == {
        "macs": [MAC, "3c:fd:fe:00:00:01", "3c:fd:fe:00:00:02"], "boot_mac": MAC, "uuid": "", "serial": "",
        "architecture": "amd64", "firmware": "bios",
    }  # fmt: skip


@pytest.mark.parametrize("written", ["52:54:00:aa:bb:02", "52:54:00:AA:BB:02", "52-54-00-AA-BB-02"])
def test_boot_card_however_its_address_is_written(box: Box, written: str) -> None:
    box.put({"proc/cmdline": f"bootcart.mac={written}"})
    nic(box, "eth0", MAC, "DRIVER=igb")
    nic(box, "eth1", "52:54:00:aa:bb:02", "DRIVER=igb")
    assert [card["boot"] for card in box.inventory()["nics"]] == [False, True]
    assert box.inventory("register")["boot_mac"] == "52:54:00:aa:bb:02"


VPD = b"\0\x80\0\x0c  S3Z8NB0K   "

DISKS: tuple[tuple[str, str, str, dict[str, str | bytes], dict[str, Any]], ...] = (
    ("SATA", "sda", "pci0/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0",
     {"size": "7814037168", "device/vendor": "ATA     ", "device/model": "ST4000NM0035-1V4", "device/vpd_pg80": VPD,
      "device/wwid": "naa.5000c500a1b2c3d4", "queue/rotational": "1"},
     {"size": 4000787030016, "model": "ST4000NM0035-1V4", "serial": "S3Z8NB0K", "transport": "sata",
      "rotational": True, "wwn": "0x5000c500a1b2c3d4"}),
    ("SAS", "sdb", "pci0/host1/port-1:0/end_device-1:0/target1:0:0/1:0:0:0",
     {"size": "16", "device/vendor": "SEAGATE", "device/model": "ST600MM0088", "queue/rotational": "1"},
     {"size": 8192, "model": "SEAGATE ST600MM0088", "transport": "sas", "rotational": True}),
    ("RAID volume", "sdc", "pci0/host2/target2:2:0/2:2:0:0",
     {"size": "16", "device/vendor": "DELL", "device/model": "PERC H730P Mini", "device/wwid": "t10.DELL x"},
     {"model": "DELL PERC H730P Mini", "transport": "scsi", "wwn": ""}),
    ("NVMe", "nvme0n1", "pci0/nvme/nvme0",
     {"size": "1953525168", "device/model": "SAMSUNG MZQL2960", "device/serial": "S64FNE0R  ",
      "wwid": "eui.36344630525000010025385800000001", "queue/rotational": "0"},
     {"size": 1000204886016, "model": "SAMSUNG MZQL2960", "serial": "S64FNE0R", "transport": "nvme",
      "rotational": False, "wwn": "eui.36344630525000010025385800000001"}),
    ("virtio", "vda", "pci0/virtio2", {"size": "16", "serial": "LAB1", "device/vendor": "0x1af4"},
     {"model": "", "serial": "LAB1", "transport": "virtio"}),
    ("SD card", "mmcblk0", "platform/mmc_host/mmc0/mmc0:0001",
     {"size": "16", "device/name": "SC32G", "device/serial": "0x12345678"},
     {"model": "SC32G", "serial": "0x12345678", "transport": "mmc"}),
    ("Fibre Channel", "sdd", "pci0/host3/rport-3:0-1/target3:0:1/3:0:1:0", {"size": "16"}, {"transport": "fc"}),
    ("iSCSI", "sde", "platform/host4/session1/target4:0:0/4:0:0:0", {"size": "16"}, {"transport": "iscsi"}),
    ("Xen", "xvda", "vbd-51712", {"size": "16"}, {"transport": "xen"}),
)  # fmt: skip


@pytest.mark.parametrize(("name", "where", "files", "expected"), [c[1:] for c in DISKS], ids=[c[0] for c in DISKS])
def test_disks(box: Box, name: str, where: str, files: dict[str, str | bytes], expected: dict[str, Any]) -> None:
    disk(box, name, where, files)
    (found,) = Inventory.model_validate(box.inventory()).disks
    assert {key: getattr(found, key) for key in expected} == expected


def test_usb_stick_has_its_devices_serial(box: Box) -> None:
    usb = "pci0000:00/0000:00:14.0/usb1/1-2"
    box.put({f"sys/devices/{usb}/serial": "4C530001"})
    disk(box, "sda", f"{usb}/1-2:1.0/host6/target6:0:0/6:0:0:0", {"size": "16", "removable": "1"})
    (found,) = box.inventory()["disks"]
    assert (found["transport"], found["serial"]) == ("usb", "4C530001")


def test_what_is_no_disk(box: Box) -> None:
    for name in ("loop0", "ram0", "sr0", "dm-0", "md127", "zram0", "mmcblk0boot0", "fd0"):
        disk(box, name, f"virtual/{name}", {"size": "16"})
    disk(box, "sdb", "pci0/usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0", {"size": "0", "removable": "1"})
    disk(box, "nvme0c0n1", "pci0/nvme/nvme0/x", {"size": "16", "hidden": "1"})
    assert box.inventory()["disks"] == []


def test_what_the_probes_found_is_part_of_it(box: Box) -> None:
    nic(box, "eth0", MAC, "DRIVER=igb")
    nic(box, "eth1", "52:54:00:aa:bb:02", "DRIVER=igb")
    disk(box, "sda", "pci0/ata1/host0/target0:0:0/0:0:0:0", {"size": "8"})
    box.put(
        {
            "run/probe/lldp.eth1": '{"switch": "sw \\"7\\"", "port": "Gi1/0/7"}', "run/probe/lldp.eth0": "",
            "run/probe/smart.sda": '{"status": "failed"}', "run/probe/bmc": '{"address": "10.9.0.17"}',
            "run/probe/boot": '[{"number": "0000", "name": "debian"}]',
        }
    )  # fmt: skip
    found = Inventory.model_validate(box.inventory())
    assert [card.neighbour and card.neighbour.switch for card in found.nics] == [None, 'sw "7"']
    assert (found.disks[0].health and found.disks[0].health.status, found.bmc and found.bmc.address) == (
        "failed", "10.9.0.17",
    )  # fmt: skip
    assert [entry.name for entry in found.boot_entries] == ["debian"]


def test_processors_are_counted_from_the_topology(box: Box) -> None:
    for number in range(8):
        folder = f"sys/devices/system/cpu/cpu{number}/topology"
        box.put({f"{folder}/physical_package_id": str(number // 4), f"{folder}/core_id": str(number % 2)})
    cpu = box.inventory()["cpu"]
    assert (cpu["sockets"], cpu["cores"], cpu["threads"]) == (2, 4, 8)


def test_arm_board_without_smbios(box: Box) -> None:
    base = "sys/firmware/devicetree/base"
    box.put({f"{base}/model": b"Raspberry Pi 4 Model B\0", f"{base}/serial-number": b"10000000abcdef\0"})
    box.put({"proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd\n\nprocessor\t: 1\nFeatures\t: fp asimd"})
    found = Inventory.model_validate(box.inventory(machine="aarch64"))
    assert (found.system.product, found.system.serial) == ("Raspberry Pi 4 Model B", "10000000abcdef")
    assert (found.cpu.architecture, found.cpu.threads, found.cpu.flags) == ("arm64", 2, ("fp", "asimd"))


PROCESSOR = """\
Processor Information
\tSocket Designation: CPU 0
\tManufacturer: {maker}
\tFlags:
\t\tVersion: none of it
\tVersion: {version}
\tPart Number: not of a module

Memory Device
\tSize: 16 GB
\tLocator: DIMM A1

"""


@pytest.mark.parametrize(
    ("implementer", "part", "maker", "version", "model"),
    [
        ("0x41", "0xd0c", "Ampere(R)", "Ampere(R)  Altra(R) Processor", "Ampere(R) Altra(R) Processor"),
        ("0x41", "0xd0c", "Ampere(R)", "Not Specified", "Arm Neoverse-N1"),
        ("0x41", "0xd08", "QEMU", "virt-7.2", "Arm Cortex-A72"),
        ("0xc0", "0xac3", "", "", "Ampere-1"),
        ("0x41", "0xfff", "", "", "Arm part 0xfff"),
        ("0x99", "0x123", "", "", "implementer 0x99 part 0x123"),
        ("", "", "", "", ""),
    ],
)
def test_an_arm_processor_has_a_name(
    box: Box, implementer: str, part: str, maker: str, version: str, model: str
) -> None:
    said = f"CPU implementer\t: {implementer}\nCPU part\t: {part}\n" if part else ""
    one = f"processor\t: 0\n{said}\n"
    box.put({"proc/cpuinfo": one + one, "dmi": PROCESSOR.format(maker=maker, version=version) if version else ""})

    told = box.inventory(machine="aarch64")

    assert Inventory.model_validate(told).cpu.model == model
    assert told["memory"]["modules"] == (["DIMM A1: 16 GB"] if version else [])


def test_a_processor_that_names_itself_keeps_its_name(box: Box) -> None:
    box.put({"dmi": PROCESSOR.format(maker="Intel", version="something else")})

    assert box.inventory()["cpu"]["model"] == "Intel(R) Xeon(R)"


DIMMS = """\
Memory Device
\tArray Handle: 0x1000
\tSize: 16 GB
\tLocator: DIMM A1
\tType: DDR4
\tSpeed: 2933 MT/s
\tManufacturer: Samsung
\tPart Number: M393A2K43DB2-CVF

Memory Device
\tSize: No Module Installed
\tLocator: DIMM A2
\tType: Unknown

Memory Device
\tSize: 16384 MB
\tLocator: DIMM B1
\tType: DDR4
\tSpeed: Unknown
\tManufacturer: Not Specified

Memory Array Mapped Address
\tRange Size: 32 GB
"""


def test_memory_is_what_the_slots_hold(box: Box) -> None:
    box.put({"dmi": DIMMS, "proc/meminfo": "MemTotal: 32600000 kB"})
    assert box.inventory()["memory"] == {
        "total": 32 * 2**30,
        "modules": ["DIMM A1: 16 GB DDR4 2933 MT/s Samsung M393A2K43DB2-CVF", "DIMM B1: 16384 MB DDR4"],
    }


def test_memory_table_that_cannot_be_true_is_not_believed(box: Box) -> None:
    box.put({"dmi": "Memory Device\n\tSize: 4 TB\n\tLocator: A\n", "proc/meminfo": "MemTotal: 8000000 kB"})
    assert box.inventory()["memory"]["total"] == 8_192_000_000


# --- the agent's own words -------------------------------------------------------------------------------------------


EVENT = ("awk", "-f", f"{LIB}/json.awk", "-f", f"{LIB}/event.awk")


def test_event_carries_the_last_lines(box: Box) -> None:
    output = "".join(f'line {number} "quoted" \\ \x1b\n' for number in range(30)).encode()
    found = json.loads(box.run(*EVENT, stdin=output, KIND="failed", STEP=r'a "step\n"'))
    assert (found["kind"], found["step"]) == ("failed", r'a "step\n"')
    assert found["output"].splitlines() == [f'line {number} "quoted" \\ \x1b' for number in range(10, 30)]


def test_event_without_output(box: Box) -> None:
    assert json.loads(box.run(*EVENT, KIND="started", STEP="")) == {"kind": "started", "step": "", "output": ""}


ANSWERS = (
    ('{"id": "abc", "heartbeat": 10}', "id", "abc"),
    ('{"id":"abc","heartbeat":10}', "heartbeat", "10"),
    ('{"heartbeat" : 7.5 , "id":""}', "heartbeat", "7.5"),
    ('{\n  "action": "",\n  "token": "a.b-c_d"\n}', "token", "a.b-c_d"),
    ('{"action": ""}', "action", ""),
    ('{"action": "reboot"}', "token", ""),
    ('{"token": null}', "token", ""),
    ("<html>no JSON</html>", "id", ""),
    ("", "id", ""),
)


@pytest.mark.parametrize(("answer", "name", "expected"), ANSWERS)
def test_fields_of_an_answer(box: Box, answer: str, name: str, expected: str) -> None:
    box.put({"run/answer": answer})
    said = box.sh(f'ANSWER=$(cat run/answer); json_field {name}; printf "%s" "$VALUE"')
    assert said == expected


def test_token_is_in_a_private_file(box: Box) -> None:
    box.sh("bearer very.secret")
    path = box.folder / "run/headers"
    assert path.stat().st_mode & 0o777 == 0o600
    assert "Authorization: Bearer very.secret" in path.read_text().splitlines()


FAILURES = (
    ("000", "", "curl: (7) Failed to connect to 10.0.0.1 port 8090", r"Failed to connect .* firewall"),
    ("401", '{"code": "not-allowed", "message": "the token has expired; boot the machine again", "hint": ""}', "",
     r"the token has expired.*\(HTTP 401\)\. Restart this machine"),
    ("409", '{"message": "that address is another machine\'s", "hint": "delete one"}', "",
     r"another machine's \(delete one\) \(HTTP 409\)"),
    ("404", "<html>not found</html>", "", r"does not know this machine \(HTTP 404\)"),
    ("502", "Bad gateway", "", r"Bad gateway.*\(HTTP 502\)"),
)  # fmt: skip


@pytest.mark.parametrize(("status", "answer", "curl", "expected"), FAILURES, ids=[case[0] for case in FAILURES])
def test_failures_say_what_and_why(box: Box, status: str, answer: str, curl: str, expected: str) -> None:
    box.put({"run/answer": answer, "run/curl.error": curl})
    said = box.sh(f'STATUS={status}; judge http://10.0.0.1:8090/agent/register || printf "%s" "$WHY"')
    assert said.startswith("http://10.0.0.1:8090/agent/register: ")
    assert re.search(expected, said), said


def test_arguments_of_the_kernel(box: Box) -> None:
    box.put({"proc/cmdline": "BOOT_IMAGE=x bootcart.url=http://a bootcart.url=http://b?c=d * bootcart.token="})
    said = box.sh('for n in bootcart.url bootcart.token bootcart.mac; do argument $n; printf "%s\\n" "$VALUE"; done')
    assert said.splitlines() == ["http://b?c=d", "", ""]
