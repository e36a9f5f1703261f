"""What a machine is told to boot, and why: pure policy over who asks and what the operator chose for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address

from app.model.bootenv import BootEnv, BootKind
from app.model.machine import LoaderChoice
from app.model.subnet import Reservation, Subnet, SubnetMode
from app.netboot.bootpath import script_path
from app.netboot.cycle import file_of, needs_grub
from app.netboot.firmware import IPXE, ROM, Firmware
from app.netboot.grub import GRUB_TEMPLATE
from app.netboot.identity import Client
from app.netboot.loaders import SIGNED_PREFERENCE, loader_of
from app.netboot.menu import menu_file, menu_path
from app.netboot.reserved import reservation_of
from app.netboot.view import NetworkView
from app.netboot.wire import pxe


class Withheld(StrEnum):
    """Why no boot file is given; the codes `dhcp.*` events carry as `reason`."""

    NONE = ""
    NOT_BOOTING = "not-booting"
    HOLDING = "holding"
    UNMANAGED = "unmanaged"
    SUBNET_OFF = "subnet-off"
    HELD = "held"
    NEVER_BOOT = "never-boot"
    LOCAL = "local"
    IGNORE = "ignore"
    NO_BOOTENV = "no-bootenv"
    UNSUPPORTED_ARCH = "unsupported-arch"
    NO_HTTPS = "no-https"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to tell a machine; `why` in words, `reason` set exactly when `bootfile` is empty."""

    why: str
    bootfile: str = ""
    next_server: IPv4Address | None = None
    vendor_class: bytes = b""
    """Option 60 of the reply; empty: none."""
    vendor_options: bytes = b""
    """Option 43 of the reply; empty: none."""
    menu: str = ""
    """Options 209 and 210 of the reply: the URL of the machine's menu; empty: none."""
    reason: Withheld = Withheld.NONE
    bootenv: str = ""


def bootenv_of(mac: str, view: NetworkView) -> tuple[str, str]:
    """The name of the boot environment of the machine with this MAC address, and why it is this one."""
    machine = view.machine_by_mac(mac)
    if machine is not None and machine.bootenv:
        return machine.bootenv, f"{machine.bootenv} is assigned to {machine.name}"
    if machine is not None and machine.registered:
        name = view.preference("default-bootenv")
        return name, f"{machine.name} has no boot environment assigned, the default is {name or 'none'}"
    name = view.preference("unknown-bootenv")
    return name, f"a machine nobody has named boots {name or 'nothing'}"


def _without_file(firmware: Firmware, why: str, reason: Withheld, bootenv: str = "") -> Decision:
    """No boot file, said so that the firmware goes on in its boot order at once."""
    if firmware.kind == "uefi" and firmware.stage == ROM and firmware.transport == "tftp":
        menu = pxe.LOCAL_BOOT
        return Decision(why, vendor_class=pxe.PXE_CLIENT, vendor_options=menu, reason=reason, bootenv=bootenv)
    return Decision(why, reason=reason, bootenv=bootenv)


def _sent_on_by_script(firmware: Firmware) -> bool:
    """Only a script's `exit 1` sends this firmware on to its disk: without a file it asks for minutes."""
    return firmware.transport == "http" or (firmware.stage == IPXE and firmware.kind == "uefi")


def for_grub(bootenv: BootEnv | None) -> bool:
    """It has a script for GRUB; one that is not there is told of in either language."""
    return bootenv is None or any(template.name == GRUB_TEMPLATE for template in bootenv.templates)


def boot_server(kept: Reservation | None, subnet: Subnet, server: IPv4Address) -> IPv4Address:
    """Where a machine's boot files are: what its reservation says, else its subnet, else the address it reached."""
    return (kept.next_server if kept is not None else None) or subnet.next_server or server


def _withheld(
    firmware: Firmware, mac: str, view: NetworkView, subnet: Subnet, reservation: Reservation | None
) -> Decision | None:
    """What keeps this machine from any boot file, before its firmware is looked at."""
    if firmware.zero_touch:
        why = f"{firmware.zero_touch} fetches what options 67, 114 and 150 name, no loader: set those it takes"
        return Decision(why, reason=Withheld.NOT_BOOTING)
    if not firmware.boots:
        return Decision("it asks for an address, not for something to boot", reason=Withheld.NOT_BOOTING)
    if view.holding():
        return Decision("the engine is on hold and answers no one", reason=Withheld.HOLDING)
    if subnet.mode is SubnetMode.OFF or not subnet.enabled:
        return Decision(f"subnet {subnet.name} is off", reason=Withheld.SUBNET_OFF)
    if subnet.mode is SubnetMode.UNMANAGED:
        return Decision(f"subnet {subnet.name} gives addresses only", reason=Withheld.UNMANAGED)
    if reservation is not None and reservation.never_boot:
        why = f"the reservation of {reservation.address} says never to boot it"
        return _without_file(firmware, why, Withheld.NEVER_BOOT)
    machine = view.machine_by_mac(mac)
    if machine is not None and machine.held:
        return _without_file(firmware, f"{machine.name} is held", Withheld.HELD)
    name, because = bootenv_of(mac, view)
    if not name:
        return Decision(because, reason=Withheld.NO_BOOTENV)
    bootenv = view.bootenv(name)
    if bootenv is not None and bootenv.kind is BootKind.LOCAL and not _sent_on_by_script(firmware):
        return _without_file(firmware, f"boot its own disk: {because}", Withheld.LOCAL, name)
    if bootenv is not None and bootenv.kind is BootKind.IGNORE:
        return Decision(f"leave it alone: {because}", reason=Withheld.IGNORE, bootenv=name)
    return None


def _chosen_loader(
    firmware: Firmware, mac: str, view: NetworkView, bootenv: str, suited: Callable[[str, int | None], LoaderChoice]
) -> tuple[str, str]:
    """The file of the loader its machine names, else of the one that suits it, and why; empty: the standard one."""
    machine = view.machine_by_mac(mac)
    if machine is not None and machine.loader is not LoaderChoice.AUTO:
        file = file_of(machine.loader, firmware.arch, view.preference(SIGNED_PREFERENCE))
        return file, f", {machine.loader.value} is set for {machine.name}" + ("" if file else " and not made for it")
    choice = suited(mac, firmware.arch)
    if choice is LoaderChoice.AUTO:
        return "", ""
    chain = view.preference(SIGNED_PREFERENCE)
    if needs_grub(choice, chain) and not for_grub(view.bootenv(bootenv)):
        return "", ""
    file = file_of(choice, firmware.arch, chain)
    return file, f" that {choice.value} was found to suit" if file else ""


def decide(
    firmware: Firmware,
    mac: str,
    view: NetworkView,
    subnet: Subnet,
    server: IPv4Address,
    http_port: int,
    *,
    proxy: bool = False,
    client_id: str = "",
    suited: Callable[[str, int | None], LoaderChoice] = lambda _, __: LoaderChoice.AUTO,
    https_port: int = 0,
) -> Decision:
    """What `mac` is told to boot. `server` is the local address it reached; `proxy`: another server gives the address.

    `suited` tells the loader found to suit a MAC address and architecture type, where its machine names none.

    A missing or unusable boot environment still gets a boot file: the script says what is wrong on its screen.
    """
    kept = reservation_of(Client(mac, client_id), subnet, view)
    if (nothing := _withheld(firmware, mac, view, subnet, kept)) is not None:
        return nothing
    name, because = bootenv_of(mac, view)
    server = boot_server(kept, subnet, server)
    url = f"http://{server}:{http_port}"
    identity = pxe.PXE_CLIENT if proxy else b""
    if firmware.stage == IPXE and (not firmware.features or "http" in firmware.features):
        # iPXE in a NIC's ROM of HTTP firmware calls itself PXEClient all the same, so its own class is what counts.
        if firmware.vendor_class.startswith("HTTPClient"):
            identity = pxe.HTTP_CLIENT
        return Decision(
            f"{because}; iPXE takes its script over HTTP",
            bootfile=f"{url}/{script_path(mac)}",
            next_server=server,
            vendor_class=identity,
            bootenv=name,
        )
    if firmware.raspberry_pi:
        return Decision(
            f"{because}; a Raspberry Pi fetches its own files over TFTP once it is told it may",
            bootfile="bootcode.bin",
            next_server=server,
            vendor_class=pxe.PXE_CLIENT,
            vendor_options=pxe.RASPBERRY_PI_OPTIONS,
            bootenv=name,
        )
    if firmware.menu:
        petitboot = firmware.kind != "uboot"  # U-Boot takes option 209 for a path and walks to its menu without it
        return Decision(
            f"{because}; {firmware.title} takes its menu",
            bootfile=menu_file(firmware.architecture),
            next_server=server,
            vendor_class=identity,
            menu=f"{url}/{menu_path(mac, firmware.architecture)}" if petitboot else "",
            bootenv=name,
        )
    loader, missing = loader_of(firmware.arch, firmware.transport, view.preference)
    if not loader:
        words = firmware.arch_name or "firmware that names no architecture"
        why = f"there is no boot loader for {words}: {missing}"
        return Decision(why, reason=Withheld.UNSUPPORTED_ARCH, bootenv=name)
    words = "its iPXE cannot do HTTP and gets a loader that can" if firmware.stage == IPXE else f"{firmware.title}"
    if firmware.stage == ROM:
        chosen, why = _chosen_loader(firmware, mac, view, name, suited)
        loader, words = chosen or loader, f"{words}{why}"
    if firmware.transport == "http":
        machine = view.machine_by_mac(mac)
        if subnet.https or (machine is not None and machine.https):
            if not https_port:
                # Never by plain HTTP instead: whoever asked for this does not want what others on the way can change.
                why = f"{firmware.title} is to boot by HTTPS, which this engine does not serve: give it --https-port"
                return Decision(why, reason=Withheld.NO_HTTPS, bootenv=name)
            url, words = f"https://{server}:{https_port}", f"{words}, by HTTPS"
        return Decision(
            f"{because}; {words}",
            bootfile=f"{url}/{loader}",
            next_server=server,
            vendor_class=pxe.HTTP_CLIENT,
            bootenv=name,
        )
    # On one host, a plain boot file without options 60 and 43 is what every ROM takes (PXE 2.1, checklist 7.1); beside
    # another DHCP server 60 is what makes a ROM look, and BIOS ROMs ask for a menu unless 43 says "this file".
    return Decision(
        f"{because}; {words}",
        bootfile=loader,
        next_server=server,
        vendor_class=identity,
        vendor_options=pxe.USE_THIS_FILE if proxy and firmware.kind == "bios" else b"",
        bootenv=name,
    )
