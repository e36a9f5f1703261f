"""The interface's end of the line: one client, what it last said, and the stream of events, kept alive."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

from app.errors import NotFoundError, UnreachableError

if TYPE_CHECKING:
    from app.client.protocol import Client, Readable
    from app.model.bootenv import BootEnv
    from app.model.engine import EngineInfo, Interface, Service
    from app.model.event import Event
    from app.model.machine import Machine
    from app.model.optionhelp import OptionHelp
    from app.model.subnet6 import AnySubnet

RING = 2000
"""Events kept for the log panes."""
PAGE = 1000
FEW = 16
"""Machines that are fetched one by one; more are fetched as a listing."""
HEARTBEAT = 4.0
"""Seconds between two looks whether the engine still answers."""
STEPS_TO_PAINT = 8
"""Turns of the loop in which what has come gets to the terminal."""
RETRY = (0.5, 1.0, 2.0, 4.0)
"""Seconds to wait before the next attempt to attach; the last repeats."""


class Link(Enum):
    """Where the connection stands."""

    CONNECTING = "connecting"
    ATTACHED = "attached"
    STALE = "stale"


NOUNS_OF = {
    "dhcp": {"machines", "leases"},
    "proxy": {"machines"},
    "tftp": {"machines"},
    "http": {"machines"},
    "agent": {"machines"},
    "machine": {"machines"},
    "diagnosis": {"machines"},
    "render": {"machines", "bootenvs"},
    "service": {"services"},
    "engine": {"services"},
    "interface": {"interfaces"},
    "subnet": {"subnets"},
    "audit": {"commands"},
}
"""Which listings an event may have changed, by the first word of its kind."""


class Session:
    """Owns the client. `changed` is told which nouns may be out of date; `news` is given events in order."""

    def __init__(
        self,
        connect: Callable[[], Client],
        *,
        changed: Callable[[set[str]], None],
        news: Callable[[Event], None],
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self._connect = connect
        self._changed = changed
        self._news = news
        self._heartbeat = heartbeat
        self._client: Client | None = None
        self._heard = time.monotonic()
        self._offset = 0.0
        self._wake = asyncio.Event()
        self.link = Link.CONNECTING
        self.info: EngineInfo | None = None
        self.services: tuple[Service, ...] = ()
        self.interfaces: tuple[Interface, ...] = ()
        self.subnets: tuple[AnySubnet, ...] = ()
        self._options: tuple[OptionHelp, ...] = ()
        self.machines: dict[str, Machine] = {}
        self.listed = False
        """The engine has said which machines there are."""
        self.bootenvs: tuple[BootEnv, ...] = ()
        self.events: deque[Event] = deque(maxlen=RING)
        self.last = 0
        self._touched: set[str] | None = set()
        self.awaited: dict[str, tuple[str, float]] = {}
        """Machines that must be power-cycled by hand: id → boot environment and since when (engine's time)."""

    @property
    def client(self) -> Client:
        """The client; raises UnreachableError while there is none yet."""
        if self._client is None:
            raise UnreachableError("not attached to an engine yet", hint="wait, or check that one runs")
        return self._client

    @property
    def endpoint(self) -> str:
        """Where the engine is, for the operator."""
        return self._client.endpoint if self._client else ""

    def now(self) -> float:
        """The engine's wall-clock time."""
        return time.monotonic() + self._offset if self.info else time.time()

    def silence(self) -> float:
        """Seconds since the engine last answered."""
        return time.monotonic() - self._heard

    async def run(self) -> None:
        """Attach, follow, and attach again, for ever."""
        attempt = 0
        while True:
            try:
                await self._attach()
                attempt = 0
                await self._follow()
            except UnreachableError:
                self.lost()
            await asyncio.sleep(RETRY[min(attempt, len(RETRY) - 1)])
            attempt += 1

    def lost(self) -> None:
        """The engine did not answer."""
        if self.link is Link.ATTACHED:
            self.link = Link.STALE
        self._changed({"link"})

    async def _attach(self) -> None:
        if self._client is None:
            # Importing the client takes a third of a second; the screen must not wait for it.
            self._client = await asyncio.to_thread(self._connect)
        from app.model.query import Query

        # The rows of the first screen before all that stands around them; on the terminal, before more is asked for.
        self.doubt()
        await self._refresh_machines()
        self._changed({"machines"})
        for _ in range(STEPS_TO_PAINT):
            await asyncio.sleep(0)
        await self.beat()
        newest = await self.client.events.list(Query(sort="-id", limit=300))
        for event in sorted(newest.items, key=lambda one: one.id):
            self._take(event, fresh=False)
        await self.refresh({"services", "interfaces", "subnets"})
        self.link = Link.ATTACHED
        # The events above are old news: what they were about is not all that may have changed.
        self.doubt()
        self._changed({"link", "all"})

    async def beat(self) -> None:
        """Ask the engine how it is; what it says is kept. Raises UnreachableError."""
        before = self.info
        info = await self.client.info()
        self._heard = time.monotonic()
        if before is None or abs(info.now - self.now()) > 2:
            self._offset = info.now - time.monotonic()
        self.info = info
        if before is not None and before.instance != info.instance:
            self._changed({"link", "all"})
        elif before is None or before.holding != info.holding or self.link is not Link.ATTACHED:
            self._changed({"link"})

    async def _follow(self) -> None:
        """Heartbeat and stream side by side; the first to fail ends both."""

        async def pulse() -> None:
            while True:
                await asyncio.sleep(self._heartbeat)
                await self.beat()

        async def stream() -> None:
            # After the newest event seen: what was missed while away is sent first.
            async for event in self.client.events.watch(self.last):
                self._heard = time.monotonic()
                self._take(event, fresh=True)

        tasks = [asyncio.create_task(pulse()), asyncio.create_task(stream())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _take(self, event: Event, *, fresh: bool) -> None:
        if event.id <= self.last:
            return
        self.last = event.id
        self.events.append(event)
        if fresh and event.kind in ("dhcp.discover", "proxy.offer") and event.machine:
            self.awaited.pop(str(event.machine), None)
        self._news(event)
        if fresh:
            nouns = set(NOUNS_OF.get(event.kind.partition(".")[0], ()))
            if event.kind.startswith("audit."):
                nouns.add(str(event.data.get("noun", "")))
                self._touched = None
            elif self._touched is not None and "machines" in nouns:
                self._touched = self._touched | {str(event.machine)} if event.machine else None
            self._changed(nouns)

    async def refresh(self, nouns: set[str]) -> None:
        """Fetch what the chrome shows of these nouns."""
        client = self.client
        if "services" in nouns:
            self.services = (await client.services.list()).items
        if "interfaces" in nouns:
            self.interfaces = (await client.interfaces.list()).items
        if "subnets" in nouns:
            self.subnets = (await client.subnets.list()).items
        if "machines" in nouns:
            await self._refresh_machines()
        if "bootenvs" in nouns or not self.bootenvs:
            self.bootenvs = (await client.bootenvs.list()).items

    def doubt(self) -> None:
        """Fetch all machines next time, not only those that events were about."""
        self._touched = None

    async def _refresh_machines(self) -> None:
        """The few machines that events were about; all of them when that cannot be told."""
        touched, self._touched = self._touched, set()
        if not touched or len(touched) > FEW:
            self.machines = {str(one.id): one for one in await everything(self.client.machines)}
            self.listed = True
            return
        for key in touched:
            try:
                self.machines[key] = await self.client.machines.show(key)
            except NotFoundError:
                self.machines.pop(key, None)

    async def known_options(self) -> tuple[OptionHelp, ...]:
        """DHCP options by name; asked for once."""
        if not self._options:
            self._options = tuple(await everything(self.client.options))
        return self._options

    def name_of(self, event: Event) -> str:
        """The name of the machine an event is about; its MAC address where it has none; else who did it."""
        if event.machine and (machine := self.machines.get(str(event.machine))):
            return machine.name
        if event.mac:
            for machine in self.machines.values():
                if event.mac in machine.macs:
                    return machine.name
            return event.mac
        return event.actor or str(event.data.get("service") or event.data.get("subnet") or event.interface)

    async def close(self) -> None:
        """Let go of the client."""
        if self._client is not None:
            await self._client.close()


async def everything(noun: Readable[Any]) -> tuple[Any, ...]:
    """All objects of a noun, page by page."""
    from app.model.query import Query

    items: list[Any] = []
    while True:
        page = await noun.list(Query(limit=PAGE, offset=len(items)))
        items += page.items
        if len(items) >= page.total or not page.items:
            return tuple(items)
