"""Rules over several boots: installed over and over, came up from disk, came back from its disk."""

from __future__ import annotations

from app.model.bootenv import BootKind
from app.model.event import Event
from app.netboot.diagnose.case import (
    BOOTING,
    LONG_SECONDS,
    STALLED,
    Case,
    Found,
    Rule,
    boots_disk,
    select,
    short,
)

INSTALLS = 3
INSTALL_SECONDS = 3600.0
BACK_SECONDS = 120.0
RETRY_SECONDS = 10.0
"""Firmware that asks again sooner has not tried its disk: it repeats the same attempt."""
AGENT_SECONDS = 30.0
POST_SECONDS = 300.0
"""Servers with much memory and many cards take up to five minutes from a reboot to their first DISCOVER."""
DISCOVERY_CLASS = "bootcart-discovery"


def _installs(case: Case) -> Found | None:
    """An installing boot environment was started several times within an hour."""
    destructive = {one.name for one in case.facts.bootenvs if one.destructive}
    begun: list[Event] = []
    for boot in case.boots:
        scripts = [e for e in select(boot, "http.sent", role="script") if e.data.get("bootenv") in destructive]
        begun += scripts[-1:]
    recent = [event for event in begun if event.time >= case.now - INSTALL_SECONDS]
    assigned = case.assigned
    if len(recent) < INSTALLS or assigned is None or not assigned.destructive:
        return None
    return Found(
        brief=f"installed {len(recent)} times in an hour",
        seen=f"began to install {recent[-1].data.get('bootenv')} {len(recent)} times within"
        f" {(recent[-1].time - recent[0].time) / 60:.0f} min",
        events=recent[-3:],
        since=recent[INSTALLS - 1].time,
    )


def _from_disk(case: Case) -> Found | None:
    """It was to boot from the network, and its disk's system asks for an address, or nothing asks after its reboot."""
    orders = select(case.events, "machine.assigned")
    bootenv = case.bootenv(str(orders[-1].data.get("bootenv", ""))) if orders else None
    if bootenv is None or bootenv.kind is not BootKind.KERNEL:
        return None
    since = orders[-1]
    reboots = select(case.events, "agent.rebooting", after=since)
    since = reboots[-1] if reboots else since
    later = select(case.events, "dhcp.discover", after=since)
    if any(event.data.get("stage") in BOOTING for event in later):
        return None
    if reboots and not later:
        return _not_back(case, bootenv.name, orders[-1], reboots[-1])
    systems = [e for e in later if e.data.get("stage") == "os" and e.data.get("vendor_class") != DISCOVERY_CLASS]
    # Without a reboot we know of, a system that still runs may ask anew; its agent is heard then.
    beats = case.machine.heartbeat and case.now - case.machine.heartbeat <= AGENT_SECONDS
    if not systems or (not reboots and beats):
        return None
    return Found(
        brief=f"came up from disk, not {bootenv.name}",
        seen=f"{bootenv.name} was to boot, but a system from its disk came up",
        events=[orders[-1], systems[0]],
        since=systems[0].time,
    )


def _not_back(case: Case, name: str, order: Event, reboot: Event) -> Found | None:
    if select(case.events, "proxy.", "tftp.", "http.", after=reboot):
        return None
    usual = 0.0
    for earlier in select(case.events, "agent.rebooting"):
        asked = select(case.events, "dhcp.discover", after=earlier)
        usual = max(usual, asked[0].time - earlier.time) if asked else usual
    severity = case.stands(reboot.time, usual, POST_SECONDS)
    if severity is None:
        return None
    return Found(
        brief="does not ask after its reboot",
        seen=f"{short(name, 20)} was to boot; rebooted {case.ago(reboot.time)} ago, asks nothing",
        events=[order, reboot],
        since=reboot.time,
        means="its disk is before the network in its boot order, or its firmware hangs",
        severity=severity,
    )


def _identity(boot: tuple[Event, ...]) -> tuple[str, str, str]:
    """Which card asked, and as what: the same firmware entry asks the same way again."""
    first = boot[0]
    return first.mac, str(first.data.get("stage")), str(first.data.get("arch"))


def _back_from_disk(case: Case) -> Found | None:
    """It was told to boot its disk and asks the network again within two minutes, or has no disk at all."""
    boot = case.boot
    told = [event for event in boot if boots_disk(event)]
    inventory = case.machine.inventory
    if told and inventory is not None and inventory.reported and not any(disk.size for disk in inventory.disks):
        return Found(
            brief="told to boot its disk, has none",
            seen="was told to boot its own disk, and its inventory lists none",
            events=told[-1:],
            since=told[-1].time,
            means="there is nothing to boot",
            do="put a disk in and discover it anew",
            action="inventory",
        )
    if not told:
        # It is not told so any more: somebody wants it back from the network.
        return None
    back: list[tuple[Event, Event]] = []
    following: tuple[Event, ...] = boot
    for earlier in reversed(case.earlier):
        if _identity(earlier) != _identity(following):
            continue
        sent = [event for event in earlier if boots_disk(event)]
        lived = [e for e in earlier if e.kind.startswith("agent.") or e.data.get("stage") == "os"]
        gap = following[0].time - sent[-1].time if sent else BACK_SECONDS + 1
        if gap > BACK_SECONDS or (lived and sent and lived[-1].id > sent[-1].id):
            break
        back.append((sent[-1], following[0]))
        following = earlier
    slow = [pair for pair in back if pair[1].time - pair[0].time >= RETRY_SECONDS]
    if not slow and len(back) < 2:
        return None
    lived = [e for e in boot if e.kind.startswith("agent.") or e.data.get("stage") == "os"]
    if lived:
        return None
    sent, again = (slow or back)[0]
    return Found(
        brief="came back from its disk",
        seen=f"was told to boot its disk; asked the network again {again.time - sent.time:.0f} s later",
        events=[sent, again],
        since=again.time,
    )


RULES = (
    Rule(
        "D27",
        "the network is first in its boot order: it installs again each time",
        "assign local once it is installed, or hold it",
        f"{INSTALLS} within an hour",
        _installs,
        "assign",
        "bootcart machines assign KEY local",
    ),
    Rule(
        "D28",
        "its disk is before the network in its boot order",
        "put the network first for one boot (firmware or BMC)",
        f"none: the system's DISCOVER shows it; {LONG_SECONDS:g} s after a reboot until it is doubted, sure after"
        f" {POST_SECONDS:g} s, or {STALLED:g} times what its reboot took before",
        _from_disk,
        "timeline",
        "bootcart machines timeline KEY",
    ),
    Rule(
        "D29",
        "no bootable disk, or its firmware does not go on after a network boot",
        "check its disk and boot order; install a system",
        f"asked again after {RETRY_SECONDS:g} to {BACK_SECONDS:g} s, or twice sooner",
        _back_from_disk,
        "inventory",
        "bootcart machines show KEY",
    ),
)
