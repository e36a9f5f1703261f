"""D17, D20: iPXE without its script, kernels that say nothing."""

from __future__ import annotations

import pytest

from app.model.diagnosis import Severity
from app.model.event import Event
from app.model.subnet import SubnetMode
from tests.netboot.diagnose.stories import (
    SUBNET,
    edited,
    facts,
    inventory,
    judged,
    kind,
    machine,
    problems,
    recorded,
    upto,
    without,
)


def acked() -> list[Event]:
    """What a machine did whose way to our HTTP port was closed."""
    return upto(recorded("bios-blocked"), kind("dhcp.ack"))


def test_d17_ipxe_never_asks_for_its_script() -> None:
    found = judged(acked(), 20)

    assert problems(found) == {"D17"}
    assert found["D17"].seen == "iPXE got its address 20 s ago and never asked for its script"
    assert found["D17"].means == "TCP port 8090 of 10.77.0.1 is blocked on the way, or a proxy is in between"
    assert problems(judged(acked(), 19)) == set()
    assert problems(judged(recorded("bios-blocked"), 50)) == {"D17"}
    assert problems(judged(upto(recorded("bios"), kind("http.sent", role="script")), 60)) == set()


def test_d17_an_address_in_the_url_that_is_not_in_its_subnet() -> None:
    story = [edited(e, bootfile="http://192.168.1.5:8090/boot/x.ipxe") if e.kind == "dhcp.ack" else e for e in acked()]
    assert judged(story, 20)["D17"].means == "its URL names 192.168.1.5, which is not in its own subnet"

    relayed = [edited(e, relay="10.77.0.5") if e.kind == "dhcp.discover" else e for e in story]
    assert "not in its own subnet" not in judged(relayed, 20)["D17"].means

    assert judged(acked(), 20, world=facts(firewall="firewalld"))["D17"].action == "wizard"


def test_d17_beside_another_server() -> None:
    world = facts(subnets=(SUBNET.model_copy(update={"mode": SubnetMode.PROXY}),))
    story = upto(recorded("bios-proxy"), kind("dhcp.request"))

    assert problems(judged(story, 20, world=world)) == {"D17"}
    assert problems(judged(story, 10, world=world)) == set()


def started(name: str = "uefi") -> list[Event]:
    """A boot up to its last file."""
    return upto(recorded(name), kind("http.sent", role="initrd"))


def test_d20_a_silent_kernel() -> None:
    found = judged(started(), 120)

    assert problems(found) == {"D20"}
    assert found["D20"].seen == "fetched kernel and initrd of discovery; silent for 2 min"
    doubted = judged(started(), 50)["D20"]
    assert (doubted.severity, doubted.row) == (Severity.WAIT, "D20? its kernel is silent")
    assert problems(judged(started(), 119)) == set()
    assert "D20" not in judged(started(), 49)
    assert problems(judged(recorded("uefi"), 600)) == set()


def test_d20_its_system_runs_but_its_agent_does_not_come() -> None:
    story = upto(recorded("uefi"), kind("dhcp.ack", stage="os"))
    one = judged(story, 120)["D20"]

    assert (one.brief, one.means) == ("its agent is silent", "its system runs but its agent does not reach us")


@pytest.mark.parametrize(("took", "doubted", "sure"), [(10, 50, 50), (25, 50, 75), (60, 90, 120), (110, 120, 120)])
def test_d20_knows_how_long_this_machine_took_before(took: float, doubted: float, sure: float) -> None:
    """Given up sooner where it is known to be quick, suspected later where it is known to be slow."""
    first = recorded("uefi")
    late = took - next(e.time for e in first if e.data.get("stage") == "os") + started()[-1].time
    before = [e.model_copy(update={"time": e.time + late}) if e.time > started()[-1].time else e for e in first]
    story = [*before, *upto(recorded("uefi", at=400), kind("http.sent", role="initrd"))]

    assert "D20" not in judged(story, doubted - 1)
    if doubted < sure:
        assert judged(story, doubted + 1)["D20"].severity is Severity.WAIT
    assert problems(judged(story, sure - 1)) == set()
    assert problems(judged(story, sure + 1)) == {"D20"}


def test_d20_too_little_memory_is_said_sooner() -> None:
    who = machine(started(), inventory=inventory("uefi", memory=256))
    found = judged(started(), 30, who)

    assert problems(found) == {"D20"}
    assert found["D20"].means == "it has 256 MiB of memory and discovery needs 512"
    assert problems(judged(started(), 29, who)) == set()
    # What kernel and firmware keep for themselves is no shortage.
    assert problems(judged(started(), 30, machine(started(), inventory=inventory("uefi", memory=470)))) == set()


def test_d20_a_kernel_alone_may_be_silent_for_ever() -> None:
    told = {"bootenv": "memtest86plus", "loads": "kernel"}
    story = [
        each.model_copy(update={"data": {**each.data, **told}}) if each.data.get("role") == "script" else each
        for each in without(started(), kind("http.sent", role="initrd"), kind("http.started", role="initrd"))
    ]

    assert "D20" not in judged(story, 6000)


def test_d20_has_more_patience_with_other_systems_and_none_with_what_has_no_initrd() -> None:
    other = [edited(e, bootenv="debian-12") if e.data.get("role") == "script" else e for e in started()]
    assert judged(other, 299)["D20"].severity is Severity.WAIT
    assert problems(judged(other, 300)) == {"D20"}

    memtest = upto(other, kind("http.sent", role="kernel"))
    assert "D20" not in judged(memtest, 3000)


def test_d20_waits_for_the_initrd() -> None:
    kernel = without(started(), kind("http.sent", role="initrd"), kind("http.started", role="initrd"))

    assert "D20" not in judged(kernel, 600)
