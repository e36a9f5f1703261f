"""Rules about getting an address: no OFFER of ours, an OFFER nobody takes, other servers on the segment."""

from __future__ import annotations

from app.model.diagnosis import Severity
from app.model.event import Event
from app.model.subnet import SubnetMode
from app.netboot.diagnose.answers import replies, stopped
from app.netboot.diagnose.case import BOOTING, Case, Found, Rule

SILENCE_SECONDS = 5.0
"""Longer than a segment is asked for other servers (1.5 s), shorter than two tries of any firmware (4 s and 8 s)."""
REPEATS = 2
REPEAT_SECONDS = 8.0
"""PXE 2.1 section 2.2.2 repeats a DISCOVER after 4, 8, 16 and 32 s; firmware that waits for offers repeats it once."""
SEGMENT_SECONDS = 15.0

# Why there was no answer: in brief, what that means, what to do, where that is done, and the command for it.
_SILENT: dict[str, tuple[str, str, str, str, str]] = {
    "no-subnet": (
        "no subnet covers it",
        "no subnet of Bootcart covers the network it asks from",
        "create a subnet for that network",
        "wizard",
        "bootcart subnets create NAME --cidr NETWORK --range FIRST-LAST",
    ),
    "no-address": (
        "our interface has no address",
        "the interface it asks on has no IPv4 address to answer from",
        "give the interface an address in the subnet",
        "interfaces",
        "bootcart interfaces list",
    ),
    "bad-relay": (
        "the relay's address is wrong",
        "the relay names an address that cannot be a relay's",
        "correct the relay's address on the router or switch",
        "events",
        "bootcart events list --machine KEY",
    ),
    "own-address": (
        "its reserved address is this host's own",
        "the address that is reserved for it is this host's own",
        "change or delete its reservation",
        "reservations",
        "bootcart reservations update ADDRESS --address ANOTHER",
    ),
    "disabled": (
        "its subnet is disabled",
        "its subnet is disabled",
        "enable the subnet",
        "subnets",
        "bootcart subnets update SUBNET --enabled",
    ),
    "off": (
        "DHCP is off on its subnet",
        "DHCP is off for its subnet, or for this run of the engine",
        "set the subnet's mode to authoritative or proxy",
        "subnets",
        "bootcart subnets update SUBNET --mode authoritative",
    ),
    "subnet-held": (
        "its subnet is held",
        "its subnet is held",
        "see why the subnet is held",
        "subnets",
        "bootcart subnets show SUBNET",
    ),
    "holding": (
        "the engine is on hold",
        "the engine is on hold and answers no one",
        "release the hold",
        "hold",
        "bootcart release",
    ),
    "pool-exhausted": (
        "no free address left",
        "every address of the subnet's ranges is in use",
        "widen the range, or shorten the lease time",
        "subnets",
        "bootcart subnets update SUBNET --range FIRST-LAST",
    ),
    "reservations-only": (
        "it has no reservation",
        "its subnet gives addresses only to machines with a reservation",
        "reserve an address for it",
        "reservations",
        "bootcart reservations create ADDRESS --mac MAC",
    ),
    "no-picker": (
        "its subnet's pickers find nothing",
        "the subnet's pickers find no address for it: it has none yet, and asks for none that is free",
        "add next-free to the subnet's pickers, or reserve an address for it",
        "subnets",
        "bootcart subnets update SUBNET --pickers hint,next-free,most-expired",
    ),
    "not-stored": (
        "its lease cannot be stored",
        "its lease could not be stored, and what is not stored is not given",
        "free disk space, or see why the store cannot be written",
        "events",
        "bootcart events list --kind store.",
    ),
}


def _asked(case: Case) -> list[Event]:
    return [event for event in case.all("dhcp.discover") if event.data.get("stage") in BOOTING]


def _stuck_in_silence(case: Case) -> list[Event]:
    """The newest silences in a row, for a reason that is a fault; empty when it was answered or moved on."""
    silent: list[Event] = []
    for event in reversed(replies(case)):
        if event.kind != "dhcp.silent" or event.data.get("reason") not in _SILENT:
            break
        silent.insert(0, event)
    if any(event.data.get("family") == 6 for event in case.all("dhcp.offer", "dhcp.ack")):
        # It boots over IPv6, and what its loader asks over IPv4 as well is not missed.
        silent = [event for event in silent if event.data.get("family") == 6]
    return silent if silent and not case.moved(silent[0]) else []


def _is_nobodys(silent: list[Event], asked: list[Event]) -> bool:
    """Our silence is a fault. Where DHCP is off it is meant, and another server may boot the machine with our files:
    it is one only once the machine asks on and on.
    """
    if silent[-1].data.get("reason") != "off":
        return True
    first = next((event for event in asked if event.data.get("xid") == silent[0].data.get("xid")), None)
    return first is not None and _repeats(first, [event for event in asked if event.id > first.id])


def _unanswered(case: Case) -> Found | None:
    """DISCOVERs of a booting machine arrive and no OFFER of ours goes out."""
    asked, silent = _asked(case), _stuck_in_silence(case)
    if silent and _is_nobodys(silent, asked) and case.over(silent[0].time + SILENCE_SECONDS):
        last = silent[-1]
        brief, means, do, action, command = _SILENT[str(last.data["reason"])]
        why = str(last.data.get("why", ""))
        return Found(
            brief=brief,
            seen=f"asked for an address {_times(asked)} and got no offer",
            events=[*asked[-3:], last],
            since=silent[0].time,
            means=why or means,
            do=do,
            action=action,
            command=command.replace("SUBNET", str(last.data.get("subnet") or "NAME")).replace("MAC", last.mac),
        )
    if (
        asked
        and not any(event.id > asked[-1].id for event in case.boot)
        and case.over(asked[-1].time + SILENCE_SECONDS)
    ):
        service = case.down("dhcp")
        if service is not None:
            found = Found(
                brief=f"the DHCP service is {service.state.value}",
                seen=f"asked for an address {case.ago(asked[-1].time)} ago and got no offer",
                events=asked[-3:],
                since=asked[-1].time,
            )
            return stopped(found, service)
    return None


def _times(events: list[Event]) -> str:
    return "once" if len(events) == 1 else f"{len(events)} times"


def _server_words(case: Case, server: str, interface: str) -> str:
    """Another server with its MAC, where that was heard."""
    mac = next((one.mac for one in case.others(interface) if str(one.server) == server), "")
    return f"{server} ({mac})" if mac else server


def _another_won(case: Case) -> Found | None:
    """It got our OFFER and REQUESTs the offer of another DHCP server."""
    offers = [e for e in case.all("dhcp.offer") if e.data.get("stage") in BOOTING]
    if not offers:
        return None
    asked = [e for e in case.all("dhcp.request", after=offers[0]) if e.data.get("stage") in BOOTING]
    taken = [e for e in asked if e.data.get("ours") is False]
    if not taken or case.all("dhcp.ack", after=taken[-1]) or case.moved(taken[-1]):
        return None
    last = taken[-1]
    interface = last.interface or offers[-1].interface
    server = _server_words(case, str(last.data.get("server", "")), interface)
    name = str(offers[-1].data.get("subnet", ""))
    return Found(
        brief=f"DHCP server {last.data.get('server', '')} won",
        seen=f"got our offer and took that of {server}",
        events=[offers[-1], last],
        since=last.time,
        command=f"bootcart subnets update {name or 'NAME'} --mode proxy",
    )


def _repeats(offer: Event, again: list[Event]) -> bool:
    """The same exchange goes on and on; one that begins anew may be a machine that was switched off and on."""
    if not again:
        return False
    same = [event for event in again if event.data.get("xid") == offer.data.get("xid")]
    long = len(again) >= 2 * REPEATS and again[-1].time - offer.time >= 2 * REPEAT_SECONDS
    return long or (len(same) >= REPEATS and same[-1].time - offer.time >= REPEAT_SECONDS)


def _offer_not_taken(case: Case) -> Found | None:
    """Our OFFER went out, the DISCOVER is repeated, and no REQUEST comes."""
    offers = [e for e in case.all("dhcp.offer", "proxy.offer") if e.data.get("bootfile")]
    if not offers:
        return None
    # What iPXE or firmware does next is another exchange, with its own offers.
    stage = str(offers[-1].data.get("stage", ""))
    first = next(e for e in offers if e.data.get("stage") == stage)
    again = case.all("dhcp.discover", stage=stage, after=first)
    if case.all("dhcp.request", after=first) or case.fetched(first) or not _repeats(first, again):
        return None
    if offers[-1].kind == "proxy.offer":
        return Found(
            brief="no DHCP server gives it an address",
            seen=f"asked {len(again) + 1} times, got our boot offer and no address",
            events=[first, *again[-2:]],
            since=first.time,
            means="proxy mode gives no addresses, and no DHCP server here gave one",
            do="check that DHCP server, or make the subnet authoritative",
            command=f"bootcart subnets update {first.data.get('subnet') or 'NAME'} --mode authoritative",
        )
    relay = str(again[-1].data.get("relay", ""))
    means = ""
    if relay:
        means = f"relay {relay} did not bring the offer back, or a firewall dropped it"
    return Found(
        brief="our offer does not reach it",
        seen=f"was offered {first.data.get('address', '')} {case.ago(first.time)} ago and still asks"
        f" ({len(again)} repeats)",
        events=[first, *again[-2:]],
        since=first.time,
        means=means,
    )


def _unknown_server(case: Case) -> Found | None:
    """The segment shows OFFERs of a DHCP server that is not ours."""
    silent = _stuck_in_silence(case)
    if silent and silent[-1].data.get("reason") == "subnet-held" and case.over(silent[0].time + SILENCE_SECONDS):
        last = silent[-1]
        others = case.others(last.interface)
        if not others:
            return None
        name = str(last.data.get("subnet") or "NAME")
        server = _server_words(case, str(others[0].server), last.interface)
        return Found(
            brief=f"DHCP server {others[0].server} is there too",
            seen=f"asked {_times(_asked(case))}; DHCP server {server} is there too",
            events=[*_asked(case)[-2:], last],
            since=silent[0].time,
            means=f"subnet {name} is held: two servers would give conflicting answers",
            do="choose proxy mode, or remove that server and confirm",
            command=f"bootcart subnets update {name} --mode proxy",
        )
    firmware = case.firmware
    others = case.others(firmware.interface) if firmware is not None else ()
    if firmware is None or not others or case.all("dhcp.ack", "proxy.offer") or case.moved(firmware):
        return None
    offers = case.all("dhcp.offer")
    subnet = case.subnet(str(offers[-1].data.get("subnet", ""))) if offers else None
    if subnet is None or subnet.mode is not SubnetMode.AUTHORITATIVE or not case.over(firmware.time + SEGMENT_SECONDS):
        return None
    server = _server_words(case, str(others[0].server), firmware.interface)
    return Found(
        brief=f"DHCP server {others[0].server} is there too",
        seen=f"has no address; DHCP server {server} is there too",
        events=[firmware],
        since=firmware.time,
        severity=Severity.NOTE,
        command=f"bootcart subnets update {subnet.name} --mode proxy",
    )


def _foreign_class(case: Case) -> Found | None:
    """Beside another DHCP server whose OFFER carries option 60 PXEClient, UEFI firmware never asks us."""
    offer = case.last("proxy.offer", stage="rom")
    firmware = case.firmware
    if offer is None or firmware is None or firmware.data.get("firmware") != "uefi":
        return None
    server = next((one for one in case.others(firmware.interface) if one.vendor_class.startswith("PXEClient")), None)
    asked = case.all("dhcp.request", after=offer)
    if server is None or not asked or case.all("proxy.ack", after=offer) or case.fetched(offer):
        return None
    if not case.over(asked[-1].time + SEGMENT_SECONDS):
        return None
    return Found(
        brief=f"{server.server} sends option 60",
        seen=f"took an address {case.ago(asked[-1].time)} ago and never asked us for its boot file",
        events=[offer, asked[-1]],
        since=asked[-1].time,
        means=f"{server.server} sends option 60 PXEClient, so UEFI firmware asks it, not us",
        do=f"remove option 60 from the scope of DHCP server {server.server}",
    )


RULES = (
    Rule(
        "D01",
        "no subnet, a disabled or held one, or no free address",
        "open the subnets and mend what is named",
        f"{SILENCE_SECONDS:g} s of silence, segments are asked for other servers for 1.5 s first;"
        f" where DHCP is off, {REPEATS} repeats over {REPEAT_SECONDS:g} s: another server may answer",
        _unanswered,
        "subnets",
        "bootcart subnets list",
    ),
    Rule(
        "D02",
        "another DHCP server gives addresses here, without our boot file",
        "set the subnet to proxy mode, or remove that server",
        "none: the REQUEST names the server",
        _another_won,
        "subnets",
    ),
    Rule(
        "D03",
        "our replies do not arrive: wrong VLAN, a firewall here, or DHCP snooping",
        "check VLAN and DHCP snooping on the switch port",
        f"{REPEATS} repeats over {REPEAT_SECONDS:g} s; firmware repeats after 4, 8, 16 and 32 s (PXE 2.1, 2.2.2)",
        _offer_not_taken,
        "interfaces",
        "bootcart events list --machine KEY --kind dhcp.",
        ("D04",),
    ),
    Rule(
        "D04",
        "two DHCP servers on one segment: which one a machine hears first is chance",
        "choose proxy mode, or remove that server",
        f"{SILENCE_SECONDS:g} s where the subnet is held, {SEGMENT_SECONDS:g} s without an address elsewhere",
        _unknown_server,
        "subnets",
        outranks=("D01",),
    ),
    Rule(
        "D05",
        "that server says it is the boot server itself",
        "remove option 60 from that DHCP server",
        f"{SEGMENT_SECONDS:g} s after its REQUEST; firmware asks on port 4011 at once",
        _foreign_class,
        "interfaces",
        "bootcart interfaces list",
        ("D10",),
    ),
)
