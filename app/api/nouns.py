"""The verbs every noun shares: list, show, create, change, delete."""

from __future__ import annotations

from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, cast
from urllib.parse import quote

from fastapi import APIRouter, Body, Query, Response

from app.api.callers import Caller
from app.api.failures import FAILURES, ShieldedRoute
from app.api.guard import calling
from app.api.listings import Listing, PageQuery, answer
from app.api.ports import EnginePort
from app.errors import InvalidError, NotFoundError
from app.model.bootenv import BootEnv
from app.model.engine import Preference
from app.model.fields import Model
from app.model.machine import Machine
from app.model.profile import Profile
from app.model.subnet import Reservation
from app.model.subnet6 import AnyLease, AnySubnet

Drain = Annotated[bool, Query(description="leases that are left behind end when next renewed, instead of a refusal")]
JsonObject = Annotated[dict[str, Any], Body(description="the fields, as in the model")]


@dataclass(frozen=True, slots=True)
class Noun:
    """A stored kind of object: its path, its model, its key, and which verbs it has."""

    name: str
    model: type[Model] | UnionType
    key: str = "name"
    create: bool = False
    update: bool = False
    delete: bool = False
    drains: bool = False
    """Others live on it, and may be left to run out."""


NOUNS = (
    Noun("machines", Machine, key="id", create=True, update=True, delete=True),
    Noun("profiles", Profile, create=True, update=True, delete=True),
    Noun("subnets", AnySubnet, create=True, update=True, delete=True, drains=True),
    Noun("reservations", Reservation, key="address", create=True, update=True, delete=True),
    Noun("leases", AnyLease, key="address", delete=True),
    Noun("bootenvs", BootEnv),
    Noun("prefs", Preference),
)


def router_for(name: str) -> APIRouter:
    """An empty router under `/name` with the house rules: shielded routes, one error shape, no redirects."""
    return APIRouter(
        prefix=f"/{name}", tags=[name], route_class=ShieldedRoute, responses=FAILURES, redirect_slashes=False
    )


def named(kind: str, key: str, items: Any) -> Any:
    """The item of this name (`Name:` may stand before it). Raises NotFoundError."""
    for item in items:
        if item.name == key.removeprefix("Name:"):
            return item
    raise NotFoundError(f"no {kind} {key!r}", hint=f"see: bootcart {kind}s list")


def nonempty(body: dict[str, Any]) -> dict[str, Any]:
    """A change that changes nothing is a mistake. Raises InvalidError."""
    if not body:
        raise InvalidError("no field to change", hint="name at least one field")
    return body


def noun_router(engine: EnginePort, noun: Noun) -> APIRouter:
    """The routes of one stored noun."""
    router = router_for(noun.name)
    one = noun.name.removesuffix("s")
    reading, writing = calling(f"{noun.name}.read"), calling(f"{noun.name}.write")
    # FastAPI reads the model at run time; to the type checker it is any type.
    model = cast("type[Any]", noun.model)
    commands = engine.commands

    @router.get("", response_model=Listing[model], dependencies=[reading], summary=f"List {noun.name}")
    def listed(params: PageQuery) -> Response:
        return answer(commands.listing(noun.name), params)

    @router.get("/{key}", response_model=model, dependencies=[reading], summary=f"Show one {one}")
    def shown(key: str) -> Any:
        return commands.resolve(noun.name, key)

    if noun.create:

        @router.post("", response_model=model, status_code=201, summary=f"Create a {one}")
        def created(body: JsonObject, response: Response, caller: Caller = writing) -> Any:
            made = commands.create(caller.actor, noun.name, body)
            response.headers["Location"] = f"/api/v1/{noun.name}/{quote(str(getattr(made, noun.key)), safe='')}"
            return made

    if noun.drains:

        @router.patch("/{key}", response_model=model, summary=f"Change fields of a {one}")
        def drained(key: str, body: JsonObject, drain: Drain = False, caller: Caller = writing) -> Any:
            return commands.update(caller.actor, noun.name, key, nonempty(body), drain=drain)

        @router.delete("/{key}", status_code=204, summary=f"Delete a {one}")
        def ended(key: str, drain: Drain = False, caller: Caller = writing) -> None:
            commands.delete(caller.actor, noun.name, key, drain=drain)

    if noun.update and not noun.drains:

        @router.patch("/{key}", response_model=model, summary=f"Change fields of a {one}")
        def updated(key: str, body: JsonObject, caller: Caller = writing) -> Any:
            return commands.update(caller.actor, noun.name, key, nonempty(body))

    if noun.delete and not noun.drains:

        @router.delete("/{key}", status_code=204, summary=f"Delete a {one}")
        def deleted(key: str, caller: Caller = writing) -> None:
            commands.delete(caller.actor, noun.name, key)

    # The decorators have registered them; nothing else calls them.
    _ = (listed, shown)
    return router
