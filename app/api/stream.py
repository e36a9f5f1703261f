"""Events: the list, and the stream that resumes (server-sent events, HTML Living Standard section 9.2)."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, cast

from fastapi import APIRouter, Header, Response
from fastapi import Query as FromQuery
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from app.api.guard import calling
from app.api.listings import Listing, PageParams, page_answer
from app.api.nouns import router_for
from app.api.ports import EnginePort
from app.errors import InvalidError, NotFoundError
from app.model.event import Event
from app.model.fields import normal_mac
from app.model.machine import Machine

_KIND = re.compile(r"[a-z]*(\.[a-z]*)?")


class About(BaseModel):
    """Which events."""

    model_config = ConfigDict(extra="forbid")

    machine: str = Field(default="", description="only about this machine: id, name, `Index:value` or MAC address")
    kind: str = Field(default="", description="only kinds that begin so, for example `dhcp.`")


class EventParams(About, PageParams):
    """A page of events."""


class StreamParams(About):
    """A stream of events."""

    after: str = Field(default="", description="the id of the last event seen; none: from now")


class Streams:
    """The open streams of one listener, ended by `close()`."""

    def __init__(self, keep_alive: float = 15.0) -> None:
        """`keep_alive` is how many seconds of silence are filled with a comment."""
        self.keep_alive = keep_alive
        self._closing = asyncio.Event()
        self.count = 0
        """How many are open."""

    def close(self) -> None:
        """End every stream, and those that are asked for later. Called from the streams' own loop."""
        self._closing.set()

    def open(self) -> None:
        """Allow streams (again)."""
        self._closing.clear()

    async def follow(self, events: AsyncIterator[Event], after: int) -> AsyncIterator[str]:
        """The text of one stream of `events`, which begin after event `after`; until `close()` or cancellation."""
        self.count += 1
        closing = asyncio.create_task(self._closing.wait())
        coming = asyncio.ensure_future(anext(events))
        try:
            # An id without data tells the caller where it stands, so that a cut before the first event loses nothing.
            yield f"retry: 1000\nid: {after}\n\n"
            while True:
                await asyncio.wait({coming, closing}, timeout=self.keep_alive, return_when=asyncio.FIRST_COMPLETED)
                if closing.done():
                    return
                if not coming.done():
                    yield ": keep-alive\n\n"
                    continue
                try:
                    event = coming.result()
                except StopAsyncIteration:
                    return
                yield f"id: {event.id}\nevent: {event.kind}\ndata: {event.model_dump_json(fallback=str)}\n\n"
                coming = asyncio.ensure_future(anext(events))
        finally:
            self.count -= 1
            closing.cancel()
            coming.cancel()
            await asyncio.wait({coming, closing})
            if isinstance(events, AsyncGenerator):
                await events.aclose()


def _subject(engine: EnginePort, machine: str) -> str:
    """What the ring knows a machine by; a MAC address need not be known yet. Raises NotFoundError."""
    if not machine:
        return ""
    try:
        found = cast("Machine", engine.commands.resolve("machines", machine))
    except NotFoundError:
        with contextlib.suppress(ValueError):
            return normal_mac(machine.removeprefix("Mac:"))
        raise
    # A machine that was only seen has no record the ring could look up.
    return str(found.id) if found.registered or not found.macs else found.macs[0]


def _kind(text: str) -> str:
    if not _KIND.fullmatch(text):
        raise InvalidError(
            f"{text!r} does not begin an event's kind", hint="for example dhcp. or http.sent", field="kind"
        )
    return text


def _number(text: str, field: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise InvalidError(f"{text!r} is not an event's number", hint="give the id of the last event seen", field=field)
    return int(text)


def event_routes(engine: EnginePort, streams: Streams) -> APIRouter:
    """Events: list and stream."""
    router = router_for("events")
    reading = calling("events.read")

    @router.get("", response_model=Listing[Event], dependencies=[reading], summary="List kept events, the newest last")
    def listed(params: Annotated[EventParams, FromQuery()]) -> Response:
        """Without a sort field the page counts from the newest back."""
        return page_answer(engine.events.list(params.query(), _subject(engine, params.machine), _kind(params.kind)))

    @router.get("/stream", dependencies=[reading], response_class=StreamingResponse, summary="Follow events")
    async def stream(
        params: Annotated[StreamParams, FromQuery()],
        last_event_id: Annotated[str, Header(description="resume after this event; stronger than `after`")] = "",
    ) -> Response:
        kind = _kind(params.kind)
        subject = await asyncio.to_thread(_subject, engine, params.machine)
        newest = engine.events.last_id
        # A number from before the store was renewed lies beyond the newest: begin from now.
        asked = last_event_id or params.after
        start = min(_number(asked, "after"), newest) if asked else newest
        return StreamingResponse(
            streams.follow(engine.events.subscribe(start, subject, kind), start),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )

    _ = (listed, stream)
    return router
