"""Operators' public keys: what is one, and what of it is kept."""

from __future__ import annotations

import pytest

from app.netboot.sshkeys import KEYS_MAX, read

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEe4cJ2yUZ1zFZ8nQ3lfN3dGJ0mCkJ1mQ2K2g0QbH1aB"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        (" ,\n", ()),
        (KEY, (KEY,)),
        (f"{KEY} op@desk\n{KEY} op@desk\n", (f"{KEY} op@desk",)),
        (f"{KEY} a, {KEY} b", (f"{KEY} a", f"{KEY} b")),
        (f'{KEY} my "key" \\n $(reboot)', (f"{KEY} my-key-n-reboot",)),
    ],
    ids=range(6),
)
def test_keys(text: str, expected: tuple[str, ...]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "secret",
        "ssh-ed25519",
        "ssh-dss AAAAB3NzaC1kc3MAAACB",
        f'command="reboot" {KEY}',
        KEY[:-1] + "!",
        KEY.replace("ssh-ed25519 ", "ssh-rsa "),
        KEY + "\n-----BEGIN OPENSSH PRIVATE KEY-----",
        "\n".join(f"{KEY} {number}" for number in range(KEYS_MAX + 1)),
    ],
    ids=range(8),
)
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(ValueError, match=r"public key|damaged|more than"):
        read(text)
