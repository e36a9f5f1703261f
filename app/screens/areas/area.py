"""What every screen is: breadcrumb, body, notice, keys, a filter that persists, and data that is fetched again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.widget import Widget

from app.errors import UnreachableError
from app.screens.enduring import Enduring
from app.screens.failures import Notice
from app.screens.registry import Action, here
from app.screens.widgets.bars import Bar, Chip, Crumbs, KeyBar
from app.screens.widgets.lines import line
from app.screens.widgets.prompt import Prompt
from app.screens.widgets.table import Table
from app.screens.words import safe

if TYPE_CHECKING:
    from pydantic import BaseModel

    from app.model.event import Event
    from app.screens.app import BootcartApp

WAITING = "waiting for the engine ..."

ModelT = TypeVar("ModelT", bound="BaseModel")


def bindings(area: str) -> list[BindingType]:
    """The registry's keys that belong to this screen alone."""
    return [
        Binding(",".join(action.keys), f"app.do({action.id!r})", action.label, id=f"{area}.{action.id}", show=False)
        for action in here(area)
        if action.areas and "enter" not in action.keys
    ]


def sift(items: Sequence[ModelT], text: str) -> list[ModelT]:
    """Those the filter lets through."""
    from app.model.query import Query, apply, parse_filter

    terms = parse_filter(text)
    if not terms:
        return list(items)
    found: list[ModelT] = []
    for start in range(0, len(items), 1000):
        found += apply(items[start : start + 1000], Query(filter=terms)).items
    return found


class Area(Enduring, Screen[None], inherit_bindings=False):
    """A screen of the interface. `area` names it in the registry; `nouns` are the listings it shows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", show=False),
        Binding("shift+tab", "app.focus_previous", show=False),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (24, "-tall"), (36, "-tallest")]  # noqa: RUF012 - Textual's own declaration
    AUTO_FOCUS = None

    area: ClassVar[str] = ""
    over: str = ""
    """The area this was opened from, for the breadcrumb."""
    nouns: ClassVar[frozenset[str]] = frozenset()

    app: BootcartApp  # pyright: ignore[reportIncompatibleMethodOverride]

    def __init__(self) -> None:
        super().__init__()
        self.crumbs = Crumbs(id="crumbs")
        self.keys = KeyBar(id="keys")
        self.prompt = Prompt()
        self.notice = Notice()

    def compose(self) -> ComposeResult:
        yield self.crumbs
        yield from self.body()
        with Vertical(id="foot"):
            yield self.notice
            yield self.prompt
            yield self.keys

    # What subclasses provide

    def body(self) -> Iterable[Widget]:
        """The widgets between breadcrumb and keys."""
        return ()

    async def load(self) -> None:
        """Fetch and show. Errors are the caller's."""

    def trail(self) -> tuple[str, ...]:
        """What stands after the area's name in the breadcrumb."""
        return ("all",)

    def take(self, events: Sequence[Event]) -> None:
        """Newer events, in order."""

    def tick(self) -> None:
        """A second has passed."""

    def valid(self, action: Action) -> bool:
        """This action can be taken now."""
        return True

    def marked(self) -> tuple[int, int]:
        """How many are marked, and how many of those the filter hides."""
        return 0, 0

    def main(self) -> Widget | None:
        """The widget that has the focus when nothing else wants it."""
        return None

    def refilter(self) -> None:
        """The filter changed: show again from what is at hand."""

    # Common behaviour

    @property
    def sought(self) -> str:
        """The filter of this area."""
        return self.app.filters.get(self.area, "")

    @sought.setter
    def sought(self, text: str) -> None:
        self.app.filters[self.area] = text
        self.refilter()
        self.chrome()

    def on_mount(self) -> None:
        """Keys and focus; data follows."""
        if (main := self.main()) is not None:
            main.focus()

    def on_screen_resume(self) -> None:
        """Back on top: what changed meanwhile is fetched."""
        self.chrome()
        self.app.reload(self)

    def chrome(self) -> None:
        """Breadcrumb, notice and keys as things stand."""
        if not self.is_mounted:
            return
        self.crumbs.chips(self._place(), self.app.status_chips())
        self.notice.present(tuple(self.app.failures), self.app.news)
        # An error takes a line of its own; what is typed and good news stand where the keys are.
        self.keys.display = not self.prompt.is_open and (bool(self.app.failures) or not self.app.news)
        self.keys.offer(self.actions())

    def actions(self) -> tuple[Action, ...]:
        """What can be done here and now."""
        return tuple(action for action in here(self.area) if self.valid(action) and self.app.valid(action))

    def _place(self) -> list[Chip]:
        trail = self.trail()
        chips = [Chip(" > ".join((" " + (self.over or self.area), *trail)), "key", 0, "")]
        if self.sought and self.area in self.app.filters:
            chips.append(Chip(f"/{self.sought}", "chip"))
        marked, hidden = self.marked()
        if marked:
            chips.append(Chip(f"{marked} marked" + (f" ({hidden} hidden)" if hidden else ""), "chip"))
        if self.app.frozen:
            chips.append(Chip("FROZEN", "warn"))
        return chips

    async def reload(self) -> None:
        """Load; a lost engine is the breadcrumb's business."""
        if self.app.session.endpoint:
            try:
                await self.load()
            except UnreachableError:
                self.app.session.lost()
        self.chrome()

    def on_table_moved(self) -> None:
        """What can be done may depend on the row."""
        self.keys.offer(self.actions())

    # The prompt

    def do_filter(self) -> None:
        """Open `/`."""
        history = self.app.histories.setdefault(f"/{self.area}", [])
        self.prompt.open("/", self.sought, history=history, complete=None)
        self.chrome()

    def do_command(self) -> None:
        """Open `:`."""
        from app.screens.commandline import complete

        history = self.app.histories.setdefault(":", [])
        self.prompt.open(":", history=history, complete=lambda text: complete(self.app.session, text))
        self.chrome()

    def on_prompt_typed(self, event: Prompt.Typed) -> None:
        """Filters as it is typed."""
        if event.sign == "/":
            self.sought = event.text.strip()

    def on_prompt_entered(self, event: Prompt.Entered) -> None:
        """Keep the filter, or run the command."""
        self._close_prompt()
        if event.sign == ":":
            self.app.command(event.text)

    def on_prompt_left(self) -> None:
        """Esc: no filter, no command."""
        if self.prompt.sign == "/":
            self.sought = ""
        self._close_prompt()

    def on_prompt_said(self, event: Prompt.Said) -> None:
        """Choices of a completion."""
        self.app.say(event.text)

    def _close_prompt(self) -> None:
        self.prompt.close()
        main = self.main()
        if main is not None:
            main.focus()
        else:
            self.set_focus(None)
        self.chrome()

    def do_back(self) -> None:
        """Esc: the filter first, then the screen."""
        if self.sought:
            self.sought = ""
        elif len(self.app.screen_stack) > 1:
            self.dismiss()
        elif (main := self.main()) is not None:
            main.focus()


class ListArea(Area):
    """A screen with one table."""

    def __init__(self, table: Table[Any]) -> None:
        super().__init__()
        self.table = table
        self.answered = False
        self.table.told = WAITING
        self.about_bar = Bar(id="about")
        self.every: tuple[Any, ...] = ()

    async def fetch(self) -> Sequence[Any]:
        """All objects, unfiltered."""
        return ()

    def label(self, item: Any) -> str:
        """How an object is called in questions."""
        return self.table.key(item)

    def about(self, item: Any) -> str:
        """What does not fit into a row, on a line below the table."""
        return ""

    def body(self) -> Iterable[Widget]:
        yield self.table
        yield self.about_bar

    def on_table_moved(self) -> None:
        super().on_table_moved()
        self.tell_about()

    def tell_about(self) -> None:
        """Say it of the row the cursor is on."""
        item = self.table.current
        self.about_bar.set(line(("  " + safe(self.about(item) if item is not None else ""), "dim")))

    def main(self) -> Widget | None:
        return self.table

    def is_known(self) -> bool:
        """What was fetched is what there is."""
        return True

    async def load(self) -> None:
        self.every = tuple(await self.fetch())
        self.answered = self.is_known()
        self.refilter()

    def refilter(self) -> None:
        self.table.told = f"nothing matches /{self.sought}: Esc clears the filter" if self.sought else ""
        if not self.answered:
            # Until the engine has said so, nobody knows that there is nothing.
            self.table.told = WAITING
        self.table.feed(sift(self.every, self.sought))
        self.tell_about()

    def tick(self) -> None:
        if not self.app.frozen:
            self.table.touch()
            self.tell_about()

    def trail(self) -> tuple[str, ...]:
        shown, total = len(self.table.items), len(self.every)
        return (f"{shown} of {total}" if shown != total else f"all {total}" if total else "all",)

    def marked(self) -> tuple[int, int]:
        return len(self.table.marks), self.table.hidden_marks()

    def targets(self) -> list[Any]:
        """What an action is for: all that is marked, hidden or not; without marks what the cursor is on."""
        if not self.table.marks:
            return self.table.chosen()
        return [item for item in self.every if self.table.key(item) in self.table.marks]

    def hidden(self) -> set[str]:
        """Keys of marked objects that the filter hides."""
        return {key for key in self.table.marks if key not in self.table.keys}

    def do_mark(self) -> None:
        """Mark, and go on to the next row."""
        self.table.mark([self.table.cursor] if self.table.items else [], self.label)
        self.table.action_move(1)
        self.chrome()

    def do_mark_range(self) -> None:
        """Mark from the other end to here."""
        anchor = self.app.anchors.pop(self.area, None)
        if anchor is None or anchor not in self.table.keys:
            if (key := self.table.current_key) is not None:
                self.app.anchors[self.area] = key
                self.app.say("range begins here: go to its other end and press v again")
            return
        ends = sorted((self.table.keys.index(anchor), self.table.cursor))
        self.table.mark(range(ends[0], ends[1] + 1), self.label, on=True)
        self.chrome()

    def do_mark_all(self) -> None:
        """Mark every row the filter shows."""
        self.table.mark(range(len(self.table.items)), self.label, on=True)
        self.chrome()

    def do_clear_marks(self) -> None:
        """No marks."""
        self.table.marks.clear()
        self.app.anchors.pop(self.area, None)
        self.table.touch()
        self.chrome()
