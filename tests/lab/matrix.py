"""Client × path: what booted here, how far, and the seconds of each hop, for the table at the end of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.model.timeline import HopState, Timeline
from app.services.lab.progress import columns

HOPS = ("discover", "ack", "loader", "ipxe", "script", "kernel", "initrd", "answer", "installer", "agent", "inventory")

REFERENCE = {"bios": 20.7, "uefi": 31.1, "uefi-http": 33.3, "arm64": 31.4, "arm64-http": 31.2}
"""Seconds from power-on to the inventory as measured with dnsmasq, a plain HTTP server and a smaller discovery image.

One machine at a time, emulated on two quiet cores."""


@dataclass(frozen=True, slots=True)
class Row:
    """One machine's boot; `ended` has the second after power-on at which each hop was done."""

    client: str
    site: str
    path: str
    result: str
    ended: dict[str, float] = field(default_factory=dict[str, float])
    local: float | None = None
    """Seconds from the order to reboot to the first word of its own disk."""


ROWS: list[Row] = []
"""In the order in which they booted."""


def record(
    client: str, site: str, powered_on: float, boot: Timeline, *, result: str = "ok", local: float | None = None
) -> None:
    """Add a boot; `site` says what gave addresses, who booted beside it or what it was to boot.

    Times are epoch seconds; `result` is where it got to.
    """
    ended = {hop.name: hop.ended - powered_on for hop in boot.hops if hop.state is HopState.DONE and hop.ended}
    ROWS.append(Row(client, site, boot.path or "-", result, ended, local))


def table(rows: Sequence[Row]) -> list[str]:
    """The table: seconds each hop took, the first from power-on; then to the inventory, the reference, to its disk."""
    header = ["CLIENT", "SITE", "PATH", "RESULT", *(name.upper() for name in HOPS), "TOTAL", "REFERENCE", "LOCAL"]
    lines = [header]
    for row in rows:
        cells: list[str] = []
        before = 0.0
        for name in HOPS:
            at = row.ended.get(name)
            cells.append(_seconds(None if at is None else at - before))
            before = before if at is None else at
        total, reference = row.ended.get("inventory"), REFERENCE.get(row.client)
        cells += [_seconds(total), _seconds(reference), _seconds(row.local)]
        lines.append([row.client, row.site, row.path, row.result, *cells])
    return columns(lines, right=range(4, len(header)))


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
