"""Sites for tests: an engine, other people's DHCP servers, relays and virtual machines, each in its own namespace."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.errors import NotFoundError
from app.model.event import Event
from app.model.machine import Machine
from app.model.timeline import HopState, Timeline
from app.services.lab import firmware, kernel, machine, plan, qemu
from tests import netns
from tests.engine.process import Engine, running
from tests.lab import matrix

BOOT_SECONDS = 300.0
ENGINE = "10.7.0.1"
DHCP_SERVER = "10.7.0.2"
SWITCH = "br0"


@dataclass(frozen=True, slots=True)
class Vm:
    """A virtual machine that is on."""

    spec: plan.MachineSpec
    files: qemu.Files
    started: float

    @property
    def mac(self) -> str:
        return self.spec.mac

    def serial(self) -> str:
        """All it has written to its serial line."""
        log = self.files.serial_log
        return log.read_text(errors="replace") if log.exists() else ""


@dataclass(frozen=True, slots=True)
class Site:
    """A switch that an engine is plugged into, and whatever the test adds."""

    stack: contextlib.ExitStack
    switch: str
    server: str
    engine: Engine
    folder: Path

    def namespace(self, name: str, address: str) -> str:
        """One more host on the switch, on its `eth0`."""
        ns = self.stack.enter_context(netns.namespace(name, ipv6=False))
        netns.attach(self.switch, SWITCH, ns, "eth0", address=address)
        return ns

    def run(self, ns: str, argv: Sequence[str], listens: str = ":67 ") -> subprocess.Popen[str]:
        """A server in a namespace, for as long as the site lasts; returns when it has its UDP port."""
        log = self.stack.enter_context((self.folder / f"{argv[0]}.log").open("w"))
        process = self.stack.enter_context(netns.running(ns, argv, stdout=log, stderr=log))

        def ready() -> bool:
            assert process.poll() is None, (self.folder / f"{argv[0]}.log").read_text()
            return listens in netns.run(ns, ["ss", "-lunH"]).stdout

        netns.until(ready, what=f"{argv[0]} listens")
        return process

    def power_on(
        self,
        words: str,
        *,
        switch: str = "",
        number: int = 0,
        devices: Sequence[str] = (),
        image: Path | None = None,
    ) -> Vm:
        """A machine as `lab --machines` names it, on the switch in a namespace.

        `devices` are QEMU's words for more; `image` is what its first disk begins with instead of its marker.
        """
        where = switch or self.switch
        (planned,) = plan.plan("site", self.folder, [words]).machines
        spec = replace(planned, name=f"vm{number}", macs=(f"52:54:00:51:7e:{number:02x}",), serial=f"SITE-{number:02d}")
        files = qemu.Files(self.folder / spec.name)
        machine.furnish(files, spec)
        if image is not None:
            shutil.copyfile(image, files.disk(0))
        tap = f"tap{number}"
        fd = kernel.open_tap(where, tap)
        try:
            netns.run(where, ["ip", "link", "set", tap, "master", SWITCH, "up"])
            argv = qemu.command(spec, files, firmware.find(spec.build), [fd], lab="site", kvm=False)
            output = self.stack.enter_context(files.output.open("w"))
            started = time.time()
            running_vm = netns.running(where, [*argv, *devices], pass_fds=[fd], stdout=output, stderr=output)
            self.stack.enter_context(running_vm)
        finally:
            os.close(fd)
        return Vm(spec, files, started)

    def first_found(
        self,
        vm: Vm,
        kind: str = "diagnosis.found",
        *,
        beside: Sequence[str] = (),
        after: float = 0.0,
        seconds: float = BOOT_SECONDS,
    ) -> Event:
        """The first finding about a machine since a moment, but for the rules `beside`.

        Fails with its events and last words.
        """

        def found() -> Event | None:
            told = self.engine.events(kind, mac=vm.mac)
            return next((one for one in told if one.time >= after and one.data["rule"] not in beside), None)

        try:
            return netns.until(found, timeout=seconds, what=f"something is found about {vm.spec.name}")
        except AssertionError as error:
            words = [f"{one.time - vm.started:.1f} {one.kind} {one.message}" for one in self.engine.events(mac=vm.mac)]
            raise AssertionError("\n".join((str(error), *words[-20:], vm.serial()[-1500:]))) from None

    def timeline(self, vm: Vm) -> Timeline:
        """Its newest boot, empty before its first word."""
        try:
            return self.engine.ask(self.engine.client.machines.timeline(f"Mac:{vm.mac}"))
        except NotFoundError:
            return Timeline()

    def inventory(self, vm: Vm, where: str, seconds: float = BOOT_SECONDS) -> tuple[Machine, Timeline]:
        """Its record and timeline once its inventory is in; fails with where it stands and its last words.

        `where` says what is special about the site, for the table at the end of the run.
        """

        def posted() -> tuple[Machine, Timeline] | None:
            machine, boot = self.engine.machine(vm.mac), self.timeline(vm)
            return (machine, boot) if machine and machine.inventory and boot.complete else None

        try:
            found = netns.until(posted, timeout=seconds, what="its inventory")
        except AssertionError as error:
            boot = self.timeline(vm)
            matrix.record(vm.spec.kind, where, vm.started, boot, result=f"stands at {boot.at or 'its firmware'}")
            hops = "\n".join(f"{hop.name} {hop.state} {hop.detail}" for hop in boot.hops)
            words = [f"{event.kind} {event.message}" for event in self.engine.events(mac=vm.mac)][-15:]
            raise AssertionError("\n".join((str(error), hops, *words, vm.serial()[-1500:]))) from None
        matrix.record(vm.spec.kind, where, vm.started, found[1])
        self.unfaulted(vm)
        return found

    def unfaulted(self, vm: Vm) -> None:
        """It boots well, and nothing was called a problem."""
        assert [event.message for event in self.engine.events("diagnosis.found", mac=vm.mac)] == []


def done(boot: Timeline) -> tuple[str, ...]:
    """The hops a boot has passed."""
    return tuple(hop.name for hop in boot.hops if hop.state is HopState.DONE)


def skipped(boot: Timeline) -> tuple[str, ...]:
    """The hops that are not on this boot's path."""
    return tuple(hop.name for hop in boot.hops if hop.state is HopState.SKIPPED)


@contextlib.contextmanager
def site(folder: Path, *flags: str, **extra: Any) -> Iterator[Site]:
    """An engine at 10.7.0.1 on a switch, with the loaders and the discovery system of this host."""
    with contextlib.ExitStack() as stack:
        switch = stack.enter_context(netns.namespace("switch", ipv6=False))
        server = stack.enter_context(netns.namespace("server"))
        netns.bridge(switch, SWITCH)
        netns.attach(switch, SWITCH, server, "eth0", mac="52:54:00:51:7e:ff", address=f"{ENGINE}/24")
        engine = stack.enter_context(running(server, "--interface", "eth0", *flags, **extra))
        yield Site(stack, switch, server, engine, folder)


def dnsmasq(site: Site, *flags: str) -> None:
    """The site's own DHCP server at 10.7.0.2, which knows nothing of booting unless `flags` tell it."""
    ns = site.namespace("dhcp", f"{DHCP_SERVER}/24")
    argv = ["dnsmasq", "-d", "-C/dev/null", "-p0", "--no-ping", "--dhcp-leasefile=/dev/null", "--dhcp-authoritative"]
    argv += ["--dhcp-range=10.7.0.50,10.7.0.60,1h", f"--dhcp-option=3,{DHCP_SERVER}", "--log-dhcp", *flags]
    site.run(ns, argv)
