"""The operators' REST API, version 1."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter, FastAPI

from app.api import actions
from app.api.certificates import certificate_routes
from app.api.failures import FAILURES, ShieldedRoute, install
from app.api.files import download_routes, file_routes, upload_routes
from app.api.guard import BODY_MAX, calling
from app.api.nouns import NOUNS, noun_router
from app.api.options import option_routes
from app.api.ports import EnginePort
from app.api.recordings import exchange_routes, recording_routes
from app.api.stream import Streams, event_routes

PREFIX = "/api/v1"


def _version() -> str:
    try:
        return version("bootcart")
    except PackageNotFoundError:
        # Run from a tree that is not installed.
        return "0"


def create_app(engine: EnginePort, streams: Streams | None = None) -> FastAPI:
    """The application over an engine.

    Every route names a permission and refuses a request whose state holds no Caller (see `app.api.guard.Gate`).
    `streams` is shared with the listener, which ends them when it stops.
    """
    app = FastAPI(
        title="Bootcart",
        version=_version(),
        description="Provision bare metal. A key is an id, a name, or `Index:value` for a unique index.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        max_body_size=BODY_MAX,
    )
    app.state.streams = streams or Streams()
    install(app)
    # What is more particular comes first: `/commands/undo` before `/commands/{key}`.
    routers = (
        actions.engine_routes(engine),
        event_routes(engine, app.state.streams),
        actions.service_routes(engine),
        actions.interface_routes(engine),
        actions.command_routes(engine),
        actions.machine_actions(engine),
        actions.usage_routes(engine),
        option_routes(),
        recording_routes(engine),
        exchange_routes(engine),
        actions.bootenv_actions(engine),
        actions.pref_actions(engine),
        certificate_routes(engine),
        file_routes(engine),
        download_routes(engine),
        upload_routes(engine),
        *(noun_router(engine, noun) for noun in NOUNS),
        _document(app),
    )
    for router in routers:
        app.include_router(router, prefix=PREFIX)
    return app


def _document(app: FastAPI) -> APIRouter:
    router = APIRouter(tags=["engine"], route_class=ShieldedRoute, responses=FAILURES, redirect_slashes=False)

    @router.get("/openapi.json", dependencies=[calling("engine.read")], summary="This API's OpenAPI document")
    def openapi() -> dict[str, Any]:
        return app.openapi()

    _ = openapi
    return router
