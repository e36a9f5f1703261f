"""D10, D11, D12, D14, D18: files that are not asked for, stall, or are not there."""

from __future__ import annotations

import pytest

from app.model.bootenv import BootEnv
from app.model.diagnosis import Severity
from app.model.engine import Service, ServiceState
from app.model.event import Event
from tests.netboot.diagnose.stories import (
    BOOTENVS,
    DISCOVERY,
    edited,
    facts,
    judged,
    kind,
    problems,
    recorded,
    then,
    upto,
    without,
)


@pytest.mark.parametrize(
    ("name", "by", "port"), [("uefi-blocked", "TFTP", "UDP port 69"), ("uefi-http-blocked", "HTTP", "TCP port 8090")]
)
def test_d10_offered_and_never_asked_for(name: str, by: str, port: str) -> None:
    story = upto(recorded(name), kind("dhcp.ack"))
    found = judged(story, 15)

    assert problems(found) == {"D10"}
    one = found["D10"]
    assert one.seen == f"ipxe.efi was offered 15 s ago and never asked for by {by}"
    assert one.means == f"{port} is blocked on the way, or next-server 10.77.0.1 is wrong"
    assert story[-1].id in one.events
    assert problems(judged(story, 14)) == set()
    # Firmware that tries again does not begin the wait anew.
    assert problems(judged(recorded(name), 60)) == {"D10"}


def test_d10_firmware_that_trusts_nobody_never_asks_by_https() -> None:
    story = [
        event.model_copy(update={"data": {**event.data, "bootfile": "https://10.77.0.1:8443/ipxe.efi"}})
        if event.data.get("bootfile")
        else event
        for event in upto(recorded("uefi-http-blocked"), kind("dhcp.ack"))
    ]
    one = judged(story, 15, world=facts(ports={"tftp": 69, "http": 8090, "https": 8443}))["D10"]

    assert one.seen.endswith("never asked for by HTTPS")
    assert one.means == "TCP port 8443 is blocked, or no authority of ours is in its firmware"
    assert "bootcart certificates export" in one.do


def test_d10_names_what_is_in_the_way_on_this_host() -> None:
    story = upto(recorded("uefi-blocked"), kind("dhcp.ack"))
    down = Service(
        name="tftp", state=ServiceState.FAILED, reason="port 69 is taken by tftpd-hpa", hint="stop tftpd-hpa"
    )
    one = judged(story, 15, world=facts(services=(down,)))["D10"]
    assert (one.means, one.do) == ("the TFTP service is failed: port 69 is taken by tftpd-hpa", "stop tftpd-hpa")
    assert one.command == "bootcart services restart tftp"

    one = judged(story, 15, world=facts(firewall="ufw"))["D10"]
    assert (one.means, one.action) == ("ufw is active on this host and UDP port 69 may be closed", "wizard")


def test_d10_is_over_with_the_first_request() -> None:
    story = upto(recorded("uefi"), kind("tftp.started"))

    assert problems(judged(story, 60)) == set()
    assert "D10" not in judged(then(recorded("uefi-blocked"), "tftp.missing", file="x.efi"), 30)


def test_d10_beside_another_server_counts_from_the_address_it_took() -> None:
    story = upto(recorded("uefi-proxy"), kind("dhcp.request"))

    assert problems(judged(story, 15)) == {"D10"}
    assert problems(judged(upto(story, kind("proxy.offer")), 15)) == set()


def test_d11_a_size_probe_is_a_note_and_no_alarm() -> None:
    story = upto(recorded("uefi"), kind("tftp.aborted"))
    found = judged(story, 5)

    assert set(found) == {"D11"}
    assert found["D11"].severity is Severity.NOTE
    assert found["D11"].seen == "asked how large ipxe.efi is and broke off, as firmware does"
    assert judged(upto(recorded("uefi"), kind("tftp.sent")), 5) == {}


def stalled(times: int, *counts: int) -> list[Event]:
    story = upto(recorded("uefi"), kind("tftp.started"))
    for number in range(times):
        count = counts[number] if counts else 14680
        story = then(story, "tftp.failed", 5, file="ipxe.efi", bytes=count, blksize=1468, role="loader", why="no ACK")
    return story


def test_d12_transfers_that_stop_at_the_same_block() -> None:
    found = judged(stalled(2), 1)

    assert problems(found) == {"D12"}
    assert found["D12"].seen == "ipxe.efi stopped 2 times after 14680 bytes (block 11 of 1468 bytes)"
    assert "smaller MTU" in found["D12"].means


def test_d12_needs_the_same_place_twice() -> None:
    assert problems(judged(stalled(1), 1)) == set()
    assert problems(judged(stalled(2, 1468, 14680), 1)) == set()
    healed = then(stalled(2), "tftp.sent", 5, file="ipxe.efi", bytes=996864, role="loader")
    assert "D12" not in judged(healed, 1)


def missed(name: str, **data: object) -> list[Event]:
    story = upto(recorded("uefi"), kind("dhcp.ack"))
    return then(story, "tftp.missing", 1, file=name, **data)


@pytest.mark.parametrize(
    ("name", "data", "means"),
    [
        ("ipxe.EFI", {"asked": "ipxe.EFI", "like": ["ipxe.efi"]}, "close to it there is ipxe.efi"),
        ("", {"asked": "", "like": []}, "the boot file name is empty: a DHCP option without a value"),
        (
            "grub/grubx64.efi",
            {"asked": "grub\\\\grubx64.efi", "like": []},
            "its loader put the path together; nothing here has that name",
        ),
        (
            "pxelinux.0",
            {"asked": "pxelinux.0", "like": []},
            "another DHCP server or an older loader names it; nothing here has it",
        ),
    ],
)
def test_d14_a_file_that_is_not_there(name: str, data: dict[str, object], means: str) -> None:
    found = judged(missed(name, **data), 5)

    assert problems(found) == {"D14"}
    assert found["D14"].means == means
    assert "its firmware asked for" in found["D14"].seen
    assert problems(judged(missed(name, **data), 4)) == set()


def test_d14_names_the_loader_that_asked() -> None:
    story = then(upto(recorded("uefi"), kind("tftp.sent")), "tftp.missing", 1, file="grubx64.efi", like=[])

    assert judged(story, 5)["D14"].seen == "after ipxe.efi it asked for grubx64.efi (TFTP): not there"


@pytest.mark.parametrize(
    "name",
    [
        "autoexec.ipxe",
        "revocations_sku.efi",
        "revocations_sbat.efi",
        "shim_certificate_0.efi",
        "pxelinux.cfg/01-52-54-00-a5-8f-01",
        "pxelinux.cfg/0A4D0081",
        "pxelinux.cfg/default",
    ],
)
def test_d14_never_alarms_at_what_loaders_try_on_the_off_chance(name: str) -> None:
    assert "D14" not in judged(missed(name), 600)


def test_d14_is_over_when_something_else_is_fetched() -> None:
    story = then(missed("first.cfg"), "tftp.sent", 1, file="second.cfg", bytes=10, role="file")

    assert "D14" not in judged(story, 60)


def test_d14_leaves_a_running_system_alone() -> None:
    story = then(upto(recorded("bios"), kind("http.sent", role="initrd")), "http.missing", 20, path="late.cfg", like=[])

    assert "D14" not in judged(story, 60)


def payload(path: str) -> list[Event]:
    """A boot up to its script, and a request for a file that is not there."""
    story = upto(recorded("bios"), kind("http.sent", role="script"))
    return then(story, "http.missing", 1, path=path)


@pytest.mark.parametrize("path", ["discovery/amd64/initrd.img", "discovery/amd64/vmlinuz"])
def test_d18_kernel_or_initrd_are_missing(path: str) -> None:
    found = judged(payload(path), 1)

    assert problems(found) == {"D18"}
    assert found["D18"].seen == f"discovery: {path} is missing"
    assert found["D18"].action == "bootenvs"
    assert problems(judged(payload(path), 600)) == {"D18"}


def test_d18_outlasts_what_is_fetched_again_and_ends_with_the_file() -> None:
    story = payload("discovery/amd64/initrd.img")
    retried = then(story, "http.sent", 5, path="discovery/amd64/vmlinuz", bytes=12_000_000, role="kernel", status=200)
    assert problems(judged(retried, 1)) == {"D18"}

    brought = then(retried, "http.sent", 5, path="discovery/amd64/initrd.img", bytes=38_000_000, role="initrd")
    assert "D18" not in judged(brought, 1)


def test_d18_a_script_that_could_not_be_made_for_want_of_a_file() -> None:
    story = upto(recorded("bios"), kind("dhcp.ack"))
    broken = then(story, "render.failed", 1, bootenv="discovery", template="", line=0, why="in words")
    env = BootEnv(name="discovery", architectures=DISCOVERY, errors=("discovery/amd64/initrd.img is missing",))
    world = facts(bootenvs=(env, *BOOTENVS[1:]))

    one = judged(broken, 1, world=world)["D18"]
    assert one.seen == "discovery: discovery/amd64/initrd.img is missing"
    assert "D18" not in judged(broken, 1)
    assert "D18" not in judged([*broken, edited(recorded("bios")[7], 20)], 1, world=world)


def test_the_stories_have_what_they_drop() -> None:
    assert len(without(recorded("uefi"), kind("tftp.aborted"))) == len(recorded("uefi")) - 1
