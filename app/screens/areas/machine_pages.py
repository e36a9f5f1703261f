"""The pages of one machine as lines: pure functions of what the engine said."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence

from app.model.bootenv import BootEnv
from app.model.engine import Command
from app.model.inventory import Bmc, BootEntry, Disk, Nic
from app.model.machine import Machine
from app.model.sizes import binary, decimal
from app.model.timeline import Hop, HopState, Timeline
from app.screens.widgets.lines import Line, Span, line
from app.screens.widgets.text import facts, wrapped
from app.screens.words import clock, delta, fit, long_span, plural, safe, span, speed, stamp

HOP_LOOKS: dict[HopState, tuple[str, str]] = {
    HopState.DONE: ("+ done", "good"),
    HopState.ACTIVE: ("> active", "busy"),
    HopState.WAITING: (". waiting", "dim"),
    HopState.FAILED: ("! FAILED", "bad"),
    HopState.SKIPPED: ("- skipped", "dim"),
}
"""Glyph and word, and style, of each state of a hop."""


def timeline_lines(timeline: Timeline, wait: str, now: float, width: int) -> list[Line]:
    """The boot hop by hop; the hop it is at is marked and says for what it waits, and how long."""
    lines: list[Line] = []
    if wait:
        lines += [line((" ! ", "bad"), (safe(wait), "warn")), line("")]
    if timeline.started is None:
        return [*lines, line((" no boot seen yet: power the machine on", "dim"))]
    end = "complete" if timeline.complete else f"at {timeline.at}" if timeline.at else "under way"
    retries = f"  {timeline.retries} repeated DISCOVER" if timeline.retries else ""
    lines += [
        line(
            f" boot of {clock(timeline.started)}, {long_span(now - timeline.started)} ago  {safe(timeline.path)}  ",
            (safe(timeline.bootenv), "key"),
            f"  {end}",
            (retries, "warn"),
        ),
        line((fit("   STATE     HOP               TIME      DELTA    DETAIL", width), "head")),
    ]
    started = timeline.started
    for hop in timeline.hops:
        lines += _hop_lines(hop, hop.name == timeline.at and not timeline.complete, started, now, width)
        if hop.ended is not None:
            started = hop.ended
    return lines


def _hop_lines(hop: Hop, here: bool, before: float, now: float, width: int) -> list[Line]:
    word, style = HOP_LOOKS[hop.state]
    detail = safe(hop.detail)
    if here and hop.state in (HopState.WAITING, HopState.ACTIVE):
        since = hop.began if hop.state is HopState.ACTIVE and hop.began else before
        waits = f"waiting {span(now - since)} for {safe(hop.waiting_for or hop.title)}"
        detail = f"{waits}  {detail}".strip()
    when = hop.ended or hop.began
    lead: list[Span] = [
        (" > " if here else "   ", "key"),
        (f"{word:<10}", style),
        (fit(safe(hop.title), 17) + " ", "key" if here else ""),
        (f"{clock(when) if when else '':<10}", ""),
        (f"{delta(hop.delta):<9}", "dim"),
    ]
    used = 50
    parts = textwrap.wrap(detail, max(12, width - used)) or [""]
    first = line(*lead, (parts[0], "warn" if here else ""))
    return [first, *(line(" " * used + part) for part in parts[1:])]


def inventory_lines(machine: Machine, now: float, width: int) -> list[Line]:
    """What the discovery system found."""
    found = machine.inventory
    if found is None:
        return [
            *access_lines(machine, width),
            line((" nothing reported yet", "dim")),
            *wrapped("It is reported by the discovery system: let the machine boot `discovery`.", width, indent=1),
        ]
    system, cpu = found.system, found.cpu
    bios = f"{system.bios_vendor} {system.bios_version} {system.bios_date}".strip()
    counted = ((cpu.sockets, "socket"), (cpu.cores, "core"), (cpu.threads, "thread"))
    counts = ", ".join(plural(count, what) for count, what in counted)
    lines = access_lines(machine, width) + facts(
        (
            ("reported", f"{stamp(found.reported)}, {long_span(now - found.reported)} ago"),
            ("system", f"{system.manufacturer} {system.product}".strip()),
            ("serial", system.serial),
            ("CPU", cpu.model or "the machine does not say which"),
            ("", f"{cpu.architecture}, {counts}"),
            ("memory", f"{binary(found.memory.total)}  {modules(found.memory.modules)}"),
            ("firmware", f"{found.firmware}, {bios}".rstrip(", ")),
            ("Secure Boot", found.secure_boot),
            *bmc_facts(found.bmc),
        ),
        width,
    )
    lines += [line(""), line((fit("DISK      SIZE      KIND        MODEL                 SERIAL", width), "head"))]
    for disk in found.disks:
        kind = f"{disk.transport} {'disk' if disk.rotational else 'ssd'}"
        fields = f"{disk.name:<9} {decimal(disk.size):<9} {kind:<11} {disk.model:<21} {disk.serial}"
        lines.append(line(safe(fields)))
    lines += health_lines(found.disks, width)
    titles = "NIC       LINK      MAC                DRIVER      PCI        ADDRESS"
    lines += [line(""), line((fit(titles, width), "head"))]
    for nic in found.nics:
        link = f"up {speed(nic.speed)}" if nic.link else "no link"
        boot = "  boots" if nic.boot else ""
        fields = f"{nic.name:<9} {link:<9} {nic.mac:<18} {nic.driver:<11} {nic.pci:<10} {nic.address}{boot}"
        lines.append(line(safe(fields)))
    lines += neighbour_lines(found.nics, width) + boot_entry_lines(found.boot_entries, width)
    more = (
        ("uuid", system.uuid),
        ("board", system.board),
        ("chassis", system.chassis),
        ("kernel", found.kernel),
        ("agent", found.agent),
    )
    return [*lines, line(""), *facts(more, width)]


def access_lines(machine: Machine, width: int) -> list[Line]:
    """How to get into its discovery system: root's password, and what to verify ssh by."""
    access = machine.access
    if access is None:
        return []
    told = (
        ("console", f"root  {access.password}  at its consoles, in the discovery system of {stamp(access.issued)}"),
        ("ssh host key", access.host_key),
    )
    return [*facts([fact for fact in told if fact[1]], width), line("")] if access.password else []


def bmc_facts(bmc: Bmc | None) -> list[tuple[str, str]]:
    """The management controller."""
    if bmc is None:
        return []
    vlan = f"VLAN {bmc.vlan}" if bmc.vlan else ""
    version = f"firmware {bmc.version}" if bmc.version else ""
    told = (bmc.address or "no address", bmc.source, bmc.mac, vlan, version)
    return [("BMC", "  ".join(filter(None, told)))]


def health_lines(disks: Iterable[Disk], width: int) -> list[Line]:
    """What disks say of themselves; those that say nothing are left out."""
    lines: list[Line] = []
    for disk in disks:
        health = disk.health
        if health is None:
            continue
        told = (
            (health.temperature, "{} °C"),
            (health.hours, "{} h on"),
            (health.used, "{} % used"),
            (health.spare, "{} % spare"),
            (health.reallocated, "{} reallocated"),
            (health.pending, "{} pending"),
            (health.uncorrectable, "{} uncorrectable"),
            (health.media_errors, "{} media errors"),
        )
        words = ", ".join(form.format(value) for value, form in told if value is not None)
        style = {"passed": "good", "failed": "bad"}.get(health.status, "dim")
        word = {"passed": "+ passed", "failed": "! FAILED"}.get(health.status, "? unsaid")
        lines.append(line(safe(f"{disk.name:<9} "), (f"{word:<9} ", style), words))
    return [line(""), line((fit("DISK      HEALTH", width), "head")), *lines] if lines else []


def neighbour_lines(nics: Iterable[Nic], width: int) -> list[Line]:
    """The switch ports the cards are plugged into."""
    lines: list[Line] = []
    for nic in nics:
        heard = nic.neighbour
        if heard is None:
            continue
        vlan = str(heard.vlan) if heard.vlan else ""
        port = f"{heard.port}  {heard.port_description}".strip()
        lines.append(line(safe(f"{nic.name:<9} {heard.switch:<20} {vlan:<5} {heard.address:<15} {port}")))
    titles = "NIC       SWITCH               VLAN  ADDRESS         PORT"
    return [line(""), line((fit(titles, width), "head")), *lines] if lines else []


def boot_entry_lines(entries: Iterable[BootEntry], width: int) -> list[Line]:
    """UEFI's boot menu, in the order the firmware tries it."""
    lines: list[Line] = []
    for entry in entries:
        marks = (("this boot", entry.current), ("next, once", entry.next), ("off", not entry.active))
        told = ", ".join(word for word, is_so in marks if is_so)
        lines.append(line(safe(f"{entry.number:<9} {told:<12} {entry.name}")))
    titles = "ENTRY     STATE        NAME"
    return [line(""), line((fit(titles, width), "head")), *lines] if lines else []


def modules(found: Sequence[str]) -> str:
    """Memory modules, like ones counted: `12 x 16 GiB DDR4 2933 MT/s`."""
    counted: dict[str, int] = {}
    for module in found:
        what = module.partition(": ")[2] or module
        counted[what] = counted.get(what, 0) + 1
    return ", ".join(f"{count} x {what}" for what, count in counted.items())


def bootenv_lines(machine: Machine, envs: Iterable[BootEnv], prefs: Mapping[str, str], width: int) -> list[Line]:
    """What it boots next, and why."""
    standard = prefs.get("default-bootenv" if machine.registered else "unknown-bootenv", "")
    name = machine.bootenv or standard
    why = (
        "assigned"
        if machine.bootenv
        else "the preference " + ("default-bootenv" if machine.registered else "unknown-bootenv")
    )
    given = (machine.status.loader if machine.status is not None else "") or "the standard one  (L: another)"
    lines = facts((("boots next", name), ("because", why), ("boot loader", given)), width)
    if machine.held:
        lines.append(line(("held", "warn"), "          it gets its address, never a boot file"))
    env = next((one for one in envs if one.name == name), None)
    lines.append(line(""))
    if env is None:
        return [*lines, line(("! ", "bad"), (f"there is no boot environment {safe(name)}", "warn"))]
    return lines + env_lines(env, width)


def env_lines(env: BootEnv, width: int) -> list[Line]:
    """All of a boot environment."""
    lines = facts(
        (
            ("name", env.name),
            ("title", env.title),
            ("description", env.description),
            ("kind", env.kind.value),
            ("arguments", env.arguments),
            ("memory", f"at least {env.memory_mib} MiB" if env.memory_mib else ""),
        ),
        width,
    )
    if env.destructive:
        lines.append(line(("WIPES DISKS", "bad"), "   it writes to the disks of what boots it"))
    if env.unknown_only:
        lines.append(line((fit("only for", 14), "dim"), "machines nobody knows; it is never assigned"))
    for error in env.errors:
        lines += [line(("cannot be used ", "bad")), *wrapped(error, width, "warn", indent=2)]
    if env.architectures:
        lines += [line(""), line((fit("ARCH      FILE", width), "head"))]
        for arch, files in env.architectures.items():
            lines += [line(f"{arch:<9} {safe(one)}") for one in (files.kernel, *files.initrds)]
    if env.templates:
        lines += [line(""), line((fit("TEMPLATE        PATH                    SOURCE", width), "head"))]
        lines += [line(safe(f"{one.name:<15} {one.path:<23} {one.source}")) for one in env.templates]
    return lines


def history_lines(commands: Sequence[Command], width: int) -> list[Line]:
    """What operators did to it, newest first."""
    if not commands:
        return [line((" nobody has changed anything about it", "dim"))]
    lines = [line((fit("TIME                 BY               WHAT", width), "head"))]
    lead = 38
    for command in commands:
        undone = f" (undone by {command.undone_by})" if command.undone_by else ""
        # What was changed stands at the end of the summary: it goes on below itself, never off the screen.
        first, *more = textwrap.wrap(safe(command.summary) + undone, max(12, width - lead)) or [""]
        lines.append(line(f"{stamp(command.time)}  {fit(safe(command.actor), 16)} {first}"))
        lines += [line(" " * lead + part) for part in more]
    return lines
