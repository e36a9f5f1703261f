"""What a machine would get if it booted now: DHCP's answers, its script and its files, without doing any of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Protocol

from app.config import Settings
from app.errors import InvalidError, NotFoundError
from app.model.bootview import FIRMWARES, BootAnswer, BootFault, BootFile, BootFirmware, BootView
from app.model.engine import Interface, Service, ServiceState
from app.model.event import Event
from app.model.machine import Machine
from app.model.query import Query
from app.netboot.bootpath import BadPathError, Role, normalise, role_of, script_path
from app.netboot.decide import bootenv_of
from app.netboot.firmware import IPXE, ROM
from app.netboot.foresee import (
    STAGES,
    Asked,
    Foreseen,
    firmware_name,
    kernel_arguments,
    loader_path,
    possible,
    template_of,
)
from app.netboot.grub import CONFIG
from app.netboot.menu import menu_path
from app.netboot.wire import pxe
from app.netboot.wire.dhcp4 import ZERO
from app.services.bootfs.scripts import BOOT, GRUB, MENU, AnswerFile, Given
from app.services.bootfs.tree import BootFs
from app.store.store import Store

_Script = tuple[Given | None, tuple[AnswerFile, ...], str]
_NO_SCRIPT: _Script = (None, (), BOOT)
_PATHS: dict[str, Callable[[str, str], str]] = {
    BOOT: lambda mac, _: script_path(mac),
    GRUB: lambda _, __: f"grub/{CONFIG}",
    MENU: menu_path,
}
NOWHERE = IPv4Address("127.0.0.1")
_LOOKED_AT = 50


class Answers(Protocol):
    """DHCP, asked what it would answer."""

    def foresee(self, mac: str, asked: Sequence[Asked], interface: str, relay: IPv4Address) -> list[Foreseen]: ...


@dataclass(frozen=True, slots=True)
class _Asker:
    """Who boots, where, and with what."""

    mac: str
    interface: str
    interface_why: str
    relay: IPv4Address
    firmware: tuple[Asked, ...]
    firmware_why: str


class Foresight:
    """Dry runs. Blocks: for DHCP's thread, the store and the disk; call it from a worker thread."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        dhcp: Answers,
        tree: BootFs,
        interfaces: Callable[[], Sequence[Interface]],
        services: Callable[[], Sequence[Service]],
    ) -> None:
        self._settings = settings
        self._store = store
        self._dhcp = dhcp
        self._tree = tree
        self._interfaces = interfaces
        self._services = services

    def view(self, machine: Machine, architecture: str = "", interface: str = "") -> BootView:
        """What this machine would get. `architecture` is a name of FIRMWARES or a number of option 93; empty: what it
        last booted with, else all it could have. Raises InvalidError, NotFoundError for an interface, UnavailableError.
        """
        asker = self._asker(machine, architecture, interface)
        foreseen = self._answers(asker)
        stages = {(each.arch, stage): found for (each, stage), found in foreseen.items()}
        scripts = {each.arch: self._script(machine, asker, each.arch, stages) for each in asker.firmware}
        script, answers, template = next((each for each in scripts.values() if each[0] is not None), _NO_SCRIPT)
        directory = self._store.directory
        reservation = next(iter(directory.reservations_for(asker.mac)), None)
        name, because = bootenv_of(asker.mac, directory)
        choice = script.choice if script is not None else None
        firmware = tuple(self._firmware(asker.mac, each, stages, *scripts[each.arch]) for each in asker.firmware)
        faults = (script.error if script is not None else None, *(each.error for each in answers))
        fault = next((each for each in faults if each is not None), None)
        return BootView(
            machine=machine.name,
            mac=asker.mac,
            registered=machine.registered,
            interface=asker.interface,
            interface_why=asker.interface_why,
            relay=None if asker.relay == ZERO else asker.relay,
            reservation=reservation.address if reservation is not None else None,
            bootenv=choice.name if choice is not None and choice.reason else name,
            bootenv_why=choice.reason if choice is not None and choice.reason else because,
            firmware_why=asker.firmware_why,
            firmware=firmware,
            script=script.text if script is not None else "",
            template=template,
            fault=None
            if fault is None
            else BootFault(bootenv=fault.bootenv, template=fault.template, line=fault.line, why=fault.why),
            arguments=kernel_arguments(script.text) if script is not None else "",
            warnings=tuple(self._warnings(firmware)),
        )

    # --- who boots ------------------------------------------------------------------------------------------------

    def _asker(self, machine: Machine, architecture: str, interface: str) -> _Asker:
        if not machine.macs:
            raise InvalidError(f"{machine.name} has no MAC address", hint="give it one", field="macs")
        last = self._last_boot(machine)
        mac = last.mac if last is not None and last.mac in machine.macs else machine.macs[0]
        where, why = self._where(mac, last, interface)
        firmware, firmware_why = _firmware_of(machine, last, architecture)
        # What it would be answered over IPv4 is foreseen: a relay of DHCPv6's says nothing of that.
        tells = last is not None and not interface and last.data.get("family") != 6
        heard = str(last.data.get("relay", "")) if last is not None and tells else ""
        return _Asker(mac, where, why, IPv4Address(heard) if heard else ZERO, firmware, firmware_why)

    def _last_boot(self, machine: Machine) -> Event | None:
        """The newest DISCOVER of its firmware, else of iPXE in its NIC."""
        page = self._store.events.list(Query(limit=_LOOKED_AT), machine=str(machine.id), kind="dhcp.discover")
        booted = [event for event in reversed(page.items) if event.data.get("stage") in STAGES]
        of_firmware = (event for event in booted if event.data["stage"] == ROM)
        return next(of_firmware, None) or next(iter(booted), None)

    def _where(self, mac: str, last: Event | None, interface: str) -> tuple[str, str]:
        here = {each.name: each for each in self._interfaces()}
        if interface:
            if interface not in here:
                raise NotFoundError(
                    f"there is no interface {interface!r}", hint="see: bootcart interfaces list", field="interface"
                )
            return interface, "as asked"
        if last is not None and last.interface in here:
            return last.interface, "it was last heard there"
        lease = self._store.directory.lease_of(mac)
        if lease is not None and lease.interface in here:
            return lease.interface, "it has a lease there"
        served = next((each.name for each in here.values() if each.served), "")
        return served, "it was never heard; this one is served" if served else ""

    # --- what it is answered --------------------------------------------------------------------------------------

    def _answers(self, asker: _Asker) -> dict[tuple[Asked, str], Foreseen]:
        pairs = [(each, stage) for each in asker.firmware for stage in STAGES]
        found = self._dhcp.foresee(asker.mac, asker.firmware, asker.interface, asker.relay)
        allowed = self._settings.interface
        refused = ""
        if not asker.interface:
            refused = "no interface of this host has an address in a subnet"
        elif allowed and asker.interface not in allowed:
            refused = f"this run does not serve {asker.interface} (see --interface)"
        if refused:
            found = [
                Foreseen(
                    each.firmware, BootAnswer(stage=each.told.stage, answered=False, reason="elsewhere", why=refused)
                )
                for each in found
            ]
        return dict(zip(pairs, found, strict=True))

    def _script(
        self, machine: Machine, asker: _Asker, arch: int, stages: Mapping[tuple[int, str], Foreseen]
    ) -> _Script:
        """The script that this firmware's loader is sent to, the answer files it leads to, and which template it is."""
        sent, loader = stages[arch, ROM], stages[arch, IPXE]
        template = template_of(loader_path(sent.told.bootfile)[1])
        if template == BOOT:
            sent = loader
            if not sent.told.bootfile.endswith(f"/{script_path(asker.mac)}"):
                return _NO_SCRIPT
        lease = self._store.directory.lease_of(asker.mac)
        address = sent.told.address or machine.address or (lease.address if lease is not None else ZERO)
        known = pxe.ARCHITECTURES.get(arch)
        processor = known.machine if known is not None and template == MENU else ""
        return *self._tree.foresee(asker.mac, str(address), sent.server, template, processor), template

    def _firmware(
        self,
        mac: str,
        asked: Asked,
        stages: dict[tuple[int, str], Foreseen],
        script: Given | None,
        answers: Sequence[AnswerFile],
        template: str,
    ) -> BootFirmware:
        first, second = (stages[asked.arch, stage] for stage in STAGES)
        files: list[BootFile] = []
        if first.told.bootfile:
            files.append(self._file(*loader_path(first.told.bootfile)))
        if template != BOOT or second.told.bootfile:
            files += self._loaded(mac, asked, script, template)
            files += [
                BootFile(path=each.path, role=Role.ANSWER, present=each.size is not None, size=each.size)
                for each in answers
            ]
        return BootFirmware(
            name=firmware_name(asked.arch),
            architecture=asked.arch,
            title=first.firmware.title,
            answers=(first.told, second.told) if template == BOOT else (first.told,),
            files=tuple(files),
        )

    def _loaded(self, mac: str, asked: Asked, script: Given | None, template: str) -> list[BootFile]:
        """What the loader loads: its script, then kernel and initrds of its processor."""
        if script is None:
            return []
        text = script.text.encode()
        there = not script.left_alone
        known = pxe.ARCHITECTURES.get(asked.arch)
        path = _PATHS[template](mac, known.machine if known is not None else "")
        files = [BootFile(path=path, role=Role.SCRIPT, present=there, size=len(text) if there else None)]
        if script.bootenv is not None and script.error is None and known is not None:
            wanted = script.bootenv.architectures.get(known.machine)
            if wanted is not None:
                protocol = "tftp" if template == MENU else "http"
                files += [self._file(protocol, path) for path in (wanted.kernel, *wanted.initrds)]
        return files

    def _file(self, protocol: str, path: str) -> BootFile:
        try:
            path = normalise(path)
        except BadPathError:
            return BootFile(path=path, role=Role.FILE, protocol=protocol, present=False)
        size, sha256 = self._tree.file(path)
        role = role_of(path, self._store.directory.bootenvs())
        return BootFile(path=path, role=role, protocol=protocol, present=size is not None, size=size, sha256=sha256)

    def _warnings(self, firmware: Sequence[BootFirmware]) -> list[str]:
        """Services that do not run, files that are not there, answers that lead elsewhere."""
        told: list[str] = []
        for service in self._services():
            if service.name in ("dhcp", "tftp", "http") and service.state is not ServiceState.UP:
                why = f": {service.reason}" if service.reason else ""
                told.append(f"service {service.name} is {service.state.value}{why}")
        files = [each for one in firmware for each in one.files if not each.present]
        missing = {each.path for each in files if each.role != Role.ANSWER}
        told += [f"there is no file {path}" for path in sorted(missing)]
        kept = {each.path for each in files if each.role == Role.ANSWER}
        told += [f"{path} is not given: it does not render, or the machine is not registered" for path in sorted(kept)]
        own = {address.ip for interface in self._interfaces() for address in interface.addresses}
        servers = {each.next_server for one in firmware for each in one.answers if each.next_server is not None}
        told += [f"its files come from {server}, which is another host" for server in sorted(servers - own)]
        return told


def _firmware_of(machine: Machine, last: Event | None, architecture: str) -> tuple[tuple[Asked, ...], str]:
    heard = last.data.get("arch") if last is not None else None
    if architecture:
        arch = FIRMWARES.get(architecture, int(architecture) if architecture.isdecimal() else -1)
        if not 0 <= arch <= 0xFFFF:
            raise InvalidError(
                f"there is no firmware {architecture!r}",
                hint=f"one of {', '.join(FIRMWARES)}, or a number of DHCP option 93",
                field="architecture",
            )
        same = last is not None and heard == arch and last.data.get("stage") == ROM
        return (Asked(arch, str(last.data.get("vendor_class", "")) if same and last is not None else ""),), "as asked"
    if last is not None and isinstance(heard, int):
        vendor_class = str(last.data.get("vendor_class", "")) if last.data.get("stage") == ROM else ""
        return (Asked(heard, vendor_class),), "it last booted with this"
    found = tuple(Asked(arch) for arch in possible(machine.architecture, machine.firmware))
    return found, "it was never seen to boot; it could have" + (" one of these" if len(found) > 1 else " this")
