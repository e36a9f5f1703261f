"""Makes the changes and takes them back: each is on record before its first command runs, so no crash can lose one."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from app.errors import BootcartError
from app.netboot.words import plain
from app.services.host.changes import Argv, ChainAccept, Change, reversals
from app.services.host.facts import Run, handles_of, run
from app.services.host.journal import Journal
from app.services.host.planning import Prepared

Say = Callable[[str], None]

# What the tools say (LC_ALL=C) when the thing to take back is not there: never made, or gone with its interface.
GONE = (
    "Cannot assign requested address",
    "Cannot find device",
    "does not exist",
    "No such device",
    "No such file or directory",
    "not found",
    "NOT_ENABLED",
    "Could not delete non-existent rule",
    "Bad rule (does a matching rule exist in that chain?)",
    "No chain/target/match by that name",
    "FirewallD is not running",
    "NetworkManager is not running",
)


UNRUNNABLE = "cannot be run"


class Executor:
    """Runs commands for changes, shows each, keeps the journal."""

    def __init__(self, journal: Journal, say: Say, ask: Run = run, sysctls: Path = Path("/proc/sys")) -> None:
        self.journal = journal
        self.say = say
        self.ask = ask
        self.sysctls = sysctls

    def apply(self, prepared: Prepared) -> None:
        """Make every change, or none: when one fails, the ones this call made are taken back. Raises BootcartError."""
        done = list(self.journal.changes())
        before = len(done)
        for step in prepared.steps:
            done.append(step.change)
            self.journal.write(done)
            for argv in step.commands:
                failure = self._command(argv)
                if failure:
                    left = self._take_back(done, before)
                    rest = "what was done before it is taken back" if not left else "; ".join(left)
                    raise BootcartError(f"{shlex.join(argv)}: {failure}", hint=rest)

    def revert(self) -> None:
        """Take back all that is on record, newest first.

        Raises BootcartError naming what could not be taken back; that stays on record.
        """
        left = self._take_back(list(self.journal.changes()), 0)
        if left:
            raise BootcartError(
                "not all of the host could be put back: " + "; ".join(left), hint="mend that, then run it again"
            )

    def _take_back(self, changes: list[Change], keep: int) -> list[str]:
        stuck: list[Change] = []
        failures: list[str] = []
        for change in reversed(changes[keep:]):
            failed = [text for argv in self._reversals(change) if (text := self._reverse(argv))]
            if failed:
                stuck.insert(0, change)
                failures += failed
            changes.remove(change)
            self.journal.write([*changes, *stuck])
        return failures

    def _reversals(self, change: Change) -> Sequence[Argv]:
        if isinstance(change, ChainAccept):
            return reversals(change, handles_of(self.ask, change.family, change.table, change.chain, change.comment))
        return reversals(change)

    def _reverse(self, argv: Argv) -> str:
        failure = self._command(argv)
        if not failure:
            return ""
        if not failure.startswith(UNRUNNABLE) and any(words in failure for words in GONE):
            self.say("    (it was gone already)")
            return ""
        return f"{shlex.join(argv)}: {failure}"

    def _command(self, argv: Argv) -> str:
        """Show and run one command; why it failed, empty when it did not."""
        self.say("  " + shlex.join(argv))
        if argv[:2] == ("sysctl", "-w"):
            # procps is not on every host; the file is what it writes.
            key, _, value = argv[2].partition("=")
            try:
                (self.sysctls / key).write_text(value + "\n")
            except OSError as error:
                return f"{error.strerror}"
            return ""
        try:
            ended = self.ask(argv)
        except (OSError, subprocess.SubprocessError) as error:
            return f"{UNRUNNABLE}: {error}"
        if ended.returncode == 0:
            return ""
        lines = [line for line in (ended.stderr + ended.stdout).splitlines() if line.strip()]
        return plain(" ".join(line.strip() for line in lines[:3])) or f"exit code {ended.returncode}"
