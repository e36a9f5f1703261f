"""Results on a terminal, in a pipe, as JSON or YAML; text from the wire cannot steer the terminal."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO, cast

from app.cli.forms import Noun
from app.errors import BootcartError
from app.model.inert import inert

_TIMES = frozenset(
    {"at", "began", "created", "ended", "expires", "heard", "heartbeat", "issued", "last_failed", "now", "probed"}
    | {"modified", "not_after", "not_before", "reported", "retry", "seen", "serve_until", "since", "started", "time"}
)
_GAP = "  "


def shown(text: object) -> str:
    """`text` as inert text (see app.model.inert): on one line, and nothing in it can steer a terminal."""
    return inert(str(text))


def cells(text: str) -> int:
    """How many columns of a terminal a text without control characters takes."""
    if text.isascii():
        return len(text)
    wide = sum(1 for char in text if unicodedata.east_asian_width(char) in "WF")
    return len(text) + wide - sum(1 for char in text if unicodedata.category(char) in ("Mn", "Me"))


def cell(name: str, value: Any) -> str:
    """A value in a word or a few: lists with commas, times in local time, nothing for nothing."""
    if value is None or value == "" or value == [] or value == {}:
        return ""
    last = name.rpartition(".")[2]
    if last in _TIMES and isinstance(value, (int, float)):
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value)) if value else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(cell("", item) for item in cast("list[Any]", value))
    if isinstance(value, dict):
        told = cast("dict[str, Any]", value)
        if told.keys() == {"start", "end"}:
            return f"{told['start']}-{told['end']}"
        return " ".join(f"{key}={cell(key, item)}" for key, item in told.items() if item not in (None, "", [], {}))
    return shown(value)


def at(item: dict[str, Any], path: str) -> Any:
    """The value at a dotted path, None where there is none."""
    value: Any = item
    for part in path.split("."):
        if not isinstance(value, dict):
            return None
        value = cast("dict[str, Any]", value).get(part)
    return value


@dataclass(slots=True)
class Output:
    """Where results go and in which form: `text`, `json`, `yaml` or `quiet`."""

    form: str = "text"
    out: TextIO = field(default_factory=lambda: sys.stdout)
    errors: TextIO = field(default_factory=lambda: sys.stderr)

    @property
    def terminal(self) -> bool:
        """Somebody looks at it."""
        return self.out.isatty()

    def line(self, text: str) -> None:
        """One line of the result."""
        self.out.write(text + "\n")

    def data(self, value: Any) -> None:
        """A value as JSON or YAML. Escapes what is not ASCII, so that it is safe on any terminal."""
        if self.form == "yaml":
            import yaml

            self.out.write(yaml.safe_dump(value, sort_keys=False, default_flow_style=False))
        else:
            self.line(json.dumps(value, indent=2))

    def listing(self, noun: Noun, items: Sequence[dict[str, Any]]) -> None:
        """Many objects."""
        if self.form == "quiet":
            for item in items:
                self.line(shown(item[noun.key]))
        elif self.form == "text":
            self.table(noun.columns, [[cell(name, at(item, name)) for name in noun.columns] for item in items])
        else:
            self.data(list(items))

    def one(self, noun: Noun, item: dict[str, Any]) -> None:
        """One object, all of it."""
        if self.form == "quiet":
            self.line(shown(item[noun.key]))
        elif self.form == "text":
            self.fields(item)
        else:
            self.data(item)

    def done(self, noun: Noun, item: dict[str, Any], what: str) -> None:
        """An object that was changed: in words, as data, or its key."""
        if self.form == "text":
            self.line(f"{noun.one} {shown(item[noun.key])} {what}")
        else:
            self.one(noun, item)

    def said(self, text: str, data: Any) -> None:
        """A result without an object: words, data, or nothing."""
        if self.form == "text":
            self.line(text)
        elif self.form != "quiet":
            self.data(data)

    def fields(self, item: dict[str, Any]) -> None:
        """An object as lines of name and value, the empty ones left out."""
        pairs = list(_flat(item, ""))
        width = max((len(name) for name, _ in pairs), default=0) if self.terminal else 0
        for name, text in pairs:
            self.line(f"{name:<{width}}{_GAP}{text}" if self.terminal else f"{name}\t{text}")

    def table(self, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Columns with a head on a terminal, cut to its width; separated by tabs and bare in a pipe."""
        if not self.terminal:
            for row in rows:
                self.line("\t".join(row))
            return
        heads = [name.rpartition(".")[2].replace("_", " ").upper() for name in names]
        widths = [max(cells(text) for text in column) for column in zip(heads, *rows, strict=True)]
        limit = shutil.get_terminal_size().columns
        for row in (heads, *rows):
            padded = (text + " " * (width - cells(text)) for text, width in zip(row, widths, strict=True))
            self.line(_cut(_GAP.join(padded).rstrip(), limit))

    def text(self, text: str) -> None:
        """Many lines as they are, without what could steer a terminal."""
        if self.form in ("json", "yaml"):
            self.data(text)
            return
        for line in text.split("\n")[: -1 if text.endswith("\n") else None]:
            self.line(line if not self.terminal else shown(line.replace("\t", "    ")))

    def error(self, error: BootcartError) -> None:
        """An error on standard error: one line with its hint, or JSON."""
        if self.form == "json":
            told = {"code": error.code, "message": error.message, "hint": error.hint, "field": error.field}
            self.errors.write(json.dumps(told) + "\n")
        else:
            self.errors.write(f"bootcart: {shown(error)}\n")


def _flat(item: dict[str, Any], prefix: str) -> Iterable[tuple[str, str]]:
    for key, value in item.items():
        name = f"{prefix}{shown(key)}"
        if isinstance(value, dict) and value:
            yield from _flat(cast("dict[str, Any]", value), f"{name}.")
        elif isinstance(value, list) and any(isinstance(each, dict) for each in cast("list[Any]", value)):
            for number, each in enumerate(cast("list[Any]", value)):
                yield f"{name}.{number}", cell(key, each)
        elif text := cell(key, value):
            yield name, text


def _cut(text: str, width: int) -> str:
    if cells(text) <= width:
        return text
    kept = ""
    for char in text:
        if cells(kept + char) > width - 1:
            break
        kept += char
    return kept + "~"


class Progress:
    """How far a wait is, on standard error: one line that renews itself on a terminal, a line per change elsewhere."""

    def __init__(self, output: Output) -> None:
        self._silent = output.form != "text"
        self._errors = output.errors
        self._terminal = output.errors.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._began = time.monotonic()
        self._last = ""

    def show(self, text: str) -> None:
        """This is how it stands."""
        if self._silent:
            return
        if self._terminal:
            seconds = int(time.monotonic() - self._began)
            line = _cut(f"{seconds // 60:02}:{seconds % 60:02} {shown(text)}", shutil.get_terminal_size().columns - 1)
            self._errors.write(f"\r{line}\x1b[K")
            self._errors.flush()
        elif text != self._last:
            self._errors.write(f"{shown(text)}\n")
            self._errors.flush()
        self._last = text

    def end(self) -> None:
        """Leave the line."""
        if self._terminal and self._last and not self._silent:
            self._errors.write("\r\x1b[K")
            self._errors.flush()
