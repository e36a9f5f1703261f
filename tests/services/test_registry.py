"""Services under one roof: one that fails is told, tried again, and takes nobody with it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from app.clock import SystemClock
from app.config import Settings
from app.engine.assembly import port_owners
from app.errors import BootcartError, ConflictError, NotFoundError
from app.model.engine import ServiceState
from app.model.event import EventDraft
from app.services import registry
from app.services.registry import LoopThread, Registry


class Fake:
    """A service that fails as often as it is told to."""

    def __init__(self, name: str, failures: int = 0, defect: bool = False, error: BootcartError | None = None) -> None:
        self.error = error or BootcartError("port 69 is taken", hint="stop the other server")
        self.name = name
        self.failures = failures
        self.defect = defect
        self.listening: tuple[str, ...] = ()
        self.counters = {"served": 3}
        self.threads: list[str] = []
        self.up = asyncio.Event()

    async def start(self) -> None:
        self.threads.append(threading.current_thread().name)
        if self.failures:
            self.failures -= 1
            if self.defect:
                raise ZeroDivisionError("division by zero")
            raise self.error
        self.listening = ("udp 69",)
        self.up.set()

    async def stop(self) -> None:
        self.listening = ()


async def test_a_service_that_starts_is_up_with_what_it_listens_on() -> None:
    events: list[EventDraft] = []
    services = Registry(events.append, SystemClock())
    services.add(Fake("tftp"))
    services.disable("http")
    assert [s.state for s in services.services()] == [ServiceState.STARTING, ServiceState.DISABLED]
    await services.start("tftp")
    tftp, http = services.services()

    assert (tftp.state, tftp.listening, tftp.counters) == (ServiceState.UP, ("udp 69",), {"served": 3})
    assert (http.name, http.state) == ("http", ServiceState.DISABLED)
    assert [e.message for e in events] == ["tftp is up: udp 69"]
    await services.stop_all()
    assert services.services()[0].state is ServiceState.STOPPED
    assert events[-1].kind == "service.stopped"


async def test_a_failure_is_told_once_and_healed_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BACK_OFF", (0.0,))
    events: list[EventDraft] = []
    services = Registry(events.append, SystemClock())
    fake = Fake("tftp", failures=3)
    services.add(fake)
    await services.start("tftp")
    failed = services.services()[0]

    assert (failed.state, failed.reason, failed.hint) == (
        ServiceState.FAILED,
        "port 69 is taken",
        "stop the other server",
    )
    assert services.degraded() == ["tftp"]
    assert failed.retry is not None
    assert failed.last_failed is not None
    assert failed.retry >= failed.last_failed
    assert services.status() == "0 services up; failed: tftp (port 69 is taken)"
    await asyncio.wait_for(fake.up.wait(), 10)
    await services.restart("tftp")
    assert services.degraded() == []
    # What it failed of is still known.
    healed = services.services()[0]
    assert (healed.reason, healed.retry) == ("", None)
    assert (healed.last_reason, healed.failures) == ("port 69 is taken", 3)
    assert healed.last_failed
    assert services.status() == "1 services up"
    assert [e.kind for e in events].count("service.failed") == 1
    assert "service.started" in [e.kind for e in events]
    await services.stop_all()


class Stuck(Fake):
    """Fails once, then does not come to an end with starting."""

    def __init__(self) -> None:
        super().__init__("stuck", failures=1)
        self.trying = asyncio.Event()
        self.go = asyncio.Event()

    async def start(self) -> None:
        if not self.failures:
            self.trying.set()
            await self.go.wait()
        await super().start()


async def test_a_service_that_is_tried_again_has_failed_until_it_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BACK_OFF", (0.0,))
    services = Registry(lambda event: None, SystemClock())
    stuck = Stuck()
    services.add(stuck)
    await services.start("stuck")
    since = services.services()[0].since
    await asyncio.wait_for(stuck.trying.wait(), 10)

    assert services.degraded() == ["stuck"]
    now = services.services()[0]
    assert (now.state, now.reason, now.since) == (ServiceState.FAILED, "port 69 is taken", since)
    stuck.go.set()
    await asyncio.wait_for(stuck.up.wait(), 10)
    await services.stop_all()


async def test_what_listens_on_nothing_says_so_without_a_colon() -> None:
    events: list[EventDraft] = []
    services = Registry(events.append, SystemClock())
    services.add(Quiet("content"))
    await services.start("content")

    assert [e.message for e in events] == ["content is up"]
    await services.stop_all()


class Quiet(Fake):
    """Needs no port."""

    async def start(self) -> None:
        self.up.set()


async def test_who_had_the_port_is_named() -> None:
    events: list[EventDraft] = []
    services = Registry(events.append, SystemClock(), {"tftp": "dnsmasq (process 812)"})
    services.add(Fake("tftp", failures=1, error=ConflictError("port 69 is taken", hint="stop it")))
    await services.start("tftp")

    assert services.services()[0].reason == "port 69 is taken; at the start dnsmasq (process 812) had it"
    assert events[0].data["owner"] == "dnsmasq (process 812)"
    await services.stop_all()


def test_owners_are_read_from_the_launchers_words() -> None:
    told = {"BOOTCART_PORT_OWNERS": "udp/67=dnsmasq (process 812), dhcpd (process 9);tcp/8090=nginx (process 7)"}

    assert port_owners(Settings(), told) == {
        "dhcp": "dnsmasq (process 812), dhcpd (process 9)",
        "http": "nginx (process 7)",
    }
    assert port_owners(Settings(dhcp_port=1067), told) == {"http": "nginx (process 7)"}
    assert port_owners(Settings(), {}) == {}


async def test_a_defect_in_one_service_leaves_the_others(caplog: pytest.LogCaptureFixture) -> None:
    services = Registry(lambda event: None, SystemClock())
    services.add(Fake("bad", failures=1, defect=True))
    services.add(Fake("good"))
    await services.start("bad")
    await services.start("good")

    assert [s.state for s in services.services()] == [ServiceState.FAILED, ServiceState.UP]
    assert services.services()[0].reason == "ZeroDivisionError: division by zero"
    assert "bad did not start" in caplog.text
    await services.stop_all()


async def test_restart_is_at_once_and_by_name() -> None:
    services = Registry(lambda event: None, SystemClock())
    fake = Fake("tftp", failures=1)
    services.add(fake)
    services.disable("http")
    await services.start("tftp")
    assert (await services.restart("tftp")).state is ServiceState.UP
    assert (await services.restart("tftp")).state is ServiceState.UP
    assert len(fake.threads) == 3
    with pytest.raises(NotFoundError, match="nothing"):
        await services.restart("nothing")
    with pytest.raises(NotFoundError) as caught:
        await services.restart("http")
    assert "disabled" in caught.value.hint
    await services.stop_all()


async def test_a_thread_of_its_own_runs_a_service() -> None:
    thread = LoopThread("boot")
    services = Registry(lambda event: None, SystemClock())
    fake = Fake("tftp")
    services.add(fake, thread)
    await services.start("tftp")
    await services.stop_all()
    thread.stop()

    assert fake.threads == ["boot"]


async def test_a_start_that_hangs_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "START_WITHIN", 0.01)
    services = Registry(lambda event: None, SystemClock())
    stuck = Stuck()
    stuck.failures = 0
    services.add(stuck)
    await services.start("stuck")

    assert services.services()[0].reason == "it did not start within 0.01 s"
    await services.stop_all()


async def test_a_service_whose_thread_hangs_is_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BACK_OFF", (0.0,))
    services = Registry(lambda event: None, SystemClock())
    fake = Fake("dhcp")
    services.add(fake)
    await services.start("dhcp")
    fake.up.clear()
    services.unresponsive("dhcp")
    assert services.services()[0].state is ServiceState.FAILED
    assert services.runs("dhcp")
    await asyncio.wait_for(fake.up.wait(), 10)
    await asyncio.sleep(0)

    assert services.services()[0].state is ServiceState.UP
    await services.stop_all()
    assert not services.runs("dhcp")


async def test_a_thread_that_answers_again_needs_no_start() -> None:
    services = Registry(lambda event: None, SystemClock())
    fake = Fake("dhcp")
    services.add(fake)
    await services.start("dhcp")
    services.unresponsive("dhcp")
    services.responsive("dhcp")

    assert services.services()[0].state is ServiceState.UP
    assert len(fake.threads) == 1
    await services.stop_all()


async def test_services_that_share_a_hanging_thread_are_not_started_in_it() -> None:
    thread = LoopThread("boot")
    services = Registry(lambda event: None, SystemClock())
    services.add(Fake("tftp"), thread)
    await services.start("tftp")
    services.unresponsive("tftp")
    failed = services.services()[0]
    assert (failed.state, failed.retry) == (ServiceState.FAILED, None)
    services.responsive("tftp")
    assert services.services()[0].state is ServiceState.UP
    answered = asyncio.Event()
    loop = asyncio.get_running_loop()
    thread.beat(lambda: loop.call_soon_threadsafe(answered.set) and None)
    await asyncio.wait_for(answered.wait(), 10)
    await services.stop_all()
    thread.stop()


async def test_one_that_does_not_stop_does_not_keep_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "STOP_ALL_WITHIN", 0.05)
    services = Registry(lambda event: None, SystemClock())
    first, last = Fake("first"), Hanging("last")
    for fake in (first, last):
        services.add(fake)
        await services.start(fake.name)
    await asyncio.wait_for(services.stop_all(), 10)

    assert first.listening == ()
    assert [each.state for each in services.services()] == [ServiceState.STOPPED] * 2


class Hanging(Fake):
    """Does not come to an end with stopping."""

    async def stop(self) -> None:
        await asyncio.Event().wait()
