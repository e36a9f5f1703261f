"""What the discovery system found in a machine."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from app.model.fields import Epoch, Model


class _Found(Model):
    # The agent of another version may know more fields than we do; they are dropped, the rest is kept.
    model_config = ConfigDict(extra="ignore", frozen=True)


class System(_Found):
    """DMI identity (SMBIOS types 0, 1, 2, 3)."""

    manufacturer: str = ""
    product: str = ""
    serial: str = ""
    uuid: str = ""
    board: str = ""
    chassis: str = ""
    bios_vendor: str = ""
    bios_version: str = ""
    bios_date: str = ""


class Cpu(_Found):
    """Processors as the kernel sees them."""

    model: str = ""
    architecture: str = ""
    sockets: int = 0
    cores: int = 0
    threads: int = 0
    flags: tuple[str, ...] = ()


class Memory(_Found):
    """Memory, in bytes, and what sits in the slots."""

    total: int = 0
    modules: tuple[str, ...] = ()


class Health(_Found):
    """What a disk says of itself (SMART, NVMe's health log); None where it does not say."""

    status: str = Field(default="", description="passed or failed: the disk's own judgement")
    temperature: int | None = Field(default=None, description="°C")
    hours: int | None = Field(default=None, description="powered on")
    reallocated: int | None = Field(default=None, description="sectors, or SCSI's grown defects")
    pending: int | None = Field(default=None, description="sectors that could not be read")
    uncorrectable: int | None = None
    media_errors: int | None = None
    used: int | None = Field(default=None, description="percent of its endurance")
    spare: int | None = Field(default=None, description="percent of its spare blocks that is left")


class Disk(_Found):
    """A block device; size in bytes."""

    name: str
    size: int = 0
    model: str = ""
    serial: str = ""
    transport: str = ""
    rotational: bool = False
    wwn: str = ""
    health: Health | None = Field(default=None, description="None: not known, or not yet")


class Neighbour(_Found):
    """The switch port at the other end of the cable, as it says by LLDP (IEEE 802.1AB)."""

    switch: str = Field(default="", description="its name, else its chassis id")
    chassis: str = ""
    port: str = ""
    port_description: str = ""
    description: str = Field(default="", description="of the switch")
    vlan: int = Field(default=0, description="the port's own VLAN, 0 where it is not said")
    address: str = Field(default="", description="management address")


class Nic(_Found):
    """A network interface; speed in Mb/s, 0 where unknown."""

    name: str
    mac: str = ""
    driver: str = ""
    link: bool = False
    speed: int = 0
    address: str = ""
    pci: str = ""
    model: str = Field(default="", description="PCI vendor and device, for example 8086:1528")
    boot: bool = Field(default=False, description="the one the machine booted from")
    neighbour: Neighbour | None = Field(default=None, description="None: nothing heard, or not yet")


class Bmc(_Found):
    """The management controller, asked from inside by IPMI."""

    address: str = ""
    mac: str = ""
    source: str = Field(default="", description="static or dhcp")
    gateway: str = ""
    vlan: int = 0
    version: str = Field(default="", description="of its firmware")


class BootEntry(_Found):
    """One entry of UEFI firmware's boot menu."""

    number: str
    name: str = ""
    path: str = Field(default="", description="device path, as efibootmgr writes it")
    active: bool = True
    current: bool = Field(default=False, description="the one this boot came from")
    next: bool = Field(default=False, description="used once, at the next start")


class Inventory(_Found):
    """One report of the discovery system."""

    reported: Epoch = 0.0
    system: System = System()
    cpu: Cpu = Cpu()
    memory: Memory = Memory()
    disks: tuple[Disk, ...] = ()
    nics: tuple[Nic, ...] = ()
    firmware: str = Field(default="", description="bios or uefi")
    secure_boot: str = Field(default="", description="enabled, disabled, setup or unsupported")
    boot_entries: tuple[BootEntry, ...] = Field(default=(), description="in the order the firmware tries them")
    bmc: Bmc | None = Field(default=None, description="None: there is none, or it did not answer yet")
    kernel: str = ""
    agent: str = Field(default="", description="version of the discovery image")
