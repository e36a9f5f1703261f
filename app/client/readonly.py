"""A client that only looks: every call that would change something is refused here, before the engine hears of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from app.errors import ForbiddenError

if TYPE_CHECKING:
    from app.client.protocol import Client

READING = frozenset(
    {"list", "show", "watch", "timeline", "diagnosis", "boot", "script", "render", "info", "tell_fault", "close"}
    | {"capture", "exchange", "export", "download", "unfinished", "usage"}
)
"""Calls that change nothing. What is not named here is refused, so that a new call is closed until somebody looks."""
REFUSED = "this interface was opened with --read-only: nothing is changed from here"
HINT = "leave, and open it without that flag"


class _Watching:
    """One noun, or the client itself."""

    def __init__(self, door: object) -> None:
        self._door = door

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._door, name)
        if not callable(found) or name in READING:
            return found

        async def refuse(*_: object, **__: object) -> None:
            raise ForbiddenError(REFUSED, hint=HINT)

        return refuse


class _WatchingClient(_Watching):
    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        # A noun; the endpoint is text, and calls are wrapped already.
        return found if isinstance(found, str) or callable(found) else _Watching(found)


def read_only(client: Client) -> Client:
    """The same engine, without a way to change it. Changing calls raise ForbiddenError."""
    return cast("Client", _WatchingClient(client))
