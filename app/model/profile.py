"""Profiles: named sets of DHCP options that machines have in common."""

from __future__ import annotations

from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Field

from app.model.fields import Model, Name
from app.model.options import OptionValues

PROFILES_MAX = 16


class Profile(Model):
    """What machines of a kind have in common, whatever subnet they are on."""

    name: Name
    options: OptionValues = Field(default_factory=dict, description="DHCP options by name or number")
    description: str = ""


def _names(value: object) -> object:
    if isinstance(value, str):
        value = [word for word in value.replace(",", " ").split() if word]
    if isinstance(value, (list, tuple)) and len(cast("list[Any]", value)) > PROFILES_MAX:
        raise ValueError(f"a machine has {PROFILES_MAX} profiles at most")
    return cast("object", value)


ProfileNames = Annotated[tuple[Name, ...], BeforeValidator(_names)]
"""Of several profiles that have an option, the first counts."""
