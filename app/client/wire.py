"""Requests over the engine's socket, its errors as ours."""

from __future__ import annotations

import errno
import json
import ssl
import sys
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote

from pydantic import ValidationError

from app.client.endpoint import socket_path
from app.errors import (
    BY_CODE,
    BootcartError,
    ForbiddenError,
    NotFoundError,
    TimedOutError,
    UnavailableError,
    UnreachableError,
)
from app.model.fields import Model
from app.model.query import Page, Query

if TYPE_CHECKING:
    import httpx

ModelT = TypeVar("ModelT", bound=Model)
Params = Sequence[tuple[str, str]]
Lines = AsyncIterator[str]

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
"""The slowest answers are a service's restart and a probe."""

START_HINT = "start one: sudo ./bootcart, or bootcart serve"


def load_httpx() -> None:
    """Load httpx without the command line it brings along (click, rich, pygments: half of its loading time)."""
    modules = cast("dict[str, Any]", sys.modules)
    first = "httpx" not in modules and "httpx._main" not in modules
    if first:
        # None makes its import fail, which httpx is prepared for.
        modules["httpx._main"] = None
    try:
        import_module("httpx")
    finally:
        if first:
            del modules["httpx._main"]


class Wire:
    """One engine's API; connects when it is first asked."""

    def __init__(self, endpoint: str) -> None:
        """Raises InvalidError for an endpoint that cannot be one."""
        self.path = socket_path(endpoint)
        self.endpoint = endpoint
        self._http: httpx.AsyncClient | None = None

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            load_httpx()
            import httpx

            # A context of its own spares loading the certificates of the world, which a Unix socket has no use for.
            transport = httpx.AsyncHTTPTransport(uds=str(self.path), verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
            self._http = httpx.AsyncClient(
                transport=transport,
                trust_env=False,
                base_url="http://engine/api/v1/",
                timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
                headers={"Accept": "application/json"},
            )
        return self._http

    async def close(self) -> None:
        """Hang up."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def ask(self, method: str, path: str, *, params: Params = (), body: Mapping[str, Any] | None = None) -> bytes:
        """The body of the answer. Raises BootcartError: what the engine said, or that it cannot be reached."""
        client = self._client()
        import httpx

        request: dict[str, Any] = {"params": list(params)} | ({} if body is None else {"json": dict(body)})
        try:
            try:
                reply = await client.request(method, path, **request)
            except (httpx.RemoteProtocolError, httpx.ReadError):
                # The engine closed a kept connection just as it was used again; only a read may be repeated blindly.
                if method != "GET":
                    raise
                reply = await client.request(method, path, **request)
        except httpx.TransportError as error:
            raise self.unreachable(error) from error
        if reply.is_error:
            raise refusal(reply.status_code, reply.content)
        return reply.content

    async def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        content: AsyncIterable[bytes] | None = None,
        *,
        seconds: float = ANSWER_SECONDS,
    ) -> Mapping[str, str]:
        """The headers of the answer to a body that goes out as it is made. Raises as `ask` does."""
        client = self._client()
        import httpx

        timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS)
        try:
            reply = await client.request(method, path, headers=dict(headers), content=content, timeout=timeout)
        except httpx.TransportError as error:
            raise self.unreachable(error) from error
        if reply.is_error:
            raise refusal(reply.status_code, reply.content)
        return reply.headers

    @asynccontextmanager
    async def octets(self, path: str) -> AsyncGenerator[AsyncIterator[bytes]]:
        """An answer of any length, in parts as they come. Raises as `ask` does."""
        client = self._client()
        import httpx

        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        try:
            async with client.stream("GET", path, timeout=timeout) as reply:
                if reply.is_error:
                    raise refusal(reply.status_code, await reply.aread())
                yield reply.aiter_raw()
        except httpx.TransportError as error:
            raise self.unreachable(error) from error

    @asynccontextmanager
    async def stream(
        self, path: str, params: Params, headers: Mapping[str, str], silence: float
    ) -> AsyncGenerator[Lines]:
        """An answer that goes on: an iterator of its lines, without their ends. Raises as `ask` does."""
        client = self._client()
        import httpx

        timeout = httpx.Timeout(silence, connect=CONNECT_SECONDS)
        accept = {"Accept": "text/event-stream", **headers}
        try:
            async with client.stream("GET", path, params=list(params), headers=accept, timeout=timeout) as reply:
                if reply.is_error:
                    raise refusal(reply.status_code, await reply.aread())
                yield _lines(reply.aiter_bytes())
        except httpx.TransportError as error:
            raise self.unreachable(error) from error

    def unreachable(self, error: Exception) -> BootcartError:
        """A transport's error in words."""
        import httpx

        if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
            return TimedOutError(f"the engine at {self.endpoint} does not answer", hint="look at its log; restart it")
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__cause__ or cause.__context__
        if cause is not None and cause.errno in (errno.EACCES, errno.EPERM):
            return ForbiddenError(
                f"this user may not reach {self.path}", hint="use sudo, or join the group bootcart and log in again"
            )
        return UnreachableError(f"no engine answers at {self.endpoint}", hint=START_HINT)


async def _lines(parts: AsyncIterator[bytes]) -> AsyncIterator[str]:
    # Split at line feeds alone: an event's text may hold other characters that Unicode calls line ends.
    rest = b""
    async for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace")


def refusal(status: int, content: bytes) -> BootcartError:
    """What the engine said, as the error it raised."""
    try:
        told = json.loads(content)
    except ValueError:
        told = None
    if not isinstance(told, dict) or "message" not in told:
        if status == 503:
            return UnavailableError("the engine has too many callers", hint="try again in a moment")
        return BootcartError(f"the engine answered {status} without a reason", hint="look at its log")
    said = {key: str(value) for key, value in cast("dict[str, Any]", told).items()}
    kind = BY_CODE.get(said.get("code", ""), BootcartError)
    return kind(said["message"], hint=said.get("hint", ""), field=said.get("field", ""))


def path_of(noun: str, key: str, *rest: str) -> str:
    """The path of one object. Raises NotFoundError for a key no object can have."""
    if not key.strip() or "/" in key or key in (".", ".."):
        raise NotFoundError(f"no {noun.removesuffix('s')} {key!r}", hint=f"see: bootcart {noun} list")
    return "/".join((noun, quote(key, safe=":"), *rest))


def params_of(query: Query | None) -> list[tuple[str, str]]:
    """A query as URL parameters."""
    if query is None:
        return []
    params = [("filter", term) for term in query.filter]
    if query.sort:
        params.append(("sort", query.sort))
    return [*params, ("limit", str(query.limit)), ("offset", str(query.offset))]


def model_of(kind: type[ModelT], content: bytes | str) -> ModelT:
    """An object from JSON. Fields only a newer engine knows are left out."""
    try:
        return kind.model_validate_json(content, extra="ignore")
    except ValidationError as error:
        raise _unreadable(kind) from error


def page_of(kind: type[ModelT], content: bytes) -> Page[ModelT]:
    """A page from JSON."""
    try:
        told = json.loads(content)
        items = tuple(kind.model_validate(item, extra="ignore") for item in told["items"])
        return Page(items, total=int(told["total"]), offset=int(told["offset"]))
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(kind) from error


def _unreadable(kind: type[Model]) -> BootcartError:
    return BootcartError(
        f"the engine's answer is not a {kind.__name__} this program can read",
        hint="engine and interface are of different versions: restart the older one",
    )
