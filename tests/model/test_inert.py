"""Text that others wrote: what is left of it cannot steer a terminal, and one rule serves all."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.outputs import shown
from app.engine.logs import visible
from app.model.inert import MARKS_MAX, inert
from app.netboot.words import plain
from app.screens.words import safe
from tests.hostile import MARK, STRINGS, unsafe


@pytest.mark.parametrize("raw", list(STRINGS.values()), ids=list(STRINGS))
def test_hostile_strings_come_out_harmless_and_readable(raw: bytes) -> None:
    assert len(raw) <= 255
    text = raw.decode("utf-8", "replace")
    found = inert(text)
    assert unsafe(found) == ""
    assert MARK in found
    assert safe(text) == shown(text) == found
    assert plain(raw) == inert(text.rstrip("\0"))
    assert not [char for char in visible(text) if unicodedata.category(char)[0] == "C"]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("plain [red]x[/]", "plain [red]x[/]"),
        ("\x1b[31mred", ".[31mred"),
        ("naïve", "naïve"),
        ("nai\u0308ve", "naïve"),
        ("日本", "日本"),
        ("a\u00a0b\u3000c", "a b c"),
        ("a\u2028b", "a.b"),
        ("\u0301x", ".x"),
        ("x" + "\u0316" * 5, "x" + "\u0316" * 2 + "..."),
        (" \u0301", " ."),
        ("שָׁ", "שָׁ"),
        ("ế", "ế"),
        ("❤\ufe0f", "❤"),
        ("\U0001f1e9\U0001f1ea", ".."),
    ],
)
def test_what_becomes_of_text(raw: str, text: str) -> None:
    assert unicodedata.normalize("NFC", inert(raw)) == unicodedata.normalize("NFC", text)


@given(st.text(max_size=300))
def test_any_text(raw: str) -> None:
    found = inert(raw)
    assert unsafe(found) == ""
    assert inert(found) == found
    marks = 0
    for char in found:
        marks = marks + 1 if unicodedata.category(char)[0] == "M" else 0
        assert marks <= MARKS_MAX
