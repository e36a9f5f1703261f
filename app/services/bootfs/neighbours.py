"""The kernel's table of neighbours: which MAC address it knows for an address."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

ARP_TABLE = Path("/proc/net/arp")
_COMPLETE = 0x02  # ATF_COM, linux/if_arp.h


def parse_arp(table: str) -> dict[IPv4Address, str]:
    """The complete entries of `/proc/net/arp` (proc(5))."""
    found: dict[IPv4Address, str] = {}
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) >= 4 and int(columns[2], 16) & _COMPLETE:
            found[IPv4Address(columns[0])] = columns[3].lower()
    return found


def arp() -> dict[IPv4Address, str]:
    """What the kernel knows now; nothing where the table cannot be read."""
    try:
        return parse_arp(ARP_TABLE.read_text())
    except OSError:
        return {}
