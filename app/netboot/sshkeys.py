"""Public keys of operators, as authorized_keys files hold them (RFC 4253 section 6.6), without options."""

from __future__ import annotations

import base64
import binascii
import re

KINDS = (
    "ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
)  # fmt: skip
KEYS_MAX = 64

_NOT_IN_COMMENTS = re.compile(r"[^A-Za-z0-9@._+-]+")


def read(text: str) -> tuple[str, ...]:
    """The keys in a text, parted by commas or line ends; comments are reduced to plain letters.

    Raises ValueError with words for the first that is none.
    """
    keys: list[str] = []
    for line in re.split(r"[,\n]", text):
        words = line.split()
        if not words:
            continue
        shown = " ".join(words)[:40]
        if words[0] not in KINDS or len(words) < 2:
            raise ValueError(f"{shown!r} does not begin like a public key (ssh-ed25519 AAAA…)")
        kind = words[0].encode()
        try:
            raw = base64.b64decode(words[1], validate=True)
        except (ValueError, binascii.Error):
            raise ValueError(f"{shown!r} is damaged: copy the whole line of the .pub file") from None
        # The key names its own kind first, behind the name's length.
        if raw[: 4 + len(kind)] != len(kind).to_bytes(4) + kind:
            raise ValueError(f"{shown!r} is damaged: copy the whole line of the .pub file")
        comment = _NOT_IN_COMMENTS.sub("-", " ".join(words[2:])).strip("-")
        keys.append(" ".join(filter(None, (words[0], words[1], comment))))
    if len(keys) > KEYS_MAX:
        raise ValueError(f"more than {KEYS_MAX} keys")
    return tuple(dict.fromkeys(keys))
