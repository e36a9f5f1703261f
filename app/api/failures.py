"""Errors on the wire: one JSON shape for all of them, never a traceback."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from app.errors import BY_CODE, BootcartError, ConflictError, ForbiddenError, InvalidError, NotFoundError
from app.netboot.words import plain

log = logging.getLogger(__name__)


class Failure(BaseModel):
    """Why a request was not done."""

    code: str = Field(description="which kind of failure: " + ", ".join(sorted(BY_CODE)))
    message: str = Field(description="what failed and why, one line")
    hint: str = Field(default="", description="what to do about it")
    field: str = Field(default="", description="which input was at fault, a path such as `ranges.0.end`")


FAILURES: dict[int | str, dict[str, Any]] = {
    422: {"model": Failure, "description": "the input breaks a rule"},
    "default": {"model": Failure, "description": "any other failure"},
}
"""The `responses` of every route."""

# What the HTTP layer itself refuses, in our vocabulary (RFC 9110 section 15.5).
_BY_STATUS: dict[int, type[BootcartError]] = {403: ForbiddenError, 404: NotFoundError, 409: ConflictError}


def failure(error: BootcartError, *, status: int = 0, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer for an error."""
    body = Failure(code=error.code, message=error.message, hint=error.hint, field=error.field)
    return JSONResponse(body.model_dump(), status_code=status or error.status, headers=dict(headers or {}))


def unexpected(request: Request, error: Exception) -> JSONResponse:
    """Log what nobody foresaw under an id, and answer with the id alone."""
    number = secrets.token_hex(4)
    log.error("unexpected failure %s in %s %s", number, request.method, plain(request.url.path), exc_info=error)
    told = BootcartError(
        f"the engine met an error nobody foresaw (number {number})",
        hint="the engine's log has it under this number; please report it",
    )
    return failure(told)


class ShieldedRoute(APIRoute):
    """A route whose unforeseen exceptions become an answer here, before the server prints them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def shielded(request: Request) -> Response:
            try:
                return await handle(request)
            except (BootcartError, RequestValidationError, HTTPException):
                raise
            except Exception as error:
                return unexpected(request, error)

        return shielded


def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, BootcartError):
        raise error
    return failure(error)


def _invalid(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    # The location begins with where the input came from: query, path or body.
    where, *rest = (str(part) for part in first["loc"])
    text = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        return failure(InvalidError(f"the body is not JSON: {text}", hint="send one JSON object"))
    if where == "body" and not rest:
        return failure(InvalidError(f"the body is not right: {text}", hint="send one JSON object"))
    return failure(InvalidError(text, hint="see the API reference", field=".".join(rest)))


def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    path = plain(request.url.path)
    told = {
        400: "the request cannot be read",
        404: f"there is no {path} in this API",
        405: f"{request.method} is not done to {path}",
        413: "the body is too large",
    }.get(error.status_code, str(error.detail))
    kind = _BY_STATUS.get(error.status_code, InvalidError if error.status_code < 500 else BootcartError)
    hint = "see the API reference, or GET /api/v1/openapi.json"
    return failure(kind(told, hint=hint), status=error.status_code, headers=error.headers)


def install(app: FastAPI) -> None:
    """Answer every error of an application in this shape."""
    app.add_exception_handler(BootcartError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
