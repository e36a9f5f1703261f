"""The engine's services under one roof: started, watched, restarted with back-off, each with the reason it failed."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from app.clock import Clock
from app.errors import BootcartError, ConflictError, NotFoundError
from app.model.engine import Service, ServiceState
from app.model.event import EventDraft, Level

log = logging.getLogger(__name__)
T = TypeVar("T")
_STATUS_MAX = 300

BACK_OFF = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before each new try; the last is repeated."""
START_WITHIN = 30.0
"""Seconds; one that hangs must not keep the engine from being ready."""
_STOP_WITHIN = 3.0
STOP_ALL_WITHIN = 3.5
"""Seconds for all services to end; what is not done by then is left to the end of the process."""


class Runnable(Protocol):
    """What a service offers to be run."""

    name: str

    @property
    def listening(self) -> Sequence[str]: ...

    @property
    def counters(self) -> dict[str, int]: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class LoopThread:
    """An event loop on a thread of its own, for services that must not wait for the main one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()

    async def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for it here."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    def beat(self, answered: Callable[[], None]) -> None:
        """Call `answered` there, soon; returns at once."""
        self.loop.call_soon_threadsafe(answered)

    def stop(self) -> None:
        """End the loop and wait for its thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_STOP_WITHIN)


@dataclass(slots=True)
class _Entry:
    service: Runnable
    thread: LoopThread | None
    state: ServiceState = ServiceState.STARTING
    reason: str = ""
    hint: str = ""
    since: float = 0.0
    failures: int = 0
    total: int = 0
    failed: float | None = None
    last_reason: str = ""
    unresponsive: bool = False
    retry: asyncio.Task[None] | None = None
    retry_at: float | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Registry:
    """Runs services; every method belongs to the main loop, but for what says otherwise."""

    def __init__(
        self, emit: Callable[[EventDraft], None], clock: Clock, owners: Mapping[str, str] | None = None
    ) -> None:
        """`owners`: by service name, who had its port when the launcher looked, which needs more rights than ours."""
        self._owners = owners or {}
        self._emit = emit
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._disabled: dict[str, float] = {}

    def add(self, service: Runnable, thread: LoopThread | None = None) -> None:
        """Know a service; `thread` runs it, else the main loop does."""
        self._entries[service.name] = _Entry(service, thread, since=self._clock.now())

    def disable(self, name: str) -> None:
        """Know a service that this run does without."""
        self._disabled[name] = self._clock.now()

    def services(self) -> list[Service]:
        """All of them as an operator sees them; any thread may ask."""
        found = [self._describe(name, entry) for name, entry in self._entries.items()]
        return found + [Service(name=n, state=ServiceState.DISABLED, since=s) for n, s in self._disabled.items()]

    def degraded(self) -> list[str]:
        """The names of those that failed."""
        return [name for name, entry in self._entries.items() if entry.state is ServiceState.FAILED]

    def status(self) -> str:
        """All of them in one line: how many are up, and which failed, why."""
        failed = [f"{n} ({e.reason})" for n, e in self._entries.items() if e.state is ServiceState.FAILED]
        up = sum(entry.state is ServiceState.UP for entry in self._entries.values())
        words = f"{up} services up" + (f"; failed: {', '.join(failed)}" if failed else "")
        return words if len(words) <= _STATUS_MAX else words[: _STATUS_MAX - 1] + "…"

    def runs(self, name: str) -> bool:
        """Whether one is up, or was until its thread stopped answering."""
        entry = self._entries.get(name)
        return entry is not None and (entry.state is ServiceState.UP or entry.unresponsive)

    def unresponsive(self, name: str) -> None:
        """The thread of one that is up answers no more: it has failed; with a thread of its own it is started anew."""
        entry = self._entries[name]
        if entry.state is ServiceState.UP:
            entry.unresponsive = True
            self._failed(name, entry, "its thread does not answer", "bootcart services restart " + name)
            if entry.thread is not None:
                # What hangs is shared with others, and a start would wait in it.
                self._cancel_retry(entry)

    def responsive(self, name: str) -> None:
        """The thread of one that was `unresponsive` answers again."""
        entry = self._entries[name]
        if entry.unresponsive and entry.state is ServiceState.FAILED and not entry.lock.locked():
            self._cancel_retry(entry)
            self._up(name, entry)

    async def start(self, name: str) -> None:
        """Start one; a failure is kept, told as an event, and tried again with back-off."""
        entry = self._entries[name]
        async with entry.lock:
            await self._start(name, entry)

    async def restart(self, name: str) -> Service:
        """Stop one if it runs and start it again at once. Raises NotFoundError; a failure shows in the answer."""
        entry = self._entries.get(name)
        if entry is None:
            hint = (
                f"{name} is disabled for this run" if name in self._disabled else "one of " + ", ".join(self._entries)
            )
            raise NotFoundError(f"no service {name!r} to restart", hint=hint)
        async with entry.lock:
            self._cancel_retry(entry)
            if entry.state is ServiceState.UP or entry.unresponsive:
                await self._stop(name, entry)
            entry.failures = 0
            await self._start(name, entry)
        return self._describe(name, entry)

    async def stop_all(self) -> None:
        """Stop every service, newest first, within STOP_ALL_WITHIN."""
        end = self._clock.monotonic() + STOP_ALL_WITHIN
        for name, entry in reversed(self._entries.items()):
            self._cancel_retry(entry)
            async with entry.lock:
                if entry.state is ServiceState.UP or entry.unresponsive:
                    # The ones behind one that hangs still get the time to close a socket.
                    within = max(0.1, min(_STOP_WITHIN, end - self._clock.monotonic()))
                    await self._stop(name, entry, within)

    def _describe(self, name: str, entry: _Entry) -> Service:
        up = entry.state is ServiceState.UP
        return Service(
            name=name,
            state=entry.state,
            listening=tuple(entry.service.listening) if up else (),
            reason=entry.reason,
            hint=entry.hint,
            since=entry.since,
            retry=entry.retry_at if entry.state is ServiceState.FAILED else None,
            failures=entry.total,
            last_failed=entry.failed,
            last_reason=entry.last_reason,
            counters=dict(entry.service.counters),
        )

    async def _start(self, name: str, entry: _Entry) -> None:
        # One that is tried again has failed until it is up: nobody must see it half-way and think better of it.
        if entry.state is not ServiceState.FAILED:
            entry.state, entry.since = ServiceState.STARTING, self._clock.now()
        try:
            await asyncio.wait_for(self._on(entry, entry.service.start()), START_WITHIN)
        except TimeoutError:
            self._failed(name, entry, f"it did not start within {START_WITHIN:g} s", "see the engine's log")
        except ConflictError as error:
            owner = self._owners.get(name, "")
            reason = f"{error.message}; at the start {owner} had it" if owner else error.message
            self._failed(name, entry, reason, error.hint, owner)
        except BootcartError as error:
            self._failed(name, entry, error.message, error.hint)
        except Exception as error:
            # A service's own defect must not take the others down; it is logged whole and shown by name.
            log.exception("%s did not start", name)
            self._failed(name, entry, f"{type(error).__name__}: {error}", "see the engine's log")
        else:
            entry.failures = 0
            self._up(name, entry)

    def _up(self, name: str, entry: _Entry) -> None:
        entry.state, entry.since = ServiceState.UP, self._clock.now()
        entry.reason = entry.hint = ""
        entry.unresponsive = False
        listening = ", ".join(entry.service.listening)
        words = f"{name} is up: {listening}" if listening else f"{name} is up"
        self._event("service.started", words, {"service": name, "listening": listening})

    def _failed(self, name: str, entry: _Entry, reason: str, hint: str, owner: str = "") -> None:
        first = entry.reason != reason
        now = self._clock.now()
        if entry.state is not ServiceState.FAILED:
            entry.state, entry.since = ServiceState.FAILED, now
        entry.reason, entry.hint = reason, hint
        entry.failed, entry.last_reason = now, reason
        entry.total += 1
        delay = BACK_OFF[min(entry.failures, len(BACK_OFF) - 1)]
        entry.failures += 1
        entry.retry_at = now + delay
        if first:
            text = f"{name} failed: {reason}" + (f" ({hint})" if hint else "")
            data = {"service": name, "reason": reason, "hint": hint, "owner": owner}
            self._event("service.failed", text, data, Level.ERROR)
        entry.retry = asyncio.create_task(self._retry(name, entry, delay), name=f"retry {name}")

    async def _retry(self, name: str, entry: _Entry, delay: float) -> None:
        await asyncio.sleep(delay)
        async with entry.lock:
            if entry.state is ServiceState.FAILED:
                if entry.unresponsive:
                    # What it holds goes first; its state is what it was, for nobody asked it to stop.
                    await self._end(name, entry, _STOP_WITHIN)
                await self._start(name, entry)

    async def _stop(self, name: str, entry: _Entry, within: float = _STOP_WITHIN) -> None:
        await self._end(name, entry, within)
        entry.state, entry.since = ServiceState.STOPPED, self._clock.now()
        self._event("service.stopped", f"{name} stopped", {"service": name})

    async def _end(self, name: str, entry: _Entry, within: float) -> None:
        entry.unresponsive = False
        try:
            await asyncio.wait_for(self._on(entry, entry.service.stop()), within)
        except TimeoutError:
            log.warning("%s did not stop within %.1f s", name, within)
        except Exception:
            log.exception("%s did not stop cleanly", name)

    @staticmethod
    async def _on(entry: _Entry, work: Coroutine[Any, Any, None]) -> None:
        await (entry.thread.call(work) if entry.thread is not None else work)

    @staticmethod
    def _cancel_retry(entry: _Entry) -> None:
        # A retry cancels nothing of its own: it waits for the lock that the caller holds.
        if entry.retry is not None:
            entry.retry.cancel()
            entry.retry = entry.retry_at = None

    def _event(self, kind: str, message: str, data: dict[str, Any], level: Level = Level.INFO) -> None:
        self._emit(EventDraft(time=self._clock.now(), kind=kind, message=message, level=level, data=data))
