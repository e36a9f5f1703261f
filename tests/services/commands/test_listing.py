"""Long listings."""

from __future__ import annotations

from app.model.fields import Model
from app.model.machine import Machine, stranger
from app.model.query import Query, apply
from app.services.commands.objects import Looked

MACHINES = [stranger(f"52:54:00:00:00:{number:02x}") for number in range(9)]


def test_of_a_long_listing_only_what_is_on_the_page_is_looked_at() -> None:
    looked: list[Model] = []

    def look(machine: Machine) -> Machine:
        looked.append(machine)
        return machine.model_copy(update={"description": "seen"})

    listing = Looked(MACHINES, look)
    page = apply(listing, Query(limit=2, offset=3))

    assert looked == MACHINES[3:5]
    assert [each.model_dump(include={"id", "description"}) for each in page.items] == [
        {"id": each.id, "description": "seen"} for each in MACHINES[3:5]
    ]
    assert (page.total, page.offset) == (9, 3)
    # What decides which objects are on the page is looked at in each.
    assert len(apply(listing, Query(filter=("seen",))).items) == 9
    assert [each.id for each in (listing[0], listing[-1]) if isinstance(each, Machine)] == [
        MACHINES[0].id,
        MACHINES[-1].id,
    ]
