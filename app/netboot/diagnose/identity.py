"""Rules about who is who: tokens that are refused, machines that share an address, a MAC or a UUID."""

from __future__ import annotations

from app.model.diagnosis import Severity
from app.model.event import Event
from app.netboot.bootpath import script_mac
from app.netboot.diagnose.case import Case, Found, Rule, name_of, select, short

REFUSED_SECONDS = 15.0
"""The agent tries again after 2, 4 and 8 s; a token that is renewed meanwhile is good again."""
ALTERNATE_SECONDS = 3600.0

_REFUSALS: dict[str, tuple[str, str]] = {
    "expired": ("its token has expired: it was booted too long ago", "boot it again"),
    "stale-lease": ("its token is of an earlier lease of its address", "boot it again"),
    "wrong-machine": ("it uses another machine's token: a copied or cloned system", "boot it again from the network"),
    "wrong-address": ("its token was given to another address", "boot it again; look for a NAT in between"),
    "wrong-kind": ("it is not registered yet and tries what only registered ones may", "boot it again"),
    "missing": ("it sends no token: its kernel arguments were changed or cut off", "see the arguments in its script"),
    "malformed": ("its token is damaged or of another engine", "see the arguments in its script"),
}


def _token_refused(case: Case) -> Found | None:
    """The machine's agent is refused: its token has expired, is another machine's, or is missing."""
    refused = [
        e for e in case.all("http.refused") if name_of(e).startswith("agent/") and e.data.get("status") in (401, 403)
    ]
    if not refused:
        return None
    first, last = refused[0], refused[-1]
    done = case.all("agent.registered", "agent.inventory", "agent.rebooting", after=last)
    if done or case.machine.heartbeat > last.time or not case.over(first.time + REFUSED_SECONDS):
        return None
    reason = str(last.data.get("reason", ""))
    means, do = _REFUSALS.get(reason, (str(last.data.get("why", "")), ""))
    return Found(
        brief=f"its token is refused: {reason}" if reason else "its token is refused",
        seen=f"its agent was refused {len(refused)} times at {short(name_of(last))}",
        events=refused[-2:],
        since=first.time,
        means=means,
        do=do,
    )


def _shared(case: Case) -> Found | None:
    """Two machines use one address, one MAC or one UUID."""
    return _conflict(case) or _declined(case) or _address(case) or _mac(case) or _uuid(case)


def _conflict(case: Case) -> Found | None:
    told = case.last("agent.conflict")
    if told is None or case.all("agent.registered", after=told):
        return None
    return Found(
        brief="it is taken for another machine",
        seen="its agent cannot register: it reports what is another's",
        events=[told],
        since=told.time,
        means=str(told.data.get("why") or told.message),
        do=str(told.data.get("hint", "")),
        action="machines",
    )


def _declined(case: Case) -> Found | None:
    told = case.last("dhcp.decline")
    if told is None or case.moved(told):
        return None
    address = told.address or str(told.data.get("address", ""))
    return Found(
        brief=f"{address} is somebody else's",
        seen=f"it declined {address}: another device answers at that address",
        events=[told],
        since=told.time,
        means="a device has a fixed address inside the range; it is in quarantine now",
        do="move the range away from that address, or find the device",
        action="leases",
        command=f"bootcart leases show {address}",
    )


def _address(case: Case) -> Found | None:
    for event in reversed(case.all("http.refused")):
        asked = script_mac(name_of(event))
        if asked is None or not event.mac or asked == event.mac:
            continue
        if case.moved(event):
            return None
        return Found(
            brief=f"{event.address} is used by two",
            seen=f"{asked} uses {event.address}, which is leased to {event.mac}",
            events=[event],
            since=event.time,
            means="one of the two has it fixed, or a stale lease",
            do="power one of them off, or delete the stale lease",
            action="leases",
            command=f"bootcart leases show {event.address}",
        )
    return None


def _mac(case: Case) -> Found | None:
    """One MAC with two firmware UUIDs in turn; once is a new mainboard."""
    by_stage: dict[tuple[str, str], list[Event]] = {}
    for event in select(case.events, "dhcp.discover"):
        if event.data.get("guid") and event.time >= case.now - ALTERNATE_SECONDS:
            key = (f"{event.mac} {event.data.get('stage')}", str(event.data.get("arch")))
            by_stage.setdefault(key, []).append(event)
    for told in by_stage.values():
        turns = [e for n, e in enumerate(told) if n == 0 or e.data["guid"] != told[n - 1].data["guid"]]
        if len(turns) >= 3 and turns[-1].data["guid"] == turns[-3].data["guid"]:
            return Found(
                brief="two machines have its MAC",
                seen=f"{turns[-1].mac} boots with two firmware UUIDs in turn",
                events=turns[-3:],
                since=turns[-1].time,
                means=f"two machines have this MAC: {_half(turns[-2])} and {_half(turns[-1])}",
                do="give one of them another MAC (cloned virtual machines)",
            )
    return None


def _half(event: Event) -> str:
    """A firmware UUID, as much as tells it from another."""
    return str(event.data["guid"])[:18] + "~"


def _uuid(case: Case) -> Found | None:
    firmware = case.firmware
    if not case.facts.twins or firmware is None:
        return None
    names = " and ".join(case.facts.twins[:2])
    return Found(
        brief=f"same UUID as {short(case.facts.twins[0], 20)}",
        seen=f"its firmware UUID is also that of {names}",
        events=[firmware],
        since=firmware.time,
        severity=Severity.NOTE,
        means="cloned virtual machines, or a vendor's default; MACs tell them apart",
        do="give one another UUID, or delete the stale record",
        action="machines",
        command="bootcart machines list",
    )


RULES = (
    Rule(
        "D30",
        "its token is no longer good",
        "boot it again",
        f"{REFUSED_SECONDS:g} s after the first refusal; its agent tries again within that",
        _token_refused,
        "script",
        "bootcart machines script KEY",
        ("D20",),
    ),
    Rule(
        "D31",
        "two machines share what should be one machine's",
        "name the one that is stale and remove it",
        "none; a MAC only after its UUID changed and changed back within an hour",
        _shared,
        "machines",
        "bootcart machines list",
        ("D20",),
    ),
)
