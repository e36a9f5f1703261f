"""A desk: the interface opened on a real engine, and a second client that sees what came of each key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from textual import events
from textual.screen import Screen

from app.client.http import HttpClient
from app.errors import NotFoundError
from app.screens.app import BootcartApp
from app.screens.areas.area import ListArea
from app.screens.dialogs.form import Form, Pick
from app.screens.dialogs.frame import Ask
from app.screens.profile import ConsoleProfile
from app.screens.registry import AREAS
from app.screens.session import Link
from app.screens.words import CP437
from tests.engine.process import Engine
from tests.screens.stage import VT, View

T = TypeVar("T")
ScreenT = TypeVar("ScreenT", bound=Screen[Any])
AREA_KEYS = {name: "at" if key == "@" else key for key, name, _ in AREAS}
SECONDS = 20.0


@dataclass(slots=True, kw_only=True)
class Desk(View):
    """An operator's place. `api` is not the interface's own client: what it says is what the engine has."""

    api: HttpClient

    # Keys

    async def settle(self) -> None:
        """Until keys are handled; on a console nothing may be drawn that it lacks."""
        await View.settle(self)
        if self.app.profile.console:
            odd = {char for char in self.text if not char.isascii() and char not in CP437}
            assert not odd, f"a console lacks {odd}; the screen:\n{self.text}"

    async def type(self, text: str) -> None:
        """Type text, as fast as a paste."""
        for char in text:
            self.app.post_message(events.Key("space" if char == " " else char, char))
        await self.settle()

    async def go(self, area: str) -> None:
        """To an area with its key, until it has shown what the engine has."""
        await self.press(AREA_KEYS[area])
        await self.until(lambda: self.crumbs.startswith(f" {area} > "), area)
        await self.until(lambda: self.app.at_rest, "at rest")

    async def cursor_to(self, word: str) -> None:
        """The cursor of the list to the row in which this stands."""
        area = self.app.screen
        assert isinstance(area, ListArea)

        def listed() -> list[str]:
            return self.rows[1 : area.table.region.bottom]

        await self.until(lambda: any(word in row for row in listed()), f"{word!r} in the list", SECONDS)
        await self.press("home")
        for _ in area.table.items:
            row = next(row for row in listed() if row.startswith("> "))
            if word in row:
                return
            await self.press("down")
        raise AssertionError(f"no row with {word!r}; the screen:\n{self.text}")

    async def command(self, text: str) -> None:
        """Run a line of the `:` prompt."""
        await self.press("colon")
        await self.type(text)
        await self.press("enter")

    async def filter(self, text: str) -> None:
        """Keep a filter."""
        await self.press("slash", "ctrl+u")
        await self.type(text)
        await self.press("enter")

    def has(self, name: str, *words: str, without: str = "") -> bool:
        """Some row has this name in it, all these words, and not that one."""
        return any(
            name in row and all(word in row for word in words) and not (without and without in row) for row in self.rows
        )

    # Dialogs

    async def dialog(self, kind: type[ScreenT], title: str = "") -> ScreenT:
        """The dialog of this kind, once it is open."""

        def found() -> bool:
            return isinstance(self.app.screen, kind) and title in self.text

        await self.until(found, f"{kind.__name__} {title!r}", SECONDS)
        screen = self.app.screen
        assert isinstance(screen, kind)
        return screen

    async def answer(self, title: str, *keys: str) -> None:
        """Press keys in a question with this title, which closes it."""
        ask = await self.dialog(Ask, title)
        await self.press(*keys)
        await self.until(lambda: self.app.screen is not ask, f"{title!r} is answered")

    async def fill(self, **texts: str) -> Form:
        """Fill fields of the open form, going from one to the next with Down."""
        form = await self.dialog(Form)
        left = dict(texts)
        for _ in range(2 * len(form.rows) + 4):
            row = next((row for row in form.rows if row.input.has_focus), None)
            if row is not None and row.field.name in left:
                text = left.pop(row.field.name)
                if isinstance(row.input, Pick):
                    for _ in row.input.choices:
                        if row.input.value != text:
                            await self.press("space")
                else:
                    await self.press("end", "ctrl+u")
                    await self.type(text)
                assert row.value == text, f"the screen:\n{self.text}"
            if not left:
                return form
            await self.press("down")
        raise AssertionError(f"no field {list(left)}; the screen:\n{self.text}")

    async def submit(self, form: Form) -> None:
        """Down to the answers and Enter; whether it closes is the engine's word."""
        for _ in range(2 * len(form.rows) + 4):
            if form.answers.has_focus and form.answers.place == 0:
                await self.press("enter")
                await self.until(lambda: not form.saving, "answered", SECONDS)
                return
            await self.press("down")
        raise AssertionError(f"no answers; the screen:\n{self.text}")

    async def save(self, **texts: str) -> None:
        """Fill the form and save it, for good."""
        form = await self.fill(**texts)
        await self.submit(form)
        await self.until(lambda: self.app.screen is not form, "saved", SECONDS)

    async def refused(self, form: Form, field: str, why: str) -> None:
        """The form stays, with the reason beside the field and the focus in it."""
        row = next(row for row in form.rows if row.field.name == field)
        await self.until(lambda: why in row.error, f"{why!r} beside {field}: {row.error!r}")
        assert self.app.screen is form
        assert row.input.has_focus
        assert "! " in self.row(row.field.label), self.text

    @property
    def boxed(self) -> list[str]:
        """What stands inside the box of the open dialog, row by row."""
        box = self.app.screen.query_one("#box").region
        return [row[box.x : box.right] for row in self.rows[box.y : box.bottom]]

    # What the engine has

    async def comes(self, ask: Callable[[], Awaitable[T]], good: Callable[[T], object] = bool) -> T:
        """Ask the engine until what it says is good."""
        deadline = time.monotonic() + SECONDS
        while True:
            found = await ask()
            if good(found):
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"the engine says {found!r}; the screen:\n{self.text}")
            await asyncio.sleep(0.05)

    async def absent(self, ask: Callable[[], Awaitable[object]]) -> None:
        """Ask the engine until it knows no such thing."""

        async def gone() -> bool:
            try:
                await ask()
            except NotFoundError:
                return True
            return False

        await self.comes(gone)


@asynccontextmanager
async def seated(
    engine: Engine,
    profile: ConsoleProfile,
    size: tuple[int, int] = VT,
    *,
    wizard: bool = False,
    host_plan: Path | None = None,
) -> AsyncIterator[Desk]:
    """Open the interface on an engine; after it has shown what the engine has. No fault of its own may come."""
    async with AsyncExitStack() as stack:
        api = HttpClient(engine.endpoint)
        stack.push_async_callback(api.close)
        app = BootcartApp(
            lambda: HttpClient(engine.endpoint, patience=1.0),
            profile,
            wizard=wizard,
            host_plan=host_plan,
            heartbeat=0.5,
        )
        # Once the interface has ended; as a process it ends with its sockets.
        stack.push_async_callback(app.session.close)
        pilot = await stack.enter_async_context(app.run_test(size=size))
        desk = Desk(app=app, pilot=pilot, api=api)
        await desk.until(lambda: app.session.link is Link.ATTACHED, "attached", SECONDS)
        await desk.until(lambda: app.at_rest, "at rest", SECONDS)
        yield desk
        assert [failure.reason for failure in app.failures if failure.trace] == []


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that differ, as they are now."""
    return {name: value for name, value in after.items() if before.get(name) != value}
