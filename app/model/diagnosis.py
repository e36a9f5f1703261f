"""Diagnoses: why a machine does not boot, in words an operator under pressure can act on."""

from __future__ import annotations

import uuid
from enum import StrEnum

from pydantic import Field

from app.model.fields import Epoch, Model


class Severity(StrEnum):
    """Whether something must be done."""

    PROBLEM = "problem"
    WAIT = "wait"
    """It takes longer than usual, and may yet go on."""
    NOTE = "note"
    """True and worth knowing; the boot is not stuck because of it."""


class Finding(Model):
    """One thing that is wrong with a machine's boot, or explains it."""

    id: str = Field(description="the rule, D01 to D40; docs/reference/diagnoses.md lists them")
    severity: Severity = Severity.PROBLEM
    brief: str = Field(description="a few words for a row of a list; they do not change while it stands")
    seen: str = Field(description="what was seen, one line")
    events: tuple[int, ...] = Field(default=(), description="ids of the events it rests on")
    means: str = Field(description="what it means, one line")
    do: str = Field(description="what to do, one line")
    action: str = Field(
        default="", description="what does it in the interface: an area, a tab of the machine, assign or edit_machine"
    )
    command: str = Field(default="", description="the command line that does it, or shows more")
    since: Epoch = Field(default=0.0, description="when the boot got stuck")

    @property
    def row(self) -> str:
        """The finding in a list's row; a question mark where it is not sure yet."""
        return f"{self.id}{'?' if self.severity is Severity.WAIT else ''} {self.brief}"


class Diagnosis(Model):
    """All that is found about one machine now, problems first."""

    machine: uuid.UUID
    name: str = ""
    at: Epoch = Field(default=0.0, description="when it was looked at")
    findings: tuple[Finding, ...] = ()
