"""What the flight recorder kept: a machine's packets, its capture, and the exchange behind an event."""

from __future__ import annotations

import re
from typing import Annotated, cast

from fastapi import APIRouter, Response
from fastapi import Path as FromPath
from fastapi import Query as FromQuery

from app.api.guard import calling
from app.api.listings import Listing, PageQuery, answer
from app.api.nouns import router_for
from app.api.ports import EnginePort
from app.errors import InvalidError
from app.model.machine import Machine
from app.model.packets import Dissection, Exchange, Packet

MEDIA_TYPE = "application/x-pcapng"
BOOTS_MAX = 100


def recording_routes(engine: EnginePort) -> APIRouter:
    """Reading one machine's recording."""
    router = router_for("machines")
    reading = calling("machines.read")

    def machine(key: str) -> Machine:
        return cast("Machine", engine.commands.resolve("machines", key))

    @router.get(
        "/{key}/packets",
        response_model=Listing[Packet],
        dependencies=[reading],
        summary="What went over the wire in its last boots, oldest first",
    )
    def packets(key: str, params: PageQuery) -> Response:
        return answer(engine.recordings.packets(machine(key)), params)

    @router.get(
        "/{key}/packets/{number}",
        response_model=Dissection,
        dependencies=[reading],
        summary="One of them, taken apart",
    )
    def packet(key: str, number: Annotated[int, FromPath(ge=1)]) -> Dissection:
        return engine.recordings.packet(machine(key), number)

    @router.get(
        "/{key}/pcap",
        response_class=Response,
        responses={200: {"content": {MEDIA_TYPE: {}}}},
        dependencies=[reading],
        summary="The same as a capture (pcapng) for Wireshark; tokens starred out",
    )
    def pcap(
        key: str,
        boots: Annotated[int, FromQuery(ge=0, le=BOOTS_MAX, description="the last so many; 0: all that are kept")] = 0,
    ) -> Response:
        found = machine(key)
        name = re.sub(r"[^\w.-]", "_", found.name, flags=re.ASCII)
        return Response(
            engine.recordings.capture(found, boots),
            media_type=MEDIA_TYPE,
            headers={"Content-Disposition": f'attachment; filename="{name}.pcapng"'},
        )

    _ = (packets, packet, pcap)
    return router


def exchange_routes(engine: EnginePort) -> APIRouter:
    """Reading what an event is about."""
    router = router_for("events")

    @router.get(
        "/{key}/packets",
        response_model=Exchange,
        dependencies=[calling("events.read"), calling("machines.read")],
        summary="The request and the reply behind an event, taken apart",
    )
    def exchange(key: str) -> Exchange:
        if not key.isdecimal() or len(key) > 18:
            raise InvalidError(f"{key!r} is not an event's number", hint="see: bootcart events list", field="key")
        return engine.recordings.exchange(int(key))

    _ = exchange
    return router
