"""Deny by default: the gate before the application, and the permission every route names."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from fastapi import Depends, Request

from app.api.callers import Admission, Caller, Peer, user_name
from app.api.failures import failure
from app.errors import ForbiddenError, InvalidError
from app.model.event import EventDraft, Level
from app.netboot.words import plain

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

BODY_MAX = 4 * 1024 * 1024
"""Bytes; the largest body that is read."""
UPLOADS = "/api/v1/uploads/"
"""Bodies below this path are as long as files are: they are written as they come."""
REFUSAL_EVENT_SECONDS = 10.0
"""At most one `api.refused` event per user in this time, so that a loop cannot wash other events out of the ring."""


TOO_LARGE = InvalidError("the body is too large", hint=f"send at most {BODY_MAX // 1024 // 1024} MiB")


class Gate:
    """ASGI in, ASGI out: lets through who `admission` admits and puts the Caller in the request's state.

    The listener's protocol left the Peer in the state; a request without one is refused.
    """

    def __init__(self, app: ASGIApp, admission: Admission, emit: Callable[[EventDraft], None]) -> None:
        self._app = app
        self._admission = admission
        self._emit = emit
        self._told: dict[int, float] = {}

    def knows(self, peer: Peer) -> bool:
        """The peer's user was named at the start; no database is asked."""
        return peer.uid in self._admission.allowed_uids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        peer: Peer | None = state.get("peer")
        caller = await asyncio.to_thread(self._admission.admit, peer) if peer else None
        if caller is None:
            self._tell(peer, scope["path"])
            refused = ForbiddenError(
                f"user {user_name(peer.uid) if peer else '?'} may not speak to this engine",
                hint=f"use sudo, or add the user to the group {self._admission.group}",
            )
            await failure(refused, headers={"connection": "close"})(scope, receive, send)
            return
        state["caller"] = caller
        if _length(scope) > BODY_MAX and not scope["path"].startswith(UPLOADS):
            await failure(TOO_LARGE, status=413, headers={"connection": "close"})(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _tell(self, peer: Peer | None, path: str) -> None:
        uid = peer.uid if peer else -1
        now = time.monotonic()
        if now - self._told.get(uid, -REFUSAL_EVENT_SECONDS) < REFUSAL_EVENT_SECONDS:
            return
        self._told = {old: told for old, told in self._told.items() if now - told < REFUSAL_EVENT_SECONDS} | {uid: now}
        self._emit(
            EventDraft(
                time=time.time(),
                kind="api.refused",
                level=Level.WARNING,
                message=f"refused user {user_name(uid) if peer else '?'} at the API",
                data={"uid": uid, "pid": peer.pid if peer else 0, "path": plain(path)},
            )
        )


def _length(scope: Scope) -> int:
    """The body's length as the headers tell it; one that is not told is counted while it is read."""
    told = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(told) if told.isdigit() else 0


def calling(permission: str) -> Any:
    """A route's dependency: the Caller, who holds this permission. The route answers ForbiddenError otherwise."""

    def caller_with(request: Request) -> Caller:
        caller: Caller | None = getattr(request.state, "caller", None)
        if caller is None:
            raise ForbiddenError("nobody vouches for this caller", hint="connect to the engine's socket")
        if not caller.may(permission):
            raise ForbiddenError(f"{caller.actor} lacks the permission {permission}", hint="ask an administrator")
        return caller

    return Depends(caller_with)
