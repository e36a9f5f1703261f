"""The command lines of QEMU, engine and `ip`, word by word: they decide what a machine is and what a process may."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.services.lab import account, engine, firmware, network, plan, qemu

KINDS = ["bios", "uefi", "uefi-http", "arm64", "arm64-http"]
MORE = ["uefi:disks=2x1G:nics=2:boot=disk:secureboot=on", "bios:disks=0"]
SECURE, DISKLESS = 5, 6
PLAN = plan.plan("lab", plan.DEFAULT_DIRECTORY, [*KINDS, *MORE])
NOBODY = account.Account("nobody", 65534, 65534)
GOLDEN = Path(__file__).with_name("golden")


def _qemu(index: int, *, kvm: bool = False) -> list[str]:
    machine = PLAN.machines[index]
    files = qemu.Files(Path("/L/machines", machine.name))
    images = firmware.find(machine.build, lambda _: True)
    fds = range(7, 7 + machine.build.nics)
    return qemu.command(machine, files, images, fds, lab="lab", kvm=kvm)


@pytest.mark.parametrize(
    ("name", "index"), [*((f"qemu-{kind}", index) for index, kind in enumerate(KINDS)), ("qemu-uefi-secure", SECURE)]
)
def test_a_machine_is_started_with_these_words(name: str, index: int) -> None:
    assert "\n".join(_qemu(index)) + "\n" == (GOLDEN / f"{name}.txt").read_text()


def test_the_discovery_system_knows_a_machine_of_a_lab_by_its_manufacturer() -> None:
    """On a busy host its emulated timer may be late, which the kernel would take for a broken one."""
    (name,) = {word.split(",")[1] for word in _qemu(0) if word.startswith("type=1,")}
    script = (engine.PROGRAM / "bootenvs" / "discovery" / "boot.ipxe.j2").read_text()

    assert f"_amd64_{name.removeprefix('manufacturer=')} && set lab no_timer_check" in script
    assert "${lab} {{ arguments }}" in script


def test_a_machine_without_disks_has_none() -> None:
    assert "disk" not in " ".join(_qemu(DISKLESS))


def test_only_its_own_processor_runs_a_machine_unemulated() -> None:
    native = {words: [qemu.native(one.build, words) for one in PLAN.machines[2:4]] for words in ("x86_64", "aarch64")}

    assert native == {"x86_64": [True, False], "aarch64": [False, True]}


def test_hardware_virtualisation_changes_the_processor_only() -> None:
    plain, fast = _qemu(0), _qemu(0, kvm=True)

    assert [(old, new) for old, new in zip(plain, fast, strict=True) if old != new] == [
        ("tcg,thread=multi", "kvm"),
        ("max", "host"),
    ]


def test_the_network_card_comes_first_and_the_disk_second() -> None:
    for index in range(len(KINDS)):
        line = " ".join(_qemu(index))
        assert line.index("bootindex=0") < line.index("bootindex=1")
        assert "virtio-net-pci" in line[: line.index("bootindex=0")]


def test_a_machine_keeps_no_capability() -> None:
    words = account.drop(NOBODY)

    assert words[words.index("--inh-caps") + 1] == "-all"
    assert words[words.index("--ambient-caps") + 1] == "-all"
    assert words[words.index("--bounding-set") + 1] == "-all"
    assert "--no-new-privs" in words
    assert words[words.index("--pdeathsig") + 1] == "KILL"
    assert "--clear-groups" in words


def test_the_engine_keeps_two_capabilities() -> None:
    words = account.drop(NOBODY, account.ENGINE_CAPABILITIES)

    assert words[words.index("--ambient-caps") + 1] == "-all,+net_bind_service,+net_raw"


def test_the_engine_is_started_with_these_words() -> None:
    program = engine.Program(Path("/venv/bin/python"), Path("/src"))

    words = engine.command(PLAN, NOBODY, program, engine.Places(Path("/L/engine")))

    assert "\n".join(words) + "\n" == (GOLDEN / "engine.txt").read_text()


def test_a_closed_checkout_is_mounted_where_the_account_can_read_it() -> None:
    mounts = ((Path("/root/src"), Path("/L/shelter/program")), (Path("/root/venv"), Path("/L/shelter/python")))
    program = engine.Program(Path("/L/shelter/python/bin/python"), Path("/L/shelter/program"), mounts)

    words = engine.command(PLAN, NOBODY, program, engine.Places(Path("/L/engine")))

    script = words[words.index("-c") + 1]
    assert script == 'mount --bind "$1" "$2" && mount --bind "$3" "$4" && shift 4 && exec "$@"'
    assert words[words.index("-c") + 3 :][:5] == [
        "/root/src",
        "/L/shelter/program",
        "/root/venv",
        "/L/shelter/python",
        "setpriv",
    ]


def test_the_engines_environment_is_its_own() -> None:
    caller = {"PATH": "/bin", "BOOTCART_DATA_DIR": "/elsewhere", "BOOTCART_ARTEFACTS": "/cache", "SECRET": "x"}
    program = engine.Program(Path("/venv/bin/python"), Path("/src"))

    made = engine.environment(PLAN, program, engine.Places(Path("/L/engine")), caller)

    assert made["BOOTCART_LAB"] == "lab"
    assert made["BOOTCART_ARTEFACTS"] == "/cache"
    assert made["PYTHONPATH"] == "/src"
    assert not {"BOOTCART_DATA_DIR", "SECRET"} & set(made)


def test_nothing_leads_out_of_the_lab() -> None:
    lines = network.lan_lines(PLAN) + network.engine_lines(PLAN)

    assert not any("route" in line for line in lines)
    assert [line for line in lines if line.startswith("addr")] == ["addr add 10.77.0.1/24 brd + dev eth0"]
    assert "link add name engine type veth peer name eth0 netns bootcart-lab-engine" in lines


@pytest.mark.parametrize(
    ("mode", "gid", "expected"),
    [(0o600, 0, None), (0o660, 0, None), (0o660, 108, 108), (0o666, 0, 0), (0o600, 108, None)],
)
def test_who_may_use_hardware_virtualisation(tmp_path: Path, mode: int, gid: int, expected: int | None) -> None:
    class Device(type(tmp_path)):
        def stat(self, *, follow_symlinks: bool = True) -> object:  # type: ignore[override]
            return type("Info", (), {"st_mode": 0o020000 | mode, "st_gid": gid})()

    assert account.kvm_group(Device(tmp_path)) == expected


def test_no_device_no_hardware_virtualisation(tmp_path: Path) -> None:
    assert account.kvm_group(tmp_path / "kvm") is None


def test_what_boots_over_ipv6_has_its_firmware_a_network_and_a_server_that_speak_it() -> None:
    made = plan.plan("lab", plan.DEFAULT_DIRECTORY, ["uefi:ip=6"])
    machine, places = made.machines[0], engine.Places(Path("/L/engine"))
    images = firmware.find(machine.build, lambda _: True)
    words = qemu.command(machine, qemu.Files(Path("/L")), images, [7], lab="lab", kvm=False)

    assert "name=opt/org.tianocore/IPv6PXESupport,string=y" in words
    assert "name=opt/org.tianocore/IPv4PXESupport,string=n" in words
    assert "addr add fd00:77::1/64 dev eth0 nodad" in network.engine_lines(made)
    program = engine.Program(Path("/usr/bin/python3"), Path("/P"))
    assert engine.command(made, NOBODY, program, places)[-1] == "--dhcp6"
    assert not any("fd00" in line for line in network.engine_lines(PLAN))
