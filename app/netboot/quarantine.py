"""How long an address that somebody else uses is kept from everybody, and when no more are (RFC 2131 section 4.3.3)."""

from __future__ import annotations

from app.model.subnet import Subnet

QUARANTINE_SECONDS = 24 * 3600.0
SHORT_QUARANTINE_SECONDS = 600.0


def kept_back(kept: int, size: int) -> float:
    """Seconds for one more address of a pool of `size`, `kept` being in quarantine with it; 0: it is not kept back.

    A day; minutes once half the pool is, so that it comes back. The last quarter never is: whoever has many hardware
    addresses could take the whole pool away.
    """
    if 2 * kept <= size:
        return QUARANTINE_SECONDS
    return SHORT_QUARANTINE_SECONDS if kept == 1 or 4 * kept <= 3 * size else 0.0


def span(seconds: float) -> str:
    """A time in words."""
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds / 60:g} min"


def not_kept(subnet: Subnet) -> str:
    """Why an address is not kept back."""
    return (
        f"it is given out all the same, three quarters of the addresses of subnet {subnet.name} are in quarantine: "
        "find out who answers for them, and delete their leases to clear them"
    )
