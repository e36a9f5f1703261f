"""Firmware that refuses what is not signed: it is given the signed shim from its next request on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from app.clock import Clock
from app.model.event import Event, EventDraft, Level
from app.model.machine import Machine, machine_name_for
from app.netboot.bootpath import hopeful
from app.netboot.loaders import SHIM, started_by_shim, takes_shim
from app.netboot.words import plain

KEPT_MAX = 4096
"""Machines remembered, of those that were given a loader and of those that refused it: strangers are without number."""


class Refusals:
    """Which machines need a signed loader, learned from events. `needs` may be called from any thread.

    DHCP does not tell whether Secure Boot is on. It shows in what follows: firmware that refuses a loader asks anew,
    and nothing else is heard in between. Once shim has led to an inventory, that says so.
    """

    def __init__(
        self,
        machine_of: Callable[[str], Machine | None],
        there: Callable[[str], bool],
        emit: Callable[[EventDraft], None],
        clock: Clock,
    ) -> None:
        """`machine_of`: the record of a MAC address; `there`: a file of the virtual tree exists (reads the disk)."""
        self._machine_of = machine_of
        self._there = there
        self._emit = emit
        self._clock = clock
        # The loader each machine has had, while nothing was heard since. Only the writer thread changes these.
        self._loaded: OrderedDict[str, str] = OrderedDict()
        self._refused: OrderedDict[str, str] = OrderedDict()

    def needs(self, mac: str) -> bool:
        """This machine's firmware, which asks now, starts nothing but a signed loader."""
        # The answer is made before the request is stored.
        if (loaded := self._loaded.get(mac)) is not None:
            return loaded != SHIM
        if mac in self._refused:
            return True
        machine = self._machine_of(mac)
        return machine is not None and machine.inventory is not None and machine.inventory.secure_boot == "enabled"

    def observe(self, event: Event) -> None:
        """An event was stored; in the writer thread. Looks for shim on the disk when a loader was sent."""
        mac, family = event.mac, event.kind.partition(".")[0]
        if not mac:
            return
        if family == "dhcp":
            self._asked(event, mac)
        elif event.kind in ("tftp.sent", "http.sent") and event.data.get("role") == "loader":
            name = str(event.data.get("file") or event.data.get("path") or "").rpartition("/")[2]
            self._loaded.pop(mac, None)
            if name.endswith(".efi") and not started_by_shim(name) and self._there(SHIM):
                _keep(self._loaded, mac, name)
        elif family == "agent" or (family in ("tftp", "http") and not _of_firmware(event)):
            self._loaded.pop(mac, None)

    def _asked(self, event: Event, mac: str) -> None:
        stage, arch = event.data.get("stage"), event.data.get("arch")
        if stage != "rom":
            self._loaded.pop(mac, None)
            if stage == "ipxe":
                self._refused.pop(mac, None)  # it does start what is not signed
            return
        if event.kind != "dhcp.discover":
            return
        name = self._loaded.pop(mac, "")
        if not name or not isinstance(arch, int) or not takes_shim(arch):
            return
        if name == SHIM:
            self._refused.pop(mac, None)  # not that either: Microsoft's key is not enrolled
        elif mac not in self._refused:
            _keep(self._refused, mac, name)
            self._tell(event, mac, name)

    def _tell(self, event: Event, mac: str, name: str) -> None:
        machine = self._machine_of(mac)
        title = machine.name if machine is not None else machine_name_for(mac)
        self._emit(
            EventDraft(
                time=self._clock.now(),
                kind="machine.loader",
                message=plain(f"{title} did not start {name} and asks anew: it is given {SHIM} from now on", 300),
                level=Level.WARNING,
                mac=mac,
                machine=event.machine,
                interface=event.interface,
                data={"refused": name, "loader": SHIM},
            )
        )


def _of_firmware(event: Event) -> bool:
    """The transfer of a loader, or what is looked for on the off chance but by iPXE: it says nothing of a start."""
    name = str(event.data.get("file") or event.data.get("path") or "")
    return event.data.get("role") in ("loader", "file") or (hopeful(name) and not name.endswith(".ipxe"))


def _keep(kept: OrderedDict[str, str], mac: str, value: str) -> None:
    kept[mac] = value
    kept.move_to_end(mac)
    while len(kept) > KEPT_MAX:
        kept.popitem(last=False)
