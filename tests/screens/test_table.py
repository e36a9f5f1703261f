"""The table and the views of lines: what is repainted, columns by width, many rows, cursor and marks."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region

from app.screens.widgets.lines import Line, line
from app.screens.widgets.table import Column, Table
from app.screens.widgets.text import TextView, facts, wrapped
from app.screens.words import age, delta, fit, long_span, span, speed


@dataclass(frozen=True)
class Thing:
    name: str
    value: str = ""
    note: str = ""


COLUMNS: tuple[Column[Thing], ...] = (
    Column("NAME", lambda one: one.name, least=4, most=12),
    Column("VALUE", lambda one: (one.value, "warn"), least=5, most=10, rank=1),
    Column("NOTE", lambda one: one.note, least=6, most=80, rank=2, grow=True),
)


class Bench(App[None]):
    CSS = "Table { height: 1fr; width: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.table = Table(COLUMNS, key=lambda one: one.name, markable=True)

    def compose(self) -> ComposeResult:
        yield self.table


def rows(app: App[None]) -> list[str]:
    return [strip.text for strip in app.screen._compositor.render_strips()]


def things(count: int) -> list[Thing]:
    return [Thing(f"n{number}", str(number)) for number in range(count)]


async def test_ux18_only_the_cells_that_changed_are_repainted() -> None:
    app = Bench()
    async with app.run_test(size=(60, 12)) as pilot:
        app.table.feed(things(5))
        await pilot.pause()
        painted: list[Region] = []
        original = app.table.refresh

        def spy(*regions: Region, **more: bool) -> Table[Thing]:
            painted.extend(regions)
            return original(*regions, **more)

        app.table.refresh = spy  # type: ignore[method-assign, assignment]
        app.table.feed(things(5))
        assert painted == []
        app.table.feed([Thing("n0", "0"), Thing("n1", "9"), *things(5)[2:]])
        assert painted == [Region(9, 2, 1, 1)]
        painted.clear()
        await pilot.press("down")
        assert {region.y for region in painted} == {1, 2}, "the row left and the row reached"


async def test_a_hundred_thousand_rows_are_fed_and_walked_at_once() -> None:
    app = Bench()
    async with app.run_test(size=(60, 12)) as pilot:
        many = things(100_000)
        start = time.perf_counter()
        app.table.feed(many)
        await pilot.press("end", "pageup")
        assert time.perf_counter() - start < 5
        assert "n9999" in "\n".join(rows(app))


async def test_columns_grow_with_what_comes_and_never_shrink() -> None:
    app = Bench()
    async with app.run_test(size=(60, 12)) as pilot:
        app.table.feed([Thing("a", "1", "note")])
        await pilot.pause()
        before = rows(app)[0].index("VALUE")
        app.table.feed([Thing("a-long-name", "1", "note")])
        await pilot.pause()
        grown = rows(app)[0].index("VALUE")
        assert grown > before
        assert "a-long-name" in rows(app)[1]
        app.table.feed([Thing("a", "1", "note")])
        await pilot.pause()
        assert rows(app)[0].index("VALUE") == grown


async def test_ux13_columns_of_high_rank_go_first_when_it_is_narrow() -> None:
    app = Bench()
    async with app.run_test(size=(60, 12)) as pilot:
        app.table.feed([Thing("name", "value", "a note that is long")])
        await pilot.pause()
        assert "NOTE" in rows(app)[0]
        await pilot.resize_terminal(18, 12)
        assert "NOTE" not in rows(app)[0]
        assert "VALUE" in rows(app)[0]
        await pilot.resize_terminal(10, 12)
        assert "VALUE" not in rows(app)[0]
        assert "NAME" in rows(app)[0]


async def test_ux18_the_row_stays_at_its_height_when_rows_come_above_it() -> None:
    app = Bench()
    async with app.run_test(size=(60, 12)) as pilot:
        app.table.feed(things(50))
        app.table.go("n30")
        await pilot.pause()
        at = next(y for y, row in enumerate(rows(app)) if row.startswith(">"))
        app.table.feed([Thing("above1"), Thing("above2"), *things(50)])
        await pilot.pause()
        assert app.table.current_key == "n30"
        assert rows(app)[at].startswith(">")


async def test_ux10_marks_are_kept_by_key() -> None:
    app = Bench()
    async with app.run_test(size=(60, 12)):
        app.table.feed(things(5))
        app.table.mark([1, 3], lambda one: one.name)
        app.table.feed([Thing("n3"), Thing("x")])
        assert app.table.hidden_marks() == 1
        assert [one.name for one in app.table.chosen()] == ["n3"]
        assert app.table.replace(Thing("n3", "new"))
        assert not app.table.replace(Thing("gone"))


async def test_an_empty_table_says_so_and_takes_keys() -> None:
    app = Bench()
    async with app.run_test(size=(60, 12)) as pilot:
        app.table.feed([])
        await pilot.press("down", "enter", "end", "pageup")
        assert "nothing here" in "\n".join(rows(app))
        assert app.table.current is None


async def test_text_scrolls_and_wide_characters_keep_their_cells() -> None:
    class Reader(App[None]):
        CSS = "TextView { height: 1fr; width: 1fr; }"

        def compose(self) -> ComposeResult:
            self.view = TextView()
            yield self.view

    app = Reader()
    async with app.run_test(size=(20, 5)) as pilot:
        app.view.show([Line((("日本語の長い行です", "key"), ("x", ""))), *(f"row {n}" for n in range(20))])
        app.view.focus()
        await pilot.pause()
        assert all(len(row.encode("utf-16-le")) // 2 <= 20 for row in rows(app))
        await pilot.press("end")
        assert "row 19" in "\n".join(rows(app))
        app.view.show([line("short")])
        await pilot.pause()
        assert "short" in rows(app)[0]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (span(12), "00:12"),
        (span(3599), "59:59"),
        (span(7200), "2h"),
        (span(300_000), "3d"),
        (age(5), "<1m"),
        (age(300), "5m"),
        (long_span(12), "12 s"),
        (long_span(200), "3 min"),
        (delta(None), ""),
        (delta(0.123), "+0.12s"),
        (delta(12.3), "+12.3s"),
        (delta(200), "+3m20"),
        (speed(10_000), "10G"),
        (speed(100), "100M"),
        (speed(0), "-"),
        (fit("abcdef", 4), "abc~"),
        (fit("ab", 4), "ab  "),
        (fit("日本語", 4), "日 ~"),
        (fit("x", 0), ""),
    ],
)
def test_ux24_words_and_figures(found: str, expected: str) -> None:
    assert found == expected


def test_facts_leave_out_what_is_empty_and_wrap_what_is_long() -> None:
    lines = facts((("name", "x"), ("none", ""), ("long", "word " * 30)), 40)
    text = ["".join(part for part, _ in one.spans) for one in lines]
    assert text[0] == "name          x"
    assert not any("none" in row for row in text)
    assert max(map(len, text)) <= 40
    assert len(wrapped("word " * 30, 20)) > 3
