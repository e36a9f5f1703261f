"""The composition root: makes the parts of an engine and joins them, for no service knows its siblings."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from app.clock import Clock
from app.config import Settings
from app.engine import logs
from app.engine.closing import Closing
from app.engine.diagnosing import Scene
from app.engine.foresight import Foresight
from app.engine.https import Certificates
from app.engine.ipv6 import Ipv6
from app.engine.notify import keep, notify
from app.engine.port import Operations
from app.engine.recordings import Recordings
from app.engine.segments import Segments
from app.engine.usage import Usages
from app.engine.watch import Watch, watchdog_seconds
from app.errors import InvalidError
from app.model.engine import Preference
from app.model.event import EventDraft
from app.model.machine import Machine
from app.model.subnet import Lease
from app.netboot.decide import bootenv_of, for_grub
from app.netboot.exchange import Policy
from app.netboot.login import password
from app.netboot.timeline import timeline
from app.netboot.token import mint, verify
from app.netboot.words import plain
from app.services.bootfs.roots import Files
from app.services.bootfs.tree import BootFs
from app.services.boothttp.listener import give_up
from app.services.boothttp.service import BootHttpService
from app.services.commands.layer import Change, CommandLayer
from app.services.content.service import ContentService, shipped
from app.services.dhcp import DhcpService, ProxyDhcpService
from app.services.files import Inbox, Shelf
from app.services.interfaces import holding6
from app.services.machines.addresses import AddressWatch
from app.services.machines.diagnosis import Diagnoses
from app.services.machines.installs import Installs
from app.services.machines.loaderchoice import LoaderChoices, World
from app.services.machines.registrar import Registrar
from app.services.machines.roster import Roster
from app.services.registry import LoopThread, Registry, Runnable
from app.services.tftp.service import TftpService
from app.store.loader_rows import LoaderRows
from app.store.secrets import token_key
from app.store.store import Store

Emit = Callable[[EventDraft], None]

UPLOADED = "files"
"""Where the data directory keeps uploads."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What an engine starts, watches and ends."""

    segments: Segments
    registry: Registry
    boot: LoopThread
    """The thread of TFTP and boot HTTP."""
    watch: Watch
    diagnoses: Diagnoses
    registrar: Registrar
    operations: Operations
    closing: Closing
    ipv6: Ipv6
    inbox: Inbox
    emit: Emit


def assemble(settings: Settings, clock: Clock, store: Store, stop: Callable[[str], None]) -> Parts:
    """Make the parts and join them, in the loop that is to run them; nothing answers yet. `stop` ends the engine."""
    key = token_key(settings.data_dir)
    segments = Segments(settings, store.directory, store.events.emit, clock)

    def emit(draft: EventDraft) -> None:
        store.events.emit(draft)
        segments.seen(draft)
        if draft.kind in ("service.started", "service.failed"):
            notify(f"STATUS={registry.status()}")

    registry = Registry(emit, clock, port_owners(settings, os.environ))
    layer = CommandLayer(store.database, store.directory, store.events, clock)
    roster = Roster(store.directory, store.events, clock, timeline)
    roster.replay()
    store.events.observe(roster.observe)
    layer.roster = roster
    layer.own_addresses = segments.own_addresses
    roster.password_of = partial(password, key)
    registrar = Registrar(layer, store.directory, roster, emit, clock)
    inbox = Inbox(Shelf(settings.data_dir / UPLOADED), emit, clock)
    files = Files(settings.artefacts, settings.file_root, inbox.shelf.root)
    content = ContentService((shipped(),), there=files.there, publish=store.directory.set_bootenvs)
    tree = BootFs(
        store.directory,
        content,
        files,
        mint=lambda claims: mint(claims, key),
        verify=lambda token, peer: verify(
            token, key, now=clock.now(), address=peer, lease=store.directory.holder_of(peer)
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
    loaders = _loaders(store, tree, emit, clock)
    roster.loader_of = loaders.told
    store.events.observe(loaders.observe)
    policy = Policy(settings.dhcp, settings.http_port, settings.address, loaders.suited, settings.https_port)
    addresses = AddressWatch(store.directory, emit, clock, roster.alive)

    def learned(mac: str, address: IPv4Address) -> None:
        store.directory.learn(mac, address)
        addresses.took(address, mac)

    dhcp = DhcpService(
        view=segments.gate,
        journal=store.leases,
        leases=store.directory.leases,
        interfaces=interfaces,
        emit=emit,
        clock=clock,
        policy=policy,
        port=settings.dhcp_port,
        allowed=settings.interface,
        on_leases=addresses.leased,
        on_learned=learned,
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
        accepts=_accepts(settings, segments),
        installs=Installs(layer, store.directory, emit, clock),
        keep=keep,
    )
    recordings = Recordings(store, tree.mac_of, interfaces, clock)
    dhcp.tap = recordings.recorder.dhcp(settings.dhcp_port)
    proxy.tap = recordings.recorder.dhcp(settings.pxe_port)
    tftp.tap = http.tap = recordings.recorder.heard
    certificates = Certificates(settings, interfaces, tree.mac_of, emit, clock)
    machines: list[TftpService | BootHttpService] = [tftp, http]
    if settings.https_port:
        https = BootHttpService(
            tree,
            registrar,
            emit,
            clock,
            token_key=key,
            port=settings.https_port,
            accepts=_accepts(settings, segments),
            installs=Installs(layer, store.directory, emit, clock),
            door=certificates.door(),
        )
        machines.append(https)
    for service, thread in ((dhcp, None), (proxy, None), *((each, boot) for each in machines)):
        if service.name in settings.disable:
            registry.disable(service.name)
        else:
            registry.add(service, thread)
    if http.name in settings.disable:
        give_up()

    watch = _watched(registry, boot, store, (dhcp, proxy), machines)
    ipv6 = Ipv6(settings, store, segments, policy, emit, clock)
    ipv6.record(recordings.recorder.heard)
    ipv6.register(registry, watch)

    scene = Scene(settings, store.directory, segments, registry, clock)
    diagnoses = Diagnoses(roster, scene.judge, emit, clock)
    roster.problem_of = diagnoses.problem
    store.events.observe(diagnoses.observe)

    def changed(change: Change) -> None:
        diagnoses.changed()
        ipv6.changed(change)
        if change.noun == "subnets":
            segments.subnets_changed()
        elif isinstance(change.after, Preference) and change.after.name == "log-level":
            logs.apply_levels(change.after.value or settings.log_level)
        elif isinstance(change.before, Machine) and _loader_set(change.before, change.after):
            loaders.reset(change.before)
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
        settings,
        store,
        layer,
        segments,
        registry,
        tree,
        roster,
        foresight,
        diagnoses,
        recordings,
        loaders,
        Usages(store, dhcp.offered, clock),
        inbox,
        ipv6.shown,
        certificates,
        stop,
        clock,
    )
    closing = Closing(store.directory, layer, emit, clock)
    return Parts(segments, registry, boot, watch, diagnoses, registrar, operations, closing, ipv6, inbox, emit)


def _loaders(store: Store, tree: BootFs, emit: Emit, clock: Clock) -> LoaderChoices:
    directory = store.directory

    def has_grub(mac: str) -> bool:
        return for_grub(directory.bootenv(bootenv_of(mac, directory)[0]))

    world = World(directory.machine_by_mac, tree.there, has_grub, directory.preference, emit)
    return LoaderChoices(world, LoaderRows(store.database), clock)


def _accepts(settings: Settings, segments: Segments) -> Callable[[IPv4Address | IPv6Address], bool]:
    """Connections to the addresses of served interfaces, and to loopback, are wanted."""
    names = frozenset(settings.interface)

    def accepts(local: IPv4Address | IPv6Address) -> bool:
        if isinstance(local, IPv6Address):
            return not names or local.is_loopback or not names.isdisjoint(holding6(local))
        held = [i for i in segments.interfaces.current() if any(a.ip == local for a in i.addresses)]
        return not names or any(i.name in names or i.kind == "loopback" for i in held)

    return accepts


def _loader_set(before: Machine, after: object) -> bool:
    """An operator has said which boot loader it is given, or it is gone."""
    return not isinstance(after, Machine) or after.loader is not before.loader


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
        "dhcp6": f"udp/{settings.dhcp6_port}",
        "proxydhcp": f"udp/{settings.pxe_port}",
        "tftp": f"udp/{settings.tftp_port}",
        "http": f"tcp/{settings.http_port}",
        "https": f"tcp/{settings.https_port}",
    }
    return {service: plain(told[port]) for service, port in ports.items() if port in told}
