"""Machines that were seen on the wire and are in no record: bounded, in memory, newest kept."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from app.model.event import Event
from app.model.fields import normal_mac
from app.model.machine import Machine, machine_id_for, machine_name_for

KEEP = 1000

# RFC 4578 2.1 and the IANA registry of processor architecture types: what the first bytes a machine sends tell of it.
_ARCHITECTURES = {6: "i386", 7: "amd64", 9: "amd64", 11: "arm64", 15: "i386", 16: "amd64", 19: "arm64"}


def is_netboot(event: Event) -> bool:
    """A DISCOVER of firmware (PXE or HTTP boot) or of iPXE; an operating system's makes nobody a machine of ours."""
    return event.kind == "dhcp.discover" and event.data.get("stage") in ("rom", "ipxe")


class Sightings:
    """What the wire told of machines nobody has put on record. Thread-safe."""

    def __init__(self, keep: int = KEEP) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._machines: OrderedDict[uuid.UUID, Machine] = OrderedDict()

    def saw(self, event: Event) -> bool:
        """A netboot DISCOVER of a machine without record; True when the machine was not known."""
        try:
            mac = normal_mac(event.mac)
        except ValueError:
            return False
        key = machine_id_for(mac)
        architecture = _architecture(event.data.get("arch"))
        firmware = str(event.data.get("firmware") or "")
        with self._lock:
            before = self._machines.get(key)
            if before is None:
                self._machines[key] = Machine(
                    id=key,
                    name=machine_name_for(mac),
                    macs=(mac,),
                    registered=False,
                    created=event.time,
                    architecture=architecture,
                    firmware=firmware,
                )
                if len(self._machines) > self._keep:
                    self._machines.popitem(last=False)
                return True
            told = {"architecture": architecture or before.architecture, "firmware": firmware or before.firmware}
            if told != {"architecture": before.architecture, "firmware": before.firmware}:
                self._machines[key] = before.model_copy(update=told)
            self._machines.move_to_end(key)
        return False

    def all(self) -> Sequence[Machine]:
        """Every sighting, the newest last."""
        with self._lock:
            return tuple(self._machines.values())

    def get(self, key: uuid.UUID) -> Machine | None:
        """The sighting with this id."""
        with self._lock:
            return self._machines.get(key)

    def forget(self, keys: Iterable[uuid.UUID]) -> None:
        """They are on record now, or the operator does not want to see them."""
        with self._lock:
            for key in keys:
                self._machines.pop(key, None)


def _architecture(raw: object) -> str:
    try:
        return _ARCHITECTURES.get(int(str(raw), 0), "")
    except ValueError:
        return ""
