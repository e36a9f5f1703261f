"""Which boot loader a machine's firmware is given after one that does not start: pure, over what was heard of it.

One iPXE brings drivers of its own, the other uses the firmware's; shim is signed and starts GRUB, which uses the
firmware's too. What hangs on a network card with one of them mostly starts with the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.model.machine import LoaderChoice
from app.netboot.loaders import GRUB_CHAIN, IPXE_CHAIN, SHIM, signed_loader

RING = (LoaderChoice.SNPONLY, LoaderChoice.IPXE, LoaderChoice.SHIM, LoaderChoice.GRUB)
"""The order in which an operator goes through them."""
START_SECONDS = 20.0
"""iPXE asks for an address 2 to 5 s after it was loaded, 12 s where it waits for a slow card's link."""

BIOS, X64, ARM64 = "bios", "uefi-amd64", "uefi-arm64"
FILES: dict[str, dict[LoaderChoice, str]] = {
    BIOS: {LoaderChoice.SNPONLY: "undionly.kpxe", LoaderChoice.IPXE: "ipxe.pxe"},
    X64: {
        LoaderChoice.SNPONLY: "snponly.efi",
        LoaderChoice.IPXE: "ipxe.efi",
        LoaderChoice.SHIM: SHIM,
        LoaderChoice.GRUB: "grubx64.efi",
    },
    ARM64: {
        LoaderChoice.SNPONLY: "snponly-arm64.efi",
        LoaderChoice.IPXE: "ipxe-arm64.efi",
        LoaderChoice.SHIM: "shimaa64.efi",
        LoaderChoice.GRUB: "grubaa64.efi",
    },
}
"""The boot files of each kind of firmware."""
FOR_GRUB = frozenset({LoaderChoice.SHIM, LoaderChoice.GRUB})
"""They run GRUB, which needs a script of its own."""
_KINDS = {0: BIOS, 20: BIOS, 7: X64, 9: X64, 16: X64, 17: X64, 11: ARM64, 19: ARM64}
_NAMES = {name: (kind, choice) for kind, files in FILES.items() for choice, name in files.items()} | {
    signed_loader(arch, IPXE_CHAIN): (kind, LoaderChoice.SHIM) for arch, kind in ((7, X64), (11, ARM64))
}
_LIKE = {
    LoaderChoice.SNPONLY: LoaderChoice.IPXE,
    LoaderChoice.IPXE: LoaderChoice.SNPONLY,
    LoaderChoice.SHIM: LoaderChoice.GRUB,
    LoaderChoice.GRUB: LoaderChoice.SHIM,
}


class Evidence(StrEnum):
    """What shows that a loader did not start."""

    REFUSED = "refused"
    """UEFI asked anew, and it never ran: Secure Boot, mostly."""
    HUNG = "hung"
    """It ran, and nothing more was heard of it until the machine was started anew."""
    LOOPED = "looped"
    """It was loaded twice, and nothing was heard of it in between."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A machine was given a loader, and nothing was heard that proves it good."""

    kind: str
    choice: LoaderChoice
    name: str
    time: float
    there: tuple[LoaderChoice, ...]
    """The loaders that can be given to it."""
    started: bool = False
    """It ran: it looked for a file of its own."""
    again: bool = False
    """The same was loaded before, and the firmware asked anew too soon to tell why."""
    returned: bool = False
    """The firmware asked anew, too soon to tell why."""
    ran: bool = False
    """It asked for an address: what fails from here on is no loader's fault, and a script is still to come."""

    @property
    def pending(self) -> bool:
        """Firmware that asks anew now has something to tell of it."""
        return not self.returned and not self.ran


@dataclass(frozen=True, slots=True)
class Course:
    """Where a machine is in the round: the loader it is given (auto: the standard one), and those that failed."""

    loader: LoaderChoice
    tried: tuple[LoaderChoice, ...] = ()
    works: bool = False
    """It led to a script."""

    @property
    def spent(self) -> bool:
        """All were tried; nothing more is changed before an operator says so, or one of them works."""
        return self.loader is LoaderChoice.AUTO and bool(self.tried)


def kind_of(arch: int | None) -> str:
    """The kind of firmware an architecture type (option 93) is of; empty where there is but one loader for it."""
    return "" if arch is None else _KINDS.get(arch, "")


def file_of(choice: LoaderChoice, arch: int | None, chain: str = GRUB_CHAIN) -> str:
    """The boot file of a choice for an architecture type; empty where there is none, and for auto.

    `chain` is what the preference says of signed loaders.
    """
    if choice is LoaderChoice.SHIM and chain != GRUB_CHAIN:
        return signed_loader(arch, chain)
    return FILES[_KINDS[arch]].get(choice, "") if arch in _KINDS else ""


def needs_grub(choice: LoaderChoice, chain: str) -> bool:
    """What is given leads to GRUB, which needs a script of its own."""
    return choice is LoaderChoice.GRUB or (choice is LoaderChoice.SHIM and chain == GRUB_CHAIN)


def loader_named(name: str) -> tuple[str, LoaderChoice] | None:
    """The kind of firmware and the choice that a boot file is; None: it is none of these."""
    return _NAMES.get(name)


def judge(attempt: Attempt, now: float) -> Evidence | None:
    """What it means that the firmware asks anew now; None: it may have been switched off and on."""
    if attempt.kind != BIOS and not attempt.started:
        # iPXE for UEFI looks for its own script, and shim for GRUB, before any driver of theirs can hang. Firmware goes
        # on in its boot order at once, or stops in its menu until somebody switches it off and on.
        return Evidence.REFUSED
    if now - attempt.time >= START_SECONDS:
        return Evidence.HUNG
    return Evidence.LOOPED if attempt.again else None


def advance(course: Course | None, attempt: Attempt, evidence: Evidence) -> Course | None:
    """The next loader after one that failed; None: there is no other to try, and nothing changes."""
    if course is not None and course.spent:
        return None
    before = () if course is None or course.works else course.tried
    tried = tuple(dict.fromkeys((*before, attempt.choice)))
    first = (LoaderChoice.SHIM, LoaderChoice.GRUB) if evidence is Evidence.REFUSED else (_LIKE[attempt.choice],)
    left = [one for one in dict.fromkeys((*first, *RING)) if one in attempt.there and one not in tried]
    if left:
        return Course(left[0], tried)
    return Course(LoaderChoice.AUTO, tried) if len(tried) > 1 else None


def following(present: LoaderChoice, there: Sequence[LoaderChoice]) -> LoaderChoice:
    """The one after `present` on the ring, of those that are there; auto where there is no other."""
    start = RING.index(present) + 1 if present in RING else 0
    others = (one for one in (*RING[start:], *RING[:start]) if one in there and one is not present)
    return next(others, LoaderChoice.AUTO)
