"""The content service: keeps the list of boot environments true while files come and go."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import app
from app.model.bootenv import BootEnv
from app.services.content.reader import DEFINITION, Loaded, fingerprint, read, usable

LOOK_EVERY = 2.0
"""Seconds between looks at the files; a look is a few dozen `stat` calls, in a thread."""


def shipped() -> Path:
    """The boot environments that come with the program: beside the package in a checkout, inside it in a wheel."""
    package = Path(app.__file__).resolve().parent
    inside = package / "bootenvs"
    return inside if inside.is_dir() else package.parent / "bootenvs"


class ContentService:
    """Boot environments of several layers, the first layer that has a name wins. Reads are thread-safe."""

    name = "content"

    def __init__(
        self,
        layers: Sequence[Path],
        *,
        there: Callable[[str], bool],
        publish: Callable[[Sequence[BootEnv]], None],
        look_every: float = LOOK_EVERY,
    ) -> None:
        """`there` tells whether a path of the virtual tree names a file; `publish` is told the list when it changes."""
        self.listening: tuple[str, ...] = ()
        self.counters: dict[str, int] = {"bootenvs": 0, "unusable": 0}
        self._layers = tuple(layers)
        self._there = there
        self._publish = publish
        self._look_every = look_every
        self._loaded: Mapping[str, Loaded] = {}
        self._read: dict[Path, tuple[object, Loaded]] = {}
        self._published: tuple[BootEnv, ...] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read everything once, then keep looking."""
        await self.refresh()
        self._task = asyncio.create_task(self._watch(), name="content")

    async def stop(self) -> None:
        """Stop looking; what was read stays."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def refresh(self) -> None:
        """Look now, and publish where something changed."""
        await asyncio.to_thread(self.load)

    def load(self) -> None:
        """The same, without a loop; blocks for a few milliseconds."""
        loaded: dict[str, Loaded] = {}
        for layer in self._layers:
            for folder in _folders(layer):
                loaded.setdefault(folder.name, usable(self._text(folder), self._there))
        self._loaded = loaded
        found = tuple(each.bootenv for _, each in sorted(loaded.items()))
        self.counters = {"bootenvs": len(found), "unusable": sum(1 for each in found if each.errors)}
        if found != self._published:
            self._published = found
            self._publish(found)

    def bootenvs(self) -> tuple[BootEnv, ...]:
        """Every boot environment, by name, with its errors as of the last look."""
        return self._published or ()

    def bootenv(self, name: str) -> BootEnv | None:
        """The boot environment of this name."""
        loaded = self._loaded.get(name)
        return None if loaded is None else loaded.bootenv

    def templates(self, name: str) -> Mapping[str, str]:
        """The templates of a boot environment, by name; its arguments are the one named `arguments`."""
        loaded = self._loaded.get(name)
        return {} if loaded is None else loaded.templates

    def _text(self, folder: Path) -> Loaded:
        """What the folder holds; read again only when a file in it changed."""
        mark = fingerprint(folder)
        known = self._read.get(folder)
        if known is None or known[0] != mark:
            known = self._read[folder] = (mark, read(folder))
        return known[1]

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._look_every)
            await self.refresh()


def _folders(layer: Path) -> list[Path]:
    try:
        return sorted(folder for folder in layer.iterdir() if (folder / DEFINITION).is_file())
    except OSError:  # a layer that is not there has nothing in it
        return []
