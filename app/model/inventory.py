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


class Disk(_Found):
    """A block device; size in bytes."""

    name: str
    size: int = 0
    model: str = ""
    serial: str = ""
    transport: str = ""
    rotational: bool = False
    wwn: str = ""


class Nic(_Found):
    """A network interface; speed in Mb/s, 0 where unknown."""

    name: str
    mac: str = ""
    driver: str = ""
    link: bool = False
    speed: int = 0
    address: str = ""
    pci: str = ""
    boot: bool = Field(default=False, description="the one the machine booted from")


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
    kernel: str = ""
    agent: str = Field(default="", description="version of the discovery image")
