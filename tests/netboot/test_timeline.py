"""The boot timeline: every path complete, every missing event shown, every stall named."""

from __future__ import annotations

from typing import Any

import pytest

from app.model.event import Event
from app.model.timeline import HopState, Timeline
from app.netboot.timeline import timeline, transfer_words

MAC = "52:54:00:00:00:07"


def events(*drafts: tuple[float, str, dict[str, Any]]) -> list[Event]:
    return [
        Event(id=number, time=1000 + at, kind=kind, message=kind, mac=MAC, data=data)
        for number, (at, kind, data) in enumerate(drafts, start=1)
    ]


def dhcp(at: float, stage: str, bootfile: str, **discover: Any) -> list[tuple[float, str, dict[str, Any]]]:
    answer = {"stage": stage, "address": "10.7.0.101", "bootfile": bootfile, "why": "because"}
    return [
        (at, "dhcp.discover", {"stage": stage, **discover}),
        (at + 0.01, "dhcp.offer", answer),
        (at + 3, "dhcp.request", {"stage": stage, "requested": "10.7.0.101"}),
        (at + 3.01, "dhcp.ack", answer),
    ]


def fetch(
    at: float, role: str, name: str, proto: str = "http", **extra: Any
) -> list[tuple[float, str, dict[str, Any]]]:
    key = "file" if proto == "tftp" else "path"
    done = (at + 1, f"{proto}.sent", {key: name, "bytes": 1_000_000, "seconds": 0.9, "role": role, **extra})
    return [(at, f"{proto}.started", {key: name, "size": 1_000_000, "role": role}), done]


PAYLOAD = [
    (
        20.0,
        "http.sent",
        {"path": "/boot/x.ipxe", "bytes": 700, "seconds": 0.01, "role": "script", "bootenv": "discovery"},
    ),
    *fetch(21, "kernel", "/discovery/amd64/vmlinuz"),
    *fetch(23, "initrd", "/discovery/amd64/initrd.img"),
    (25.0, "dhcp.discover", {"stage": "os"}),
    (25.1, "dhcp.ack", {"stage": "os", "address": "10.7.0.101"}),
    (30.0, "agent.started", {"boot": "1"}),
    (30.5, "agent.registered", {"new": True}),
    (31.0, "agent.inventory", {"summary": "QEMU, 1 CPU"}),
]
UEFI = {"arch": 7, "arch_name": "UEFI x64", "firmware": "uefi", "vendor_class": "PXEClient:Arch:00007"}
PATHS = {
    "uefi-pxe": [
        *dhcp(0, "rom", "ipxe.efi", **UEFI),
        (4.0, "tftp.aborted", {"file": "ipxe.efi", "code": 8, "probe": True, "role": "loader"}),
        *fetch(4, "loader", "ipxe.efi", "tftp"),
        *dhcp(8, "ipxe", "http://10.7.0.1:8090/boot/x.ipxe", firmware="uefi"),
        *PAYLOAD,
    ],
    "uefi-http": [
        *dhcp(0, "rom", "http://10.7.0.1/ipxe.efi", firmware="uefi", vendor_class="HTTPClient:Arch:00016"),
        *fetch(4, "loader", "/ipxe.efi"),
        *dhcp(8, "ipxe", "http://10.7.0.1:8090/boot/x.ipxe", firmware="uefi"),
        *PAYLOAD,
    ],
    "uefi-pxe by shim": [
        *dhcp(0, "rom", "shimx64.efi", **UEFI),
        (4.0, "tftp.aborted", {"file": "shimx64.efi", "code": 8, "probe": True, "role": "loader"}),
        *fetch(4, "loader", "shimx64.efi", "tftp"),
        (5.5, "tftp.missing", {"file": "revocations_sku.efi"}),
        *fetch(6, "loader", "grubx64.efi", "tftp"),
        *PAYLOAD,
    ],
    "uefi-http by shim": [
        *dhcp(0, "rom", "http://10.7.0.1/shimx64.efi", firmware="uefi", vendor_class="HTTPClient:Arch:00016"),
        *fetch(4, "loader", "/shimx64.efi"),
        *fetch(6, "loader", "/grubx64.efi"),
        *PAYLOAD,
    ],
    "bios-ipxe": [*dhcp(0, "ipxe", "http://10.7.0.1:8090/boot/x.ipxe", firmware="bios", arch_name="BIOS"), *PAYLOAD],
}


def states(found: Timeline) -> dict[str, HopState]:
    return {hop.name: hop.state for hop in found.hops}


@pytest.mark.parametrize("path", PATHS)
def test_a_healthy_boot_is_complete(path: str) -> None:
    found = timeline(events(*PATHS[path]), 1040)

    assert found.complete
    assert found.at == ""
    assert found.path == path.partition(" ")[0]
    assert set(states(found).values()) <= {HopState.DONE, HopState.SKIPPED}
    assert {n for n, s in states(found).items() if s is HopState.SKIPPED} == (
        {"loader", "ipxe"} if path == "bios-ipxe" else set()
    )
    assert found.started == 1000
    assert all(hop.delta is not None and hop.delta >= 0 for hop in found.hops[1:] if hop.state is HopState.DONE)


def test_a_boot_through_shim_waits_for_grub_and_not_for_ipxe() -> None:
    whole = events(*PATHS["uefi-pxe by shim"])
    grub = next(event.id for event in whole if event.data.get("file") == "grubx64.efi")

    before, after = timeline(whole[: grub - 1], 1007), timeline(whole[: grub + 1], 1010)

    assert (before.at, before.hops[5].waiting_for) == ("grub", "shim to fetch GRUB")
    assert (after.at, after.hops[6].waiting_for) == ("script", "GRUB to fetch its script")
    assert "ipxe" not in states(after)


@pytest.mark.parametrize("path", PATHS)
def test_each_hop_rests_on_its_own_events(path: str) -> None:
    whole = events(*PATHS[path])
    for hop in timeline(whole, 1040).hops:
        if hop.state is HopState.SKIPPED:
            continue
        assert hop.events, hop.name
        without = timeline([e for e in whole if e.id not in hop.events], 1040)

        assert states(without)[hop.name] is HopState.WAITING, hop.name
        assert not without.complete
        others = {n: s for n, s in states(without).items() if n != hop.name}
        assert set(others.values()) <= {HopState.DONE, HopState.SKIPPED}, (hop.name, others)


@pytest.mark.parametrize("path", PATHS)
def test_a_boot_waits_where_its_events_end(path: str) -> None:
    whole = events(*PATHS[path])
    final = timeline(whole, 1040)
    waited_at: list[str] = []
    for count in range(1, len(whole)):
        found = timeline(whole[:count], 1040)
        if found.complete:
            continue
        assert found.at, count
        hop = next(h for h in found.hops if h.name == found.at)
        assert hop.state in (HopState.WAITING, HopState.ACTIVE)
        assert bool(hop.waiting_for) == (hop.state is HopState.WAITING)
        waited_at.append(found.at)

    order = [hop.name for hop in final.hops if hop.state is HopState.DONE]
    assert waited_at == sorted(waited_at, key=order.index)
    assert set(waited_at) == set(order[1:])


def test_details_are_facts_in_words() -> None:
    hops = {hop.name: hop for hop in timeline(events(*PATHS["uefi-pxe"]), 1040).hops}

    assert hops["discover"].detail == "UEFI x64"
    assert hops["offer"].detail == "10.7.0.101 file ipxe.efi"
    assert hops["loader"].detail == "ipxe.efi 1.0 MB in 0.9 s, 1.1 MB/s"
    assert hops["inventory"].detail == "QEMU, 1 CPU"


@pytest.mark.parametrize(
    ("sent", "seconds", "words"),
    [
        (512, 0.0, "f 512 B in 0.0 s"),
        (44_000_000, 2.0, "f 44.0 MB in 2.0 s, 22.0 MB/s"),
        (5_000_000_000, 50, "f 5.0 GB in 50.0 s, 100.0 MB/s"),
    ],
)
def test_transfer_words(sent: int, seconds: float, words: str) -> None:
    assert transfer_words("f", sent, seconds) == words


def test_repeated_discovers_are_counted_not_new_boots() -> None:
    found = timeline(events(*[(at, "dhcp.discover", {"stage": "rom", **UEFI}) for at in (0, 4, 12, 28)]), 1030)

    assert (found.retries, found.started, found.at) == (3, 1000, "offer")


def test_silence_says_why() -> None:
    found = timeline(
        events((0, "dhcp.discover", {"stage": "rom"}), (0.1, "dhcp.silent", {"stage": "rom", "why": "no subnet"})), 1001
    )
    offer = found.hops[1]

    assert (offer.state, offer.detail, found.at) == (HopState.FAILED, "no subnet", "offer")


def test_the_next_power_on_is_a_new_boot() -> None:
    again = [(at + 500, kind, data) for at, kind, data in PATHS["uefi-pxe"][:2]]
    found = timeline(events(*PATHS["uefi-pxe"], *again), 1502)

    assert (found.started, found.at) == (1500, "request")


def test_ipxe_in_the_card_starts_over_after_its_script() -> None:
    again = [(at + 500, kind, data) for at, kind, data in PATHS["bios-ipxe"][:1]]
    found = timeline(events(*PATHS["bios-ipxe"], *again), 1501)

    assert (found.started, found.at) == (1500, "offer")


def test_a_withheld_boot_file_completes_the_boot_with_its_reason() -> None:
    answer = {"stage": "rom", "address": "10.7.0.101", "bootfile": "", "why": "boots its own disk", "reason": "local"}
    found = timeline(events((0, "dhcp.discover", {"stage": "rom", **UEFI}), (0.1, "dhcp.offer", answer)), 1001)

    assert found.complete
    assert found.hops[-1].name == "local"
    assert found.hops[-1].detail == "boots its own disk"


@pytest.mark.parametrize(
    ("reason", "title", "state"),
    [
        ("local", "local disk", HopState.DONE),
        ("held", "no boot file", HopState.DONE),
        ("ignore", "no boot file", HopState.DONE),
        ("unsupported-arch", "no boot file", HopState.FAILED),
        ("no-bootenv", "no boot file", HopState.FAILED),
    ],
)
@pytest.mark.parametrize("kind", ["dhcp.offer", "dhcp.silent", "proxy.offer"])
def test_no_boot_file_is_an_end_with_its_reason(kind: str, reason: str, title: str, state: HopState) -> None:
    """Authoritative subnets offer an address without a file; proxy ones say nothing, or offer to boot locally."""
    answer = {"stage": "rom", "bootfile": "", "why": "in words", "reason": reason}
    found = timeline(events((0, "dhcp.discover", {"stage": "rom", **UEFI}), (0.1, kind, answer)), 1001)

    assert (found.hops[-1].title, found.hops[-1].state, found.hops[-1].detail) == (title, state, "in words")
    assert found.complete == (state is HopState.DONE)


def test_a_script_that_boots_the_disk_completes_the_boot() -> None:
    script = (
        20.0,
        "http.sent",
        {"path": "/boot/x.ipxe", "bytes": 99, "seconds": 0.01, "role": "script", "boots": "local"},
    )
    found = timeline(events(*PATHS["uefi-pxe"][: -len(PAYLOAD)], script), 1021)

    assert found.complete
    assert found.hops[-1].name == "local"


def test_a_failed_transfer_shows_and_a_second_try_heals_it() -> None:
    until = [e for e in PATHS["uefi-pxe"] if e[1] != "tftp.sent"][:6]
    failed = (14.0, "tftp.failed", {"file": "ipxe.efi", "bytes": 512, "why": "no ACK", "role": "loader"})
    found = timeline(events(*until, failed), 1015)
    healed = timeline(events(*until, failed, *fetch(20, "loader", "ipxe.efi", "tftp")), 1022)

    assert (states(found)["loader"], found.at) == (HopState.FAILED, "loader")
    assert (states(healed)["loader"], healed.at) == (HopState.DONE, "ipxe")


def test_a_connection_that_breaks_under_a_running_system_was_done() -> None:
    """A loader that starts a kernel leaves the last segments unacknowledged; the kernel's own stack resets them."""
    heard = [e for e in PATHS["uefi-pxe"] if not (e[1] == "http.sent" and e[2].get("role") == "initrd")]
    late = (heard[-1][0] + 1, "http.aborted", {"path": "discovery/amd64/initrd.img", "role": "initrd", "bytes": 4})
    found = timeline(events(*heard, late), 1040)

    hops = {hop.name: hop for hop in found.hops}
    assert found.complete
    assert hops["initrd"].state is HopState.DONE
    assert hops["initrd"].ended is not None
    assert hops["agent"].ended is not None
    assert hops["initrd"].ended <= hops["agent"].ended
    before = next(index for index, e in enumerate(heard) if e[1].startswith("agent."))
    early = timeline(events(*heard[:before], (heard[before][0], *late[1:])), 1040)
    assert {hop.name: hop.state for hop in early.hops}["initrd"] is HopState.FAILED


def test_proxy_boots_need_no_ack_of_ours() -> None:
    answer = {"stage": "rom", "bootfile": "ipxe.efi", "why": "proxy"}
    found = timeline(events((0, "dhcp.discover", {"stage": "rom", **UEFI}), (0.1, "proxy.offer", answer)), 1001)

    assert found.at == "loader"


def beside(at: float, stage: str, bootfile: str, **discover: Any) -> list[tuple[float, str, dict[str, Any]]]:
    """What is heard of a client that takes another server's address and our boot file."""
    return [
        (at, "dhcp.discover", {"stage": stage, **discover}),
        (at + 0.01, "proxy.offer", {"stage": stage, "bootfile": bootfile, "why": "proxy"}),
        (at + 3, "dhcp.request", {"stage": stage, "requested": "10.7.0.56", "server": "10.7.0.2"}),
    ]


@pytest.mark.parametrize("asks_4011", [True, False])
def test_a_proxy_boot_is_complete_without_hearing_the_other_servers_acks(asks_4011: bool) -> None:
    ack = (3.5, "proxy.ack", {"stage": "rom", "address": "10.7.0.56", "bootfile": "ipxe.efi", "why": "proxy"})
    heard = [
        *beside(0, "rom", "ipxe.efi", **UEFI),
        *([ack] if asks_4011 else []),
        *fetch(4, "loader", "ipxe.efi", "tftp"),
        *beside(8, "ipxe", "http://10.7.0.1:8090/boot/x.ipxe", firmware="uefi"),
        *PAYLOAD,
    ]
    found = timeline(events(*heard), 1040)
    details = {hop.name: hop.detail for hop in found.hops}

    assert found.complete
    assert {n for n, s in states(found).items() if s is not HopState.DONE} == (set() if asks_4011 else {"ack"})
    assert (details["request"], details["ipxe"]) == ("10.7.0.56 from 10.7.0.2", "10.7.0.56 from 10.7.0.2")
    assert timeline(events(*heard[: -len(PAYLOAD) - 1]), 1012).at == "ipxe"


def script(bootenv: str, boots: str, loads: str) -> tuple[float, str, dict[str, Any]]:
    facts = {"bootenv": bootenv, "boots": boots, "loads": loads}
    return (20.0, "http.sent", {"path": "/boot/x.ipxe", "bytes": 700, "seconds": 0.01, "role": "script", **facts})


DHCP = PATHS["uefi-pxe"][: -len(PAYLOAD)]


def test_a_kernel_alone_is_a_whole_boot() -> None:
    heard = [*DHCP, script("memtest86plus", "kernel", "kernel")]
    assert timeline(events(*heard), 1021).at == "kernel"
    found = timeline(events(*heard, *fetch(21, "kernel", "memtest.efi")), 1030)

    assert found.complete
    assert [hop.name for hop in found.hops][-2:] == ["script", "kernel"]


def test_an_installation_is_seen_to_its_end() -> None:
    heard = [
        *DHCP,
        script("debian-12", "installer", "kernel initrd"),
        *fetch(21, "kernel", "linux"),
        *fetch(23, "initrd", "initrd.gz"),
        (60.0, "dhcp.discover", {"stage": "os"}),
        (90.0, "http.sent", {"path": "answers/preseed.cfg", "bytes": 2000, "seconds": 0.01, "role": "answer"}),
        (91.0, "install.started", {"bootenv": "debian-12", "words": ""}),
    ]
    steps = {len(heard) - 3: "answer", len(heard) - 1: "installer", len(heard): "installed"}
    for count, at in steps.items():
        assert timeline(events(*heard[:count]), 1100).at == at
    done = timeline(events(*heard, (900.0, "install.finished", {"bootenv": "debian-12", "words": ""})), 1901)
    failed = timeline(events(*heard, (300.0, "install.failed", {"words": "no disk"})), 1301)

    assert done.complete
    assert [hop.name for hop in done.hops][-3:] == ["answer", "installer", "installed"]
    assert (failed.at, failed.hops[-1].state, failed.hops[-1].detail) == ("installed", HopState.FAILED, "no disk")


def test_no_events_no_boot() -> None:
    assert timeline([], 0) == Timeline()


def test_taking_an_address_without_a_boot_file_stays_one_boot() -> None:
    answer = {"stage": "ipxe", "address": "10.7.0.101", "bootfile": "", "why": "boots its own disk", "reason": "local"}
    drafts = [
        (0.0, "dhcp.discover", {"stage": "ipxe", "firmware": "bios"}),
        (0.1, "dhcp.offer", answer),
        (3.0, "dhcp.request", {"stage": "ipxe", "requested": "10.7.0.101"}),
        (3.1, "dhcp.ack", answer),
    ]
    found = timeline(events(*drafts), 1004)

    assert (found.complete, found.path, found.started) == (True, "bios-ipxe", 1000)
    assert [hop.state for hop in found.hops] == [HopState.DONE] * 5
    assert timeline(events(*drafts, (60.0, "dhcp.discover", {"stage": "ipxe"})), 1061).started == 1060


def test_firmware_that_asks_again_for_a_file_it_does_not_get_is_one_boot() -> None:
    answer = {"stage": "rom", "bootfile": "", "why": "held", "reason": "held"}
    tries = [(at, kind, {**answer, **UEFI}) for at in (0, 4, 12, 28) for kind in ("dhcp.discover", "dhcp.offer")]
    found = timeline(events(*tries), 1030)

    assert (found.retries, found.started, found.complete) == (3, 1000, True)
    later = (900.0, "dhcp.discover", {"stage": "rom"})
    assert timeline(events(*tries, later), 1901).started == 1900
