"""The real API over fake ports, on a Unix socket in this process."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator, Collection, Generator
from pathlib import Path

from app.api.app import create_app
from app.api.listener import ApiListener
from app.api.stream import Streams
from tests.fakes.engine import FakeEngine


@contextlib.contextmanager
def _folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="bc-") as folder:
        # Other users must be able to reach it: refusing them is the listener's work, not the directory's.
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextlib.asynccontextmanager
async def served(
    engine: FakeEngine, *, allowed_uids: Collection[int] = (), keep_alive: float = 15.0, path: Path | None = None
) -> AsyncIterator[ApiListener]:
    """A started listener; its socket is `listener.path`."""
    with _folder() as folder:
        app = create_app(engine, Streams(keep_alive))
        listener = ApiListener(app, path or folder / "api.sock", emit=engine.emit, allowed_uids=allowed_uids)
        await listener.start()
        try:
            yield listener
        finally:
            await listener.stop()
            engine.close()
