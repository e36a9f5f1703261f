"""D30 and D31: refused tokens, and what two machines share."""

from __future__ import annotations

import pytest

from app.model.diagnosis import Severity
from app.model.event import Event
from tests.netboot.diagnose.stories import (
    again,
    edited,
    facts,
    judged,
    kind,
    machine,
    problems,
    recorded,
    then,
    upto,
)

AGENT = {"path": "agent/register", "status": 401, "reason": "expired", "why": "the token has expired"}


def refused(**data: object) -> list[Event]:
    """A boot whose agent is refused."""
    return then(upto(recorded("bios"), kind("dhcp.ack", stage="os")), "http.refused", 2, **{**AGENT, **data})


@pytest.mark.parametrize(
    ("reason", "means"),
    [
        ("expired", "its token has expired: it was booted too long ago"),
        ("wrong-machine", "it uses another machine's token: a copied or cloned system"),
        ("stale-lease", "its token is of an earlier lease of its address"),
        ("missing", "it sends no token: its kernel arguments were changed or cut off"),
    ],
)
def test_d30_a_token_that_is_refused(reason: str, means: str) -> None:
    found = judged(refused(reason=reason), 15)

    assert problems(found) == {"D30"}
    assert found["D30"].means == means
    assert problems(judged(refused(reason=reason), 14)) == set()


def test_d30_is_over_once_the_agent_is_heard() -> None:
    story = refused()

    assert "D30" not in judged(then(story, "agent.registered", 5, new=True), 60)
    assert "D30" not in judged(story, 60, machine(story, heartbeat=story[-1].time + 30))
    assert "D30" not in judged([*story, *again(recorded("bios"), 300)], 60)
    assert "D30" not in judged(refused(path="boot/x.ipxe", status=404), 60)


def test_d31_an_agent_that_reports_what_is_anothers() -> None:
    why = "the machine with 52:54:00:98:be:00 reports 52:54:00:00:00:09, which is node-9's"
    story = upto(recorded("bios"), kind("dhcp.ack", stage="os"))
    clash = then(story, "agent.conflict", 2, why=why, hint="delete node-9")
    found = judged(clash, 1)

    assert problems(found) == {"D31"}
    assert found["D31"].do == "delete node-9"
    assert "D31" not in judged(then(clash, "agent.registered", 5, new=True), 1)


def test_d31_an_address_somebody_else_uses() -> None:
    story = upto(recorded("bios"), kind("dhcp.ack"))
    declined = then(story, "dhcp.decline", 1, stage="os", address="10.77.0.128")
    assert judged(declined, 1)["D31"].seen == "it declined 10.77.0.128: another device answers at that address"

    asks = then(story, "http.refused", 1, path="boot/52-54-00-00-00-09.ipxe", status=404, why="is not the machine")
    assert "52:54:00:00:00:09 uses" in judged(asks, 1)["D31"].seen
    own = then(story, "http.refused", 1, path=f"boot/{story[0].mac.replace(':', '-')}.ipxe", status=404, why="x")
    assert "D31" not in judged(own, 1)


def test_d31_one_mac_with_two_uuids_in_turn() -> None:
    boot = upto(recorded("bios"), kind("dhcp.ack"))

    def with_uuid(seconds: float, uuid: str) -> list[Event]:
        return [edited(e, seconds, guid=uuid) if e.kind == "dhcp.discover" else edited(e, seconds) for e in boot]

    first, second = "4c4c4544-0000-2010-8020-000000000001", "4c4c4544-0000-2010-8020-000000000002"
    turns = [*with_uuid(0, first), *with_uuid(300, second), *with_uuid(600, first)]
    found = judged(turns, 1)
    assert problems(found) == {"D31"}
    assert found["D31"].seen == "52:54:00:98:be:00 boots with two firmware UUIDs in turn"

    # A new mainboard keeps its UUID.
    swapped = [*with_uuid(0, first), *with_uuid(300, second), *with_uuid(600, second)]
    assert "D31" not in judged(swapped, 1)
    assert "D31" not in judged([*with_uuid(0, first), *with_uuid(3600, second), *with_uuid(7200, first)], 1)


def test_d31_a_uuid_that_another_record_has_is_a_note() -> None:
    story = recorded("bios")
    found = judged(story, 1, world=facts(twins=("node-9",)))

    assert found["D31"].severity is Severity.NOTE
    assert problems(found) == set()
