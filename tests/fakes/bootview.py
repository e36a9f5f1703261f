"""A dry run as the engine tells it, for the fake engine's machines."""

from __future__ import annotations

from ipaddress import IPv4Address

from app.errors import InvalidError
from app.model.bootview import FIRMWARES, BootAnswer, BootFile, BootFirmware, BootOption, BootView
from app.model.machine import Machine

SERVER = IPv4Address("10.7.0.1")


def bootview(machine: Machine, script: str, bootenv: str, architecture: str = "", interface: str = "") -> BootView:
    """A machine that is answered, by the firmware asked for or UEFI x64."""
    name = architecture or "uefi-x64"
    if name not in FIRMWARES:
        raise InvalidError(f"there is no firmware {name!r}", hint=", ".join(FIRMWARES), field="architecture")
    mac = machine.macs[0]
    address = machine.address or IPv4Address("10.7.0.100")
    url = f"http://{SERVER}:8090"
    http = name.endswith("-http")
    loader = "undionly.kpxe" if name == "bios" else "ipxe-arm64.efi" if "arm64" in name else "ipxe.efi"
    path = f"boot/{mac.replace(':', '-')}.ipxe"
    common = {
        "answered": True,
        "subnet": "rack7",
        "address": address,
        "address_how": "its lease" if machine.address else "the next free one",
        "next_server": SERVER,
        "options": (
            BootOption(code=1, name="subnet mask", value="255.255.255.0"),
            BootOption(code=3, name="router", value="10.7.0.1"),
        ),
    }
    why = f"{bootenv} is assigned to {machine.name}"
    answers = (
        BootAnswer(stage="rom", bootfile=f"{url}/{loader}" if http else loader, why=why, **common),
        BootAnswer(stage="ipxe", bootfile=f"{url}/{path}", why=f"{why}; iPXE takes its script over HTTP", **common),
    )
    files = (
        BootFile(path=loader, role="loader", protocol="http" if http else "tftp", size=996_864, sha256="6095eb23" * 8),
        BootFile(path=path, role="script", size=len(script)),
        BootFile(path=f"{bootenv}/amd64/vmlinuz", role="kernel", present=False),
    )
    firmware = BootFirmware(
        name=name, architecture=FIRMWARES[name], title=f"{name} firmware", answers=answers, files=files
    )
    return BootView(
        machine=machine.name,
        mac=mac,
        registered=machine.registered,
        interface=interface or "eth1",
        interface_why="as asked" if interface else "it was last heard there",
        bootenv=bootenv,
        bootenv_why=why,
        firmware_why="as asked" if architecture else "it last booted with this",
        firmware=(firmware,),
        script=script,
        arguments="bootcart.token=********",
        warnings=(f"there is no file {bootenv}/amd64/vmlinuz",),
    )
