"""The composition root: makes the parts, starts them in the order machines need them, ends them in the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from ipaddress import IPv4Address
from typing import Protocol

from app.clock import Clock, SystemClock
from app.config import Settings
from app.engine import logs
from app.engine.diagnosing import Scene
from app.engine.foresight import Foresight
from app.engine.notify import notify
from app.engine.port import Operations
from app.engine.segments import Segments
from app.engine.watch import Watch, watchdog_seconds
from app.errors import InvalidError
from app.model.engine import Preference
from app.model.event import EventDraft, Level
from app.model.subnet import Lease
from app.netboot.exchange import Policy
from app.netboot.login import password
from app.netboot.timeline import timeline
from app.netboot.token import mint, verify
from app.netboot.words import plain
from app.services.bootfs.roots import Files
from app.services.bootfs.tree import BootFs
from app.services.boothttp.service import BootHttpService
from app.services.commands.layer import Change, CommandLayer
from app.services.content.service import ContentService, shipped
from app.services.dhcp import DhcpService, ProxyDhcpService
from app.services.machines.diagnosis import Diagnoses
from app.services.machines.installs import Installs
from app.services.machines.registrar import Registrar
from app.services.machines.roster import Roster
from app.services.registry import LoopThread, Registry, Runnable
from app.services.tftp.service import TftpService
from app.store.secrets import token_key
from app.store.store import Store, open_store
from app.version import VERSION

log = logging.getLogger(__name__)

Say = Callable[[str], None]
Emit = Callable[[EventDraft], None]


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
        settings, clock = self._settings, self._clock
        key = token_key(settings.data_dir)
        segments = Segments(settings, store.directory, store.events.emit, clock)

        def emit(draft: EventDraft) -> None:
            store.events.emit(draft)
            segments.seen(draft)
            if draft.kind in ("service.started", "service.failed"):
                notify(f"STATUS={registry.status()}")

        registry = Registry(emit, clock, port_owners(settings, os.environ))
        emit(self._begun(store.database.unclean and store.database.path is not None))
        layer = CommandLayer(store.database, store.directory, store.events, clock)
        roster = Roster(store.directory, store.events, clock, timeline)
        roster.replay()
        store.events.observe(roster.observe)
        layer.roster = roster
        roster.password_of = partial(password, key)
        registrar = Registrar(layer, store.directory, roster, emit, clock)
        files = Files(settings.artefacts, settings.file_root)
        content = ContentService((shipped(),), there=files.there, publish=store.directory.set_bootenvs)
        tree = BootFs(
            store.directory,
            content,
            files,
            mint=lambda claims: mint(claims, key),
            verify=lambda token, peer: verify(
                token, key, now=clock.now(), address=peer, lease=store.directory.lease_at(peer)
            ),
            emit=emit,
            clock=clock,
            http_port=settings.http_port,
            address=settings.address,
            learn=store.directory.learn,
        )
        boot = LoopThread("boot")
        segments.register(registry)
        registry.add(content)
        interfaces = segments.interfaces.current
        policy = Policy(settings.dhcp, settings.http_port, settings.address)
        dhcp = DhcpService(
            view=segments.gate,
            journal=store.leases,
            leases=store.leases.load,
            interfaces=interfaces,
            emit=emit,
            clock=clock,
            policy=policy,
            port=settings.dhcp_port,
            allowed=settings.interface,
            on_learned=store.directory.learn,
        )
        proxy = ProxyDhcpService(
            view=segments.gate,
            interfaces=interfaces,
            emit=emit,
            clock=clock,
            policy=policy,
            port=settings.pxe_port,
            allowed=settings.interface,
        )
        tftp = TftpService(tree, emit, clock, port=settings.tftp_port, interfaces=settings.interface)
        http = BootHttpService(
            tree,
            registrar,
            emit,
            clock,
            token_key=key,
            port=settings.http_port,
            accepts=self._accepts(segments),
            installs=Installs(layer, store.directory, emit, clock),
        )
        for service, thread in ((dhcp, None), (proxy, None), (tftp, boot), (http, boot)):
            if service.name in settings.disable:
                registry.disable(service.name)
            else:
                registry.add(service, thread)

        watch = _watched(registry, boot, store, (dhcp, proxy), (tftp, http))

        scene = Scene(settings, store.directory, segments, registry, clock)
        diagnoses = Diagnoses(roster, scene.judge, emit, clock)
        roster.problem_of = diagnoses.problem
        store.events.observe(diagnoses.observe)

        def changed(change: Change) -> None:
            diagnoses.changed()
            if change.noun == "subnets":
                segments.subnets_changed()
            elif isinstance(change.after, Preference) and change.after.name == "log-level":
                logs.apply_levels(change.after.value or settings.log_level)
            elif isinstance(change.before, Lease) and change.after is None:
                dhcp.forget(change.before.address)
            elif isinstance(change.after, Lease):
                dhcp.restore(change.after)

        layer.listen(changed)
        with contextlib.suppress(InvalidError):  # of a version that knew other parts
            if chosen := store.directory.preference("log-level"):
                logs.apply_levels(chosen)
        foresight = Foresight(settings, store, dhcp, tree, segments.listing, registry.services)
        operations = Operations(
            settings, store, layer, segments, registry, tree, roster, foresight, diagnoses, self._stop_soon(), clock
        )
        try:
            # Machines first: what an operator needs is imported after DHCP answers. Before all of it the segments are
            # asked for other servers: that takes its time, in which the rest starts.
            for name in ("interfaces", "probe", "content", "dhcp", "proxydhcp", "router", "tftp", "http"):
                # A turn of the loop brings the wish to stop that came meanwhile.
                await asyncio.sleep(0)
                if name not in settings.disable and not self._stopping.is_set():
                    await registry.start(name)
                if name == "probe":
                    segments.start()
            diagnoses.start(store.events.tail())
            watching = asyncio.create_task(watch.run(), name="watch")
            for name in segments.absent():
                say(f"bootcart: there is no interface {name}; it is served once it appears")
            try:
                await self._serve_api(operations, registry, say, began)
            finally:
                watching.cancel()
        finally:
            emit(self._event("engine.stopping", f"engine stops: {self._why or 'it failed'}", why=self._why))
            notify("STOPPING=1")
            await segments.stop()
            await registry.stop_all()
            await asyncio.to_thread(diagnoses.stop)
            boot.stop()
            await asyncio.to_thread(registrar.flush)

    def _accepts(self, segments: Segments) -> Callable[[IPv4Address], bool]:
        """Connections to the addresses of served interfaces, and to loopback, are wanted."""
        names = frozenset(self._settings.interface)

        def accepts(local: IPv4Address) -> bool:
            held = [i for i in segments.interfaces.current() if any(a.ip == local for a in i.addresses)]
            return not names or any(i.name in names or i.kind == "loopback" for i in held)

        return accepts

    def _stop_soon(self) -> Callable[[str], None]:
        loop = asyncio.get_running_loop()
        return lambda why: loop.call_soon_threadsafe(self.stop, why) and None

    async def _serve_api(self, operations: Operations, registry: Registry, say: Say, began: float) -> None:
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
            self._tell_ready(operations, registry, say, began)
            await self._stopping.wait()
        finally:
            await api.stop()

    def _tell_ready(self, operations: Operations, registry: Registry, say: Say, began: float) -> None:
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


class _OwnThread(Protocol):
    """A service with a thread of its own."""

    name: str

    def post(self, function: Callable[..., None], *arguments: object) -> None: ...


def _watched(
    registry: Registry, boot: LoopThread, store: Store, own: Sequence[_OwnThread], shared: Sequence[Runnable]
) -> Watch:
    """A watch over the threads: the services with their `own`, those that share the boot loop, the store's writer."""

    def services(thread: str) -> list[str]:
        names = [service.name for service in shared] if thread == boot.name else [thread]
        return [name for name in names if registry.runs(name)]

    def late(thread: str) -> None:
        for name in services(thread):
            registry.unresponsive(name)

    def back(thread: str) -> None:
        for name in services(thread):
            registry.responsive(name)

    watch = Watch(late, back, watchdog_seconds(os.environ))
    for service in own:
        watch.over(service.name, service.post, partial(registry.runs, service.name))
    watch.over(boot.name, boot.beat)
    watch.over("the store's writer", store.database.writer.beat)
    return watch


def port_owners(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """Who had our ports when the launcher looked (`BOOTCART_PORT_OWNERS`: `udp/67=dnsmasq (process 812);…`)."""
    told = dict(entry.split("=", 1) for entry in environment.get("BOOTCART_PORT_OWNERS", "").split(";") if "=" in entry)
    ports = {
        "dhcp": f"udp/{settings.dhcp_port}",
        "proxydhcp": f"udp/{settings.pxe_port}",
        "tftp": f"udp/{settings.tftp_port}",
        "http": f"tcp/{settings.http_port}",
    }
    return {service: plain(told[port]) for service, port in ports.items() if port in told}


def _import_api():
    from app.api.app import create_app
    from app.api.callers import operators
    from app.api.listener import ApiListener

    return create_app, ApiListener, operators
