"""The engine as a process in a namespace, and the doors to it: the client, the command line, its events."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from app.client.http import HttpClient
from app.model.engine import Service, ServiceState
from app.model.event import Event
from app.model.machine import Machine
from app.model.query import Query
from app.model.subnet import Lease, Subnet
from app.model.subnet6 import AnySubnet
from tests import netns

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
READY_SECONDS = 60
STOP_SECONDS = 6

RACK: dict[str, Any] = {
    "name": "rack7",
    "cidr": "10.7.0.0/24",
    "ranges": ["10.7.0.100-10.7.0.200"],
    "router": "10.7.0.1",
    "dns": ["10.7.0.1"],
}


def environment() -> dict[str, str]:
    """This process's environment without what would set up an engine or choose one, and without a terminal's size."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BOOTCART_", "COLUMNS", "LINES"))}
    return {**kept, "PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A directory with a path short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="bc-", dir="/tmp") as made:
        yield Path(made)


class Engine:
    """One data directory and the engine that runs on it, started and ended as often as a test likes."""

    def __init__(
        self, ns: str, data_dir: Path, *flags: str, prefix: Sequence[str] = (), extra: Mapping[str, str] | None = None
    ) -> None:
        self.ns = ns
        self.data_dir = data_dir
        self.endpoint = f"unix:{data_dir / 'api.sock'}"
        self._argv = [*prefix, sys.executable, "-m", "app", "serve", "--data-dir", str(data_dir), *flags]
        self._environment = {**environment(), **(extra or {})}
        self._log = data_dir.with_name(data_dir.name + ".log")
        self._log.touch()
        self._looked = 0
        self._process: subprocess.Popen[str] | None = None
        self._loop = asyncio.new_event_loop()
        self._client: HttpClient | None = None

    # --- life -----------------------------------------------------------------------------------------------------

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    def begin(self) -> subprocess.Popen[str]:
        """Start it, and wait for nothing."""
        with self._log.open("a") as log:
            self._process = netns.popen(self.ns, self._argv, stdout=log, stderr=log, env=self._environment, cwd=ROOT)
        return self._process

    def start(self) -> Engine:
        """Start it and wait until it says that it is ready."""
        before = self.log().count("ready in ")
        process = self.begin()

        def ready() -> bool:
            assert self.process.poll() is None, f"exit code {self.process.returncode}: {self.log()}"
            return self.log().count("ready in ") > before

        try:
            netns.until(ready, timeout=READY_SECONDS, what=f"the engine is ready: {self.log()}")
        except BaseException:
            netns.stop(process)
            raise
        return self

    def stop(self) -> None:
        """SIGTERM: it ends in time, with exit code 0, without a traceback, and leaves no socket."""
        self._hang_up()
        process, self._process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
            raise AssertionError(f"the engine did not stop within {STOP_SECONDS} s: {self.log()}") from None
        assert code == 0, f"exit code {code}: {self.log()}"
        assert not (self.data_dir / "api.sock").exists()
        self.sound()

    def kill(self) -> None:
        """kill -9."""
        self._hang_up()
        process, self._process = self.process, None
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    def ended(self) -> int:
        """Wait until it ends by itself; its exit code."""
        self._hang_up()
        process, self._process = self.process, None
        code = process.wait(STOP_SECONDS)
        self.sound()
        return code

    def close(self) -> None:
        """Stop it where it runs; nothing is used after this."""
        try:
            if self._process is not None:
                self.stop()
        finally:
            self._hang_up()
            self._loop.close()

    def sound(self) -> None:
        """It runs, if it should, and has logged no traceback since the last look."""
        text = self.log()
        fresh, self._looked = text[self._looked :], len(text)
        assert "Traceback" not in fresh, fresh
        assert self._process is None or self._process.poll() is None, fresh

    def log(self) -> str:
        """All it wrote to standard output and standard error."""
        return self._log.read_text()

    # --- the client -----------------------------------------------------------------------------------------------

    @property
    def client(self) -> HttpClient:
        if self._client is None:
            self._client = HttpClient(self.endpoint)
        return self._client

    def ask(self, work: Coroutine[Any, Any, T], timeout: float = 60) -> T:
        """Run something that speaks to the client."""
        return self._loop.run_until_complete(asyncio.wait_for(work, timeout))

    def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            self._loop.run_until_complete(client.close())

    def subnet(self, **fields: Any) -> Subnet:
        """Create a subnet, RACK unless told otherwise."""
        made = self.ask(self.client.subnets.create({**RACK, **fields}))
        assert isinstance(made, Subnet)
        return made

    def served(self, name: str = "rack7") -> AnySubnet:
        """Wait until nothing holds a subnet."""
        return netns.until(
            lambda: found if not (found := self.ask(self.client.subnets.show(name))).hold else None,
            what=f"{name} is served: {self.hold_of(name)}",
        )

    def hold_of(self, name: str = "rack7") -> str:
        """Why a subnet is held now."""
        return self.ask(self.client.subnets.show(name)).hold

    def lease(self, address: str) -> Lease:
        found = self.ask(self.client.leases.show(address))
        assert isinstance(found, Lease)
        return found

    def leases(self) -> dict[str, str]:
        """State by address."""
        return {str(each.address): each.state.value for each in self.ask(self.client.leases.list()).items}

    def machine(self, mac: str) -> Machine | None:
        """The machine with this MAC, if there is one."""
        found = self.ask(self.client.machines.list(Query((f"macs={mac}",)))).items
        return found[0] if found else None

    def service(self, name: str) -> Service:
        return self.ask(self.client.services.show(name))

    def up(self, name: str, timeout: float = 20) -> Service:
        """Wait until a service is up."""

        def look() -> Service | None:
            found = self.service(name)
            return found if found.state is ServiceState.UP else None

        return netns.until(look, timeout=timeout, what=f"{name} is up")

    # --- events ---------------------------------------------------------------------------------------------------

    def newest(self) -> int:
        """The number of the newest event."""
        page = self.ask(self.client.events.list(Query(limit=1)))
        return page.items[-1].id if page.items else 0

    def events(self, kind: str = "", *, after: int = 0, mac: str = "") -> list[Event]:
        """Kept events of a kind, oldest first."""
        page = self.ask(self.client.events.list(Query(limit=1000), kind=kind))
        return [event for event in page.items if event.id > after and mac in ("", event.mac)]

    def event(
        self,
        kind: str,
        *,
        after: int = 0,
        mac: str = "",
        match: Callable[[Event], bool] = lambda _: True,
        timeout: float = 20,
    ) -> Event:
        """Wait for the first event of a kind after a number."""

        def look() -> Event | None:
            return next((each for each in self.events(kind, after=after, mac=mac) if match(each)), None)

        try:
            return netns.until(look, timeout=timeout)
        except AssertionError:
            seen = [f"{each.id} {each.kind} {each.message}" for each in self.events(after=after)][-20:]
            raise AssertionError(f"no {kind} {mac} after {after} within {timeout:g} s; seen: {seen}") from None

    # --- the command line -------------------------------------------------------------------------------------------

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`bootcart WORDS` at this engine."""
        return subprocess.run(
            [sys.executable, "-m", "app", *words, "--endpoint", self.endpoint],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def told(self, *words: str) -> str:
        """What a verb that succeeds writes."""
        done = self.cli(*words)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout


@contextlib.contextmanager
def running(
    ns: str,
    *flags: str,
    prefix: Sequence[str] = (),
    data_dir: Path | None = None,
    extra: Mapping[str, str] | None = None,
) -> Iterator[Engine]:
    """A started engine on a fresh data directory; it is stopped, and must stop well, at the end of the block."""
    with contextlib.ExitStack() as stack:
        where = data_dir or stack.enter_context(folder()) / "data"
        engine = Engine(ns, where, *flags, prefix=prefix, extra=extra)
        try:
            yield engine.start()
        except BaseException:
            # The test's own failure is the one to read.
            with contextlib.suppress(AssertionError):
                engine.close()
            raise
        engine.close()
