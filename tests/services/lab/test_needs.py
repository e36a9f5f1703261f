"""What is missing is named as the Debian package that brings it."""

from __future__ import annotations

import pytest

from app.errors import BootcartError
from app.services.lab import needs, qemu


def _here(_: str) -> str | None:
    return "/usr/bin/it"


@pytest.mark.parametrize(
    ("absent", "packages"),
    [
        (set[str](), []),
        ({qemu.BINARY}, ["qemu-system-x86"]),
        ({"ip", "setpriv", "nsenter"}, ["iproute2", "util-linux"]),
        ({str(qemu.ROM)}, ["ipxe-qemu"]),
        ({str(path) for pair in qemu.OVMF_PAIRS for path in pair}, ["ovmf"]),
    ],
)
def test_packages(absent: set[str], packages: list[str]) -> None:
    found = needs.missing(lambda name: None if name in absent else "/usr/bin/it", lambda path: str(path) not in absent)

    assert found == packages


def test_half_a_firmware_is_none() -> None:
    codes = {str(code) for code, _ in qemu.OVMF_PAIRS}

    assert needs.missing(_here, lambda path: str(path) in codes or path == qemu.ROM) == ["ovmf"]


def test_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "missing", lambda: ["ovmf", "qemu-system-x86"])

    with pytest.raises(BootcartError) as caught:
        needs.check()

    assert caught.value.hint == "apt-get install ovmf qemu-system-x86"
