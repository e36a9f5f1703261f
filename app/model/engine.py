"""The engine as an operator sees it: services, interfaces, preferences, the command log."""

from __future__ import annotations

import uuid
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from pydantic import Field

from app.model.fields import Epoch, Mac, Model


class ServiceState(StrEnum):
    """Where a service stands."""

    STARTING = "starting"
    UP = "up"
    FAILED = "failed"
    STOPPED = "stopped"
    DISABLED = "disabled"


class Service(Model):
    """One service of the engine."""

    name: str
    state: ServiceState = ServiceState.STARTING
    listening: tuple[str, ...] = Field(default=(), description="for example `udp 0.0.0.0:67 eth1`")
    reason: str = Field(default="", description="why it failed, in words")
    hint: str = ""
    since: Epoch = 0.0
    retry: Epoch | None = Field(default=None, description="when a failed one is tried again")
    failures: int = Field(default=0, description="how often it failed since the engine started")
    last_failed: Epoch | None = Field(default=None, description="when it last failed, also once it is up again")
    last_reason: str = Field(default="", description="why it last failed, also once it is up again")
    counters: dict[str, int] = Field(default_factory=dict)


class ForeignServer(Model):
    """Another DHCP server heard on a segment."""

    server: IPv4Address
    mac: str = ""
    offered: IPv4Address | None = None
    subnet_mask: IPv4Address | None = None
    router: IPv4Address | None = None
    vendor_class: str = ""
    heard: Epoch = 0.0


class Interface(Model):
    """A network interface of this host; the key is its name."""

    name: str
    index: int = 0
    mac: Mac | None = None
    addresses: tuple[IPv4Interface, ...] = ()
    up: bool = False
    link: bool = False
    speed: int = Field(default=0, description="Mb/s, 0 where unknown")
    driver: str = ""
    kind: str = Field(default="", description="ethernet, wireless, bridge, bond, vlan, veth, tap or loopback")
    uplink: bool = Field(default=False, description="the default route leaves here")
    served: bool = Field(default=False, description="the engine answers on it")
    subnet: str = Field(default="", description="name of the subnet its address is in")
    foreign: tuple[ForeignServer, ...] = Field(default=(), description="other DHCP servers heard on it")
    probed: Epoch | None = Field(default=None, description="when it was last probed for other DHCP servers")
    reason: str = Field(default="", description="why machines on it are not answered as they should be")
    hint: str = Field(default="", description="what to do about that")


class Preference(Model):
    """A named setting of the appliance, kept in the store; the key is its name."""

    name: str
    value: str
    default: str = ""
    description: str = ""
    choices: tuple[str, ...] = ()


PREFERENCES: tuple[Preference, ...] = (
    Preference(
        name="unknown-bootenv",
        value="discovery",
        default="discovery",
        description="what a machine nobody has named boots",
    ),
    Preference(
        name="default-bootenv",
        value="local",
        default="local",
        description="what a known machine boots when none is assigned",
    ),
    Preference(
        name="loader-bios",
        value="undionly.kpxe",
        default="undionly.kpxe",
        description="boot loader for BIOS firmware",
        choices=("undionly.kpxe", "ipxe.pxe"),
    ),
    Preference(
        name="loader-uefi",
        value="ipxe.efi",
        default="ipxe.efi",
        description="boot loader for x64 UEFI firmware; shimx64.efi is signed, and starts GRUB under Secure Boot",
        choices=("ipxe.efi", "snponly.efi", "shimx64.efi"),
    ),
    Preference(
        name="loader-arm64",
        value="ipxe-arm64.efi",
        default="ipxe-arm64.efi",
        description="boot loader for arm64 UEFI firmware; shimaa64.efi is signed, and starts GRUB under Secure Boot",
        choices=("ipxe-arm64.efi", "shimaa64.efi"),
    ),
    Preference(
        name="loader-signed",
        value="grub",
        default="grub",
        description="what firmware that starts only signed loaders is given: Debian's shim and GRUB, or iPXE's own "
        "shim and iPXE, which bootcart fetch --signed-ipxe brings",
        choices=("grub", "ipxe"),
    ),
    Preference(
        name="loader-ia32",
        value="",
        default="",
        description="boot loader for 32-bit UEFI firmware, such as an ipxe-ia32.efi in a tree of --file-root; "
        "none comes with Bootcart",
    ),
    Preference(
        name="loader-arm32",
        value="",
        default="",
        description="boot loader for 32-bit ARM UEFI firmware, in a tree of --file-root; none comes with Bootcart",
    ),
    *(
        Preference(
            name=f"loader-{name}",
            value=f"ipxe-{name}.efi",
            default=f"ipxe-{name}.efi",
            description=f"boot loader for {words} UEFI firmware",
        )
        for name, words in (("riscv64", "64-bit RISC-V"), ("loong64", "64-bit LoongArch"))
    ),
    Preference(
        name="dhcp-options",
        value="",
        default="",
        description="DHCP options for every machine, such as ntp-servers=10.7.0.1; interface-mtu=9000; a subnet's, a "
        "reservation's and a machine's own come before them",
    ),
    Preference(
        name="unknown-token-timeout",
        value="600",
        default="600",
        description="seconds a machine nobody knows has to register",
    ),
    Preference(
        name="known-token-timeout",
        value="3600",
        default="3600",
        description="seconds a known machine's token is good for, renewed by its heartbeat",
    ),
    Preference(
        name="discovery-ssh-keys",
        value="",
        default="",
        description="public keys, parted by commas, that may log in to the discovery system by ssh; none: no ssh",
    ),
    Preference(
        name="debian-mirror",
        value="http://ftp.debian.org/debian",
        default="http://ftp.debian.org/debian",
        description="where Debian packages come from",
    ),
    Preference(
        name="install-ssh-keys",
        value="",
        default="",
        description="public keys, parted by commas, that may log in as root to systems that are installed",
    ),
    Preference(
        name="install-locale",
        value="en_US.UTF-8",
        default="en_US.UTF-8",
        description="language and country of systems that are installed",
    ),
    Preference(
        name="install-keyboard",
        value="us",
        default="us",
        description="keyboard layout of systems that are installed",
    ),
    Preference(
        name="install-time-zone",
        value="Etc/UTC",
        default="Etc/UTC",
        description="time zone of systems that are installed",
    ),
    Preference(
        name="log-level",
        value="",
        default="",
        description="level of the log by part, such as info,dhcp=debug; empty: as the engine was started",
    ),
    Preference(
        name="serve-until",
        value="",
        default="",
        description="how long machines are answered: 90m, 2h, 1d, or never for without end; then everything is held",
    ),
)
"""The closed list of preferences with their defaults."""


class Command(Model):
    """One entry of the command log: who changed what, and how to take it back."""

    id: int
    time: Epoch
    actor: str
    verb: str
    noun: str
    key: str
    summary: str = Field(description="in words, for the command log")
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    undone_by: int | None = None
    undoes: int | None = Field(default=None, description="of an undo or a redo: the command it is about")
    undoable: bool = True


class EngineInfo(Model):
    """What the engine says of itself."""

    version: str
    started: Epoch
    now: Epoch
    pid: int
    user: str
    data_dir: str
    ready: bool = False
    dhcp: str = Field(description="the ceiling of this run: authoritative, proxy or off")
    instance: uuid.UUID = Field(description="changes with every start of the engine")
    lab: str = Field(default="", description="name of the lab this engine serves; empty: real hardware")
    holding: bool = Field(default=False, description="hold: answer no one")
    serve_until: Epoch | None = Field(default=None, description="when the hold begins by itself; none: never")
