"""Authoritative DHCP never starts where another server answers, unless the operator confirmed it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest

from app.errors import BootcartError
from app.model.bootenv import BootEnv
from app.model.engine import ForeignServer, Interface
from app.model.event import EventDraft
from app.model.machine import Machine
from app.model.profile import Profile
from app.model.subnet import Reservation, Subnet
from app.services.gate import CHECKING, SegmentGate

ETH1 = Interface(name="eth1", index=2, up=True, link=True, addresses=(IPv4Interface("10.7.0.1/24"),), kind="ethernet")
ROGUE = ForeignServer(server=IPv4Address("10.7.0.9"), mac="52:54:00:00:00:99", heard=1.0)


def subnet(**fields: Any) -> Subnet:
    return Subnet.model_validate(
        {"name": "rack7", "cidr": "10.7.0.0/24", "ranges": ["10.7.0.100-10.7.0.200"], **fields}
    )


class View:
    """The stored world, and the wire's answers."""

    def __init__(self, *subnets: Subnet) -> None:
        self.stored = list(subnets)
        self.time = 1000.0
        self.present: list[Interface] = [ETH1]
        self.answers: list[Sequence[ForeignServer] | BootcartError] = []
        self.asked: list[str] = []
        self.events: list[EventDraft] = []

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def subnets(self) -> Sequence[Subnet]:
        return self.stored

    def reservations_for(self, token: str) -> list[Reservation]:
        return []

    def reservation_at(self, address: IPv4Address) -> Reservation | None:
        return None

    def machine_by_mac(self, mac: str) -> Machine | None:
        return None

    def profile(self, name: str) -> Profile | None:
        return None

    def bootenv(self, name: str) -> BootEnv | None:
        return None

    def preference(self, name: str) -> str:
        return ""

    def holding(self) -> bool:
        return False

    async def probe(self, name: str) -> Sequence[ForeignServer]:
        self.asked.append(name)
        answer = self.answers.pop(0) if self.answers else ()
        if isinstance(answer, BootcartError):
            raise answer
        return answer

    def gate(self, **options: Any) -> SegmentGate:
        return SegmentGate(self, lambda: self.present, self.probe, self.events.append, self, **options)

    async def settle(self, gate: SegmentGate) -> None:
        """Let the gate ask whatever is due."""
        watch = asyncio.create_task(gate.watch())
        for _ in range(10):
            await asyncio.sleep(0)
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


def hold(gate: SegmentGate) -> str:
    return gate.subnets()[0].hold


async def test_a_subnet_is_held_until_its_segment_was_asked() -> None:
    view = View(subnet())
    gate = view.gate()
    assert hold(gate) == CHECKING

    await view.settle(gate)

    assert (hold(gate), view.asked, view.events) == ("", ["eth1"], [])


async def test_another_server_holds_the_subnet_and_says_so_once() -> None:
    view = View(subnet())
    view.answers = [[ROGUE], [ROGUE]]
    gate = view.gate()
    gate.foreign("eth1", ROGUE)
    await view.settle(gate)

    assert hold(gate) == "another DHCP server answers on eth1: 10.7.0.9 (52:54:00:00:00:99)"
    assert view.kinds() == ["dhcp.foreign", "subnet.held"]
    assert view.events[1].data["server"] == "10.7.0.9 (52:54:00:00:00:99)"

    view.time += 61
    await view.settle(gate)
    assert view.kinds() == ["dhcp.foreign", "subnet.held"]
    assert len(view.asked) == 2


async def test_a_late_offer_holds_a_subnet_that_was_served() -> None:
    view = View(subnet())
    gate = view.gate()
    await view.settle(gate)
    gate.foreign("eth1", ROGUE)

    assert "10.7.0.9" in hold(gate)
    assert view.kinds() == ["dhcp.foreign", "subnet.held"]


async def test_a_server_that_went_away_frees_the_subnet() -> None:
    view = View(subnet())
    view.answers = [[ROGUE], []]
    gate = view.gate()
    await view.settle(gate)
    assert hold(gate)
    view.time += 61
    await view.settle(gate)

    assert hold(gate) == ""


@pytest.mark.parametrize(
    ("name", "fields", "options"),
    [
        ("confirmed", {"confirmed": True}, {}),
        ("proxy mode", {"mode": "proxy"}, {}),
        ("take over", {}, {"take_over": True}),
        ("reached by relay only", {"cidr": "10.9.0.0/24", "ranges": []}, {}),
    ],
)
async def test_what_needs_no_gate(name: str, fields: dict[str, Any], options: dict[str, Any]) -> None:
    view = View(subnet(**fields))
    gate = view.gate(**options)
    gate.foreign("eth1", ROGUE)
    await view.settle(gate)

    assert (hold(gate), view.asked) == ("", []), name
    assert view.kinds() == ["dhcp.foreign"]


async def test_an_operators_own_hold_stays() -> None:
    view = View(subnet(hold="maintenance"))
    gate = view.gate()
    await view.settle(gate)

    assert hold(gate) == "maintenance"


async def test_a_probe_that_fails_holds_with_its_reason() -> None:
    view = View(subnet())
    view.answers = [BootcartError("cannot send on eth1: Network is down")]
    gate = view.gate()
    await view.settle(gate)

    assert "Network is down" in hold(gate)


async def test_f08_a_probe_that_failed_is_made_again_within_seconds(caplog: pytest.LogCaptureFixture) -> None:
    """A link that flickers faster than it is looked at fails the probe and is otherwise never noticed."""
    view = View(subnet())
    view.answers = [BootcartError("cannot send on eth1: Network is down")] * 3
    gate = view.gate()
    for _ in range(3):
        await view.settle(gate)
        assert "Network is down" in hold(gate)
        view.time += 2.1
    await view.settle(gate)

    assert (hold(gate), len(view.asked)) == ("", 4)
    assert len(caplog.records) == 1


async def test_a_segment_is_asked_once_it_has_link_and_again_after_it_was_lost() -> None:
    view = View(subnet())
    view.present = [ETH1.model_copy(update={"link": False})]
    gate = view.gate()
    await view.settle(gate)
    assert view.asked == []
    view.present = [ETH1]
    await view.settle(gate)
    assert view.asked == ["eth1"]
    gate.link_lost("eth1")
    assert hold(gate) == CHECKING
    await view.settle(gate)
    assert view.asked == ["eth1", "eth1"]


async def test_a_young_probe_speaks_for_a_new_subnet_an_old_one_does_not() -> None:
    view = View()
    gate = view.gate()
    gate.probed("eth1", (), gate.mark("eth1"))
    view.stored = [subnet()]
    await view.settle(gate)
    assert (view.asked, hold(gate)) == ([], "")
    view.stored = []
    await view.settle(gate)
    view.time += 301
    view.stored = [subnet()]
    await view.settle(gate)
    assert view.asked == ["eth1"]


async def test_a_probe_that_was_under_way_when_the_link_was_lost_says_nothing() -> None:
    """What was asked was the segment before; what the interface leads to now has another server."""
    view = View(subnet())
    view.answers = [[], [ROGUE]]
    asked, answer = asyncio.Event(), asyncio.Event()
    ask = view.probe

    async def slow(name: str) -> Sequence[ForeignServer]:
        asked.set()
        await answer.wait()
        return await ask(name)

    view.probe = slow
    gate = view.gate()
    watch = asyncio.create_task(gate.watch())
    await asked.wait()
    gate.link_lost("eth1")
    answer.set()
    for _ in range(20):
        assert hold(gate)
        await asyncio.sleep(0)
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)

    assert view.asked == ["eth1", "eth1"]
    assert "10.7.0.9" in hold(gate)


async def test_a_probe_an_operator_asked_for_counts_for_the_segment_it_asked_alone() -> None:
    view = View(subnet())
    gate = view.gate()
    mark = gate.mark("eth1")
    gate.link_lost("eth1")
    gate.probed("eth1", (), mark)
    assert hold(gate) == CHECKING
    gate.probed("eth1", (), gate.mark("eth1"))
    assert hold(gate) == ""


async def test_a_probe_that_failed_is_repeated_once_the_link_is_back() -> None:
    view = View(subnet())
    gate = view.gate()

    async def failing(name: str) -> Sequence[ForeignServer]:
        view.asked.append(name)
        gate.link_lost(name)
        view.present = [ETH1.model_copy(update={"link": False})]
        raise BootcartError("cannot send on eth1: Network is down")

    view.probe, ask = failing, view.probe
    gate = view.gate()
    await view.settle(gate)
    assert hold(gate) == "eth1 has no link"
    view.present = [ETH1]
    gate._probe = ask
    await view.settle(gate)

    assert (view.asked, hold(gate)) == (["eth1", "eth1"], "")


async def test_a_subnet_that_comes_later_to_a_held_segment_is_told_of_too() -> None:
    view = View(subnet())
    view.answers = [[ROGUE]]
    gate = view.gate()
    await view.settle(gate)
    for stored in (subnet(mode="proxy"), subnet(), subnet(confirmed=True), subnet()):
        view.stored = [stored]
        await view.settle(gate)

    held = [event for event in view.events if event.kind == "subnet.held"]
    assert [event.data["subnet"] for event in held] == ["rack7"] * 3


async def test_what_could_not_be_asked_names_no_server() -> None:
    view = View(subnet())
    view.answers = [BootcartError("cannot send on eth1: Network is down")]
    gate = view.gate()
    await view.settle(gate)

    assert [(event.kind, event.data["server"]) for event in view.events] == [("subnet.held", "")]


async def test_of_two_engines_that_silenced_each_other_one_serves() -> None:
    """Both were let on the segment at once and heard each other; whoever asks first finds nobody."""
    first, second = View(subnet()), View(subnet())
    gates = (first.gate(), second.gate())
    for view, gate in zip((first, second), gates, strict=True):
        await view.settle(gate)
        assert hold(gate) == ""
        gate.foreign("eth1", ROGUE)
        assert "10.7.0.9" in hold(gate)

    # Not before a pause that is drawn, and long before the usual minute.
    first.time += 1.9
    await first.settle(gates[0])
    assert len(first.asked) == 1
    first.time += 8.2
    await first.settle(gates[0])
    assert (len(first.asked), hold(gates[0])) == (2, "")
    second.time += 10.1
    second.answers = [[ROGUE]]
    await second.settle(gates[1])
    assert (len(second.asked), "10.7.0.9" in hold(gates[1])) == (2, True)
    # From now on it asks at the usual pace.
    second.time += 20
    await second.settle(gates[1])
    assert len(second.asked) == 2
