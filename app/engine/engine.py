"""The life of an engine: its parts started in the order machines need them, served, ended in the other order."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable

from app.clock import Clock, SystemClock
from app.config import Settings
from app.engine.assembly import Parts, assemble
from app.engine.notify import notify
from app.engine.port import Operations
from app.model.event import EventDraft, Level
from app.netboot.words import plain
from app.services.bootfs.roots import unusable
from app.services.registry import Registry
from app.store.store import Store, open_store
from app.version import VERSION

Say = Callable[[str], None]


class Engine:
    """One engine; `run` lives as long as it does."""

    def __init__(
        self, settings: Settings, clock: Clock | None = None, draining: Callable[[], None] = lambda: None
    ) -> None:
        """`draining` is called once, when the engine begins to end."""
        self._settings = settings
        self._clock = clock or SystemClock()
        self._stopping = asyncio.Event()
        self._draining = draining
        self._why = ""

    def stop(self, why: str) -> None:
        """Ask the engine to stop; returns at once. Belongs to the engine's loop."""
        if not self._stopping.is_set():
            self._why = why
            self._stopping.set()
            self._draining()

    async def run(self, say: Say) -> None:
        """Start, say that it is ready, run until `stop`, and end within seconds.

        Raises BootcartError when there is nothing to run on: the store, its keys, the API's socket.
        """
        began = self._clock.monotonic()
        store = open_store(self._settings.data_dir, self._clock, self._settings.database_url)
        try:
            await self._run(store, say, began)
        finally:
            await asyncio.to_thread(store.close)

    async def _run(self, store: Store, say: Say, began: float) -> None:
        parts = assemble(self._settings, self._clock, store, self._stop_soon())
        parts.emit(self._begun(store.database.unclean and store.database.path is not None))
        await parts.closing.look()
        try:
            # Machines first: what an operator needs is imported after DHCP answers. Before all of it the segments are
            # asked for other servers: that takes its time, in which the rest starts.
            optional = {"dhcp6": bool(self._settings.dhcp6), "https": bool(self._settings.https_port)}
            names = ("interfaces", "probe", "content", "dhcp", "proxydhcp", "dhcp6", "router", "tftp", "http", "https")
            for name in names:
                # A turn of the loop brings the wish to stop that came meanwhile.
                await asyncio.sleep(0)
                if not optional.get(name, True):
                    continue
                if name not in self._settings.disable and not self._stopping.is_set():
                    await parts.registry.start(name)
                if name == "probe":
                    parts.segments.start()
            parts.diagnoses.start(store.events.tail())
            parts.operations.recordings.start()
            watching = asyncio.create_task(parts.watch.run(), name="watch")
            closing = asyncio.create_task(parts.closing.run(), name="closing")
            sweeping = asyncio.create_task(parts.inbox.run(), name="sweeping")
            for name in parts.segments.absent():
                say(f"bootcart: there is no interface {name}; it is served once it appears")
            for why in await asyncio.to_thread(unusable, self._settings.file_root):
                say(f"bootcart: --file-root {why}; its files are served once they can be read")
            try:
                await self._serve_api(parts, say, began)
            finally:
                watching.cancel()
                closing.cancel()
                sweeping.cancel()
        finally:
            parts.emit(self._event("engine.stopping", f"engine stops: {self._why or 'it failed'}", why=self._why))
            notify("STOPPING=1")
            await parts.segments.stop()
            await parts.registry.stop_all()
            await asyncio.to_thread(parts.diagnoses.stop)
            await asyncio.to_thread(parts.operations.recordings.stop)
            parts.boot.stop()
            parts.ipv6.stop()
            await asyncio.to_thread(parts.registrar.flush)

    def _stop_soon(self) -> Callable[[str], None]:
        loop = asyncio.get_running_loop()
        return lambda why: loop.call_soon_threadsafe(self.stop, why) and None

    async def _serve_api(self, parts: Parts, say: Say, began: float) -> None:
        operations = parts.operations
        # FastAPI takes a second to import; by now every boot service answers, and the import waits in a thread.
        imports = asyncio.create_task(asyncio.to_thread(_import_api))
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({imports, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._stopping.is_set():
            return
        create_app, listener, operators = await imports
        uids = operators(os.environ)
        api = listener(create_app(operations), self._settings.socket, emit=operations.emit, allowed_uids=uids)
        await api.start()
        try:
            operations.ready = True
            self._tell_ready(operations, parts.registry, say, began)
            await self._stopping.wait()
        finally:
            await api.stop()

    def _tell_ready(self, operations: Operations, registry: Registry, say: Say, began: float) -> None:
        # What is loaded by now stays: half a million objects that the collector would look at each time, while every
        # thread waits.
        gc.freeze()
        seconds = self._clock.monotonic() - began
        degraded = registry.degraded()
        words = f"ready in {seconds:.1f} s" + (f"; failed: {', '.join(degraded)}" if degraded else "")
        level = Level.WARNING if degraded else Level.INFO
        draft = self._event("engine.ready", f"engine {words}", seconds=round(seconds, 3), degraded=degraded)
        operations.emit(draft.model_copy(update={"level": level}))
        say(f"bootcart: {words}; API at unix:{self._settings.socket}")
        for service in operations.services():
            if service.name in degraded:
                say(f"bootcart: {service.name} failed: {service.reason} ({service.hint})")
        notify("READY=1", f"STATUS={registry.status()}")

    def _begun(self, unclean: bool) -> EventDraft:
        """The first event of a run; it tells how the one before ended, where that was not in order."""
        after = plain(os.environ.get("BOOTCART_LAST_END", "")) or ("not in order" if unclean else "")
        words = f"engine {VERSION} started" + (f"; the one before ended: {after}" if after else "")
        draft = self._event("engine.started", words, version=VERSION, pid=os.getpid(), after=after)
        return draft.model_copy(update={"level": Level.WARNING}) if after else draft

    def _event(self, kind: str, message: str, **data: object) -> EventDraft:
        return EventDraft(time=self._clock.now(), kind=kind, message=message, data=dict(data))


def _import_api():
    from app.api.app import create_app
    from app.api.callers import operators
    from app.api.listener import ApiListener

    return create_app, ApiListener, operators
