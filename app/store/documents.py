"""Models to rows and back: the one place where a body is written and validated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from app.errors import BootcartError
from app.model.machine import Machine
from app.model.profile import Profile
from app.model.subnet import Reservation, Subnet
from app.model.subnet6 import Subnet6

ModelT = TypeVar("ModelT", bound=BaseModel)

# Computed from events while the engine runs, never stored.
_LIVE: dict[type[BaseModel], set[str]] = {Machine: {"status"}}


def to_body(model: BaseModel) -> dict[str, Any]:
    """The JSON a row's `body` holds for `model`."""
    return model.model_dump(mode="json", exclude=_LIVE.get(type(model)))


def from_body(kind: type[ModelT], body: Mapping[str, Any]) -> ModelT:
    """The model a row's `body` holds. Raises BootcartError naming the object when the body breaks the model's rules."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        name = str(body.get("name") or body.get("address") or body.get("id") or "?")
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BootcartError(
            f"the stored {noun_of(kind)} {name!r} cannot be read: {field or 'body'}: {first['msg']}",
            hint="restore a backup of the database",
        ) from error


def noun_of(kind: BaseModel | type[BaseModel]) -> str:
    """What an operator calls an object of this kind: `subnet`, whichever protocol it is of."""
    return (kind if isinstance(kind, type) else type(kind)).__name__.lower().rstrip("6")


def projections(model: Machine | Subnet | Subnet6 | Reservation | Profile) -> dict[str, Any]:
    """The columns beside the body: the key first, then what is unique or indexed."""
    if isinstance(model, Machine):
        address = str(model.address) if model.address is not None else None
        return {"id": str(model.id), "name": model.name, "address": address, "bootenv": model.bootenv}
    if isinstance(model, (Subnet, Subnet6)):
        return {"name": model.name, "cidr": str(model.cidr)}
    if isinstance(model, Profile):
        return {"name": model.name}
    return {"address": str(model.address), "mac": model.mac}
