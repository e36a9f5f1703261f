"""The interface on a stage: opened on the fake engine, keys pressed, the screen read as text."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from textual import events
from textual.keys import REPLACED_KEYS, _character_to_key, _get_unicode_name_from_key
from textual.pilot import Pilot
from textual.widget import Widget

from app.client.readonly import read_only as watching
from app.screens.app import BootcartApp
from app.screens.areas.area import Area
from app.screens.profile import ConsoleProfile
from app.screens.session import Link
from tests.fakes.client import FakeClient

VT = (80, 24)
WIDE = (120, 40)
FULL = ConsoleProfile()
CONSOLE = ConsoleProfile(True, "test")
WidgetT = TypeVar("WidgetT", bound=Widget)


@dataclass(slots=True, kw_only=True)
class View:
    """An open interface: its keys, and its screen as text."""

    app: BootcartApp
    pilot: Pilot[int]

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other, each handled before the next."""
        for key in keys:
            name = _character_to_key(key) if len(key) == 1 and not key.isalnum() else key
            try:
                char = unicodedata.lookup(_get_unicode_name_from_key(REPLACED_KEYS.get(name, name)))
            except KeyError:
                char = name if len(name) == 1 else None
            self.app.post_message(events.Key(name, char))
            await self.settle()

    async def settle(self) -> None:
        """Until messages, and what they led to, are handled. Waiting for an idle processor would take far longer."""
        for _ in range(3):
            await self.pilot._wait_for_screen()
            while self.app.typing:
                await asyncio.sleep(0.001)

    async def type(self, text: str) -> None:
        """Type text."""
        await self.press(*("space" if char == " " else char for char in text))

    @property
    def rows(self) -> list[str]:
        """The screen, row by row."""
        return self.app.screen_rows()

    @property
    def text(self) -> str:
        """The screen."""
        return "\n".join(row.rstrip() for row in self.rows)

    @property
    def crumbs(self) -> str:
        """The first row."""
        return next(iter(self.rows), "")

    @property
    def keys(self) -> str:
        """The last row."""
        return next(reversed(self.rows), "")

    def row(self, part: str) -> str:
        """The first row that has this in it."""
        for row in self.rows:
            if part in row:
                return row
        raise AssertionError(f"no row has {part!r}; the screen:\n{self.text}")

    def find(self, kind: type[WidgetT]) -> WidgetT:
        """A widget of the screen that is seen."""
        return self.app.screen.query_one(kind)

    @property
    def area(self) -> Area:
        """The area that is seen."""
        area = self.app.here
        assert area is not None
        return area

    async def until(self, condition: Callable[[], object], what: str = "", seconds: float = 10) -> None:
        """Wait until this holds; fails with the screen's text when it does not come true."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what or 'it'} did not come true; the screen:\n{self.text}")
            await asyncio.sleep(0.02)
        await self.settle()

    async def see(self, text: str, seconds: float = 10) -> None:
        """Wait until this text is on the screen."""
        await self.until(lambda: text in self.text, f"{text!r} on the screen", seconds)

    async def gone(self, text: str) -> None:
        """Wait until this text is not on the screen."""
        await self.until(lambda: text not in self.text, f"{text!r} gone from the screen")


@dataclass(slots=True, kw_only=True)
class Stage(View):
    """An open interface and the fake engine under it."""

    client: FakeClient


@asynccontextmanager
async def opened(
    client: FakeClient | None = None,
    size: tuple[int, int] = VT,
    profile: ConsoleProfile = FULL,
    *,
    attached: bool = True,
    wizard: bool = True,
    host_plan: Path | None = None,
    started_engine: bool = False,
    read_only: bool = False,
    heartbeat: float = 0.2,
) -> AsyncIterator[Stage]:
    """Open the interface; with `attached` after it has shown what the engine has."""
    engine = client or FakeClient()
    app = BootcartApp(
        lambda: watching(engine) if read_only else engine,
        profile,
        wizard=wizard,
        host_plan=host_plan,
        started_engine=started_engine,
        read_only=read_only,
        heartbeat=heartbeat,
    )
    async with app.run_test(size=size) as pilot:
        stage = Stage(app=app, client=engine, pilot=pilot)
        if attached:
            await stage.until(lambda: app.session.link is Link.ATTACHED, "attached")
            await stage.until(lambda: app.at_rest, "at rest")
        yield stage
        assert [failure.reason for failure in app.failures if failure.trace] == []
