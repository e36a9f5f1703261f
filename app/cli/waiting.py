"""`wait`: until a field of an object has a value."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any, cast

from app.cli.outputs import Output, Progress, cell
from app.errors import InvalidError, NotFoundError, TimedOutError, UnreachableError

POLL_SECONDS = 0.5
RESTART_SECONDS = 15.0


async def wait_for(door: Any, key: str, field: str, value: str, seconds: float, output: Output) -> dict[str, Any]:
    """The object once its field has the value; an object that is not there yet is waited for too.

    `field` is a path such as `status.state`, or its last part where that is unique enough. A list has a value when one
    of its items is it. Raises TimedOutError after `seconds` (0: never), InvalidError for a field it never has.
    """
    deadline = time.monotonic() + seconds if seconds else float("inf")
    progress = Progress(output)
    now = "is not there yet"
    met = -RESTART_SECONDS
    try:
        while True:
            try:
                model = await door.show(key)
            except NotFoundError:
                met, now = time.monotonic(), "is not there yet"
            except UnreachableError:
                # An engine that answered before is given the time of a restart.
                if time.monotonic() - met > RESTART_SECONDS:
                    raise
                now = "while the engine does not answer"
            else:
                met = time.monotonic()
                item: dict[str, Any] = model.model_dump(mode="json")
                values = list(_values(item, field))
                if not values and field not in _names(type(model)):
                    names = ", ".join(item)
                    raise InvalidError(f"no field {field!r}", hint=f"one of {names}", field="field")
                if any(_equal(found, value) for found in values):
                    return item
                now = f"{field} is {', '.join(cell(field, found) or 'empty' for found in values) or 'empty'}"
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimedOutError(
                    f"{key}: waited {seconds:g} s for {field} to be {value}, {now}",
                    hint="look at its timeline or its events; wait longer with --timeout",
                )
            progress.show(f"waiting for {field} of {key} to be {value}, {now}")
            await asyncio.sleep(min(POLL_SECONDS, left))
    finally:
        progress.end()


def _values(item: Any, path: str, prefix: str = "") -> Iterator[Any]:
    """The values of every field whose path, or the last part of it, is this."""
    if not isinstance(item, dict):
        return
    for key, value in cast("dict[str, Any]", item).items():
        name = f"{prefix}{key}"
        if path in (name, key):
            yield value
        else:
            yield from _values(value, path, f"{name}.")


def _equal(found: Any, wanted: str) -> bool:
    if isinstance(found, list):
        return any(_equal(item, wanted) for item in cast("list[Any]", found))
    if isinstance(found, bool):
        return wanted.lower() in (("true", "yes", "on") if found else ("false", "no", "off"))
    return ("" if found is None else str(found)).lower() == wanted.lower()


def _names(model: Any, prefix: str = "") -> set[str]:
    """Every path of a model's fields, and the last part of each."""
    names: set[str] = set()
    for name, info in model.model_fields.items():
        names |= {name, f"{prefix}{name}"}
        for inner in _models(info.annotation):
            names |= _names(inner, f"{prefix}{name}.")
    return names


def _models(annotation: Any) -> Iterator[Any]:
    if hasattr(annotation, "model_fields"):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models(argument)
