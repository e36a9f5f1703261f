"""Certificates of the appliance, as operators enrol and check them."""

from __future__ import annotations

from pydantic import Field

from app.model.fields import Epoch, Model


class Certificate(Model):
    """The appliance's own authority (`ca`), or what boot HTTPS shows machines now (`server`)."""

    name: str
    subject: str
    issuer: str
    names: tuple[str, ...] = Field(default=(), description="addresses and host names it is good for")
    not_before: Epoch
    not_after: Epoch
    sha256: str = Field(description="fingerprint of its DER form")
