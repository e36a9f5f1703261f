"""D27 to D29: over several boots."""

from __future__ import annotations

from app.model.diagnosis import Severity
from app.model.event import Event
from tests.netboot.diagnose.stories import (
    BEGAN,
    again,
    edited,
    inventory,
    judged,
    kind,
    machine,
    problems,
    recorded,
    then,
    upto,
)


def installs(times: int, every: float = 600) -> list[Event]:
    """Boots that begin to install."""
    one = upto(recorded("bios"), kind("http.sent", role="script"))
    one[-1] = edited(one[-1], bootenv="debian-12", boots="kernel")
    return [event for n in range(times) for event in again(one, every * n)]


def test_d27_installed_again_and_again() -> None:
    story = installs(3)
    found = judged(story, 10, machine(story, bootenv="debian-12"))

    assert problems(found) == {"D27"}
    assert found["D27"].seen == "began to install debian-12 3 times within 20 min"
    assert (found["D27"].action, found["D27"].command) == ("assign", "bootcart machines assign node-07 local")


def test_d27_counts_boots_of_an_hour_while_it_is_to_install() -> None:
    assert "D27" not in judged(installs(2), 10, machine(installs(2), bootenv="debian-12"))
    assert "D27" not in judged(installs(3), 10, machine(installs(3), bootenv="local"))
    slow = installs(3, every=2000)
    assert "D27" not in judged(slow, 10, machine(slow, bootenv="debian-12"))
    same = installs(1)
    retried = [*same, edited(same[-1], 5), edited(same[-1], 10), edited(same[-1], 15)]
    assert "D27" not in judged(retried, 10, machine(retried, bootenv="debian-12"))


def ordered(*more: tuple[str, dict[str, object]]) -> list[Event]:
    """Discovered, then told to boot something else."""
    story = then(recorded("uefi"), "machine.assigned", 60, bootenv="debian-12")
    for name, data in more:
        story = then(story, name, 20, **data)
    return story


REBOOTS: tuple[str, dict[str, object]] = ("agent.rebooting", {})
SYSTEM: tuple[str, dict[str, object]] = ("dhcp.discover", {"stage": "os", "vendor_class": "systemd-networkd"})


def test_d28_came_up_from_disk() -> None:
    story = ordered(REBOOTS, SYSTEM)
    found = judged(story, 1, machine(story, bootenv="debian-12", inventory=inventory()))

    assert problems(found) == {"D28"}
    assert found["D28"].seen == "debian-12 was to boot, but a system from its disk came up"


def test_d28_a_machine_that_asks_nothing_after_its_reboot() -> None:
    story = ordered(REBOOTS)
    who = machine(story, bootenv="debian-12", inventory=inventory())
    assert "D28" not in judged(story, 49, who)

    doubted = judged(story, 50, who)["D28"]
    assert (doubted.severity, doubted.row) == (Severity.WAIT, "D28? does not ask after its reboot")
    assert doubted.seen == "debian-12 was to boot; rebooted 50 s ago, asks nothing"
    assert problems(judged(story, 299, who)) == set()
    assert problems(judged(story, 300, who)) == {"D28"}

    # It has come back within 12 s before.
    before = [
        *then(recorded("uefi"), "agent.rebooting", 8),
        *recorded("uefi", at=then(recorded("uefi"), "x", 20)[-1].time - BEGAN),
    ]
    story = then(then(before, "machine.assigned", 60, bootenv="debian-12"), "agent.rebooting", 1)
    assert problems(judged(story, 50, who)) == {"D28"}


def test_d28_an_order_to_boot_the_disk_is_no_order_for_the_network() -> None:
    story = then(ordered(), "machine.assigned", 20, bootenv="local")
    story = then(then(story, "agent.rebooting"), "dhcp.discover", 20, stage="os", vendor_class="dhclient")

    assert "D28" not in judged(story, 400, machine(story, bootenv="local", inventory=inventory()))


def test_d28_a_system_from_disk_as_recorded() -> None:
    story = recorded("uefi-disk-first")
    found = judged(story, 1, machine(story, bootenv="discovery"))

    assert problems(found) == {"D28"}
    assert found["D28"].seen == "discovery was to boot, but a system from its disk came up"
    told = [edited(e, bootenv="local") if e.kind == "machine.assigned" else e for e in story]
    assert "D28" not in judged(told, 1, machine(told, bootenv="local"))


def test_d28_needs_an_order_and_a_system_of_its_own() -> None:
    for story in (
        ordered(REBOOTS),
        ordered(REBOOTS, ("dhcp.discover", {"stage": "os", "vendor_class": "bootcart-discovery"})),
        ordered(REBOOTS, ("dhcp.discover", {"stage": "rom", "firmware": "uefi", "arch": 7}), SYSTEM),
        then(recorded("uefi"), "dhcp.discover", 60, stage="os", vendor_class="dhclient"),
    ):
        assert "D28" not in judged(story, 1, machine(story, bootenv="debian-12", inventory=inventory()))
    # Its discovery system still runs: nobody has rebooted it.
    story = ordered(SYSTEM)
    who = machine(story, bootenv="debian-12", heartbeat=story[-1].time)
    assert "D28" not in judged(story, 1, who)
    assert "D28" in judged(story, 1, machine(story, bootenv="debian-12", heartbeat=story[0].time))


def powered_on() -> list[Event]:
    """What its firmware asked, without the order to reboot before it."""
    return [event for event in recorded("bios-local") if event.kind.startswith("dhcp.")]


def test_d29_came_back_from_its_disk() -> None:
    once = powered_on()
    story = [*once, *again(once, 60)]
    who = machine(story, bootenv="local", inventory=inventory("bios"))
    found = judged(story, 1, who)

    assert problems(found) == {"D29"}
    assert found["D29"].seen.startswith("was told to boot its disk; asked the network again ")
    assert "D29" not in judged([*once, *again(once, 300)], 1, who)


def test_d29_is_not_for_a_system_that_ran_or_another_entry_of_the_boot_order() -> None:
    once = powered_on()
    ran = then(once, "dhcp.discover", 20, stage="os", vendor_class="dhclient")
    story = [*ran, *again(upto(once, kind("dhcp.ack")), 60)]
    assert "D29" not in judged(story, 1, machine(story, bootenv="local"))

    # UEFI goes from its PXE entry to its HTTP entry, each told to boot the disk.
    entries = recorded("uefi-local")
    assert "D29" not in judged(entries, 30, machine(entries, bootenv="local"))

    # Told of something else now: somebody has brought it back.
    back = [*once, *recorded("bios", at=60)]
    assert "D29" not in judged(back, 1, machine(back))


def test_d29_a_machine_without_a_disk() -> None:
    story = upto(recorded("bios-local"), kind("dhcp.ack"))
    found = judged(story, 1, machine(story, bootenv="local", inventory=inventory("bios", disks=0)))

    assert problems(found) == {"D29"}
    assert found["D29"].seen == "was told to boot its own disk, and its inventory lists none"
    assert "D29" not in judged(story, 1, machine(story, bootenv="local", inventory=inventory("bios")))
    assert "D29" not in judged(story, 1, machine(story, bootenv="local"))
