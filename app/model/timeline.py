"""The boot timeline of a machine: which hops it has passed, which it waits at."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from app.model.fields import Epoch, Model


class HopState(StrEnum):
    """Where a hop stands."""

    DONE = "done"
    ACTIVE = "active"
    """Under way: a transfer that has begun."""
    WAITING = "waiting"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not on this machine's path: iPXE in the NIC needs no loader."""


class Hop(Model):
    """One step of a network boot."""

    name: str = Field(
        description="discover, offer, request, ack, loader, ipxe, script, kernel, initrd, agent, inventory, "
        "answer, installer, installed or local"
    )
    title: str
    state: HopState
    began: Epoch | None = None
    ended: Epoch | None = None
    delta: float | None = Field(default=None, description="seconds since the hop before ended")
    detail: str = Field(default="", description="the facts in words: architecture, file, bytes, rate")
    waiting_for: str = ""
    events: tuple[int, ...] = ()


class Timeline(Model):
    """The newest boot of one machine."""

    started: Epoch | None = None
    path: str = Field(default="", description="how it boots: bios-pxe, bios-ipxe, uefi-pxe, uefi-ipxe, uefi-http, …")
    bootenv: str = ""
    hops: tuple[Hop, ...] = ()
    at: str = Field(default="", description="the hop it is at; empty when the boot is complete")
    complete: bool = False
    retries: int = Field(default=0, description="repeated DISCOVERs")
