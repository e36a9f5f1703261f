"""What a message is answered whose lease could not be stored: nothing new is promised, what is on the disk holds."""

from __future__ import annotations

from app.model.event import EventDraft, Level
from app.model.subnet import LeaseState
from app.netboot.allocate import LeaseTable
from app.netboot.exchange import Answer
from app.netboot.identity import lease_key
from app.netboot.replies import shortened


def kept(found: Answer, table: LeaseTable, now: float, why: str) -> Answer | None:
    """The same ACK for what is left of the lease its client has on the disk; None: it has none, or less than a second.

    `why` the lease could not be stored anew.
    """
    if found.reply is None:
        return None
    lease = found.lease_changes[0]
    stored = table.at(lease.address)
    if (
        stored is None
        or stored.state is not LeaseState.BOUND
        or lease_key(stored) != lease_key(lease)
        or stored.expires - now < 1
    ):
        return None
    return shortened(found, stored.expires - now, why)


def refused(found: Answer, why: str) -> tuple[EventDraft, ...]:
    """What is told instead of an ACK that must not go out."""
    asked = [event for event in found.events if event.kind.startswith("dhcp.req")]
    last = found.events[-1]
    data = {
        "xid": last.data.get("xid", ""),
        "stage": last.data.get("stage", ""),
        "reason": "not-stored",
        "why": why,
    }
    silent = {"kind": "dhcp.silent", "message": f"no answer: {why}", "level": Level.ERROR, "data": data}
    return (*asked, last.model_copy(update=silent))
