"""Rules about boot loaders: one that does not start, is for another firmware, is refused, or loads itself."""

from __future__ import annotations

from app.model.event import Event
from app.model.machine import LoaderChoice
from app.netboot.bootpath import hopeful
from app.netboot.cycle import START_SECONDS
from app.netboot.diagnose.case import BOOTING, FILES, Case, Found, Rule, missing, name_of, select, short
from app.netboot.wire import pxe

RETURN_SECONDS = 60.0
"""UEFI that refuses a loader goes on in its boot order, and may try its next card first."""
LOOPS = 3
LOOP_SECONDS = 180.0
_NEXT = "bootcart machines loader KEY next"
_FOR_BIOS = (".kpxe", ".kkpxe", ".pxe", ".lkrn", ".0", ".bin")


def _loaders(events: tuple[Event, ...]) -> list[Event]:
    return select(events, "tftp.sent", "http.sent", role="loader")


def _ran(events: tuple[Event, ...], loader: Event) -> bool:
    """What was loaded went on: iPXE asked for an address, or it fetched, or was refused, more files."""
    for event in events:
        if event.id <= loader.id:
            continue
        family = event.kind.partition(".")[0]
        if family in FILES and (missing(event) or not event.kind.endswith(".missing")):
            return True
        if family == "agent" or (family == "dhcp" and event.data.get("stage") in ("ipxe", "os")):
            return True
    return False


def _not_started(case: Case) -> Found | None:
    """The loader was fetched, and neither a second DISCOVER nor another request follows."""
    loaders = _loaders(case.boot)
    if loaders:
        last = loaders[-1]
        if _ran(case.boot, last):
            return None
        if (found := _unfit(case, last)) is not None:
            return found
        return _hangs(case, last) if case.over(last.time + START_SECONDS) else None
    return _came_back(case)


def _meant_for(name: str, firmware: Event) -> str:
    """The firmware a loader of this name is for, empty where it may be this one: its name is all that tells."""
    low, kind = name.lower(), str(firmware.data.get("firmware", ""))
    if kind == "bios":
        return "UEFI" if low.endswith(".efi") else ""
    if kind != "uefi":
        return ""
    arch = firmware.data.get("arch")
    known = pxe.ARCHITECTURES.get(arch) if isinstance(arch, int) else None
    if known is not None and known.machine == "amd64" and ("arm64" in low or "aa64" in low):
        return "UEFI arm64"
    if known is not None and known.machine == "arm64" and ("x64" in low or "amd64" in low):
        return "UEFI x64"
    return "BIOS" if low.endswith(_FOR_BIOS) else ""


def _unfit(case: Case, loader: Event) -> Found | None:
    firmware = case.firmware
    other = _meant_for(name_of(loader), firmware) if firmware is not None else ""
    if firmware is None or not other:
        return None
    name, own = short(name_of(loader), 18), str(firmware.data.get("arch_name", "")) or "other firmware"
    server = _named_by(case.events, loader)
    return Found(
        brief=f"{name} is for {other}",
        seen=f"{name} was fetched: that is for {other}, this is {own}",
        events=[firmware, loader],
        since=loader.time,
        means=f"DHCP server {server} names a loader that its firmware cannot run" if server else "it cannot run that",
        do=f"have {server} name no boot file, or the right one" if server else "correct the boot file it is given",
        action="interfaces" if server else "",
        command="bootcart events list --machine KEY --kind dhcp.",
    )


def _named_by(events: tuple[Event, ...], loader: Event) -> str:
    """The other DHCP server whose offer was taken before a loader was fetched; empty: ours."""
    taken = [e for e in select(events, "dhcp.request") if e.id < loader.id]
    return str(taken[-1].data.get("server", "")) if taken and taken[-1].data.get("ours") is False else ""


def _hangs(case: Case, loader: Event) -> Found:
    name = short(name_of(loader))
    looked = [e for e in case.all("tftp.missing", "http.missing", after=loader) if hopeful(name_of(e))]
    means = "its network driver hangs on this card, or Secure Boot refused it"
    if looked:
        means = f"it started (looked for {short(name_of(looked[-1]), 16)}), then its driver hung"
    elif case.firmware is not None and case.firmware.data.get("firmware") == "bios":
        means = "its network driver hangs on this card"
    return Found(
        brief=f"{short(name, 20)} was loaded and hangs",
        seen=f"{name} was fetched {case.ago(loader.time)} ago and nothing was heard since",
        events=[loader, *looked[-1:]],
        since=loader.time,
        means=means,
        do=_another(case),
        action="loader",
        command=_NEXT,
    )


def _another(case: Case) -> str:
    """How it gets another loader."""
    if case.machine.loader is not LoaderChoice.AUTO:
        return f"{case.machine.loader.value} is set for it: choose another loader, or auto"
    return "power-cycle it: its next boot gets another loader"


def _came_back(case: Case) -> Found | None:
    """Firmware asks anew right after it was given a loader: the loader was refused, or ended."""
    firmware = case.firmware
    if not case.earlier or firmware is None or firmware.data.get("stage") != "rom":
        return None
    loaders = _loaders(case.earlier[-1])
    if not loaders or _ran(case.earlier[-1], loaders[-1]) or case.all("http.", "tftp.", role="script"):
        return None
    loader = loaders[-1]
    if firmware.time - loader.time > RETURN_SECONDS:
        return None
    if (found := _unfit(case, loader)) is not None:
        return found
    name = short(name_of(loader))
    uefi = firmware.data.get("firmware") == "uefi"
    return Found(
        brief=f"{short(name, 20)} was refused" if uefi else f"{short(name, 20)} ended at once",
        seen=f"{name} was fetched; {firmware.time - loader.time:.0f} s later the firmware asked anew",
        events=[loader, firmware],
        since=loader.time,
        means="Secure Boot is on and refused it: it is not signed for this firmware"
        if uefi
        else "the loader ended without booting anything",
        do="boot it through shim, which is signed; it is given that by itself" if uefi else "try another loader",
        action="loader",
        command="bootcart machines loader KEY shim" if uefi else _NEXT,
    )


def _loop(case: Case) -> Found | None:
    """The same loader is fetched again and again, and never a script."""
    loaders: list[Event] = []
    own: set[int] = set()
    asks = ""
    for event in case.events:
        family, stage = event.kind.partition(".")[0], event.data.get("stage")
        if family == "agent" or event.data.get("role") == "script" or _told_script(event):
            loaders = []
        elif stage in BOOTING:
            asks = str(stage)
            # iPXE asks after its loader, which is as it should be; a loader that iPXE itself went for is not.
            loaders = [e for e in loaders if e.id in own] if asks == "ipxe" else loaders
        elif event.kind in ("tftp.sent", "http.sent") and event.data.get("role") == "loader":
            loaders.append(event)
            if asks == "ipxe":
                own.add(event.id)
    if not loaders:
        return None
    last = loaders[-1]
    name = short(name_of(last))
    same = [e for e in loaders if name_of(e) == name_of(last) and last.time - e.time <= LOOP_SECONDS]
    if len(same) < LOOPS:
        return None
    server = _named_by(case.events, last) if last.id in own else ""
    return Found(
        brief=f"{short(name, 20)} is loaded over and over",
        seen=f"{name} was fetched {len(same)} times in {last.time - same[0].time:.0f} s",
        events=same[-3:],
        # Once is right.
        since=same[1].time,
        means=f"DHCP server {server} gives iPXE its loader again, and no script" if server else "",
        do=f"have {server} give iPXE (option 77) no boot file" if server else "",
        action="interfaces" if server else "",
    )


def _spent(case: Case) -> Found | None:
    """Every boot loader there is for it was given to it, one after the other, and none started."""
    told = select(case.events, "machine.loader")
    if not told or not told[-1].data.get("spent"):
        return None
    last = told[-1]
    if select(case.events, "tftp.sent", "http.sent", role="script", after=last) or case.all("agent.", after=last):
        return None
    return Found(
        brief="no boot loader starts on it",
        seen=f"{last.data.get('tried', 'all loaders')} were given to it, and none of them started",
        events=[last],
        since=last.time,
    )


def _told_script(event: Event) -> bool:
    """It is iPXE that took our address, and our script with it."""
    return (
        event.kind == "dhcp.ack"
        and event.data.get("stage") == "ipxe"
        and str(event.data.get("bootfile", "")).startswith("http")
    )


RULES = (
    Rule(
        "D15",
        "the loader hangs in its network driver",
        "try another loader",
        f"{START_SECONDS:g} s after the loader; none where it is for other firmware, or firmware asks anew within"
        f" {RETURN_SECONDS:g} s",
        _not_started,
        "loader",
        _NEXT,
    ),
    Rule(
        "D16",
        "it does not call itself iPXE (options 77, 175), is given itself, or is refused",
        "remove the other loader, or the option that names it",
        f"{LOOPS} times within {LOOP_SECONDS:g} s, without iPXE being given its script in between",
        _loop,
        "events",
        "bootcart events list --machine KEY",
        ("D15", "D29"),
    ),
    Rule(
        "D41",
        "its firmware, its network card or its memory fails whatever is loaded, or Secure Boot knows none of our keys",
        "update its firmware, or try its other card; auto tries all loaders again",
        "once round all loaders",
        _spent,
        "loader",
        "bootcart machines loader KEY auto",
        ("D15", "D16"),
    ),
)
