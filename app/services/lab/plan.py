"""What a lab is made of, before anything exists: names, addresses, machines; no IO."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path

from app.errors import InvalidError
from app.services.lab.build import DEFAULT_MEMORY, KINDS, Build, read

DEFAULT_NAME = "lab"
DEFAULT_CIDR = IPv4Network("10.77.0.0/24")
DEFAULT_MACHINES = ("bios", "uefi")
DEFAULT_DIRECTORY = Path("/run/bootcart/lab")
ENGINE_INTERFACE = "eth0"
CIDR6 = IPv6Network("fd00:77::/64")
"""The segment's IPv6 network, where a machine boots over IPv6; the engine has its first address."""
MACHINES_MAX = 32

_NAME = re.compile(r"^[a-z][a-z0-9-]{0,19}$")


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """One virtual machine; one MAC address for each network card, `uuid` as SMBIOS shows it."""

    name: str
    build: Build
    macs: tuple[str, ...]
    serial: str
    uuid: str

    @property
    def kind(self) -> str:
        """What was asked for."""
        return self.build.kind

    @property
    def mac(self) -> str:
        """The address of the network card it boots from."""
        return self.macs[0]

    @property
    def marker(self) -> str:
        """What its disk prints on the serial line when it is booted."""
        return f"bootcart lab: {self.name} booted from its own disk"


@dataclass(frozen=True, slots=True)
class LabPlan:
    """A lab by name: its namespaces, segment and machines."""

    name: str
    directory: Path
    cidr: IPv4Network
    machines: tuple[MachineSpec, ...]

    @property
    def engine_address(self) -> IPv4Address:
        """The engine's address: the first of the segment."""
        return self.cidr.network_address + 1

    @property
    def protocols(self) -> frozenset[int]:
        """What its machines boot over: 4, 6 or both."""
        return frozenset(machine.build.ip for machine in self.machines)

    @property
    def engine_namespace(self) -> str:
        """The network namespace in which only the engine lives."""
        return self.namespaces[0]

    @property
    def lan_namespace(self) -> str:
        """The network namespace with the bridge, the taps and the virtual machines."""
        return self.namespaces[1]

    @property
    def namespaces(self) -> tuple[str, str]:
        """Both, the engine's first."""
        return namespaces_of(self.name, self.directory)


def namespaces_of(name: str, directory: Path) -> tuple[str, str]:
    """The engine's and the LAN's namespace of a lab of this name, kept in this directory."""
    # Names are one per host while lab directories can be several (tests): another directory's `lab` is another lab.
    other = "" if directory == DEFAULT_DIRECTORY else "-" + hashlib.sha256(str(directory).encode()).hexdigest()[:6]
    return f"bootcart-{name}{other}-engine", f"bootcart-{name}{other}-lan"


def check_name(name: str) -> str:
    """`name` if a lab may be called so; raises InvalidError."""
    if not _NAME.match(name):
        raise InvalidError(
            f"{name!r} cannot be the name of a lab",
            hint="up to 20 of a-z, 0-9 and -, starting with a letter",
            field="name",
        )
    return name


def range_of(cidr: IPv4Network) -> tuple[IPv4Address, IPv4Address]:
    """First and last address the engine gives out: the upper half of the segment without its broadcast address."""
    return cidr.network_address + cidr.num_addresses // 2, cidr.broadcast_address - 1


def _name(kind: str, count: int) -> str:
    return f"{kind}-{count}" if kind[-1].isdigit() else f"{kind}{count}"


def _mac(digest: bytes, index: int, nic: int) -> str:
    return f"52:54:00:{digest[0]:02x}:{digest[1]:02x}:{nic * MACHINES_MAX + index:02x}"


def plan(
    name: str,
    directory: Path,
    machines: Sequence[str] = DEFAULT_MACHINES,
    cidr: IPv4Network = DEFAULT_CIDR,
    memory: int = DEFAULT_MEMORY,
) -> LabPlan:
    """Lay out a lab; the same name and order of machines give the same MAC addresses every time. Raises InvalidError.

    Each of `machines` is a kind with its options, as `build.read` takes it.
    """
    check_name(name)
    if not machines:
        raise InvalidError("a lab needs a machine", hint="one or more of " + ", ".join(KINDS), field="machines")
    if len(machines) > MACHINES_MAX:
        raise InvalidError(f"{len(machines)} machines are too many", hint=f"at most {MACHINES_MAX}", field="machines")
    if not 16 <= cidr.prefixlen <= 28:
        raise InvalidError(f"{cidr} does not fit a lab", hint="a prefix from /16 to /28", field="cidr")
    builds = [read(words, memory) for words in machines]
    start, end = range_of(cidr)
    if sum(build.nics for build in builds) > int(end) - int(start) + 1:
        raise InvalidError(f"{cidr} has no room for {len(builds)} machines", hint="give a larger --cidr", field="cidr")
    specs: list[MachineSpec] = []
    counts: dict[str, int] = {}
    for index, build in enumerate(builds):
        counts[build.kind] = counts.get(build.kind, 0) + 1
        digest = hashlib.sha256(f"{name}/{index}".encode()).digest()
        specs.append(
            MachineSpec(
                name=_name(build.kind, counts[build.kind]),
                build=build,
                macs=tuple(_mac(digest, index, nic) for nic in range(build.nics)),
                serial=f"LAB-{name.upper()}-{index:02d}",
                uuid=f"{digest[2:6].hex()}-{digest[6:8].hex()}-4{digest[8:10].hex()[1:]}-a{digest[10:12].hex()[1:]}-{digest[12:18].hex()}",
            )
        )
    return LabPlan(name=name, directory=directory, cidr=cidr, machines=tuple(specs))
