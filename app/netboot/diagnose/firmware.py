"""Rules about who asks and what it is told: no boot file, the wrong architecture, another firmware mode."""

from __future__ import annotations

from app.model.bootenv import BootKind
from app.model.diagnosis import Severity
from app.model.event import Event
from app.netboot.diagnose.answers import replies
from app.netboot.diagnose.case import Case, Found, Rule, boots_disk
from app.netboot.wire import pxe

FETCH_SECONDS = 15.0
"""Firmware asks for its file within a second of the address, slow firmware within 5 s."""

# Decisions that give no boot file and are no architecture's fault; `local` is what was wanted.
_WITHHELD: dict[str, tuple[str, Severity, str, str, str]] = {
    "no-bootenv": (
        "no boot environment for it",
        Severity.PROBLEM,
        "assign a boot environment, or set one for all",
        "assign",
        "bootcart machines assign KEY BOOTENV",
    ),
    "held": ("it is held", Severity.NOTE, "let it go", "edit_machine", "bootcart machines update KEY --no-held"),
    "never-boot": (
        "its reservation says never to boot",
        Severity.NOTE,
        "change the reservation",
        "reservations",
        "bootcart reservations list",
    ),
    "ignore": ("it is to be ignored", Severity.NOTE, "assign a boot environment", "assign",
               "bootcart machines assign KEY BOOTENV"),
    "unmanaged": (
        "its subnet gives addresses only",
        Severity.PROBLEM,
        "set the subnet's mode to authoritative",
        "subnets",
        "bootcart subnets update SUBNET --mode authoritative",
    ),
    "subnet-off": ("its subnet is off", Severity.PROBLEM, "enable the subnet", "subnets", "bootcart subnets list"),
}  # fmt: skip


def _answers(case: Case) -> list[Event]:
    """All but a NAK, which says nothing of boot files."""
    return [event for event in replies(case) if event.kind != "dhcp.nak"]


def _no_file(case: Case) -> Found | None:
    """A network boot was asked for and our answer names no boot file."""
    answers = _answers(case)
    if not answers or answers[-1].data.get("bootfile"):
        return None
    last = answers[-1]
    known = _WITHHELD.get(str(last.data.get("reason", "")))
    if known is None:
        return None
    brief, severity, do, action, command = known
    return Found(
        brief=brief,
        seen=f"asks to boot, is given no boot file: {brief}",
        events=[last],
        since=last.time,
        means=str(last.data.get("why", "")),
        do=do,
        action=action,
        command=command.replace("SUBNET", str(last.data.get("subnet") or "NAME")),
        severity=severity,
    )


def _architecture(case: Case) -> Found | None:
    """The architecture it names has no boot loader, or its boot environment does not serve it."""
    answers = _answers(case)
    firmware = case.firmware
    if not answers or firmware is None:
        return None
    words = str(firmware.data.get("arch_name") or "") or "an architecture it does not name"
    if answers[-1].data.get("reason") == "unsupported-arch":
        return Found(
            brief=f"no loader for {words}",
            seen=f"it boots as {words}, and there is no boot loader for that",
            events=[firmware, answers[-1]],
            since=firmware.time,
        )
    arch = firmware.data.get("arch")
    known = pxe.ARCHITECTURES.get(arch) if isinstance(arch, int) else None
    bootenv = case.bootenv(str(answers[-1].data.get("bootenv", "")))
    if known is None or not known.machine or bootenv is None or bootenv.kind is not BootKind.KERNEL:
        return None
    served = sorted(bootenv.architectures)
    # 32-bit BIOS code says nothing of what the processor can.
    if not served or known.machine in served or (known.kind == "bios" and {"amd64", "i386"} & {*served}):
        return None
    serving = sorted(one.name for one in case.facts.bootenvs if known.machine in one.architectures)
    return Found(
        brief=f"{bootenv.name} does not serve {known.machine}",
        seen=f"it boots as {words}; {bootenv.name} is for {' and '.join(served)} only",
        events=[firmware, answers[-1]],
        since=firmware.time,
        means=f"served for {known.machine}: {', '.join(serving) or 'nothing'}",
        do="assign one of these" if serving else f"bring a boot environment for {known.machine}",
        action="assign" if serving else "bootenvs",
        command="bootcart machines assign KEY BOOTENV" if serving else "bootcart bootenvs list",
    )


def _mode_changed(case: Case) -> Found | None:
    """It boots as BIOS and was UEFI when it last reported (or the reverse)."""
    firmware, machine = case.firmware, case.machine
    if firmware is None or machine.inventory is None or machine.inventory.firmware not in ("bios", "uefi"):
        return None
    now, then = str(firmware.data.get("firmware", "")), machine.inventory.firmware
    if now not in ("bios", "uefi") or now == then or case.all("agent.registered", "agent.inventory"):
        return None
    told_disk = any(boots_disk(event) for event in case.boot)
    return Found(
        brief=f"boots as {now.upper()}, was {then.upper()}",
        seen=f"it boots as {now.upper()} now and was {then.upper()} when it last reported",
        events=[firmware],
        since=firmware.time,
        severity=Severity.PROBLEM if told_disk else Severity.NOTE,
        do=f"set its firmware back to {then.upper()}, or install it anew",
    )


def _http_client(case: Case) -> Found | None:
    """UEFI HTTP boot firmware got no absolute URL, or took another server's offer and fetches nothing."""
    firmware = case.firmware
    if firmware is None or not str(firmware.data.get("vendor_class", "")).startswith("HTTPClient"):
        return None
    answers = _answers(case)
    bootfile = str(answers[-1].data.get("bootfile", "")) if answers else ""
    if bootfile and not bootfile.startswith(("http://", "https://")):
        return Found(
            brief="HTTP boot without a URL",
            seen=f"HTTP boot firmware was told {bootfile}, which is no URL",
            events=[firmware, answers[-1]],
            since=answers[-1].time,
            do="clear the subnet's boot file, or let it boot by PXE",
        )
    taken = [e for e in case.all("dhcp.request") if e.data.get("ours") is False]
    if not taken or case.fetched(taken[0]) or not case.over(taken[-1].time + FETCH_SECONDS):
        return None
    server = str(taken[-1].data.get("server", "")) or "the other DHCP server"
    return Found(
        brief="HTTP boot got no URL",
        seen=f"HTTP boot firmware took {server}'s offer {case.ago(taken[-1].time)} ago, fetches nothing",
        events=[firmware, taken[-1]],
        since=taken[-1].time,
        means=f"{server} gave neither option 60 HTTPClient nor a URL",
        do=f"boot it by PXE, or set both options on {server}",
    )


RULES = (
    Rule(
        "D06",
        "Bootcart was told to give it no boot file",
        "assign a boot environment",
        "none: the answer says why",
        _no_file,
        "assign",
        "bootcart machines assign KEY BOOTENV",
    ),
    Rule(
        "D07",
        "there is no boot loader for this architecture",
        "choose another network boot mode in its firmware",
        "none: the DISCOVER names the architecture (option 93, RFC 4578)",
        _architecture,
        "bootenvs",
        "bootcart bootenvs list",
        ("D06",),
    ),
    Rule(
        "D08",
        "a system installed in the other mode will not boot",
        "set the mode back in its firmware",
        "none: DISCOVER and inventory name the mode",
        _mode_changed,
        "inventory",
        "bootcart machines show KEY",
    ),
    Rule(
        "D09",
        "HTTP boot needs option 60 HTTPClient and a URL (UEFI 2.10, 24.7)",
        "set both on that DHCP server",
        f"{FETCH_SECONDS:g} s after its REQUEST",
        _http_client,
        "subnets",
        "bootcart events list --machine KEY --kind dhcp.",
        ("D02", "D10"),
    ),
)
