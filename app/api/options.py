"""DHCP options by name, with what is told of each."""

from __future__ import annotations

from fastapi import APIRouter, Response

from app.api.guard import calling
from app.api.listings import Listing, PageQuery, answer
from app.api.nouns import router_for
from app.errors import NotFoundError
from app.model.optionhelp import OptionHelp
from app.netboot.optionhelp import described, everything
from app.netboot.wire.catalogue import find


def option_routes() -> APIRouter:
    """List and show; nothing of them depends on the engine."""
    router = router_for("options")
    reading = calling("subnets.read")

    @router.get("", response_model=Listing[OptionHelp], dependencies=[reading], summary="List DHCP options")
    def listed(params: PageQuery) -> Response:
        return answer(everything(), params)

    @router.get("/{key}", response_model=OptionHelp, dependencies=[reading], summary="Show one DHCP option")
    def shown(key: str) -> OptionHelp:
        found = find(key.removeprefix("Name:"))
        if found is None:
            raise NotFoundError(f"no DHCP option {key!r}", hint="see: bootcart options list --filter WORD")
        return described(found)

    _ = (listed, shown)
    return router
