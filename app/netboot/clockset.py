"""Leases by a clock that was set."""

from __future__ import annotations

from app.model.subnet import Lease


def reclocked(lease: Lease, seconds: float, now: float) -> Lease:
    """A lease by a clock that was set by `seconds` and says `now`: what is left of it stays as it was.

    Its beginning moves only where it would look as if given later than now, as by a clock that is behind: machines hold
    tokens that are good for the lease that began then.
    """
    since = lease.since + seconds if lease.since > now else lease.since
    return lease.model_copy(update={"since": since, "expires": lease.expires + seconds})


def way(seconds: float) -> str:
    """How far a clock was set, in words."""
    size = abs(seconds)
    unit, name = next(
        ((unit, name) for unit, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")) if size >= 2 * unit),
        (1, "seconds"),
    )
    return f"{'forward' if seconds > 0 else 'back'} by {size / unit:.0f} {name}"
