"""Rules about what iPXE and its kernel do: no script, a silent system."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import AddressValueError, IPv4Address
from urllib.parse import urlsplit

from app.model.diagnosis import Severity
from app.netboot.diagnose.answers import hindered, taken
from app.netboot.diagnose.case import FILES, LONG_SECONDS, STALLED, Case, Found, Rule, select, short

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
    if small and case.over(last.time + SMALL_SECONDS):
        severity = Severity.PROBLEM
    else:
        severity = case.stands(last.time, _usual(case, name), patience)
    if severity is None:
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
        severity=severity,
    )


def _usual(case: Case, name: str) -> float:
    """Seconds this machine was silent at the longest while a system of this name came up before."""
    longest = 0.0
    for boot in case.earlier:
        scripts = select(boot, "http.sent", role="script")
        initrds = select(boot, "http.sent", role="initrd")
        if not scripts or scripts[-1].data.get("bootenv") != name or not initrds:
            continue
        before = initrds[-1]
        for event in select(boot, "dhcp.", "http.", "agent.", after=initrds[-1]):
            longest, before = max(longest, event.time - before.time), event
            if not event.kind.startswith("dhcp."):
                break  # its system is heard
    return longest


RULES = (
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
        f"{LONG_SECONDS:g} s after the last file, or the system's own DHCP, until it is doubted; sure after"
        f" {KERNEL_SECONDS:g} s ({OTHER_SECONDS:g} s for what is not the discovery system), {STALLED:g} times what this"
        f" machine took before, or {SMALL_SECONDS:g} s with too little memory",
        _silent_kernel,
        "bootenv",
        "bootcart machines script KEY",
    ),
)
