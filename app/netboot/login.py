"""Root's password on the consoles of a machine that runs the discovery system, and its hash as crypt(3) reads it.

Nothing secret is stored: a password follows from the appliance's key, the machine, and when it registered.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid

PASSWORD_LETTERS = "bcdefghijknoprstuvx"  # noqa: S105  letters that stand on the same keys of most keyboards
PASSWORD_LENGTH = 12
ROUNDS = 5000

_SALT_MAX = 16
_ITOA64 = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _derived(key: bytes, use: str, machine: uuid.UUID, issued: float) -> bytes:
    return hmac.new(key, f"{use}:{machine}:{issued!r}".encode(), hashlib.sha512).digest()


def password(key: bytes, machine: uuid.UUID, issued: float) -> str:
    """Root's password in the boot that registered at `issued` (epoch seconds): 12 letters, 51 bits."""
    number = int.from_bytes(_derived(key, "console password", machine, issued))
    letters: list[str] = []
    for _ in range(PASSWORD_LENGTH):
        number, index = divmod(number, len(PASSWORD_LETTERS))
        letters.append(PASSWORD_LETTERS[index])
    return "".join(letters)


def password_hash(key: bytes, machine: uuid.UUID, issued: float) -> str:
    """What the machine is given of it."""
    salt = _base64(_derived(key, "console salt", machine, issued)[:12])
    return sha512_crypt(password(key, machine, issued), salt)


def sha512_crypt(secret: str, salt: str, rounds: int = ROUNDS) -> str:
    """The hash of a password as /etc/shadow holds it (Drepper, "Unix crypt using SHA-256 and SHA-512", 0.6)."""
    word, raw = secret.encode(), salt[:_SALT_MAX].encode()
    inner = hashlib.sha512(word + raw + word).digest()
    first = hashlib.sha512(word + raw + _repeated(inner, len(word)))
    length = len(word)
    while length:
        first.update(inner if length & 1 else word)
        length >>= 1
    mixed = first.digest()
    words = _repeated(hashlib.sha512(word * len(word)).digest(), len(word))
    salts = _repeated(hashlib.sha512(raw * (16 + mixed[0])).digest(), len(raw))
    for turn in range(rounds):
        step = hashlib.sha512(words if turn & 1 else mixed)
        if turn % 3:
            step.update(salts)
        if turn % 7:
            step.update(words)
        step.update(mixed if turn & 1 else words)
        mixed = step.digest()
    named = "" if rounds == ROUNDS else f"rounds={rounds}$"
    return f"$6${named}{raw.decode()}${_shuffled(mixed)}"


def _repeated(block: bytes, length: int) -> bytes:
    return (block * (length // len(block) + 1))[:length]


def _shuffled(digest: bytes) -> str:
    """Three octets at a time, in the specification's order; the last stands alone."""
    said: list[str] = []
    a, b, c = 0, 21, 42
    for _ in range(21):
        said.append(_digits(digest[a] << 16 | digest[b] << 8 | digest[c], 4))
        a, b, c = b + 1, c + 1, a + 1
    return "".join(said) + _digits(digest[63], 2)


def _digits(value: int, count: int) -> str:
    return "".join(_ITOA64[value >> (6 * place) & 63] for place in range(count))


def _base64(raw: bytes) -> str:
    return "".join(_digits(int.from_bytes(raw[at : at + 3]), 4) for at in range(0, len(raw), 3))
