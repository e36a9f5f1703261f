"""What machines did, recorded from real boots in the lab, and how to tell it otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from app.model.bootenv import BootEnv, BootFiles, BootKind
from app.model.diagnosis import Finding, Severity
from app.model.engine import ForeignServer, Service, ServiceState
from app.model.event import Event
from app.model.inventory import Disk, Inventory, Memory, System
from app.model.machine import Machine, machine_id_for
from app.model.subnet import Range, Subnet
from app.netboot.diagnose import Facts, diagnose

RECORDED = Path(__file__).parent / "recorded"
BEGAN = 1_800_000_000.0
LINE = 76
ROW = 48
HEALTHY = (
    "bios", "uefi", "uefi-http", "bios-local", "uefi-local", "uefi-http-local", "bios-proxy", "uefi-proxy",
    "uefi-http-proxy",
)  # fmt: skip
DISCOVERY = {
    arch: BootFiles(kernel=f"discovery/{arch}/vmlinuz", initrds=(f"discovery/{arch}/initrd.img",))
    for arch in ("amd64", "arm64")
}
BOOTENVS = (
    BootEnv(name="discovery", architectures=DISCOVERY, unknown_only=True, memory_mib=512),
    BootEnv(name="local", kind=BootKind.LOCAL),
    BootEnv(name="ignore", kind=BootKind.IGNORE),
    BootEnv(
        name="debian-12",
        architectures={"amd64": BootFiles(kernel="debian-12/linux", initrds=("debian-12/initrd.gz",))},
        destructive=True,
        memory_mib=780,
    ),
)
SUBNET = Subnet(
    name="diag",
    cidr=IPv4Network("10.77.0.0/24"),
    ranges=(Range(start=IPv4Address("10.77.0.128"), end=IPv4Address("10.77.0.254")),),
)
OTHER = ForeignServer(server=IPv4Address("10.77.0.2"), mac="02:00:00:00:00:02")


def recorded(name: str, at: float = 0.0) -> list[Event]:
    """One recording; its first event happens `at` seconds after BEGAN."""
    rows: list[dict[str, Any]] = json.loads((RECORDED / f"{name}.json").read_text())
    base = int(at * 1000)
    for row in rows if at else ():
        # Another boot is another exchange.
        row["data"] = {key: f"{base}-{value}" if key == "xid" else value for key, value in row.get("data", {}).items()}
    return [
        Event.model_validate(
            {
                **row,
                "id": base + row["id"],
                "time": BEGAN + at + row["time"],
                "machine": machine_id_for(row.get("mac", "")),
            }
        )
        for row in rows
    ]


def upto(events: Sequence[Event], last: Callable[[Event], bool]) -> list[Event]:
    """The story up to and with the first event that is meant."""
    for number, event in enumerate(events):
        if last(event):
            return list(events[: number + 1])
    raise AssertionError("no such event in the story")


def kind(name: str, **data: Any) -> Callable[[Event], bool]:
    """An event of this kind with these facts."""
    return lambda event: event.kind == name and all(event.data.get(key) == value for key, value in data.items())


def without(events: Iterable[Event], *dropped: Callable[[Event], bool]) -> list[Event]:
    """The story without some events."""
    return [event for event in events if not any(is_meant(event) for is_meant in dropped)]


def edited(event: Event, seconds: float = 0.0, **data: Any) -> Event:
    """An event that happened later, or with other facts."""
    changes = {"time": event.time + seconds, "data": {**event.data, **data}}
    return event.model_copy(update={**changes, "id": event.id + int(seconds * 1000)})


def then(events: Sequence[Event], name: str, seconds: float = 1.0, **data: Any) -> list[Event]:
    """The story, and one event more, some seconds after its last."""
    last = events[-1]
    more = last.model_copy(
        update={"id": last.id + 1, "time": last.time + seconds, "kind": name, "message": name, "data": data}
    )
    return [*events, more]


def again(events: Sequence[Event], seconds: float) -> list[Event]:
    """The same story once more, `seconds` later."""
    return [edited(event, seconds) for event in events]


def inventory(firmware: str = "uefi", disks: int = 1, memory: int = 512) -> Inventory:
    """What the discovery system reported."""
    return Inventory(
        reported=BEGAN - 1000,
        system=System(uuid="4c4c4544-0000-2010-8020-80c04f200001", serial="S1"),
        memory=Memory(total=memory << 20),
        disks=tuple(Disk(name=f"sd{n}", size=64 << 20) for n in range(disks)),
        firmware=firmware,
    )


def machine(events: Sequence[Event], **fields: Any) -> Machine:
    """The machine of a story, on record unless told otherwise."""
    mac = next((event.mac for event in events if event.mac), "52:54:00:00:00:01")
    return Machine(id=machine_id_for(mac), **{"name": "node-07", "macs": (mac,), **fields})


def facts(**changes: Any) -> Facts:
    """A sound world: one subnet, every service up."""
    up = tuple(
        Service(name=name, state=ServiceState.UP) for name in ("dhcp", "proxydhcp", "tftp", "http", "probe", "router")
    )
    return Facts(
        **{
            "subnets": (SUBNET,),
            "bootenvs": BOOTENVS,
            "services": up,
            "default_bootenv": "local",
            "unknown_bootenv": "discovery",
            **changes,
        }
    )


def judged(
    events: Sequence[Event], after: float = 0.0, who: Machine | None = None, world: Facts | None = None
) -> dict[str, Finding]:
    """What is found `after` seconds after the story's last event."""
    verdict = diagnose(who or machine(events), events, world or facts(), events[-1].time + after)
    for finding in verdict.findings:
        # Three lines of 80 columns, with the key at the end of the third.
        assert len(f"{finding.id} {finding.seen}") <= LINE, finding.seen
        assert len(finding.means) <= LINE, finding.means
        assert len(f"{finding.do} (f: {finding.action})") <= LINE, finding.do
        assert len(finding.row) <= ROW, finding.row
    return {finding.id: finding for finding in verdict.findings}


def problems(found: dict[str, Finding]) -> set[str]:
    """The rules that call for help."""
    return {name for name, finding in found.items() if finding.severity is Severity.PROBLEM}
