"""The command layer: each change is checked, stored with its log entry in one transaction, and told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from sqlalchemy.engine import Connection

from app.clock import Clock
from app.errors import ConflictError, InvalidError, NotFoundError
from app.model.engine import Command, Preference
from app.model.event import EventDraft
from app.model.fields import Model
from app.model.machine import Machine
from app.model.subnet import Lease, Subnet
from app.model.subnet6 import Lease6, Subnet6
from app.services.commands import building, judging, objects, undoing, words
from app.services.commands.objects import Looked, RecordsAlone, Roster
from app.services.commands.rules import bootenvs, machines, prefs
from app.store import command_rows
from app.store.database import Database
from app.store.directory import HOLDING, Directory
from app.store.documents import to_body
from app.store.events import EventLog

LISTED = 1000


@dataclass(frozen=True, slots=True)
class Change:
    """What was changed: `before` is None for a new object, `after` for one that is gone."""

    noun: str
    key: str
    before: Model | None
    after: Model | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a machine said of itself: `actor` is `machine:<name>`, each change a record before and after."""

    actor: str
    changes: Sequence[tuple[Machine | None, Machine]]
    summary: str
    audit: bool = True


class CommandLayer:
    """The one door for mutation. Its methods may be called from any thread, and block until the change is durable.

    They raise InvalidError, ConflictError or NotFoundError with field and remedy when nothing was saved because of a
    rule, UnavailableError when the store cannot be written. `roster` and `own_addresses` (this host's, with
    their interfaces) may be set later, before the first call.
    """

    def __init__(
        self, database: Database, directory: Directory, event_log: EventLog, clock: Clock, roster: Roster | None = None
    ) -> None:
        self._database = database
        self._directory = directory
        self._events = event_log
        self._clock = clock
        self.roster: Roster = roster or RecordsAlone(directory)
        self.own_addresses: Callable[[], Mapping[IPv4Address, str]] = dict[IPv4Address, str]
        self._lock = threading.RLock()
        self._listeners: list[Callable[[Change], None]] = []

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Call `listener` after each durable change, in the thread that made it."""
        self._listeners.append(listener)

    # --- reading ----------------------------------------------------------------------------------------------------

    def listing(self, noun: str) -> Sequence[Model]:
        """Every object of a noun (machines with their status). Raises NotFoundError for a noun that is none."""
        found = objects.listing(noun, self._directory, self.roster)
        return Looked(found, self.roster.seen) if noun == "machines" else list(found)

    def resolve(self, noun: str, key: str) -> Model:
        """The object with this id, name or `Index:value`. Raises NotFoundError; ConflictError when it fits several.

        A machine carries the password of its console here, and nowhere else.
        """
        found = self._seen(self._find(noun, key))
        return self.roster.revealed(found) if isinstance(found, Machine) else found

    def commands(self, limit: int = LISTED) -> list[Command]:
        """The newest commands, oldest first."""
        with self._database.read() as connection:
            return command_rows.newest(connection, limit)

    def altered(self) -> int | None:
        """The first entry of the command log that is not as it was written; None: the log is sound."""
        with self._database.read() as connection:
            return command_rows.first_altered(connection)

    # --- changing ---------------------------------------------------------------------------------------------------

    def create(self, actor: str, noun: str, body: Mapping[str, Any]) -> Model:
        """Make an object from its JSON. The command log gets one entry, the event ring `audit.create`."""
        with self._lock:
            made = building.new(noun, body, self._directory, self._clock.now())
            self._check(made, None)
            self._commit(actor, "create", noun, None, made, f"created {words.full(made)}")
            return self._seen(made)

    def update(self, actor: str, noun: str, key: str, changes: Mapping[str, Any], *, drain: bool = False) -> Model:
        """Change the named fields; null gives a field its default (RFC 7396, at the top level).

        Changing a machine that was only seen on the wire makes it a record. `drain`: leases a subnet leaves behind end
        when they are next renewed, where the change is refused otherwise.
        """
        with self._lock:
            if noun == "prefs":
                return self._set(actor, key, changes)
            current = self._machine(key) if noun == "machines" else self._find(noun, key)
            before = self._stored(current)
            if isinstance(current, Machine) and before is None:
                # Another loader for a machine nobody has named is no word on what it boots.
                current = self._recorded(current).model_copy(update={"registered": set(changes) != {"loader"}})
            after = building.changed(noun, current, changes)
            self._check(after, before, drain=drain)
            left = judging.left(before, after, self._directory, self._clock.now())
            if before is None:
                self._commit(actor, "create", noun, None, after, f"made a record of {words.full(after)}")
            elif after != before:
                self._commit(actor, "update", noun, before, after, words.difference(before, after))
            self._tell_draining(actor, before, left)
            return self._seen(after)

    def delete(self, actor: str, noun: str, key: str, *, drain: bool = False) -> Model:
        """Delete an object; returns what it was. Raises ConflictError naming its users when it is in use.

        `drain`: a subnet's live leases do not count as users; they run out.
        """
        with self._lock:
            if noun in ("bootenvs", "prefs"):
                hint = "set it to its default instead" if noun == "prefs" else "they come with the content"
                raise InvalidError(f"{noun} cannot be deleted", hint=hint)
            current = self._find(noun, key)
            judging.check_gone(current, self._directory, self._clock.now(), drain=drain)
            left = judging.left(current, None, self._directory, self._clock.now())
            before = self._stored(current)
            if before is None:
                self._commit(actor, "forget", noun, None, None, f"forgot {words.full(current)}", subject=current)
            else:
                verb = "forgot" if isinstance(before, (Lease, Lease6)) else "deleted"
                self._commit(actor, "delete", noun, before, None, f"{verb} {words.full(before)}")
            if isinstance(current, Machine):
                self.roster.forget(current.id)
            self._tell_draining(actor, current, left)
            return before or current

    def assign(self, actor: str, key: str, bootenv: str) -> Machine:
        """Assign a boot environment (empty: the default). A machine only seen on the wire becomes a record, id kept."""
        with self._lock:
            current = self._machine(key)
            before = self._stored(current)
            bootenvs.check_assignable(bootenv, current, self._directory)
            after = current.model_copy(update={"bootenv": bootenv})
            if before is None:
                after = self._recorded(after)
                self._check(after, None)
            if after != before:
                said = f"assigned {bootenv or 'the default boot environment'} to {after.name}"
                self._commit(actor, "assign", "machines", before, after, said)
                self._tell("machine.assigned", said, actor, after, bootenv=bootenv)
            return self._as_machine(after)

    def set_reboot(self, actor: str, key: str) -> Machine:
        """Have the machine's agent reboot it at its next heartbeat. Raises ConflictError when no agent heartbeats."""
        with self._lock:
            current = self._machine(key)
            before = self._stored(current)
            if not isinstance(before, Machine) or not self.roster.alive(current.id):
                boots = current.bootenv or "the default boot environment"
                raise ConflictError(
                    f"no agent of {current.name} is heard that could reboot it",
                    hint=f"power-cycle the machine: it boots {boots} at its next start",
                )
            after = before.model_copy(update={"reboot_wanted": True})
            said = f"asked {after.name} to reboot"
            if after != before:
                self._commit(actor, "reboot", "machines", before, after, said, undoable=False)
            return self._as_machine(after)

    def hold(self, actor: str, on: bool) -> None:
        """Turn the hold switch: while it is on, no boot service answers anyone."""
        with self._lock:
            before = Preference(name=HOLDING, value="yes" if self._directory.holding() else "")
            after = Preference(name=HOLDING, value="yes" if on else "")
            if before.value != after.value:
                said = "held all boot services: nobody is answered" if on else "released the hold"
                self._commit(actor, "hold" if on else "release", "engine", before, after, said)

    def undo(self, actor: str, command_id: int | None = None) -> Command:
        """Take back a command (None: the newest that can be, undos left aside); returns the command that did it.

        Raises ConflictError when the object changed since, or it was taken back already; what it restores is checked
        like any change.
        """
        with self._lock:
            with self._database.read() as connection:
                command = undoing.wanted(connection, command_id)
            now = undoing.current(command, self._directory)
            with self._database.read() as connection:
                target = undoing.target(command, now, connection)
                about = undoing.origin(command, connection)
            if target is not None:
                self._check(target, now)
            elif now is not None:
                judging.check_gone(now, self._directory, self._clock.now())
            verb = "redo" if command.verb == "undo" else "undo"
            said = f"{verb} of {about.id} ({about.summary})"
            return self._commit(actor, verb, command.noun, now, target, said, undoes=(command, about))

    def exclusively(self) -> AbstractContextManager[Any]:
        """While it is entered, no other thread changes anything: to read, decide and `report` as one."""
        return self._lock

    def report(
        self, actor: str, changes: Sequence[tuple[Machine | None, Machine]], summary: str, *, audit: bool = True
    ) -> None:
        """Store what machines said of themselves, in one transaction; not in the command log, so never undone.

        `actor` is `machine:<name>`. Raises ConflictError when one of them takes what another machine has.
        """
        self.report_all((Report(actor, changes, summary, audit),))

    def report_all(self, reports: Sequence[Report]) -> None:
        """The same for several at once: all of them are stored, or none."""
        changes = [change for report in reports for change in report.changes]
        with self._lock:
            taken = {after.id: after for _, after in changes}
            for before, after in changes:
                # What it had before it may keep, and all of a rack report at once.
                if before is None or any(getattr(after, name) != getattr(before, name) for name in machines.UNIQUE):
                    machines.check_unique(after, self._directory, replaced=taken)
                if before != self._directory.machine(after.id):
                    raise ConflictError(f"machine {after.name} was changed in the meantime", hint="try again")

            def work(connection: Connection) -> None:
                for before, after in changes:
                    objects.store(connection, before, after)

            def then(_: None) -> None:
                for before, after in changes:
                    objects.show(self._directory, before, after)

            self._database.write(work, then)
        for report in reports:
            for before, after in report.changes:
                if report.audit:
                    kind = "create" if before is None else "update"
                    self._audit(kind, "machines", report.actor, report.summary, before, after)
                self._call(Change("machines", str(after.id), before, after))

    # --- inside -----------------------------------------------------------------------------------------------------

    def _find(self, noun: str, key: str) -> Model:
        return objects.find(noun, key, self._directory, self.roster)

    def _machine(self, key: str) -> Machine:
        found = self._find("machines", key)
        if not isinstance(found, Machine):
            raise NotFoundError(f"no machine {key!r}")
        return self._directory.machine(found.id) or found

    def _stored(self, current: Model) -> Model | None:
        """The object as it is stored; None for a machine that was only seen on the wire."""
        return self._directory.machine(current.id) if isinstance(current, Machine) else current

    def _recorded(self, machine: Machine) -> Machine:
        return machine.model_copy(
            update={"registered": True, "status": None, "address": None, "created": self._clock.now()}
        )

    def _seen(self, model: Model) -> Model:
        return self.roster.seen(model) if isinstance(model, Machine) else model

    def _as_machine(self, machine: Machine) -> Machine:
        return self.roster.seen(self._directory.machine(machine.id) or machine)

    def _tell_draining(self, actor: str, subnet: Model | None, left: judging.Left) -> None:
        if not left or not isinstance(subnet, (Subnet, Subnet6)):
            return
        named = [str(lease.address) for lease in left]
        ends = max(lease.expires for lease in left)
        text = f"subnet {subnet.name}: {len(left)} leases end when next renewed: {', '.join(named)}"
        facts = {"subnet": subnet.name, "addresses": named[:LISTED], "count": len(named), "until": ends}
        self._tell("subnet.draining", text, actor, None, **facts)

    def _check(self, after: Model, before: Model | None, *, drain: bool = False) -> None:
        judging.check(after, before, self._directory, self._clock.now(), self.own_addresses(), drain=drain)

    def _set(self, actor: str, key: str, changes: Mapping[str, Any]) -> Preference:
        preference = prefs.find(key.partition(":")[2] if key.lower().startswith("name:") else key)
        before = preference.model_copy(update={"value": self._directory.preference(preference.name)})
        value = building.preference_value(before, changes)
        checked = prefs.check(preference, value, self._directory, self._clock.now())
        after = before.model_copy(update={"value": checked})
        if after != before:
            said = f"set {after.name} to {after.value} (it was {before.value})"
            self._commit(actor, "update", "prefs", before, after, said)
        return after

    def _commit(
        self,
        actor: str,
        verb: str,
        noun: str,
        before: Model | None,
        after: Model | None,
        summary: str,
        *,
        subject: Model | None = None,
        undoable: bool = True,
        undoes: tuple[Command, Command] | None = None,
    ) -> Command:
        """One transaction: the object and its log entry; then the directory, the event, the listeners.

        `undoes`: the command that is taken back, and the one that this is about in the end.
        """
        about = after or before or subject
        key = objects.key_of(about) if about is not None else ""
        entry = command_rows.Entry(
            time=self._clock.now(),
            actor=actor,
            verb=verb,
            noun=noun,
            key=key,
            summary=summary,
            before=to_body(earlier) if (earlier := before or subject) is not None else None,
            after=to_body(after) if after else None,
            undoable=undoable and subject is None and not actor.startswith("engine"),
            undoes=undoes[1].id if undoes is not None else None,
        )

        def work(connection: Connection) -> Command:
            if subject is None:
                objects.store(connection, before, after)
            command = command_rows.append(connection, entry)
            if undoes is not None:
                undoing.mark(connection, undoes[0], command)
            return command

        def then(_: Command) -> None:
            if subject is None:
                objects.show(self._directory, before, after)

        command = self._database.write(work, then)
        self._audit(words.kind_of(verb), noun, actor, summary, before, after or subject, verb, entry.undoes)
        self._call(Change(noun, key, before, after))
        return command

    def _audit(
        self,
        kind: str,
        noun: str,
        actor: str,
        summary: str,
        before: Model | None,
        after: Model | None,
        action: str = "",
        undoes: int | None = None,
    ) -> None:
        about = after or before
        facts: dict[str, Any] = {"noun": noun, "key": objects.key_of(about) if about is not None else ""}
        if kind == "action":
            facts["action"] = action
        if kind == "update":
            facts["changes"] = words.changed_fields(before, after)
        if undoes is not None:
            facts["command"] = undoes
        machine = about if isinstance(about, Machine) else None
        self._tell(f"audit.{kind}", f"{actor}: {summary}", actor, machine, **facts)

    def _tell(self, kind: str, message: str, actor: str, machine: Machine | None, **facts: Any) -> None:
        self._events.emit(
            EventDraft(
                time=self._clock.now(),
                kind=kind,
                message=words.line(message),
                actor=actor,
                mac=machine.macs[0] if machine is not None and machine.macs else "",
                machine=machine.id if machine is not None else None,
                data=facts,
            )
        )

    def _call(self, change: Change) -> None:
        for listener in self._listeners:
            listener(change)
