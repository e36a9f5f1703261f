"""Strings from the wire are harmless on every screen and in every log."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.netboot.words import LIMIT, plain


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"PXEClient:Arch:00007", "PXEClient:Arch:00007"),
        (b"node\0\0", "node"),
        (b"a\0b", "a.b"),
        (b"\x1b[31mred", ".[31mred"),
        ("right\u202eleft", "right.left"),
        (b"\xff\xfe", ".."),
        ("na\u00efve", "na\u00efve"),
        ("a\nb\tc\r", "a.b.c."),
    ],
)
def test_plain(raw: bytes | str, text: str) -> None:
    assert plain(raw) == text


@given(st.one_of(st.binary(max_size=600), st.text(max_size=600)))
def test_nothing_but_printable_text_comes_out(raw: bytes | str) -> None:
    text = plain(raw)

    assert len(text) <= LIMIT
    assert not any(unicodedata.category(char).startswith("C") for char in text)
