"""The log: a record is a line, the journal gets its priority, each part has its level."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from app.config import LOG_SUBSYSTEMS, log_levels
from app.engine import logs
from app.errors import InvalidError


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    found = logging.getLogger()
    handlers, level = found.handlers[:], found.level
    yield found
    logs.apply_levels("info")
    found.handlers[:] = handlers
    found.setLevel(level)


def record(message: str, level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("app.services.dhcp", level, __file__, 1, message, (), None)
    made.__dict__.update(extra)
    return made


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, 3), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7)],
)
def test_the_journal_gets_the_priority_and_its_own_time(level: int, priority: int) -> None:
    assert logs.Lines(journal=True).format(record("hello", level)) == f"<{priority}>app.services.dhcp: hello"


def test_a_file_gets_the_time() -> None:
    line = logs.Lines(journal=False).format(record("hello", created=0.0))

    assert line.startswith("19")
    assert line.endswith(" INFO app.services.dhcp: hello")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ESC [2J\x1b[2J", r"ESC [2J\x1b[2J"),
        ("two\nlines\r\n<0>forged", "two | lines | <0>forged"),
        ("bidi \u202e live", r"bidi \u202e live"),
        ("c1 \x9b2J nul \0", r"c1 \x9b2J nul \x00"),
        ("a\u2028b\x85c\x0bd", "a | b | c | d"),
        ("Zürich – 10 µs", "Zürich – 10 µs"),
        ("\ud800", r"\ud800"),
    ],
)
def test_a_hostile_string_stays_on_its_line(text: str, shown: str) -> None:
    assert logs.Lines(journal=True).format(record(text)) == f"<6>app.services.dhcp: {shown}"


def test_a_long_record_is_cut() -> None:
    assert len(logs.visible("x" * 100_000)) == logs.LINE_MAX + 2


def test_a_traceback_is_one_line(root: logging.Logger) -> None:
    stream = io.StringIO()
    logs.set_up("info", stream, {})
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("app.store").exception("it broke")

    assert logs.drain()
    assert stream.getvalue().count("\n") == 1
    assert " ERROR app.store: it broke | Traceback (most recent call last): |   File " in stream.getvalue()
    assert stream.getvalue().endswith("ValueError: two | lines\n")


def test_the_journal_is_known_by_device_and_inode(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        told = os.fstat(stream.fileno())
        name = f"{told.st_dev}:{told.st_ino}"

        assert logs.to_journal(stream, {"JOURNAL_STREAM": name})
        # Inherited from a service that started us with another standard error.
        assert not logs.to_journal(stream, {"JOURNAL_STREAM": "1:2"})
        assert not logs.to_journal(stream, {})
        assert not logs.to_journal(io.StringIO(), {"JOURNAL_STREAM": name})


def test_each_part_has_its_level(root: logging.Logger) -> None:
    stream = io.StringIO()
    logs.set_up("warning,dhcp=debug,tftp=error", stream, {})

    def heard(name: str, level: int) -> bool:
        return logging.getLogger(name).isEnabledFor(level)

    assert heard("app.services.dhcp.service", logging.DEBUG)
    assert not heard("app.services.tftp.service", logging.WARNING)
    assert heard("app.store.writer", logging.WARNING)
    assert not heard("app.store.writer", logging.INFO)
    # Changed while it runs: what is not named any more follows the default again.
    logs.apply_levels("info")
    assert not heard("app.services.dhcp.service", logging.DEBUG)
    assert heard("app.services.tftp.service", logging.INFO)
    # Libraries that name each request stay quiet.
    assert not heard("uvicorn", logging.INFO)


def test_every_part_is_there() -> None:
    for names in LOG_SUBSYSTEMS.values():
        for name in names:
            assert find_spec(name), name


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("info", ("info", {})),
        ("dhcp=debug", ("info", {"dhcp": "debug"})),
        ("Warning, tftp = Debug", ("warning", {"tftp": "debug"})),
        ("info,info,tftp=debug,tftp=debug", ("info", {"tftp": "debug"})),
    ],
)
def test_levels_are_read(text: str, levels: tuple[str, dict[str, str]]) -> None:
    assert log_levels(text) == levels


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("loud", "'loud' is not a level"),
        ("", "'' is not a level"),
        ("info,", "'' is not a level"),
        ("dhcp=", "'' is not a level"),
        ("dhcp=loud", "'loud' is not a level"),
        ("ftp=debug", "'ftp' has no level of its own"),
        ("=debug", "'=debug' gives no part"),
        ("info,debug", "gives two levels"),
        ("tftp=info,tftp=debug", "gives two levels"),
    ],
)
def test_levels_that_cannot_be_are_said(text: str, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        log_levels(text)

    assert words in caught.value.message
    assert caught.value.field == "log_level"
    assert caught.value.hint
