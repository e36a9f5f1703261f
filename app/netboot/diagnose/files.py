"""Rules about fetching: the file never asked for, stalled, missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from app.model.diagnosis import Severity
from app.model.event import Event
from app.netboot.bootpath import Role, role_of
from app.netboot.diagnose.answers import hindered, taken
from app.netboot.diagnose.case import Case, Found, Rule, missing, name_of, short

ASK_SECONDS = 15.0
"""EDK2 and vendor ROMs send their first RRQ within a second of the ACK, a slow one within 5 s.

Over IPv6 twice that: EDK2 first asks whether its address is anybody's; for HTTP boot its stack asks DHCPv6 again.
"""
MISSING_SECONDS = 5.0
"""Loaders that look on the off chance go on within a second; pxelinux asks for ten names in less."""
STALLS = 2


def _never_asked(case: Case) -> Found | None:
    """A boot file was offered and taken, and its first request does not come."""
    told = taken(case, "rom")
    if told is None or case.firmware is None or case.all("dhcp.discover", stage="ipxe"):
        return None
    answer, ready = told
    patience = ASK_SECONDS * (2 if answer.data.get("family") == 6 else 1)
    if case.fetched(answer) or case.refused(answer) or not case.over(ready.time + patience):
        return None
    bootfile = str(answer.data["bootfile"])
    scheme, slashes, _ = bootfile.partition("://")
    name = bootfile.rpartition("/")[2]
    service, port = (scheme, "TCP") if slashes else ("tftp", "UDP")
    where = f"{port} port {case.facts.ports.get(service, 0)}"
    means = f"{where} is blocked on the way, or next-server {answer.data.get('next_server') or '(none)'} is wrong"
    do = f"allow {where} here and between; check STP on its port"
    if service == "https":
        means = f"{where} is blocked, or no authority of ours is in its firmware"
        do = f"enrol it: bootcart certificates export; allow {where}"
    found = Found(
        brief=f"{name} was never asked for",
        seen=f"{name} was offered {case.ago(ready.time)} ago and never asked for by {service.upper()}",
        events=[answer, ready] if ready is not answer else [answer],
        since=ready.time,
        means=means,
        do=do,
    )
    return hindered(case, found, service, where)


def _probe(case: Case) -> Found | None:
    """A TFTP transfer was broken off with error 8 before its first block: the firmware asked how large the file is."""
    probes = [e for e in case.all("tftp.aborted") if e.data.get("probe")]
    if not probes or any(e.kind == "tftp.sent" and e.id > probes[-1].id for e in case.boot):
        return None
    return Found(
        brief="asked for the size only",
        seen=f"asked how large {short(name_of(probes[-1]))} is and broke off, as firmware does",
        events=[probes[-1]],
        since=probes[-1].time,
        severity=Severity.NOTE,
    )


def _stalls(case: Case) -> Found | None:
    """Transfers of one file stop at the same place again and again."""
    failed = [e for e in case.all("tftp.failed") if e.data.get("bytes") is not None]
    if len(failed) < STALLS:
        return None
    last = failed[-1]
    same = [e for e in failed if (name_of(e), e.data.get("bytes")) == (name_of(last), last.data.get("bytes"))]
    if len(same) < STALLS or any(e.kind == "tftp.sent" and e.id > last.id for e in case.boot):
        return None
    count, blksize = int(last.data.get("bytes") or 0), int(last.data.get("blksize") or 0)
    block = f" (block {count // blksize + 1} of {blksize} bytes)" if blksize else ""
    return Found(
        brief=f"{short(name_of(last), 20)} stops at the same block",
        seen=f"{short(name_of(last))} stopped {len(same)} times after {count} bytes{block}",
        events=same[-3:],
        since=same[0].time,
        means="large blocks are lost on the way: a smaller MTU, or dropped fragments"
        if blksize > 512
        else "packets are lost on the way: cable, duplex, or a bad switch port",
    )


def _missing_file(case: Case) -> Found | None:
    """A file was asked for that is not there, and nothing else was fetched since."""
    asked = [event for event in case.boot if missing(event)]
    if not asked or _payload(case, asked[-1]) or case.moved(asked[-1]):
        return None
    if case.all("http.sent", role="kernel") or case.all("tftp.sent", role="kernel"):
        return None  # it runs a system by now, which may well look for what need not be there
    if not case.over(asked[-1].time + MISSING_SECONDS):
        return None
    last = asked[-1]
    name = str(last.data.get("asked") or name_of(last)) or "(an empty name)"
    like = [str(one) for one in cast("list[Any]", last.data.get("like") or [])]
    before = [e for e in case.all("tftp.sent", "http.sent") if e.id < last.id]
    who = f"after {short(name_of(before[-1]), 20)} it" if before else "its firmware"
    return Found(
        brief=f"{short(name, 24)} is not there",
        seen=f"{who} asked for {short(name, 24)} ({last.kind[:4].upper()}): not there",
        events=[last],
        since=last.time,
        means=f"close to it there is {', '.join(short(one) for one in like[:2])}" if like else _why_missing(name),
        do="put the file there, or correct the boot file name",
    )


def _why_missing(name: str) -> str:
    if name == "(an empty name)":
        return "the boot file name is empty: a DHCP option without a value"
    if "//" in name or "\\" in name:
        return "its loader put the path together; nothing here has that name"
    return "another DHCP server or an older loader names it; nothing here has it"


def _payload(case: Case, event: Event) -> bool:
    """It is a kernel or an initrd."""
    return role_of(name_of(event), case.facts.bootenvs) in (Role.KERNEL, Role.INITRD)


def _tree_incomplete(case: Case) -> Found | None:
    """The script was fetched, and kernel or initrd are not in the tree."""
    broken = case.last("render.failed")
    if broken is not None and not case.all("http.sent", role="script", after=broken):
        bootenv = case.bootenv(str(broken.data.get("bootenv", "")))
        if bootenv is not None and bootenv.errors:
            return _incomplete(bootenv.name, bootenv.errors[0], [broken], broken.time)
    gone = [event for event in case.boot if missing(event) and _payload(case, event)]
    # It tries three times; what it fetches in between is of the same boot and mends nothing.
    if not gone or any(
        e.kind == "http.sent" and name_of(e) == name_of(gone[-1]) for e in case.all("http.", after=gone[-1])
    ):
        return None
    scripts = [e for e in case.all("http.sent", role="script") if e.id < gone[-1].id]
    name = str(scripts[-1].data.get("bootenv", "")) if scripts else ""
    what = f"{short(name_of(gone[-1]), 44)} is missing"
    return _incomplete(name or "its boot environment", what, gone[-2:], gone[0].time)


def _incomplete(bootenv: str, what: str, events: Sequence[Event], since: float) -> Found:
    return Found(
        brief=short(what, 40),
        seen=f"{bootenv}: {what}",
        events=events,
        since=since,
        means=f"the files of {bootenv} are not all in the boot tree",
        command="bootcart bootenvs list",
    )


RULES = (
    Rule(
        "D10",
        "the port is blocked between machine and host",
        "allow the port in the firewall",
        f"{ASK_SECONDS:g} s after the answer it took, over IPv6 twice that; firmware asks within a second",
        _never_asked,
        "services",
        "bootcart events list --machine KEY",
    ),
    Rule(
        "D11",
        "normal: it asks for the file's size first and comes back for the file",
        "nothing",
        "none; never a problem (EDK2 and most ROMs do it; RFC 2349)",
        _probe,
        "events",
        "bootcart events list --machine KEY --kind tftp.",
    ),
    Rule(
        "D12",
        "large blocks are lost on the way",
        "wait: it gets smaller blocks by itself; mend the MTU, or boot by HTTP",
        f"{STALLS} transfers that end at the same byte",
        _stalls,
        "events",
        "bootcart events list --machine KEY --kind tftp.",
    ),
    Rule(
        "D14",
        "nothing in the boot tree has that name",
        "put the file there under that name",
        f"{MISSING_SECONDS:g} s without another transfer; names that loaders try on the off chance do not count",
        _missing_file,
        "bootenvs",
        "bootcart events list --machine KEY",
    ),
    Rule(
        "D18",
        "the boot environment's files are not all there",
        "bring the file; the machine asks again by itself",
        "none: the request names the file",
        _tree_incomplete,
        "bootenvs",
        outranks=("D14", "D17"),
    ),
)
