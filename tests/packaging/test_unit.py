"""The systemd unit gives the engine what the launcher gives it, and no more."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.engine.signals import DRAIN_SECONDS
from app.engine.watch import LATE_ROUNDS, ROUND_SECONDS
from app.services.registry import BACK_OFF
from app.services.supervisor import CONFIGURATION_ERROR

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "packaging/systemd/bootcart.service"
CONSOLE = ROOT / "packaging/systemd/bootcart-tui@.service"

# What systemd-analyze calls OK ends at 4.9; of the engine's 2.0 most is that it speaks to a network.
EXPOSURE_MAX = 2.5


def settings(unit: Path = UNIT) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE))


def test_the_same_capabilities_as_by_hand() -> None:
    by_hand = re.search(r'^CAPABILITIES="-all,(.*)"$', (ROOT / "packaging/engine.sh").read_text(), re.MULTILINE)
    assert by_hand
    wanted = {f"CAP_{name.removeprefix('+').upper()}" for name in by_hand[1].split(",")}

    assert set(settings()["AmbientCapabilities"].split()) == wanted
    assert set(settings()["CapabilityBoundingSet"].split()) == wanted
    assert settings()["NoNewPrivileges"] == "yes"
    assert settings()["User"] == "bootcart"


def test_a_refused_configuration_is_not_tried_again() -> None:
    assert settings()["RestartPreventExitStatus"] == str(CONFIGURATION_ERROR)
    assert settings()["Type"] == "notify"


def test_the_boot_http_socket_is_held() -> None:
    assert settings()["FileDescriptorStoreMax"] == "1"


def test_the_watchdog_waits_longer_than_a_thread_may_be_away() -> None:
    """A service whose thread hangs is started anew by the engine itself, before systemd ends all of it."""
    restart_seconds = LATE_ROUNDS * ROUND_SECONDS + BACK_OFF[0] + 5

    assert float(settings()["WatchdogSec"]) > 2 * restart_seconds
    assert float(settings()["TimeoutStopSec"]) > DRAIN_SECONDS


def test_the_interface_on_a_console_has_no_rights_and_comes_back() -> None:
    unit = settings(CONSOLE)

    assert unit["User"] == "bootcart"
    assert unit["CapabilityBoundingSet"] == ""
    assert unit["NoNewPrivileges"] == "yes"
    assert unit["RestrictAddressFamilies"] == "AF_UNIX"
    assert unit["Restart"] == "always"
    assert unit["Conflicts"] == "getty@%i.service serial-getty@%i.service"
    # It draws on standard error, and wants all three.
    assert [unit[f"Standard{name}"] for name in ("Input", "Output", "Error")] == ["tty"] * 3


def test_the_engine_may_call_ip() -> None:
    """ip(8) of iproute2 gives its capabilities up first, and ends when capset is refused: a part of @privileged."""
    filters = re.findall(r"^SystemCallFilter=(.*)$", UNIT.read_text(), re.MULTILINE)

    assert filters == ["@system-service", "~@privileged @resources", "capset"]


@pytest.mark.parametrize("unit", [UNIT, CONSOLE], ids=lambda unit: unit.name)
def test_systemd_understands_every_line_and_finds_little_exposed(unit: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    ).stdout
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
    assert level, told
    assert float(level[1]) <= EXPOSURE_MAX, told
