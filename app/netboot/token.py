"""Tokens of the boot listener: what a machine that boots may do, bound to this boot's lease and address (HMAC-SHA256).

A token for an unknown machine may only register; a machine's token reads and updates that machine alone.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, cast

from app.model.subnet import LeaseState
from app.model.subnet6 import AnyLease

KEY_BYTES = 32
MASK = "********"
"""What stands in a token's place where it may be seen."""

_LENGTH_MAX = 1024
_compact = json.JSONEncoder(separators=(",", ":")).encode
# Claims and an SHA-256, as `mint` writes them. From where such letters begin alone: each of a long row is no beginning.
_WRITTEN = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{40,}\.[A-Za-z0-9_-]{43,}")


class TokenKind(StrEnum):
    """Whom a token is for."""

    UNKNOWN = "unknown"
    MACHINE = "machine"


class Why(StrEnum):
    """Why a token was refused."""

    MISSING = "missing"
    MALFORMED = "malformed"
    EXPIRED = "expired"
    WRONG_KIND = "wrong-kind"
    WRONG_MACHINE = "wrong-machine"
    WRONG_ADDRESS = "wrong-address"
    STALE_LEASE = "stale-lease"


_WORDS = {
    Why.MISSING: "the request carries no token",
    Why.MALFORMED: "the token is not one of ours",
    Why.EXPIRED: "the token has expired; boot the machine again",
    Why.WRONG_KIND: "this kind of token may not do that",
    Why.WRONG_MACHINE: "the token is another machine's",
    Why.WRONG_ADDRESS: "the token was given to another address",
    Why.STALE_LEASE: "the lease the token was given under is gone; boot the machine again",
}


class TokenRefusedError(Exception):
    """A token that does not allow what was asked."""

    def __init__(self, why: Why) -> None:
        super().__init__(_WORDS[why])
        self.why = why

    @property
    def status(self) -> int:
        """401 where another token would help, 403 where this one is good but for something else (RFC 9110 15.5)."""
        return 403 if self.why in (Why.WRONG_KIND, Why.WRONG_MACHINE, Why.WRONG_ADDRESS) else 401


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says: `expires` in epoch seconds; `since` is the lease's, 0 where another server leases."""

    kind: TokenKind
    mac: str
    address: IPv4Address | IPv6Address
    expires: float
    since: float = 0.0
    machine: str = ""
    bootenv: str = ""
    """What the machine was to boot when it got the token; empty where that does not matter."""


def _sign(key: bytes, payload: bytes) -> bytes:
    if len(key) < KEY_BYTES:
        raise ValueError(f"a token key has at least {KEY_BYTES} bytes")
    return hmac.digest(key, payload, "sha256")


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def mint(claims: Claims, key: bytes) -> str:
    """A token that says `claims`: URL-safe base64 of the claims and of their signature, joined by a dot."""
    body: dict[str, Any] = {
        "k": claims.kind.value,
        "m": claims.mac,
        "a": str(claims.address),
        "e": round(claims.expires),
        "s": round(claims.since * 1000),
    }
    if claims.machine:
        body["i"] = claims.machine
    if claims.bootenv:
        body["b"] = claims.bootenv
    payload = _compact(body).encode("ascii")
    return f"{_encode(payload)}.{_encode(_sign(key, payload))}"


def masked(text: str) -> str:
    """A text that may be shown: what looks like a token is left out."""
    return _WRITTEN.sub(MASK, text)


def blanked(octets: bytes) -> bytes:
    """The same of what was on the wire: stars for each letter of what looks like a token, so that lengths still fit."""
    text = octets.decode("latin-1")
    return _WRITTEN.sub(lambda found: "*" * len(found[0]), text).encode("latin-1")


def read(token: str, key: bytes) -> Claims:
    """The claims of a token of ours. Raises TokenRefusedError: missing or malformed."""
    if not token:
        raise TokenRefusedError(Why.MISSING)
    body, dot, signature = token.partition(".")
    if not dot or len(token) > _LENGTH_MAX:
        raise TokenRefusedError(Why.MALFORMED)
    try:
        payload, given = _decode(body), _decode(signature)
    except (ValueError, binascii.Error):
        raise TokenRefusedError(Why.MALFORMED) from None
    if not hmac.compare_digest(_sign(key, payload), given):
        raise TokenRefusedError(Why.MALFORMED)
    try:
        said = cast("dict[str, Any]", json.loads(payload))
        return Claims(
            kind=TokenKind(said["k"]),
            mac=str(said["m"]),
            address=ip_address(said["a"]),
            expires=float(said["e"]),
            since=said["s"] / 1000,
            machine=str(said.get("i", "")),
            bootenv=str(said.get("b", "")),
        )
    except (ValueError, KeyError, TypeError):
        raise TokenRefusedError(Why.MALFORMED) from None


def verify(token: str, key: bytes, *, now: float, address: IPv4Address | IPv6Address, lease: AnyLease | None) -> Claims:
    """The claims of a token that is good at `now` (epoch seconds) for a request from `address`.

    `lease` is the one that holds for that address now. Raises TokenRefusedError.
    """
    claims = read(token, key)
    if now >= claims.expires:
        raise TokenRefusedError(Why.EXPIRED)
    if claims.address != address:
        raise TokenRefusedError(Why.WRONG_ADDRESS)
    if claims.since and not _same_lease(claims, lease):
        raise TokenRefusedError(Why.STALE_LEASE)
    return claims


def _same_lease(claims: Claims, lease: AnyLease | None) -> bool:
    return (
        lease is not None
        and lease.state is LeaseState.BOUND
        and lease.mac == claims.mac
        and round(lease.since * 1000) == round(claims.since * 1000)
    )


def require(claims: Claims, kind: TokenKind, machine: str = "") -> None:
    """Raise TokenRefusedError unless the claims are of this kind, and for this machine where one is named."""
    if claims.kind is not kind:
        raise TokenRefusedError(Why.WRONG_KIND)
    if machine and claims.machine != machine:
        raise TokenRefusedError(Why.WRONG_MACHINE)
