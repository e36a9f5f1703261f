"""Rules about what the machine runs: a loader that does not start or loops, iPXE without a script, a silent kernel."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import AddressValueError, IPv4Address
from urllib.parse import urlsplit

from app.model.event import Event
from app.netboot.bootpath import hopeful
from app.netboot.diagnose.answers import hindered, taken
from app.netboot.diagnose.case import FILES, Case, Found, Rule, missing, name_of, select, short

START_SECONDS = 20.0
"""iPXE asks for an address 2 to 5 s after it was loaded, 12 s where it waits for a slow card's link."""
RETURN_SECONDS = 60.0
LOOPS = 3
LOOP_SECONDS = 180.0
SCRIPT_SECONDS = 20.0
"""iPXE asks at once, but waits 13 s for an IPv6 router first where none answers it."""
KERNEL_SECONDS = 120.0
"""The discovery system asks for an address 5 to 20 s after its kernel starts and registers 2 to 10 s later; servers
with many controllers, and machines emulated on a busy host, take up to 80 s."""
OTHER_SECONDS = 300.0
"""Installers and rescue systems load more before they use the network: Debian's takes 150 s on an emulated machine."""
MEMORY_SHARE = 0.9
"""What is built in is more than what the inventory counts: kernel and firmware keep some for themselves."""
SMALL_SECONDS = 30.0
"""The same where memory is known to be too little: that kernel will not come up."""


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
        if not _ran(case.boot, last) and case.over(last.time + START_SECONDS):
            return _hangs(case, last)
        return None
    return _came_back(case)


def _hangs(case: Case, loader: Event) -> Found:
    name = short(name_of(loader))
    looked = [e for e in case.all("tftp.missing", "http.missing", after=loader) if hopeful(name_of(e))]
    means = "its network driver hangs on this card, or Secure Boot refused it"
    if looked:
        means = f"it started (looked for {short(name_of(looked[-1]), 16)}), then its driver hung"
    elif case.firmware is not None and case.firmware.data.get("firmware") == "bios":
        means = "its network driver hangs on this card"
    do, command = _other_loader(name)
    return Found(
        brief=f"{short(name, 20)} was loaded and hangs",
        seen=f"{name} was fetched {case.ago(loader.time)} ago and nothing was heard since",
        events=[loader, *looked[-1:]],
        since=loader.time,
        means=means,
        do=do,
        command=command,
    )


def _other_loader(name: str) -> tuple[str, str]:
    """The loader to try instead."""
    pairs = {"ipxe.efi": ("uefi", "snponly.efi"), "snponly.efi": ("uefi", "ipxe.efi"),
             "undionly.kpxe": ("bios", "ipxe.pxe"), "ipxe.pxe": ("bios", "undionly.kpxe")}  # fmt: skip
    if name not in pairs:
        return "boot it with another loader", ""
    kind, other = pairs[name]
    return f"try {other}: it drives the card otherwise", f"bootcart prefs set loader-{kind} {other}"


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
        do="switch Secure Boot off, or boot a signed loader" if uefi else "",
        action="inventory" if uefi else "",
        command="bootcart machines show KEY" if uefi else "",
    )


def _loop(case: Case) -> Found | None:
    """The loader is fetched again and again, and iPXE never asks."""
    loaders: list[Event] = []
    for event in case.events:
        family = event.kind.partition(".")[0]
        if family == "agent" or event.data.get("role") == "script" or event.data.get("stage") == "ipxe":
            loaders = []
        elif event.kind in ("tftp.sent", "http.sent") and event.data.get("role") == "loader":
            loaders.append(event)
    if not loaders:
        return None
    name = name_of(loaders[-1])
    same = [e for e in loaders if name_of(e) == name and loaders[-1].time - e.time <= LOOP_SECONDS]
    if len(same) < LOOPS:
        return None
    return Found(
        brief=f"{short(name, 20)} is loaded over and over",
        seen=f"{short(name)} was fetched {len(same)} times in {loaders[-1].time - same[0].time:.0f} s",
        events=same[-3:],
        since=same[0].time,
    )


def _no_script(case: Case) -> Found | None:
    """iPXE has its address and the URL of its script, and does not fetch it."""
    told = taken(case, "ipxe")
    if told is None:
        return None
    answer, ready = told
    if case.refused(answer) or case.all("http.", "render.failed", after=answer):
        return None
    if not case.over(ready.time + SCRIPT_SECONDS):
        return None
    url = str(answer.data["bootfile"])
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 80
    where = f"TCP port {port}"
    found = Found(
        brief="its script was never asked for",
        seen=f"iPXE got its address {case.ago(ready.time)} ago and never asked for its script",
        events=[answer, ready] if ready is not answer else [answer],
        since=ready.time,
        means=f"{where} of {host} is blocked on the way, or a proxy is in between",
        do=f"allow {where} on this host and between",
    )
    if case.down("http") is None and _elsewhere(case, host, str(answer.data.get("subnet", ""))):
        return replace(
            found,
            means=f"its URL names {host}, which is not in its own subnet",
            do="clear the subnet's next server, or route to it",
            action="subnets",
        )
    return hindered(case, found, "http", where)


def _elsewhere(case: Case, host: str, name: str) -> bool:
    subnet, firmware = case.subnet(name), case.firmware
    if firmware is not None and firmware.data.get("relay"):
        return False  # it reaches us through a router
    try:
        return subnet is not None and IPv4Address(host) not in subnet.cidr
    except AddressValueError:
        return False


def _silent_kernel(case: Case) -> Found | None:
    """Kernel and initrd were fetched, and the system does not show up."""
    scripts = case.all("http.sent", role="script")
    kernels = case.all("http.sent", role="kernel")
    if not scripts or not kernels or kernels[-1].id < scripts[-1].id:
        return None
    if scripts[-1].data.get("loads") == "kernel":
        return None  # a memory test and its like never speak
    name = str(scripts[-1].data.get("bootenv", ""))
    bootenv = case.bootenv(name)
    # What has no initrd, such as a memory test, is no system that will be heard again.
    initrds = case.all("http.sent", role="initrd", after=kernels[-1])
    if not initrds:
        return None
    payload = initrds[-1]
    later = [e for e in case.boot if e.id > payload.id and e.kind.partition(".")[0] in (*FILES, "dhcp", "agent")]
    asked = [e for e in later if e.kind.startswith("dhcp.")]
    if len(asked) != len(later) or (asked and name != "discovery"):
        return None
    last = asked[-1] if asked else payload
    memory = case.machine.inventory.memory.total >> 20 if case.machine.inventory is not None else 0
    small = bootenv is not None and 0 < memory < bootenv.memory_mib * MEMORY_SHARE
    patience = KERNEL_SECONDS if name == "discovery" else OTHER_SECONDS
    if not case.over(last.time + (SMALL_SECONDS if small else patience)):
        return None
    means, do = "", ""
    if bootenv is not None and small:
        means = f"it has {memory} MiB of memory and {name} needs {bootenv.memory_mib}"
        do = "give it more memory, or assign another environment"
    elif asked:
        means = "its system runs but its agent does not reach us"
    return Found(
        brief="its kernel is silent" if not asked else "its agent is silent",
        seen=f"fetched kernel and initrd of {short(name, 20)}; silent for {case.ago(last.time)}",
        events=[payload, *asked[-1:]],
        since=last.time,
        means=means,
        do=do,
    )


RULES = (
    Rule(
        "D15",
        "the loader hangs in its network driver",
        "try the other loader",
        f"{START_SECONDS:g} s after the loader; at once where firmware asks anew within {RETURN_SECONDS:g} s",
        _not_started,
        "prefs",
        "bootcart prefs list",
    ),
    Rule(
        "D16",
        "it does not call itself iPXE (options 77, 175), or is refused each time",
        "remove the other loader, or the option that names it",
        f"{LOOPS} times within {LOOP_SECONDS:g} s, without iPXE asking in between",
        _loop,
        "events",
        "bootcart events list --machine KEY",
        ("D15", "D29"),
    ),
    Rule(
        "D17",
        "iPXE cannot reach our HTTP port",
        "allow the port in the firewall",
        f"{SCRIPT_SECONDS:g} s after its ACK: iPXE waits 13 s for an IPv6 router where none answers",
        _no_script,
        "services",
        "bootcart events list --machine KEY",
    ),
    Rule(
        "D20",
        "the kernel stopped, or has no driver for the network card",
        "look at its screen or serial line; check the arguments",
        f"{KERNEL_SECONDS:g} s after the last file, or after the system's own DHCP; {SMALL_SECONDS:g} s with too little"
        f" memory; {OTHER_SECONDS:g} s for what is not the discovery system",
        _silent_kernel,
        "bootenv",
        "bootcart machines script KEY",
    ),
)
