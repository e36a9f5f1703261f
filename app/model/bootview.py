"""What a machine would be answered and given if it booted now: the result of a dry run, which changes nothing."""

from __future__ import annotations

from ipaddress import IPv4Address

from pydantic import Field

from app.model.fields import Model

FIRMWARES: dict[str, int] = {
    "bios": 0,
    "uefi-x64": 7,
    "uefi-x64-http": 16,
    "uefi-arm64": 11,
    "uefi-arm64-http": 19,
}
"""The firmware an operator can ask about by name, and its architecture type (DHCP option 93)."""


class BootOption(Model):
    """One DHCP option of a reply, in words."""

    code: int
    name: str
    value: str


class BootAnswer(Model):
    """What DHCP answers at one stage of a boot. `bootfile` is empty when no boot file is given, `why` says why."""

    stage: str = Field(description="rom: the firmware itself; ipxe: the loader it is given, or iPXE in the NIC")
    answered: bool = Field(description="false: no reply at all")
    reason: str = Field(default="", description="code of why there is no reply or no boot file")
    why: str = ""
    subnet: str = ""
    address: IPv4Address | None = Field(default=None, description="the address it would get from us")
    address_how: str = Field(default="", description="why this address, in words")
    next_server: IPv4Address | None = None
    bootfile: str = ""
    options: tuple[BootOption, ...] = ()


class BootFile(Model):
    """A file it would fetch."""

    path: str = Field(description="path in the virtual tree")
    role: str = Field(description="loader, script, kernel, initrd, answer or file")
    protocol: str = Field(default="http", description="http or tftp")
    present: bool = True
    size: int | None = Field(default=None, description="bytes; none where the file is not there")
    sha256: str = Field(default="", description="where the file's manifest tells it")


class BootFirmware(Model):
    """A boot with one firmware: both stages, and the files."""

    name: str = Field(description="as `--architecture` takes it")
    architecture: int = Field(description="architecture type (DHCP option 93)")
    title: str
    answers: tuple[BootAnswer, ...] = ()
    files: tuple[BootFile, ...] = ()


class BootFault(Model):
    """Why a template of its does not render; if that is the script's, `script` says so on its screen and asks again."""

    bootenv: str
    template: str = ""
    line: int = 0
    why: str


class BootView(Model):
    """What one machine would get now."""

    machine: str = Field(description="its name")
    mac: str
    registered: bool
    interface: str = ""
    interface_why: str = Field(default="", description="why on this interface")
    relay: IPv4Address | None = None
    reservation: IPv4Address | None = None
    bootenv: str = ""
    bootenv_why: str = ""
    firmware_why: str = Field(default="", description="why these firmwares are shown")
    firmware: tuple[BootFirmware, ...] = ()
    script: str = Field(default="", description="as its loader would be given it, tokens masked")
    template: str = Field(default="boot", description="the template it is: boot for iPXE, grub, pxelinux")
    fault: BootFault | None = None
    arguments: str = Field(default="", description="kernel command line, tokens masked")
    warnings: tuple[str, ...] = Field(default=(), description="what else keeps it from booting")
