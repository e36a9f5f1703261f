"""Installations: what installers report, and the end of one, after which the machine boots its own disk."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from app.clock import Clock
from app.model.event import EventDraft, Level
from app.netboot.words import plain
from app.services.machines.registrar import Reports
from app.services.machines.roster import record_of
from app.store.directory import Directory

AFTERWARDS = "local"
"""What a machine boots that has been installed; else it would install itself again."""

_WORDS = {
    "started": "the installer of {name} runs",
    "finished": "{name} is installed and reboots into its own disk",
    "failed": "the installer of {name} failed",
}


class Installs:
    """Takes the reports of installers. Thread-safe; the caller has checked that it is the machine which speaks."""

    def __init__(
        self, reports: Reports, directory: Directory, emit: Callable[[EventDraft], None], clock: Clock
    ) -> None:
        self._reports = reports
        self._directory = directory
        self._emit = emit
        self._clock = clock

    def report(self, key: uuid.UUID, step: str, words: str = "", bootenv: str = "") -> None:
        """`step` is started, finished or failed; `bootenv` is what it installs, empty: what the machine boots now.

        Raises NotFoundError for a machine that is on record no more.
        """
        with self._reports.exclusively():
            machine = record_of(self._directory, key)
            installed = bootenv or machine.bootenv
            found = self._directory.bootenv(installed)
            # Whatever the machine was given since is not over with an installation that began before.
            if step == "finished" and found is not None and found.installs and machine.bootenv == installed:
                after = machine.model_copy(update={"bootenv": AFTERWARDS})
                said = f"{machine.name} is installed with {installed}: it boots its own disk from now on"
                self._reports.report(f"machine:{machine.name}", [(machine, after)], said)
        more = f": {plain(words, 200)}" if words else ""
        self._emit(
            EventDraft(
                time=self._clock.now(),
                kind=f"install.{step}",
                message=plain(_WORDS[step].format(name=machine.name) + more, 300),
                level=Level.ERROR if step == "failed" else Level.INFO,
                mac=machine.macs[0] if machine.macs else "",
                machine=machine.id,
                address=str(machine.address or ""),
                data={"bootenv": installed, "words": plain(words, 200)},
            )
        )
