"""The keys that go from field to field in a form."""

from __future__ import annotations

import pytest

from app.screens.dialogs.form import Form
from tests.screens.stage import Stage, opened


def at(stage: Stage) -> str:
    """The name of the field that has the focus; empty on the answers."""
    form = stage.app.screen
    assert isinstance(form, Form)
    return next((row.field.name for row in form.rows if row.input.has_focus), "")


@pytest.mark.parametrize(("forth", "back"), [("enter", "up"), ("down", "up"), ("tab", "shift+tab")])
async def test_fields_are_walked_with_keys_a_vt_has(forth: str, back: str) -> None:
    async with opened() as stage:
        await stage.press("2", "a")
        await stage.until(lambda: isinstance(stage.app.screen, Form), "the form")
        form = stage.app.screen
        assert isinstance(form, Form)
        names = [row.field.name for row in form.rows]
        walked = [at(stage)]
        for _ in names[1:]:
            await stage.press(forth)
            walked.append(at(stage))
        assert walked == names
        await stage.press(forth)
        assert form.answers.has_focus
        await stage.press(back, back)
        assert at(stage) == names[-2]
