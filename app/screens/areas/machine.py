"""One machine: how its boot goes, what is in it, what it boots, what happened to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from textual.widget import Widget

from app.errors import BootcartError, NotFoundError
from app.model.diagnosis import Diagnosis
from app.model.event import Event
from app.model.machine import STATE_GLYPHS, Machine
from app.model.options import write_options
from app.model.query import Query
from app.model.timeline import Timeline
from app.screens import operations
from app.screens.areas.area import Area, bindings
from app.screens.areas.machine_pages import bootenv_lines, history_lines, inventory_lines, timeline_lines
from app.screens.areas.machines import STYLE_OF, state_of
from app.screens.diagnosis import diagnosis_lines, fix
from app.screens.dialogs.form import Field, Form, Values
from app.screens.registry import Action
from app.screens.widgets.bars import Bar
from app.screens.widgets.eventlog import EventLog
from app.screens.widgets.lines import Line, Span, line
from app.screens.widgets.text import TextView
from app.screens.words import agent_listens, long_span, safe, span

if TYPE_CHECKING:
    from app.screens.app import BootcartApp

LOOK_AGAIN = 15.0
"""Seconds after which a finding that stands is asked for anew: it says how long ago something was."""
TABS = ("timeline", "inventory", "bootenv", "script", "events", "history")
TAB_WORDS = {"bootenv": "boot environment"}


class Tabs(Bar):
    """The tabs on one line; the open one stands in brackets."""

    def set_tab(self, tab: str) -> None:
        """Show which is open."""
        spans: list[Span] = [(" ", "")]
        for name in TABS:
            word = TAB_WORDS.get(name, name)
            spans.append((f"[{word}]", "key") if name == tab else (f" {word} ", "dim"))
            spans.append((" ", ""))
        self.set(Line(tuple(spans)))


class MachineScreen(Area):
    """Six tabs over one machine."""

    area = "machine"
    over = "machines"
    nouns = frozenset({"machines", "commands", "bootenvs"})
    BINDINGS = bindings("machine")

    def __init__(self, key: str, tab: str = "timeline") -> None:
        super().__init__()
        self.key = key
        self.tab = tab
        self.machine: Machine | None = None
        self.timeline: Timeline | None = None
        self.diagnosis: Diagnosis | None = None
        self._looked = 0.0
        self.tabs = Tabs(id="tabs")
        self.summary = Bar(id="summary")
        self.page = TextView(id="page")
        self.log_pane = EventLog(lambda event: self.app.session.name_of(event), id="machine-events")
        self.log_pane.display = False

    def body(self) -> Iterable[Widget]:
        yield self.summary
        yield self.tabs
        yield self.page
        yield self.log_pane

    def main(self) -> Widget | None:
        return self.log_pane if self.tab == "events" else self.page

    def trail(self) -> tuple[str, ...]:
        return (self.machine.name if self.machine else "...", TAB_WORDS.get(self.tab, self.tab))

    def on_mount(self) -> None:
        super().on_mount()
        self.tabs.set_tab(self.tab)
        self.log_pane.display = self.tab == "events"
        self.page.display = self.tab != "events"
        self.page.show([line(("loading ...", "dim"))])

    # Data

    async def load(self) -> None:
        client = self.app.session.client
        self.machine = await client.machines.show(self.key)
        width = self._room - 1
        if self.tab == "timeline":
            self.timeline = await client.machines.timeline(self.key)
            self.diagnosis = await client.machines.diagnosis(self.key)
            self._looked = self.app.session.now()
        elif self.tab == "inventory":
            self.page.show(inventory_lines(self.machine, self.app.session.now(), width))
        elif self.tab == "bootenv":
            envs = (await client.bootenvs.list()).items
            prefs = {pref.name: pref.value for pref in (await client.prefs.list()).items}
            self.page.show(bootenv_lines(self.machine, envs, prefs, width))
        elif self.tab == "script":
            await self._script()
        elif self.tab == "history":
            commands = (await client.commands.list(Query(filter=("noun=machines",), sort="-id"))).items
            names = {self.key, self.machine.name}
            self.page.show(history_lines([one for one in commands if one.key in names], width))
        elif not self.log_pane.all:
            newest = await client.events.list(Query(sort="-id", limit=500), machine=self.key)
            self.log_pane.load(sorted(newest.items, key=lambda event: event.id))
        self._draw()

    @property
    def _room(self) -> int:
        """Cells a line of the page has; while the page is hidden, or was until now, those of the screen."""
        return max(40, (self.page.size.width or self.size.width) - 1)

    async def _script(self) -> None:
        try:
            text = await self.app.session.client.machines.script(self.key)
        except BootcartError as error:
            self.page.show([line(("! ", "bad"), (safe(error.message), "warn")), line(safe(error.hint))])
            return
        rows = text.splitlines() or ["(empty: the machine is given no boot file)"]
        self.page.show([line((f"{number:>3} ", "dim"), safe(row)) for number, row in enumerate(rows, 1)])

    def _draw(self) -> None:
        machine = self.machine
        if machine is None:
            return
        now = self.app.session.now()
        state = state_of(machine)
        agent = f"agent heard {long_span(now - machine.heartbeat)} ago" if machine.heartbeat else "no agent"
        self.summary.set(
            line(
                (f" {STATE_GLYPHS[state]} {state.value.upper()} ", STYLE_OF[state]),
                f" {', '.join(machine.macs)}  {machine.address or 'no address'}",
                f"  {machine.architecture or '?'} {machine.firmware or '?'}  ",
                (agent + ("" if machine.registered else "  not registered"), "dim"),
            )
        )
        if self.tab == "timeline" and self.timeline is not None:
            found = diagnosis_lines(self.diagnosis, self._room)
            self.page.show([*found, *timeline_lines(self.timeline, self._wait(), now, self._room)])

    def _wait(self) -> str:
        """What the operator must do, with how long we wait for it."""
        waiting = self.app.session.awaited.get(self.key)
        if waiting is None:
            return ""
        ago = span(self.app.session.now() - waiting[1])
        return f"waiting {ago} for you to power-cycle it: it then boots {waiting[0] or 'the default'}"

    def take(self, events: Sequence[Event]) -> None:
        if self.log_pane.all and self.machine is not None:
            self.log_pane.add([one for one in events if str(one.machine) == self.key or one.mac in self.machine.macs])

    def tick(self) -> None:
        if self.app.frozen:
            return
        self._draw()
        stale = self.app.session.now() - self._looked >= LOOK_AGAIN
        if stale and self.tab == "timeline" and self.diagnosis is not None and self.diagnosis.findings:
            self.app.reload(self)

    def valid(self, action: Action) -> bool:
        if action.id == "fix":
            return self.machine is not None and bool(self.machine.status and self.machine.status.diagnosis)
        if action.id == "inspect":
            return self.tab == "events" and bool(self.log_pane.shown)
        if action.id == "reboot":
            return self.machine is not None and agent_listens(self.machine, self.app.session.now())
        return True

    # Tabs

    def _open(self, tab: str) -> None:
        self.tab = tab
        self.tabs.set_tab(tab)
        self.log_pane.display = tab == "events"
        self.page.display = tab != "events"
        self.page.show([line(("loading ...", "dim"))] if tab != "events" else [], keep=False)
        (self.log_pane if tab == "events" else self.page).focus()
        self.chrome()
        self.app.reload(self)

    def _turn(self, by: int) -> None:
        self._open(TABS[(TABS.index(self.tab) + by) % len(TABS)])

    def do_next_tab(self) -> None:
        """Right, Tab."""
        self._turn(1)

    def do_previous_tab(self) -> None:
        """Left, Shift-Tab."""
        self._turn(-1)

    def do_tab_timeline(self) -> None:
        """`t`."""
        self._open("timeline")

    def do_tab_inventory(self) -> None:
        """`i`."""
        self._open("inventory")

    def do_tab_bootenv(self) -> None:
        """`v`."""
        self._open("bootenv")

    def do_tab_script(self) -> None:
        """`s`."""
        self._open("script")

    def do_tab_events(self) -> None:
        """`l`."""
        self._open("events")

    def do_tab_history(self) -> None:
        """`y`."""
        self._open("history")

    # Actions

    async def do_assign(self) -> None:
        """`b`."""
        if self.machine is not None:
            await operations.assign(self.app, [self.machine], set())

    async def do_fix(self) -> None:
        """`f`."""
        if self.machine is not None:
            await fix(self.app, self.machine)

    async def do_reboot(self) -> None:
        """`R`."""
        if self.machine is not None:
            await operations.reboot(self.app, [self.machine], set())

    async def do_forget(self) -> None:
        """`d`, `x`."""
        if self.machine is not None:
            await operations.forget(self.app, [self.machine], set())
            try:
                await self.app.session.client.machines.show(self.key)
            except NotFoundError:
                self.dismiss()

    async def do_loader(self) -> None:
        """`L`."""
        from app.screens.loaders import choose

        if self.machine is not None:
            await choose(self.app, [self.machine])

    def do_packets(self) -> None:
        """`K`."""
        from app.screens.areas.packets import open_packets

        open_packets(self.app, self.key)

    async def do_capture(self) -> None:
        """`C`."""
        from app.screens.areas.inspect import write_capture

        await write_capture(self.app, self.key)

    def do_inspect(self) -> None:
        """`I`."""
        if self.log_pane.shown:
            self.app.open_exchange(self.log_pane.shown[self.log_pane.cursor])

    def do_would_get(self) -> None:
        """`w`."""
        self.app.open_boot(self.key)

    async def do_edit_machine(self) -> None:
        """`e`."""
        if self.machine is not None:
            await edit(self.app, self.machine)

    def on_event_log_chosen(self, event: EventLog.Chosen) -> None:
        """Details of an event."""
        from app.screens.dialogs.pages import event_page

        self.app.push_screen(event_page(event.event, self.app.session.name_of(event.event)))


async def edit(app: BootcartApp, machine: Machine) -> None:
    """Change what an operator says of a machine."""
    from app.screens.session import everything

    options = write_options(machine.options)
    known = [profile.name for profile in await everything(app.session.client.profiles)]
    profiles = f"of {', '.join(known)}" if known else "bootcart profiles create"
    fields = (
        Field("name", "Name", "letters, digits, . _ -", machine.name),
        Field("description", "Description", "in your words", machine.description),
        Field("held", "Held", "yes: an address, never a boot file", "yes" if machine.held else "no", ("no", "yes")),
        Field("macs", "MAC addresses", "comma between several", ", ".join(machine.macs)),
        Field("profiles", "Profiles", profiles, ", ".join(machine.profiles)),
        Field("options", "DHCP options", "these count before its subnet's", options, options=True),
    )

    async def save(values: Values) -> Any:
        from app.screens.dialogs.form import listed

        changes: dict[str, Any] = {
            "name": values["name"],
            "description": values["description"],
            "held": values["held"] == "yes",
            "macs": listed(values["macs"]),
            "profiles": listed(values["profiles"]),
            "options": values["options"],
        }
        before = {**machine.model_dump(mode="json"), "options": write_options(machine.options)}
        changes = {name: value for name, value in changes.items() if before[name] != value}
        return await app.session.client.machines.update(str(machine.id), changes) if changes else machine

    saved = await app.push_screen_wait(Form(f"Machine {machine.name}", fields, save))
    if saved is not None:
        app.say(f"{saved.name} saved  (z undoes it)")
