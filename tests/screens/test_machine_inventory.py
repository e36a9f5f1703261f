"""The inventory page's lines: logging in, management controller, health, switch ports, boot entries."""

from __future__ import annotations

from app.model.inventory import Bmc, BootEntry, Disk, Health, Inventory, Neighbour, Nic
from app.model.machine import Access, Machine, machine_id_for
from app.screens.areas.machine_pages import inventory_lines

MAC = "52:54:00:00:00:07"
ACCESS = Access(issued=1_700_000_000.0, password="bcdfghjkrstu", host_key="ssh-ed25519 SHA256:abc")
FOUND = Inventory(
    disks=(
        Disk(name="sda", health=Health(status="failed", hours=28113, pending=3)),
        Disk(name="nvme0n1", health=Health(status="passed", temperature=34, used=2)),
        Disk(name="vda"),
    ),
    nics=(
        Nic(name="eth0", neighbour=Neighbour(switch="switch-7", port="Gi1/0/7", vlan=12, address="10.0.0.2")),
        Nic(name="eth1"),
    ),
    bmc=Bmc(address="10.9.0.17", mac="3c:ec:ef:00:00:17", source="static", version="4.22"),
    boot_entries=(
        BootEntry(number="0001", name="UEFI PXEv4", current=True),
        BootEntry(number="0003", name="Diagnostics", active=False, next=True),
    ),
)


def page(access: Access | None, inventory: Inventory | None) -> list[str]:
    machine = Machine(id=machine_id_for(MAC), name="node-07", macs=(MAC,), access=access, inventory=inventory)
    lines = inventory_lines(machine, 1_700_000_060.0, 79)
    return [" ".join("".join(text for text, _ in one.spans).split()) for one in lines]


def test_everything_is_said() -> None:
    lines = page(ACCESS, FOUND)
    assert any(one.startswith("console root bcdfghjkrstu at its consoles") for one in lines)
    for wanted in (
        "ssh host key ssh-ed25519 SHA256:abc",
        "BMC 10.9.0.17 static 3c:ec:ef:00:00:17 firmware 4.22",
        "sda ! FAILED 28113 h on, 3 pending",
        "nvme0n1 + passed 34 °C, 2 % used",
        "eth0 switch-7 12 10.0.0.2 Gi1/0/7",
        "0001 this boot UEFI PXEv4",
        "0003 next, once, off Diagnostics",
    ):
        assert wanted in lines


def test_what_is_not_known_takes_no_room() -> None:
    lines = page(None, Inventory(disks=(Disk(name="vda"),), nics=(Nic(name="eth0"),)))
    said = "\n".join(lines)
    for word in ("console", "BMC", "HEALTH", "SWITCH", "ENTRY", "ssh"):
        assert word not in said


def test_a_machine_that_registered_can_be_entered_before_it_reported() -> None:
    lines = page(ACCESS, None)
    assert any("bcdfghjkrstu" in one for one in lines)
    assert "nothing reported yet" in lines
