"""One page of a listing, in and out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query as FromQuery
from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from app.model.fields import Model
from app.model.query import LIMIT_MAX, Page, Query, apply

T = TypeVar("T")


class PageParams(BaseModel):
    """How a caller says which page; a misspelt parameter is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")

    filter: list[str] = Field(
        default=[], description="`word`, `field=value`, `field~part`, `!` before it: not; all must hold"
    )
    sort: str = Field(default="", description="a field, `-` before it for descending")
    limit: int = Field(default=LIMIT_MAX, ge=0, description=f"at most this many; never more than {LIMIT_MAX}")
    offset: int = Field(default=0, ge=0, description="leave out this many")

    def query(self) -> Query:
        return Query(filter=tuple(self.filter), sort=self.sort, limit=self.limit, offset=self.offset)


PageQuery = Annotated[PageParams, FromQuery()]


class Listing(BaseModel, Generic[T]):
    """One page and how many there are in all."""

    items: tuple[T, ...]
    total: int
    offset: int = 0


def answer(items: Sequence[Model], params: PageParams) -> Response:
    """The wanted page of these as JSON. Raises InvalidError for an unknown sort field."""
    return page_answer(apply(items, params.query()))


def page_answer(page: Page[Any]) -> Response:
    """A page as JSON; its total also in `X-Total-Count`."""
    # One object at a time: a thousand at once would keep every other thread, DHCP's too, waiting for 50 ms.
    items = ",".join(item.model_dump_json(fallback=str) for item in page.items)
    text = f'{{"items":[{items}],"total":{page.total},"offset":{page.offset}}}'
    return Response(text, media_type="application/json", headers={"X-Total-Count": str(page.total)})
