"""The ProxyDHCP service: port 4011, where firmware that has an address asks which file to boot (PXE 2.1 2.2.3)."""

from __future__ import annotations

from collections.abc import Collection

from app.clock import Clock
from app.netboot.allocate import LeaseTable
from app.netboot.answer import begin
from app.netboot.exchange import Arrival, Policy
from app.netboot.proxy import BOOT_PORT, answer_boot
from app.netboot.view import NetworkView
from app.netboot.wire.dhcp4 import DhcpPacket
from app.services.dhcp.responder import Emit, Interfaces, Responder


class ProxyDhcpService(Responder):
    """Answers boot requests on port 4011; gives no addresses."""

    name = "proxydhcp"

    def __init__(
        self,
        *,
        view: NetworkView,
        interfaces: Interfaces,
        emit: Emit,
        clock: Clock,
        policy: Policy,
        port: int = BOOT_PORT,
        allowed: Collection[str] = (),
    ) -> None:
        super().__init__(port=port, interfaces=interfaces, emit=emit, clock=clock, allowed=allowed)
        self._view = view
        self._policy = policy
        self._no_leases = LeaseTable()
        self.counters["acks"] = 0

    def handle(self, packet: DhcpPacket, arrival: Arrival) -> None:
        """Answer one boot request."""
        found = answer_boot(begin(packet, arrival, self._view, self._no_leases, self._policy, self.now()))
        if found.reply is None and not found.events:
            self.counters["ignored"] += 1
            return
        self.counters["acks"] += self.send(found)
        self.emit(found.events)
