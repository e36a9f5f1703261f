"""What becomes of looking for an address: the one chosen and how, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address


class Refusal(StrEnum):
    """Why a client may not have an address; empty: it may."""

    NONE = ""
    WRONG_NETWORK = "wrong-network"
    OUTSIDE = "outside-the-ranges"
    OTHERS = "leased-to-another"
    OFFERED = "offered-to-another"
    RESERVED = "reserved-for-another"
    MOVED = "reserved-elsewhere"
    QUARANTINED = "declined-before"
    KEPT = "kept-for-machines-on-record"
    RESERVATIONS_ONLY = "reservations-only"
    NOT_PICKED = "no-picker"
    EXHAUSTED = "pool-exhausted"


@dataclass(frozen=True, slots=True)
class Choice:
    """The address chosen for an offer and how it was found; without an address, why there is none."""

    address: IPv4Address | None
    how: str = ""
    refusal: Refusal = Refusal.NONE


def peer(via: IPv4Address) -> IPv4Address:
    """The other end of a link of two addresses (RFC 3021)."""
    return IPv4Address(int(via) ^ 1)
