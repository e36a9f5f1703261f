"""How a transfer ended, as an event says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.model.event import Level
from app.netboot.bootpath import Served
from app.netboot.timeline import transfer_words
from app.netboot.token import masked
from app.netboot.words import plain
from app.services.tftp.transfer import End, Report, Transfer

NAME_MAX = 1024


@dataclass(frozen=True, slots=True)
class Told:
    """An event without its circumstances; `counter` is the one it counts in."""

    kind: str
    words: str
    facts: dict[str, Any]
    counter: str
    level: Level = Level.WARNING


def shown(name: bytes) -> str:
    """What a reader asked for, fit to be seen."""
    return plain(masked(plain(name, NAME_MAX)))


def told_of(served: Served, transfer: Transfer, report: Report, seconds: float) -> Told:
    """What to tell of a transfer of `served` that ended after `seconds`."""
    name, terms, size = served.path, transfer.terms, transfer.source.size
    facts: dict[str, Any] = {"file": name, "bytes": report.bytes, "role": served.role.value, **served.facts}
    if report.end is End.SENT:
        words = f"{transfer_words(name, report.bytes, seconds)} by TFTP, blocks of {terms.blksize}"
        words += f" in windows of {terms.windowsize}" if terms.windowsize > 1 else ""
        words += f", {report.resent} retransmissions" if report.resent else ""
        facts |= {"seconds": seconds, "blksize": terms.blksize, "windowsize": terms.windowsize}
        return Told("tftp.sent", words, {**facts, "resent": report.resent}, "sent", Level.INFO)
    if report.end is End.ABORTED:
        text = plain(report.text, 80)
        facts |= {"code": report.code, "text": text, "probe": report.probe}
        if report.probe:
            words = f"asked only how large {name} is and will ask again (normal for firmware)"
            return Told("tftp.aborted", words, facts, "probes", Level.DEBUG)
        words = f"gave up {name} after {report.bytes} bytes: error {report.code} {text}".rstrip()
        return Told("tftp.aborted", words, facts, "aborted")
    words = f"{name} was not transferred: {report.why} after {report.bytes} of {size} bytes"
    facts |= {"why": report.why, "size": size, "blksize": terms.blksize}
    return Told("tftp.failed", words, facts, "failed" if report.end is End.FAILED else "dropped")
