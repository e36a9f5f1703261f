"""The systemd unit gives the engine what the launcher gives it, and no more."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from app.services.supervisor import CONFIGURATION_ERROR

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "packaging/systemd/bootcart.service"


def settings() -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE))


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


def test_systemd_understands_every_line() -> None:
    if shutil.which("systemd-analyze"):
        done = subprocess.run(
            ["systemd-analyze", "verify", str(UNIT)], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
