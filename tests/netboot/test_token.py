"""Tokens: what they say comes back, and every way in which one may be wrong has its name."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.subnet import Lease, LeaseState
from app.netboot.token import MASK, Claims, TokenKind, TokenRefusedError, Why, masked, mint, read, require, verify

KEY = b"k" * 32
MAC = "52:54:00:00:00:07"
ADDRESS = IPv4Address("10.7.0.100")
LEASE = Lease(address=ADDRESS, mac=MAC, since=1000.125, expires=5000)
UNKNOWN = Claims(TokenKind.UNKNOWN, MAC, ADDRESS, 2000, 1000.125)
MACHINE = Claims(TokenKind.MACHINE, MAC, ADDRESS, 2000, 1000.125, "6b1f7e0a-6d0b-5f0c-9a35-0b007ca27000")


@pytest.mark.parametrize(
    "claims",
    [UNKNOWN, MACHINE, replace(UNKNOWN, since=0.0), replace(MACHINE, bootenv="debian-12")],
    ids=["unknown", "machine", "proxy", "installs"],
)
def test_a_good_token_says_what_was_put_into_it(claims: Claims) -> None:
    token = mint(claims, KEY)
    assert verify(token, KEY, now=1500, address=ADDRESS, lease=LEASE) == claims
    # It travels on a kernel command line and in a header.
    assert token.isascii()
    assert not set(token) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert len(token) < 400


def _forged() -> str:
    body = mint(MACHINE, KEY).partition(".")[0]
    said = json.loads(base64.urlsafe_b64decode(body + "=="))
    said["i"] = "another"
    forged = base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
    return f"{forged}.{mint(MACHINE, KEY).partition('.')[2]}"


GOOD = mint(MACHINE, KEY)
REFUSED = [
    ("missing", "", Why.MISSING, {}),
    ("garbage", "garbage", Why.MALFORMED, {}),
    ("two dots", GOOD + ".x", Why.MALFORMED, {}),
    ("not base64", "ä.ä", Why.MALFORMED, {}),
    ("no signature", GOOD.partition(".")[0] + ".", Why.MALFORMED, {}),
    ("changed claims", _forged(), Why.MALFORMED, {}),
    ("other key", mint(MACHINE, b"x" * 32), Why.MALFORMED, {}),
    ("huge", "A" * 5000 + ".AAAA", Why.MALFORMED, {}),
    ("expired", GOOD, Why.EXPIRED, {"now": 2000}),
    ("another address", GOOD, Why.WRONG_ADDRESS, {"address": IPv4Address("10.7.0.101")}),
    ("no lease", GOOD, Why.STALE_LEASE, {"lease": None}),
    ("later lease", GOOD, Why.STALE_LEASE, {"lease": LEASE.model_copy(update={"since": 1400.0})}),
    ("other's lease", GOOD, Why.STALE_LEASE, {"lease": LEASE.model_copy(update={"mac": "52:54:00:00:00:08"})}),
    ("released", GOOD, Why.STALE_LEASE, {"lease": LEASE.model_copy(update={"state": LeaseState.RELEASED})}),
]


@pytest.mark.parametrize(("token", "why", "changed"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_each_way_to_be_wrong_has_its_name(token: str, why: Why, changed: dict[str, object]) -> None:
    given_now: dict[str, object] = {"now": 1500, "address": ADDRESS, "lease": LEASE, **changed}
    with pytest.raises(TokenRefusedError) as caught:
        verify(token, KEY, **given_now)  # pyright: ignore[reportArgumentType]
    assert caught.value.why is why
    assert str(caught.value)


@pytest.mark.parametrize(
    ("claims", "kind", "machine", "why"),
    [
        (UNKNOWN, TokenKind.MACHINE, MACHINE.machine, Why.WRONG_KIND),
        (MACHINE, TokenKind.UNKNOWN, "", Why.WRONG_KIND),
        (MACHINE, TokenKind.MACHINE, "another", Why.WRONG_MACHINE),
    ],
)
def test_a_token_does_not_do_for_something_else(claims: Claims, kind: TokenKind, machine: str, why: Why) -> None:
    with pytest.raises(TokenRefusedError) as caught:
        require(claims, kind, machine)
    assert caught.value.why is why
    assert caught.value.status == 403


def test_status_401_asks_for_another_token_403_does_not() -> None:
    found = {why: TokenRefusedError(why).status for why in Why}
    assert {why for why, status in found.items() if status == 403} == {
        Why.WRONG_KIND,
        Why.WRONG_MACHINE,
        Why.WRONG_ADDRESS,
    }
    assert set(found.values()) == {401, 403}


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        mint(UNKNOWN, b"short")


@given(st.text(max_size=200))
def test_any_text_is_refused_in_one_way(token: str) -> None:
    with pytest.raises(TokenRefusedError):
        read(token, KEY)


@given(st.integers(0, len(GOOD) - 1), st.characters(codec="ascii"))
def test_a_token_with_one_character_changed_never_says_anything_else(place: int, char: str) -> None:
    changed = GOOD[:place] + char + GOOD[place + 1 :]
    try:
        assert read(changed, KEY) == MACHINE
    except TokenRefusedError:
        return


@pytest.mark.parametrize("before", ["", "answers/", "x", "a.", "-" * 50])
@pytest.mark.parametrize("after", ["", "/preseed.cfg", "x", ".y", "-" * 50])
def test_nothing_of_a_token_is_shown(before: str, after: str) -> None:
    token = mint(MACHINE, KEY)
    shown = masked(f"{before}{token}{after} and {token}")

    assert MASK in shown
    assert not any(part in shown for part in token.split("."))


def test_a_path_without_end_is_looked_at_once() -> None:
    """Anybody may ask for one, and every transfer waits meanwhile."""
    began = time.thread_time()
    for end in ("", ".", "." + "b" * 42):
        assert masked("a" * 64_000 + end) == "a" * 64_000 + end

    assert time.thread_time() - began < 1
