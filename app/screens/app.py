"""The application: areas, the line to the engine, what is told to the operator, and keys that work everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.scrollbar import ScrollBar

from app.errors import UnreachableError
from app.screens.areas.area import Area
from app.screens.glyphs import GlyphFilter, InertFilter
from app.screens.keyboard import OrderedKeys
from app.screens.modes import CLASSES, MODES
from app.screens.profile import ConsoleProfile
from app.screens.registry import ACTIONS, AREAS, CHANGING, Action, here
from app.screens.session import Link, Session
from app.screens.starting import paint, settle
from app.screens.status import chips, link
from app.screens.telling import TellingApp
from app.screens.theme import CONSOLE, FULL
from app.screens.widgets.bars import Chip, Crumbs, KeyBar

if TYPE_CHECKING:
    from app.client.protocol import Client
    from app.model.event import Event

FRAME = 0.25
"""Seconds between two updates of what is shown: at most four a second."""
SWEEP = 15
"""Seconds between two full looks at machines: some states come with time alone."""
STEPS_TO_ASK = 5
"""Turns of the loop in which a flow gets to its first question."""


def _general() -> list[BindingType]:
    return [
        Binding(",".join(action.keys), f"app.do({action.id!r})", action.label, id=f"app.{action.id}", show=False)
        for action in ACTIONS
        if action.keys and not action.areas and action.id not in ("back", "areas")
    ]


class BootcartApp(TellingApp[int], OrderedKeys[int], inherit_bindings=False):
    """The full-screen interface over one client."""

    CSS_PATH = "styles/app.tcss"
    ENABLE_COMMAND_PALETTE = False
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = MODES
    TITLE = "Bootcart"
    BINDINGS: ClassVar[list[BindingType]] = [
        *_general(),
        *(Binding(key, f"app.area({name!r})", show=False) for key, name, _ in AREAS),
        Binding("escape", "app.do('back')", show=False),
        Binding("enter", "app.failure('details')", show=False, priority=True),
        Binding("y", "app.failure('copy')", show=False, priority=True),
        Binding("escape", "app.failure('done')", show=False, priority=True),
    ]

    def __init__(
        self,
        connect: Callable[[], Client],
        profile: ConsoleProfile | None = None,
        *,
        host_plan: Path | None = None,
        host_result: Path | None = None,
        started_engine: bool = False,
        wizard: bool = True,
        read_only: bool = False,
        heartbeat: float | None = None,
    ) -> None:
        """`host_plan` is where the wizard leaves its plan for the launcher, `host_result` where that says what came of
        it; `started_engine`: leaving may stop the services, so ask; `wizard`: open it where no subnet exists;
        `read_only`: no key changes anything (`connect` sees to the rest); `heartbeat`: seconds between two looks at the
        engine.
        """
        # Textual asks for the profile while its own constructor runs.
        self.profile = profile or ConsoleProfile()
        super().__init__()
        self.host_plan = host_plan
        self.host_result = host_result
        self.started_engine = started_engine
        self.read_only = read_only
        self.offer_wizard = wizard and not read_only
        extra: dict[str, Any] = {} if heartbeat is None else {"heartbeat": heartbeat}
        self.session = Session(connect, changed=self._changed, news=self._event, **extra)
        self.filters: dict[str, str] = {}
        self.anchors: dict[str, str] = {}
        self.histories: dict[str, list[str]] = {}
        self.frozen = False
        self.farewell = ""
        self._sweep_left = SWEEP
        self._pending: set[str] = set()
        self._fresh: list[Event] = []
        self._busy = False
        self._small_seen = False
        self.register_theme(FULL)
        self.register_theme(CONSOLE)
        self.theme = CONSOLE.name if self.profile.console else FULL.name
        self._filters.append(InertFilter())
        if self.profile.console:
            self._filters.append(GlyphFilter())

    # Life

    def compose(self) -> ComposeResult:
        """What is painted first: where we are and the keys, without anything that takes long to import."""
        crumbs, keys = Crumbs(), KeyBar()
        crumbs.chips([Chip(" machines", "key")], [link(self.session, wide=False)])
        keys.offer(here("machines"))
        yield crumbs
        yield keys

    def on_mount(self) -> None:
        """The skeleton first; the area and the client after the first paint."""
        from app.screens.widgets.scrollbar import PlainScrollBar

        ScrollBar.renderer = PlainScrollBar
        self.set_class(self.profile.console, "-console")
        self.set_interval(FRAME, self._publish)
        self.set_interval(1, self._second)

    def on_ready(self) -> None:
        """The skeleton is painted."""
        from app.screens.shots import unsized

        if not self.is_headless and unsized():
            self.do_redraw()
        self.switch_mode("machines")
        if self.host_result is not None:
            from app.screens.wizard.outcome import tell

            tell(self, self.host_result)
        self.flow(self.session.run(), "keeping in touch with the engine")

    def on_unmount(self) -> None:
        """Nothing to do but to let go."""
        self._fresh.clear()

    def on_resize(self, event: events.Resize) -> None:
        """Too small a terminal is told, once."""
        from app.screens.dialogs.pages import LEAST, TooSmall

        small = event.size.width < LEAST[0] or event.size.height < LEAST[1]
        if small and not self._small_seen:
            self._small_seen = True
            self.push_screen(TooSmall())
        elif not small:
            self._small_seen = False

    def _load_screen_css(self, screen: Screen[Any]) -> None:
        super()._load_screen_css(screen)
        if screen._css_update_count < 0:  # noqa: SLF001 - Textual counts from -1
            # A new screen has its styles from the sheet as it is now; Textual would parse all of that anew, twice.
            screen._css_update_count = self._css_update_count  # noqa: SLF001

    def _set_pointer_shape(self, shape: str) -> None:
        # The pointer-shape string rings the bell of a VT220 and may print stray text.
        if not self.profile.console:
            super()._set_pointer_shape(shape)

    # What is shown

    def status_chips(self) -> list[Chip]:
        """The right side of the breadcrumb."""
        banner = [Chip("READ-ONLY", "warn")] if self.read_only else []
        return [*banner, *chips(self.session, wide=self.size.width >= 110)]

    def _changed(self, nouns: set[str]) -> None:
        self._pending |= nouns
        if "all" in nouns or self.session.link is Link.CONNECTING:
            # The first rows are waited for; what changes later comes at the pace of the screen.
            self.call_later(self._publish)

    def look_again(self) -> None:
        """Something was done from here: all that is shown may have changed, whether or not an event says so."""
        self.session.doubt()
        self._pending |= set(CLASSES)

    def _event(self, event: Event) -> None:
        self._fresh.append(event)

    @property
    def at_rest(self) -> bool:
        """All that is known is shown."""
        return not (self._busy or self._pending or self._fresh)

    def _publish(self) -> None:
        if self.frozen or self._busy or not (self._pending or self._fresh):
            return
        nouns, self._pending = self._pending, set()
        events, self._fresh = self._fresh, []
        area = self.here
        if area is not None and area.is_mounted and events:
            area.take(events)
        if nouns:
            self._busy = True
            self.flow(self._refresh(nouns), "refreshing")

    async def _refresh(self, nouns: set[str]) -> None:
        try:
            if "all" in nouns:
                nouns = nouns | {"services", "interfaces", "subnets", "machines", "bootenvs"}
            if self.session.link is not Link.CONNECTING:
                await self.session.refresh(nouns)
            area = self.here
            if area is not None and area.is_mounted:
                if "all" in nouns or nouns & area.nouns:
                    await area.reload()
                    if self.session.link is Link.CONNECTING:
                        paint(self.screen)
                else:
                    area.chrome()
            if "all" in nouns and self.offer_wizard:
                self.offer_wizard = False
                if not self.session.subnets:
                    self.do_wizard()
        except UnreachableError:
            self._pending |= nouns
            self.session.lost()
        finally:
            self._busy = False

    def reload(self, area: Area) -> None:
        """Fetch what a screen shows."""
        self.flow(area.reload(), "loading")

    def _second(self) -> None:
        settle()
        self.forget_news()
        self._sweep_left -= 1
        if self._sweep_left <= 0:
            self._sweep_left = SWEEP
            if self.session.link is Link.ATTACHED:
                self._pending.add("machines")
        if self.session.link is Link.ATTACHED and any(subnet.hold for subnet in self.session.subnets):
            # That a hold has ended is no event.
            self._pending.add("subnets")
        if (area := self.here) is not None and area.is_mounted:
            area.tick()
            area.chrome()

    # Doing

    def valid(self, action: Action) -> bool:
        """General actions that make sense now."""
        return not (self.read_only and action.id in CHANGING)

    async def action_do(self, name: str) -> None:
        """An action of the registry, by the screen that is seen, else by the application."""
        if self.read_only and name in CHANGING:
            self.say("read-only: nothing is changed from here; open it without --read-only to")
            return
        found = getattr(self.screen, f"do_{name}", None) or getattr(self, f"do_{name}", None)
        if found is None:
            return
        try:
            made = found()
        except Exception as error:
            self.fail(error, name.replace("_", " "))
            return
        if asyncio.iscoroutine(made):
            self.flow(made, name.replace("_", " "))
            # The next key is handled after this returns. A question the flow begins with must be open by then, or what
            # was typed ahead as its answer would act on the screen below.
            for _ in range(STEPS_TO_ASK):
                await asyncio.sleep(0)

    def action_area(self, name: str) -> None:
        """Go to an area; on what is opened from it, back to it."""
        if self.current_mode == name:
            while len(self.screen_stack) > 1:
                self.pop_screen()
            return
        self.switch_mode(name)

    def open_machine(self, key: str, tab: str = "timeline") -> None:
        """Show one machine, over the list of machines."""
        from app.screens.areas.machine import MachineScreen

        self.action_area("machines")
        self.push_screen(MachineScreen(key, tab))

    def open_boot(self, key: str) -> None:
        """Show what a machine would get now, over what is seen of machines."""
        from app.screens.areas.boot import BootScreen

        if self.current_mode != "machines":
            self.action_area("machines")
        self.push_screen(BootScreen(key))

    def open_exchange(self, event: Event) -> None:
        """Show the packets behind an event, over what is seen."""
        from app.screens.areas.inspect import InspectScreen

        area = self.here
        self.push_screen(InspectScreen(event, (area.over or area.area) if area is not None else "events"))

    def command(self, text: str) -> None:
        """Run a line of the `:` prompt."""
        from app.screens.commandline import run

        self.flow(run(self, text), text)

    def do_wizard(self) -> None:
        """Set up a segment."""
        from app.screens.wizard.screen import Wizard

        self.push_screen(Wizard())

    def do_help(self) -> None:
        """Keys of the screen that is seen."""
        from app.screens.dialogs.pages import help_page

        area = self.here
        if area is not None:
            self.push_screen(help_page(area.area, area.actions(), self.size.width))

    def do_freeze(self) -> None:
        """Stop or go on showing what comes."""
        self.frozen = not self.frozen
        self.say("the view is frozen: F lets it live again" if self.frozen else "the view lives again")
        if not self.frozen and (area := self.here) is not None:
            self.reload(area)

    def do_redraw(self) -> None:
        """Measure and draw again."""
        from app.screens.shots import remeasure

        remeasure(self)

    action_redraw = do_redraw

    def on_cursor_position(self, event: events.CursorPosition) -> None:
        """Where the terminal's last cell is, after it was asked."""
        from app.screens.shots import measured

        measured(self, event.x + 1, event.y + 1)

    def do_dump(self) -> None:
        """The screen as text, in a file."""
        from app.screens.shots import dump_text

        self.say(f"screen written to {dump_text(self)}")

    def do_picture(self) -> None:
        """The screen as a picture, in a file."""
        from app.screens.shots import dump_svg

        self.say(f"picture written to {dump_svg(self)}")

    async def do_undo(self) -> None:
        """Take back the newest change."""
        from app.screens.operations import undo

        await undo(self)

    async def do_redo(self) -> None:
        """Do again what was taken back."""
        from app.screens.operations import redo

        await redo(self)

    async def do_hold(self) -> None:
        """Answer no one, or answer again."""
        from app.screens.operations import hold

        await hold(self)

    async def do_quit(self) -> None:
        """Leave."""
        from app.screens.operations import leave

        await leave(self, ask=self.started_engine)

    async def do_leave_menu(self) -> None:
        """Leave, asked in any case."""
        from app.screens.operations import leave

        await leave(self, ask=True)

    async def do_commands(self) -> None:
        """The command log."""
        self.action_area("commands")

    def screen_rows(self) -> list[str]:
        """The text of the screen, row by row."""
        strips = self.screen._compositor.render_strips()  # noqa: SLF001 - Textual offers the screen as SVG only
        return [strip.text for strip in strips]
