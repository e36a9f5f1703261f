"""Verbs run in this process against the real API over a fake engine, which lives in a thread of its own."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.cli.main import main
from tests.fakes.engine import FakeEngine
from tests.fakes.serving import served


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output, read."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """Its output's lines."""
        return self.out.splitlines()


class Running:
    """A served engine and a way to give it commands."""

    def __init__(self, engine: FakeEngine, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.engine = engine
        self.world = engine.world
        self.endpoint = f"unix:{path}"
        self._capsys = capsys

    def __call__(self, *words: str) -> Result:
        self._capsys.readouterr()
        code = main([*words, "--endpoint", self.endpoint])
        out, err = self._capsys.readouterr()
        return Result(code, out, err)


class _Stdin(io.TextIOWrapper):
    def __init__(self, text: str) -> None:
        super().__init__(io.BytesIO(text.encode()))


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call it with the text that standard input holds."""
    return lambda text: monkeypatch.setattr("sys.stdin", _Stdin(text))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def bootcart(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> Iterator[Running]:
    ready = threading.Event()
    ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Event, Path]] = []

    async def serve() -> None:
        async with served(engine) as listener:
            end = asyncio.Event()
            ends.append((asyncio.get_running_loop(), end, listener.path))
            ready.set()
            await end.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    loop, end, path = ends[0]
    try:
        yield Running(engine, path, capsys)
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(20)
