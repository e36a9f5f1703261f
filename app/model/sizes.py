"""Amounts of bytes in words: memory counts in units of 1024, what is sold or sent in units of 1000."""

from __future__ import annotations


def binary(count: int) -> str:
    """Bytes with a unit of 1024: `512 B`, `1.0 MiB`."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def decimal(count: int) -> str:
    """Bytes as disks are sold, unit of 1000: `67 MB`, `8.6 GB`, `960 GB`, `4.0 TB`."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        # What would be rounded to 1000 has the next unit.
        if amount < 999.5:
            return f"{count} B" if unit == "B" else f"{amount:.{0 if amount >= 9.95 else 1}f} {unit}"
        amount /= 1000
    return f"{amount:.{0 if amount >= 99.5 else 1}f} TB"
