"""Leases by a clock that was set."""

from __future__ import annotations

from app.model.subnet import Lease
from app.netboot.view import NetworkView

TOLD_SECONDS = 60.0
"""A clock that was set by less is not worth a word."""


def reclocked(lease: Lease, seconds: float) -> Lease:
    """A lease by a clock that was set by `seconds`: what is left of it stays as it was.

    Its beginning stays too, though it may be later than now: machines hold tokens for the lease that began then.
    """
    return lease.model_copy(update={"expires": lease.expires + seconds})


def excess(lease: Lease, view: NetworkView, now: float) -> float:
    """By how many seconds a stored lease that began after now lasts longer than it may have been given for, else 0.

    Then the clock is behind (an empty battery, say), and would keep it alive for years. One that was given before the
    clock was set back began after now as well, and is no longer than it should be.
    """
    ahead = lease.since - now
    if ahead <= TOLD_SECONDS:
        return 0.0
    subnet = next((each for each in view.subnets() if each.name == lease.subnet), None)
    kept = view.reservation_at(lease.address)
    times = [subnet.lease_time, subnet.reserved_lease_time] if subnet is not None else []
    longest = max(filter(None, [*times, kept.lease_time if kept is not None else None]), default=0)
    over = min(ahead, lease.expires - now - longest)
    return over if over > TOLD_SECONDS else 0.0


def way(seconds: float) -> str:
    """How far a clock was set, in words."""
    size = abs(seconds)
    unit, name = next(
        ((unit, name) for unit, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")) if size >= 2 * unit),
        (1, "seconds"),
    )
    return f"{'forward' if seconds > 0 else 'back'} by {size / unit:.0f} {name}"
