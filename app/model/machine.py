"""Machines: the centre of everything."""

from __future__ import annotations

import uuid
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address

from pydantic import Field

from app.model.fields import Epoch, Mac, Model, Name
from app.model.inventory import Inventory
from app.model.options import OptionValues
from app.model.profile import ProfileNames

# A machine that was only seen on the wire keeps its id when it registers: the id follows from its MAC address.
_MAC_NAMESPACE = uuid.UUID("6b1f7e0a-6d0b-5f0c-9a35-0b007ca27000")


@lru_cache(maxsize=16384)
def machine_id_for(mac: str) -> uuid.UUID:
    """The id a machine first seen under this MAC address has."""
    return uuid.uuid5(_MAC_NAMESPACE, mac)


def machine_name_for(mac: str) -> str:
    """The name a machine has until somebody gives it a better one: `d52-54-00-00-00-07`."""
    return "d" + mac.replace(":", "-")


class MachineState(StrEnum):
    """What a machine is doing, in one word; its glyph stands beside it on every screen."""

    NEW = "new"
    READY = "ready"
    BOOT = "boot"
    INSTALL = "inst"
    DONE = "done"
    FAIL = "fail"
    STALE = "stale"
    OFF = "off"
    HELD = "held"


STATE_GLYPHS: dict[MachineState, str] = {
    MachineState.NEW: "?",
    MachineState.READY: ".",
    MachineState.BOOT: ">",
    MachineState.INSTALL: "#",
    MachineState.DONE: "+",
    MachineState.FAIL: "!",
    MachineState.STALE: "~",
    MachineState.OFF: "-",
    MachineState.HELD: "=",
}


class LoaderChoice(StrEnum):
    """The boot loader a machine's firmware is given."""

    AUTO = "auto"
    """What worked on it or on its model of network card, else the standard one; another after one that fails."""
    SNPONLY = "snponly"
    """iPXE over the firmware's own network driver (BIOS: undionly)."""
    IPXE = "ipxe"
    """iPXE with drivers of its own."""
    SHIM = "shim"
    """Signed; starts GRUB, also under Secure Boot."""
    GRUB = "grub"
    """GRUB without shim."""


class MachineStatus(Model):
    """The live part of a machine: computed from its events, never stored."""

    state: MachineState = MachineState.NEW
    hop: str = Field(default="", description="the hop its boot is at, for example `initrd`")
    waiting_for: str = Field(default="", description="in words, empty when it waits for nothing")
    since: Epoch = Field(default=0.0, description="when the state, or the wait, began")
    seen: Epoch = Field(default=0.0, description="newest event of the machine")
    reason: str = Field(default="", description="why it failed or is held, in one line")
    diagnosis: str = Field(default="", description="the foremost problem found: the rule and a few words; else empty")
    boots: str = Field(default="", description="the boot environment it gets: its own, else what a preference says")
    loader: str = Field(
        default="", description="the boot loader it is given instead of the standard one, and why; empty: the standard"
    )


class Access(Model):
    """How an operator gets into the discovery system that a machine runs, or last ran."""

    issued: Epoch = Field(description="when it registered; each time it gets a new password")
    password: str = Field(default="", description="root's on its consoles; in the answer for this one machine alone")
    host_key: str = Field(default="", description="fingerprint to verify ssh by; empty: it answers no ssh")


class Machine(Model):
    """One physical (or virtual) computer, known by its MAC addresses.

    `registered` is false for a machine that was only seen on the wire: it exists in memory, and becomes a record when
    it registers or when the operator assigns something to it.
    """

    id: uuid.UUID
    name: Name
    macs: tuple[Mac, ...] = ()
    address: IPv4Address | None = None
    architecture: str = Field(default="", description="amd64, arm64, …; empty until known")
    firmware: str = Field(default="", description="bios or uefi; empty until known")
    bootenv: str = Field(default="", description="assigned boot environment; empty: the default")
    held: bool = Field(default=False, description="gets its address, never a boot file")
    https: bool = Field(default=False, description="its firmware trusts this appliance: its HTTP boot goes by HTTPS")
    options: OptionValues = Field(default_factory=dict, description="DHCP options by name or number")
    loader: LoaderChoice = Field(
        default=LoaderChoice.AUTO, description="boot loader for its firmware; auto: another after one that fails"
    )
    profiles: ProfileNames = Field(default=(), description="whose DHCP options it has too; the first counts")
    registered: bool = True
    description: str = ""
    inventory: Inventory | None = None
    created: Epoch = 0.0
    heartbeat: Epoch = Field(default=0.0, description="when its agent was last heard")
    reboot_wanted: bool = Field(default=False, description="its agent is told to reboot at its next heartbeat")
    access: Access | None = Field(default=None, description="logging in to its discovery system")
    status: MachineStatus | None = None


@lru_cache(maxsize=1024)
def stranger(mac: str) -> Machine:
    """The machine with a MAC address nobody has seen or named, as it would appear."""
    return Machine(id=machine_id_for(mac), name=machine_name_for(mac), macs=(mac,), registered=False)
