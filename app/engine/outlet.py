"""Where log lines leave the process: a thread of its own writes them, so that whoever logs never waits for a reader."""

from __future__ import annotations

import io
import logging
import os
import select
import threading
import time
from typing import TextIO

QUEUE_MAX = 1 << 20
"""Characters that wait for a reader who stands still; what comes on top is dropped and counted."""

FLUSH_SECONDS = 1.0
"""How long an ending process waits for its last lines to be taken."""


class Outlet(logging.Handler):
    """Puts each record on a bounded queue, which one thread writes to a stream."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        try:
            # Not through the stream: a thread that is stuck in its buffer would hold the interpreter's end up.
            self._fd = stream.fileno()
        except (OSError, io.UnsupportedOperation):
            self._fd = -1
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._size = 0
        self._dropped = 0
        self._writing = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record."""
        try:
            line = self.format(record)
        except Exception as error:
            # Its words and values are the caller's; the place says where to look.
            line = f"{record.name}: {record.pathname}:{record.lineno}: a record that cannot be written: {error!r}"
        self.put(line)

    def put(self, line: str) -> None:
        """Queue a line; never waits for the stream."""
        line += "\n"
        with self._changed:
            if self._size + len(line) > QUEUE_MAX:
                self._dropped += 1
                return
            self._lines.append(line)
            self._size += len(line)
            self._changed.notify_all()

    def drain(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Wait until all that was queued is written; false when it is not by then."""
        end = time.monotonic() + seconds
        with self._changed:
            while self._lines or self._writing:
                left = end - time.monotonic()
                if left <= 0 or not self._thread.is_alive():
                    return False
                self._changed.wait(left)
        return True

    def flush(self) -> None:
        """See `drain`."""
        self.drain()

    def close(self) -> None:
        """End the thread once it has written what is queued; where it cannot, the process ends without it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        super().close()

    def _run(self) -> None:
        failed = 0
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                while not self._lines:
                    if self._closed:
                        return
                    self._changed.wait()
                # All that is there: what was dropped, was dropped after it.
                lines, self._lines, self._size = self._lines, [], 0
                dropped, self._dropped = self._dropped, 0
                self._writing = True
            own = len(lines)
            if failed:
                lines.insert(0, self._told(failed, "they could not be written"))
            if dropped:
                lines.append(self._told(dropped, "nobody read them"))
            lost = self._write("".join(lines))
            # What told of others is not counted; what it told of is, again.
            failed = failed + min(lost, own) + dropped if lost else 0

    def _told(self, count: int, why: str) -> str:
        words = f"{count} line{'s' if count > 1 else ''} of the log were dropped: {why}"
        made = logging.LogRecord(__name__, logging.WARNING, __file__, 0, words, (), None)
        return self.format(made) + "\n"

    def _write(self, text: str) -> int:
        """Write; the number of lines that were lost, on a full disk or because the reader is gone."""
        if self._fd < 0:
            self._stream.write(text)
            return 0
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                # A terminal that others made non-blocking.
                select.select([], [self._fd], [])
            except OSError:
                return bytes(data).count(b"\n")
        return 0
