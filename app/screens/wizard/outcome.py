"""What came of a plan for the host: read from where the launcher left it, told once."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import BootcartError
from app.screens.words import plural, safe

if TYPE_CHECKING:
    from app.screens.app import BootcartApp

FRESH = 120.0
"""Seconds a result counts as news: it is written just before the interface is opened again."""


def tell(app: BootcartApp, path: Path, now: float | None = None) -> None:
    """Say what was done to the host, or show why not; an old or unreadable result is no news."""
    try:
        if (time.time() if now is None else now) - path.stat().st_mtime > FRESH:
            return
        found = json.loads(path.read_text(encoding="utf-8"))
        done, message, hint = bool(found["ok"]), safe(found["message"]), safe(found["hint"])
        count = len(found["commands"])
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        app.fail(BootcartError(f"what came of the plan for this host cannot be read: {error}"), "reading the result")
        return
    if done:
        app.say(f"this host is prepared: {plural(count, 'command')} run")
    else:
        app.fail(BootcartError(f"this host is not prepared: {message}", hint=hint), "preparing the host")
