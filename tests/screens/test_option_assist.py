"""DHCP options by name: completed, explained, and what is wrong with a value said, as they are typed."""

from __future__ import annotations

import pytest

from app.netboot.optionhelp import everything
from app.screens.areas.area import ListArea
from app.screens.dialogs.form import Entry, Form
from app.screens.dialogs.optionassist import OptionAssist
from tests.screens.stage import VT, opened


def assist() -> OptionAssist:
    made = OptionAssist()
    made.options = everything()
    return made


@pytest.mark.parametrize(
    ("typed", "whole"),
    [
        ("ntp", "ntp-servers="),
        ("interface-mtu=9000; ntp", "interface-mtu=9000; ntp-servers="),
        ("log-servers=10.7.0.1\\; ntp", None),
        ("ntp-servers=", None),
        ("nonsense", None),
        ("", None),
    ],
)
async def test_the_rest_of_a_name_is_proposed(typed: str, whole: str | None) -> None:
    assert await assist().get_suggestion(typed) == whole


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("ntp-servers=10", "42 ntp-servers (RFC 2132), ip-list, like 10.7.0.1, 10.7.0.2"),
        ("a=b; 26", "26 interface-mtu (RFC 2132), uint16, like 9000"),
        ("name", "Right: name-servers=  also name-service-search"),
        ("interface", "Right: interface-mtu="),
        ("dhcp-lease-time=5", "51 dhcp-lease-time (RFC 2132) cannot be set: it follows from the lease time; set that"),
        ("nonsense=5", "no option is called nonsense"),
        ("", ""),
    ],
)
def test_what_is_told_of_it(typed: str, said: str) -> None:
    told = assist().about(typed)

    assert told.startswith(said)
    assert bool(told) is bool(said)


async def test_in_a_form() -> None:
    async with opened(size=VT) as stage:
        await stage.press("2")
        await stage.until(lambda: isinstance(stage.area, ListArea) and stage.area.table.items, "rows")
        await stage.press("e")
        await stage.until(lambda: isinstance(stage.app.screen, Form), "the form")
        form = stage.app.screen
        assert isinstance(form, Form)
        row = next(row for row in form.rows if row.field.name == "options")
        entry = row.input
        assert isinstance(entry, Entry)
        entry.focus()
        await stage.until(lambda: row.assist is not None and row.assist.options, "what options there are")
        await stage.type("ntp")
        await stage.see("Right: ntp-servers=")
        await stage.until(lambda: entry._suggestion == "ntp-servers=", "the rest of the name")
        await stage.press("right")
        assert entry.value == "ntp-servers="
        await stage.see("42 ntp-servers (RFC 2132), ip-list, like 10.7.0.1, 10.7.0.2")
