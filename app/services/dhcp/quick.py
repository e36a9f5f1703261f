"""Messages of a kind that was answered before: known by their octets, answered without asking the policy again."""

from __future__ import annotations

from collections.abc import Callable, Collection
from ipaddress import IPv4Address

from app.netboot.allocate import LeaseTable
from app.netboot.answer import answer
from app.netboot.exchange import Answer, Arrival, Policy
from app.netboot.stencil import Said, Stencils, read
from app.netboot.view import NetworkView
from app.netboot.wire.dhcp4 import DhcpPacket
from app.services.dhcp.sockets import Datagram


class Quick:
    """Answers from stencils, and takes new ones of what the policy answers. It belongs to the loop that answers."""

    def __init__(self, view: NetworkView, policy: Policy) -> None:
        self._view = view
        self._policy = policy
        self._stencils = Stencils(view, policy)
        self._asked: tuple[Said, tuple[int, int, int, int]] | None = None
        self._interfaces: object = None

    def cut(
        self,
        datagram: Datagram,
        interfaces: object,
        own: Collection[bytes],
        table: LeaseTable,
        now: float,
        doubtful: Callable[[IPv4Address], bool],
    ) -> Answer | None:
        """The answer to a message; None: it is to be read, and `ask` is to be asked next.

        `interfaces` is what the host's are known by, `own` their hardware addresses.
        """
        self._asked = None
        said = read(datagram.payload)
        if said is None or said.chaddr in own:
            return None
        if interfaces is not self._interfaces:
            self._interfaces = interfaces
            self._stencils.clear()
        way = (datagram.index, int(datagram.source), datagram.port, int(datagram.destination))
        found = self._stencils.cut(said, way, table, now, doubtful)
        if found is None:
            self._asked = said, way
        return found

    def ask(self, request: DhcpPacket, arrival: Arrival, table: LeaseTable, now: float) -> Answer:
        """What the policy answers to the message that `cut` did not."""
        asked, self._asked = self._asked, None
        if asked is None:
            return answer(request, arrival, self._view, table, self._policy, now)
        return self._stencils.take(*asked, request, arrival, table, now)
