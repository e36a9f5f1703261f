"""Every screen over a world whose every free text is hostile: nothing is interpreted, no line breaks out."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

import pytest
from pydantic import BaseModel
from rich.cells import cell_len

from app.errors import BootcartError
from app.model.event import Event, EventDraft
from app.model.machine import machine_id_for
from app.screens.areas.machine import TABS, MachineScreen
from app.screens.failures import Failure
from app.screens.profile import ConsoleProfile
from app.screens.registry import AREAS
from tests.fakes.client import FakeClient
from tests.fakes.world import mac
from tests.hostile import STRINGS, unsafe
from tests.screens.stage import CONSOLE, FULL, Stage, opened

TEXTS = [raw.decode("utf-8", "replace") for raw in STRINGS.values()]
# What the program itself goes by: a stranger has no say in it.
OURS = {"id", "kind", "state", "mode", "level", "mac", "macs", "noun", "verb", "key", "choices"}


def abused(model: Any, words: Iterator[str], names: frozenset[str] = frozenset({"name"})) -> Any:
    """A copy in which every text but keys is hostile; not validated, as if another engine had sent it."""
    changed: dict[str, Any] = {}
    for field in type(model).model_fields:
        value = getattr(model, field)
        if field in OURS or field in names:
            continue
        changed[field] = _abused(value, words)
    return model.model_copy(update=changed)


def _abused(value: Any, words: Iterator[str]) -> Any:
    if isinstance(value, BaseModel):
        return abused(value, words, frozenset())
    if type(value) is str:
        return next(words)
    if isinstance(value, tuple):
        held = [_abused(item, words) for item in value]
        return tuple(held) or ()
    if isinstance(value, dict):
        return {key: _abused(item, words) for key, item in value.items()}
    kinds = (int, float, Enum, uuid.UUID, IPv4Address, IPv4Interface, IPv4Network)
    assert value is None or isinstance(value, kinds), repr(value)
    return value


def hostile_world() -> FakeClient:
    """Every object of the fake engine, and its events."""
    client, words = FakeClient(), itertools.cycle(TEXTS)
    for noun in ("machines", "subnets", "reservations", "leases", "services", "interfaces", "bootenvs"):
        door: Any = getattr(client, noun)
        door.items = {key: abused(item, words) for key, item in door.items.items()}
    prefs: Any = client.prefs
    prefs.items = {key: abused(item, words) for key, item in prefs.items.items()}
    for text in TEXTS:
        draft = EventDraft(
            time=client.now, kind="tftp.missing", message=text, mac=mac(5), data={"file": text, text: [text]}
        )
        client.events.ring.append(Event.model_construct(**draft.model_dump(), id=client.events.ring[-1].id + 1))
    return client


def sound(stage: Stage, where: str) -> None:
    """Every row is as wide as the screen, and nothing in it could steer a terminal."""
    for number, row in enumerate(stage.rows):
        assert unsafe(row) == "", f"{where} row {number}: {row!r}"
        assert cell_len(row) == stage.app.size.width, f"{where} row {number}: {row!r}"
    assert stage.app.is_running, where


async def look(stage: Stage, where: str, *keys: str) -> None:
    """Press keys, judge the screen, scroll through it."""
    await stage.press(*keys)
    sound(stage, where)
    for _ in range(4):
        await stage.press("pagedown")
        sound(stage, where)


@pytest.mark.parametrize("profile", [FULL, CONSOLE], ids=["full", "console"])
async def test_lists_details_and_forms(profile: ConsoleProfile) -> None:
    async with opened(hostile_world(), profile=profile, wizard=False) as stage:
        for key, area, _ in AREAS:
            await look(stage, area, "at" if key == "@" else key)
            await stage.until(lambda: stage.app.at_rest, "at rest")
            await look(stage, f"{area} bottom", "end")
            if area != "machines":
                await look(stage, f"{area} opened", "enter")
                await stage.press("escape", "escape")
            if area in ("subnets", "reservations", "prefs"):
                await look(stage, f"{area} form", "e")
                await stage.press("escape", "escape")
            sound(stage, area)
        for word in ("HOSTILE", "[red]", "[@click=app.quit]", "[/]"):
            await stage.press("6", "slash")
            await stage.type(word)
            await stage.press("enter")
            await stage.see(word)
            sound(stage, f"/{word}")


@pytest.mark.parametrize("profile", [FULL, CONSOLE], ids=["full", "console"])
async def test_every_page_of_a_machine(profile: ConsoleProfile) -> None:
    async with opened(hostile_world(), profile=profile, wizard=False) as stage:
        for number in (3, 5):
            stage.app.open_machine(str(machine_id_for(mac(number))))
            await stage.until(lambda: isinstance(stage.app.screen, MachineScreen), "the machine")
            for tab in TABS:
                await stage.until(lambda: stage.app.at_rest and "loading" not in stage.text, tab)
                await look(stage, f"machine {tab}")
                await stage.press("right")
            await look(stage, "what it would get", "w")
            await stage.press("escape")
            await look(stage, "edit", "e")
            await stage.press("escape")
            await look(stage, "assign", "b")
            await stage.press("escape", "escape")
            await look(stage, "forget", "d")
            await stage.press("escape", "escape")


@pytest.mark.parametrize("profile", [FULL, CONSOLE], ids=["full", "console"])
async def test_errors_news_and_what_is_typed(profile: ConsoleProfile) -> None:
    async with opened(wizard=False, profile=profile) as stage:
        for name, text in zip(STRINGS, TEXTS, strict=True):
            stage.app.say(text)
            await stage.settle()
            sound(stage, f"news {name}")
            stage.app.fail(BootcartError(text, hint=text, field=text), text)
            await stage.settle()
            sound(stage, f"error {name}")
            await stage.press("enter")
            sound(stage, f"details {name}")
            await stage.press("escape")
            assert not stage.app.failures
            await stage.press("colon")
            area = stage.area
            area.prompt.input.value = text
            await stage.settle()
            sound(stage, f"prompt {name}")
            await stage.press("escape")
        stage.app.failures.append(Failure(TEXTS[0], TEXTS[1], TEXTS[2], TEXTS[3], trace="\n".join(TEXTS)))
        await stage.press("enter")
        await look(stage, "trace")
        await stage.press("escape")
        assert stage.app.title == "Bootcart"
