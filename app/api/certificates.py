"""The appliance's certificates: list, show, export."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from fastapi import Query as FromQuery

from app.api.guard import calling
from app.api.listings import Listing, PageQuery, answer
from app.api.nouns import router_for
from app.api.ports import EnginePort
from app.model.certificate import Certificate

TYPES = {"pem": "application/x-pem-file", "der": "application/pkix-cert", "esl": "application/octet-stream"}


def certificate_routes(engine: EnginePort) -> APIRouter:
    """Nothing here is secret: keys never leave the engine."""
    router = router_for("certificates")
    reading = calling("certificates.read")

    @router.get("", response_model=Listing[Certificate], dependencies=[reading], summary="List certificates")
    def listed(params: PageQuery) -> Response:
        return answer(engine.certificates.listing(), params)

    @router.get(
        "/ca/export",
        response_class=Response,
        dependencies=[reading],
        summary="The authority's certificate, to be enrolled where it is to be trusted",
    )
    def exported(
        form: Annotated[
            Literal["pem", "der", "esl"], FromQuery(description="esl: an EFI signature list, as firmware takes it")
        ] = "pem",
    ) -> Response:
        return Response(engine.certificates.export(form), media_type=TYPES[form])

    @router.get("/{key}", response_model=Certificate, dependencies=[reading], summary="Show one certificate")
    def shown(key: str) -> Certificate:
        return engine.certificates.show(key)

    _ = (listed, exported, shown)
    return router
