"""How full a subnet is."""

from __future__ import annotations

from pydantic import Field

from app.model.fields import Model


class Usage(Model):
    """The addresses of one subnet of IPv4, counted by the engine at one moment."""

    subnet: str
    size: int = Field(description="addresses in its ranges")
    bound: int = Field(default=0, description="leased now, those of reservations outside the ranges too")
    offered: int = Field(default=0, description="offered, and not asked for yet; given up within a minute")
    quarantined: int = Field(default=0, description="declined, or used by somebody without a lease: kept back for now")
    reserved: int = Field(default=0, description="kept by reservations, leased or not")
    free: int = Field(default=0, description="of the ranges, for machines that come")
