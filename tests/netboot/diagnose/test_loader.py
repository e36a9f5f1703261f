"""D15, D16: loaders that hang, are refused, are for other firmware, or load themselves."""

from __future__ import annotations

import pytest

from app.model.event import Event
from tests.netboot.diagnose.stories import again, edited, judged, kind, problems, recorded, then, upto


def loaded(name: str = "uefi") -> list[Event]:
    """A boot up to its loader."""
    return upto(recorded(name), kind("http.sent" if name == "uefi-http" else "tftp.sent", role="loader"))


@pytest.mark.parametrize("name", ["uefi", "uefi-http"])
def test_d15_the_loader_hangs(name: str) -> None:
    found = judged(loaded(name), 20)

    assert problems(found) == {"D15"}
    one = found["D15"]
    assert one.seen == "ipxe.efi was fetched 20 s ago and nothing was heard since"
    assert one.do == "power-cycle it: its next boot gets another loader"
    assert one.command.startswith("bootcart machines loader ")
    assert one.command.endswith(" next")
    assert one.action == "loader"
    assert problems(judged(loaded(name), 19)) == set()


def test_d15_knows_a_loader_that_did_start() -> None:
    story = upto(recorded("uefi"), kind("tftp.missing", file="autoexec.ipxe"))

    assert judged(story, 30)["D15"].means == "it started (looked for autoexec.ipxe), then its driver hung"


def test_d15_is_over_with_ipxes_discover_or_another_request() -> None:
    assert problems(judged(upto(recorded("uefi"), kind("dhcp.discover", stage="ipxe")), 2)) == set()
    # shim fetches what it starts.
    shim = then(loaded(), "tftp.started", 1, file="grubx64.efi", role="loader")
    assert "D15" not in judged(shim, 60)


def test_d15_firmware_that_asks_anew_has_refused_the_loader() -> None:
    refused = [*loaded(), *again(upto(recorded("uefi"), kind("dhcp.discover")), 12)]
    found = judged(refused, 1)

    assert problems(found) == {"D15"}
    assert found["D15"].brief == "ipxe.efi was refused"
    assert found["D15"].seen.startswith("ipxe.efi was fetched; 5 s later the firmware asked")
    assert found["D15"].means.startswith("Secure Boot is on and refused it")
    assert found["D15"].command.endswith(" shim")
    # Long after it is another boot.
    assert problems(judged([*loaded(), *again(upto(recorded("uefi"), kind("dhcp.discover")), 200)], 1)) == set()


def test_d41_all_loaders_were_tried() -> None:
    told = then(loaded(), "machine.loader", 1, tried="ipxe, snponly, shim, grub", spent=True)
    found = judged(told, 30)

    assert problems(found) == {"D41"}
    assert found["D41"].seen == "ipxe, snponly, shim, grub were given to it, and none of them started"
    assert found["D41"].command.endswith(" auto")
    assert "D41" not in judged(then(told, "http.sent", 60, role="script", path="boot/x.ipxe"), 1)
    assert "D41" not in judged(then(told, "machine.loader", 60, loader="auto", before="auto"), 1)


def test_d16_a_loader_that_loads_itself() -> None:
    story = [event for n in range(3) for event in again(loaded(), 20.0 * n)]
    found = judged(story, 1)

    assert problems(found) == {"D16"}
    assert found["D16"].seen == "ipxe.efi was fetched 3 times in 40 s"
    assert "D16" not in judged(story[: -len(loaded())], 1)


def test_d16_counts_anew_once_ipxe_has_asked() -> None:
    story = [*again(loaded(), 0), *again(recorded("uefi"), 20), *again(loaded(), 120)]

    assert "D16" not in judged(story, 1)


def test_d15_a_loader_for_other_firmware_is_no_hanging_driver() -> None:
    """As recorded: another server sent a BIOS machine to our UEFI loader, which iPXE cannot run."""
    found = judged(recorded("bios-misfit"), 1)

    assert problems(found) == {"D15"}
    one = found["D15"]
    assert one.row == "D15 ipxe.efi is for UEFI"
    assert one.seen == "ipxe.efi was fetched: that is for UEFI, this is BIOS x86"
    assert one.means == "DHCP server 10.7.0.2 names a loader that its firmware cannot run"
    assert one.do == "have 10.7.0.2 name no boot file, or the right one"
    right = [edited(e, file="undionly.kpxe") if e.data.get("file") else e for e in recorded("bios-misfit")]
    assert "D15" not in judged(right, 1)


@pytest.mark.parametrize(
    ("file", "arch", "meant"),
    [
        ("undionly.kpxe", 7, "BIOS"),
        ("pxelinux.0", 7, "BIOS"),
        ("ipxe-arm64.efi", 7, "UEFI arm64"),
        ("grubaa64.efi", 9, "UEFI arm64"),
        ("bootx64.efi", 11, "UEFI x64"),
        ("ipxe.efi", 11, ""),
        ("snponly.efi", 7, ""),
        ("wimboot", 7, ""),
    ],
)
def test_d15_tells_by_its_name_what_a_loader_is_for(file: str, arch: int, meant: str) -> None:
    name = "UEFI x64" if arch != 11 else "UEFI arm64"
    told = {"arch": arch, "arch_name": name}
    story = [edited(e, **told) if e.kind == "dhcp.discover" else e for e in loaded()]
    story = [edited(e, file=file) if e.data.get("file") else e for e in story]
    found = judged(story, 1)

    assert problems(found) == ({"D15"} if meant else set())
    if meant:
        assert found["D15"].seen == f"{file} was fetched: that is for {meant}, this is {name}"
        assert found["D15"].do == "correct the boot file it is given"
        # Firmware that asks anew has not refused it for want of a signature.
        came_back = [*story, *again(story[:1], 12)]
        assert f"that is for {meant}" in judged(came_back, 1)["D15"].seen


def test_d16_ipxe_that_is_given_itself() -> None:
    """As recorded: another server names the loader to iPXE too, which loads itself again and again."""
    story = recorded("bios-loop")
    found = judged(story, 1)

    assert problems(found) == {"D16"}
    one = found["D16"]
    assert one.seen.startswith("undionly.kpxe was fetched 3 times in ")
    assert one.means == "DHCP server 10.7.0.2 gives iPXE its loader again, and no script"
    assert one.do == "have 10.7.0.2 give iPXE (option 77) no boot file"
    sent = [e for e in story if e.kind == "tftp.sent"]
    assert one.since == sent[1].time
    # A card's iPXE that cannot do HTTP takes a loader once.
    assert "D16" not in judged(upto(story, lambda e: e.id == sent[1].id), 1)


def test_d16_ipxe_that_was_told_its_script_is_in_no_loop() -> None:
    """Its loader is fetched anew each time its firmware begins again, because nothing lets it reach the script."""
    once = upto(recorded("uefi"), kind("dhcp.ack", stage="ipxe"))
    story = [event for n in range(4) for event in again(once, 40.0 * n)]

    assert "D16" not in judged(story, 25)
