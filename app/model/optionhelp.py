"""What is known of a DHCP option: for who sets one by name."""

from __future__ import annotations

from pydantic import Field

from app.model.fields import Model


class OptionHelp(Model):
    """A DHCPv4 option that has a name."""

    name: str
    code: int = Field(description="its number")
    title: str = Field(default="", description="IANA's name of it")
    kind: str = Field(description="the type of its value")
    form: str = Field(default="", description="what a value is, in words")
    example: str = Field(default="", description="a value")
    rfc: int = Field(default=0, description="the RFC that defines it; 0: none")
    computed: str = Field(default="", description="why nobody sets it; empty: it can be set")
