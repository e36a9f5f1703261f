"""What went over the wire, over HTTP."""

from __future__ import annotations

from app.client.wire import Wire, model_of, page_of, params_of, path_of
from app.model.packets import Dissection, Exchange, Packet
from app.model.query import Page, Query


class HttpPackets:
    """The flight recorder of one engine."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def list(self, machine: str, query: Query | None = None) -> Page[Packet]:
        return page_of(
            Packet, await self._wire.ask("GET", path_of("machines", machine, "packets"), params=params_of(query))
        )

    async def show(self, machine: str, number: int) -> Dissection:
        path = path_of("machines", machine, "packets", str(number))
        return model_of(Dissection, await self._wire.ask("GET", path))

    async def capture(self, machine: str, *, boots: int = 0) -> bytes:
        return await self._wire.ask("GET", path_of("machines", machine, "pcap"), params=[("boots", str(boots))])

    async def exchange(self, event: int) -> Exchange:
        return model_of(Exchange, await self._wire.ask("GET", path_of("events", str(event), "packets")))
