"""The name servers this host asks: what machines behind it can be told to ask, too."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path

SOURCES = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
"""Where they are written; the second, where the first names only a resolver on this host itself."""
MOST = 3


def resolvers(sources: Iterable[Path] = SOURCES) -> tuple[IPv4Address, ...]:
    """IPv4 name servers that other hosts can reach, at most three; none where none is known."""
    for source in sources:
        try:
            text = source.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if found := servers_in(text):
            return found
    return ()


def servers_in(text: str) -> tuple[IPv4Address, ...]:
    """The `nameserver` lines of a resolv.conf, loopback and IPv6 left out."""
    found: list[IPv4Address] = []
    for row in text.splitlines():
        words = row.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            address = IPv4Address(words[1])
        except ValueError:
            continue
        if not (address.is_loopback or address.is_link_local or address.is_unspecified) and address not in found:
            found.append(address)
    return tuple(found[:MOST])
