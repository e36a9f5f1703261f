"""The IPv6 side of an engine: DHCPv6 on a thread of its own, what its subnets show, and what becomes of changes."""

from __future__ import annotations

from collections.abc import Callable

from app.clock import Clock
from app.config import Settings
from app.engine.segments import Segments
from app.engine.watch import Watch
from app.model.event import EventDraft
from app.model.fields import Model
from app.model.subnet import SubnetMode
from app.model.subnet6 import Lease6, Subnet6
from app.netboot.exchange import Policy
from app.services.commands.layer import Change
from app.services.dhcp6 import Dhcp6Service
from app.services.dhcp6.tap import Tap
from app.services.interfaces import addresses6
from app.services.registry import LoopThread, Registry
from app.store.store import Store

NAME = Dhcp6Service.name
OFF = "this run serves no DHCPv6: start the engine with --dhcp6"


class Ipv6:
    """Off unless this run was told to serve it (docs/guide.md, IPv6)."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        segments: Segments,
        policy: Policy,
        emit: Callable[[EventDraft], None],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._service = Dhcp6Service(
            view=store.directory,
            journal=store.leases6,
            interfaces=segments.interfaces.current,
            addresses=addresses6,
            emit=emit,
            clock=clock,
            policy=policy,
            port=settings.dhcp6_port,
            allowed=settings.interface,
            on_interfaces=segments.subnets_changed,
        )
        self._thread: LoopThread | None = None

    def record(self, tap: Tap) -> None:
        """Tell a recorder every message."""
        self._service.tap = tap

    def register(self, registry: Registry, watch: Watch) -> None:
        """Make the service known, and have its thread watched."""
        if not self._settings.dhcp6 or NAME in self._settings.disable:
            registry.disable(NAME)
            return
        self._thread = LoopThread(NAME)
        registry.add(self._service, self._thread)
        watch.over(NAME, self._thread.beat)

    def shown(self, model: Model) -> Model:
        """A subnet with the reason why it is not answered."""
        if not isinstance(model, Subnet6) or model.hold or self._thread is not None:
            return model
        serves = model.enabled and model.mode is not SubnetMode.OFF
        return model.model_copy(update={"hold": OFF}) if serves else model

    def changed(self, change: Change) -> None:
        """An operator deleted a lease, or took that back; any thread."""
        if isinstance(change.before, Lease6) and change.after is None:
            self._service.forget(change.before.address)
        elif isinstance(change.after, Lease6):
            self._service.restore(change.after)

    def stop(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._thread.stop()
