"""Console passwords and their hashes, against the C library's crypt."""

from __future__ import annotations

import ctypes
import ctypes.util
import uuid

import pytest

from app.netboot.login import PASSWORD_LETTERS, password, password_hash, sha512_crypt

KEY, MACHINE = b"k" * 32, uuid.UUID(int=7)


def by_libcrypt(secret: str, setting: str) -> str:
    name = ctypes.util.find_library("crypt")
    if name is None:
        pytest.skip("this host has no libcrypt")
    function = ctypes.CDLL(name).crypt
    function.restype = ctypes.c_char_p
    return function(secret.encode(), setting.encode()).decode()


@pytest.mark.parametrize("length", [0, 1, 12, 15, 16, 17, 63, 64, 65, 130])
def test_hashes_are_those_of_the_c_library(length: int) -> None:
    secret = ("correct horse battery staple " * 5)[:length]
    for salt in ("a", "saltstring", "sixteen.letters/", "longer than sixteen letters".replace(" ", ".")):
        assert sha512_crypt(secret, salt) == by_libcrypt(secret, f"$6${salt[:16]}")
    assert sha512_crypt(secret, "salt", 1400) == by_libcrypt(secret, "$6$rounds=1400$salt")


def test_a_password_is_one_boots_of_one_machine() -> None:
    told = {
        password(KEY, MACHINE, 1.5),
        password(KEY, MACHINE, 1.25),
        password(KEY, uuid.UUID(int=8), 1.5),
        password(b"j" * 32, MACHINE, 1.5),
    }
    assert len(told) == 4
    assert all(len(one) == 12 and set(one) <= set(PASSWORD_LETTERS) for one in told)
    assert password(KEY, MACHINE, 1.5) in told


def test_the_hash_tells_the_password_only_to_who_knows_it() -> None:
    secret, told = password(KEY, MACHINE, 1.5), password_hash(KEY, MACHINE, 1.5)
    _, kind, salt, _ = told.split("$")
    assert (kind, len(salt)) == ("6", 16)
    assert secret not in told
    assert told == sha512_crypt(secret, salt)
