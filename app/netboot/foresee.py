"""What a machine would be answered if it booted now: the real answers, to requests made up, on a table for trial.

Pure, and nothing it is given changes: no offer is made, no lease is pending, no event is emitted.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from app.model.bootview import FIRMWARES, BootAnswer, BootOption
from app.netboot.allocate import LeaseTable
from app.netboot.answer import answer, begin
from app.netboot.exchange import Answer, Arrival, Exchange, Policy
from app.netboot.firmware import IPXE, ROM, Firmware, classify
from app.netboot.grub import GRUB_TEMPLATE
from app.netboot.loaders import MENUS, leads_to_grub
from app.netboot.menu import MENU_FOLDER, MENU_TEMPLATE
from app.netboot.reserved import reservation_of
from app.netboot.scope import locate
from app.netboot.view import NetworkView
from app.netboot.wire import options as opt
from app.netboot.wire import pxe
from app.netboot.wire.dhcp4 import BOOTREQUEST, ZERO, DhcpPacket, MessageType
from app.netboot.words import plain

STAGES = (ROM, IPXE)
_XID = 0x0B007CA2
_WANTED = bytes((1, 3, 6, 15, 28, 43, 54, 60, 66, 67, 97))
_IPXE_HTTP = bytes((0x13, 1, 1, 0x15, 1, 1))  # its features (option 175): HTTP and TFTP
_KERNEL = re.compile(r"^kernel\s+(?:--?\w+\s+\S+\s+)*\S+\s*(.*?)\s*(?:\|\|.*)?$", re.MULTILINE)
_APPEND = re.compile(r"^\s*APPEND\s+(.*?)\s*$", re.MULTILINE)
_LINUX = re.compile(r"^\s*if linux \S+ ('.*') \$more; then$", re.MULTILINE)

_NAMES = {
    opt.SUBNET_MASK: "subnet mask",
    opt.ROUTER: "router",
    opt.DNS: "name servers",
    opt.HOST_NAME: "host name",
    opt.DOMAIN_NAME: "domain",
    opt.VENDOR_OPTIONS: "vendor options",
    opt.LEASE_TIME: "lease time",
    opt.SERVER_ID: "server",
    opt.MESSAGE: "message",
    opt.VENDOR_CLASS: "class",
    opt.TFTP_SERVER: "TFTP server",
    opt.BOOT_FILE: "boot file",
}
_ADDRESSES = frozenset({opt.SUBNET_MASK, opt.ROUTER, opt.DNS, opt.SERVER_ID})
_TEXTS = frozenset({opt.HOST_NAME, opt.DOMAIN_NAME, opt.MESSAGE, opt.VENDOR_CLASS, opt.TFTP_SERVER, opt.BOOT_FILE})


@dataclass(frozen=True, slots=True)
class Asked:
    """Firmware to try: its architecture type, and its class (option 60) where that was heard."""

    arch: int
    vendor_class: str = ""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One stage's answer, and our own address on the way to the machine."""

    firmware: Firmware
    told: BootAnswer
    server: IPv4Address = ZERO


def firmware_name(arch: int) -> str:
    """An architecture type as an operator says it."""
    return next((name for name, number in FIRMWARES.items() if number == arch), str(arch))


def loader_arch(arch: int) -> int:
    """The type iPXE names once it is loaded: that of its own build, which took no HTTP boot to be loaded."""
    known = pxe.ARCHITECTURES.get(arch)
    if known is None or known.transport != "http":
        return arch
    same = (item for item in pxe.ARCHITECTURES.values() if (item.machine, item.kind) == (known.machine, known.kind))
    return next((item.number for item in same if item.transport == "tftp"), arch)


def options_of(asked: Asked, stage: str) -> dict[int, bytes]:
    """The options firmware of this kind sends (RFC 4578, UEFI 2.10 section 24.7)."""
    arch = asked.arch if stage == ROM else loader_arch(asked.arch)
    known = pxe.ARCHITECTURES.get(arch)
    word = pxe.HTTP_CLIENT if known is not None and known.transport == "http" else pxe.PXE_CLIENT
    heard = asked.vendor_class.encode() if stage == ROM else b""
    if arch in MENUS and not heard and known is not None and known.kind == "uboot":
        heard = b"U-Boot"
    options = {
        opt.VENDOR_CLASS: heard or word + f":Arch:{arch:05d}:UNDI:003016".encode(),
        opt.ARCHITECTURE: arch.to_bytes(2, "big"),
        opt.INTERFACE_ID: b"\x01\x03\x10",
        opt.PARAMETERS: _WANTED,
    }
    if stage == IPXE:
        options |= {opt.USER_CLASS: b"iPXE", opt.IPXE: _IPXE_HTTP}
    return options


def foresee(
    mac: str,
    asked: Asked,
    stage: str,
    arrival: Arrival,
    view: NetworkView,
    table: LeaseTable,
    policy: Policy,
    now: float,
    *,
    relay: IPv4Address = ZERO,
) -> Foreseen:
    """Try DISCOVER and REQUEST of one stage. Must be called where `table` is used, which stays as it is."""
    trial = table.trial()
    options = options_of(asked, stage)
    discover = DhcpPacket(
        op=BOOTREQUEST,
        xid=_XID,
        chaddr=bytes.fromhex(mac.replace(":", "")),
        giaddr=relay,
        options={opt.MESSAGE_TYPE: bytes((MessageType.DISCOVER,)), **options},
    )
    exchange = begin(discover, arrival, view, trial, policy, now)
    locate(exchange)
    before = _how(exchange)
    found = answer(discover, arrival, view, trial, policy, now)
    if found.reply is not None and not found.reply.yiaddr.is_unspecified:
        chosen = {
            opt.REQUESTED_ADDRESS: found.reply.yiaddr.packed,
            opt.SERVER_ID: found.reply.options[opt.SERVER_ID],
        }
        request = replace(discover, options={opt.MESSAGE_TYPE: bytes((MessageType.REQUEST,)), **options, **chosen})
        found = answer(request, arrival, view, trial, policy, now)
    return Foreseen(classify(discover), _told(stage, found, exchange, before), exchange.server)


def _how(exchange: Exchange) -> dict[IPv4Address, str]:
    """Addresses the client has a claim to, and why."""
    if exchange.subnet is None:
        return {}
    claims: dict[IPv4Address, str] = {}
    offer = exchange.table.offered(exchange.client, exchange.now)
    if offer is not None:
        claims[IPv4Address(offer.address)] = "it was offered this a moment ago"
    record = exchange.table.find(exchange.client, exchange.subnet, exchange.view, exchange.now)
    if record is not None:
        claims[record.address] = "its lease" if record.expires > exchange.now else "it had this before"
    reservation = reservation_of(exchange.client, exchange.subnet, exchange.view)
    if reservation is not None:
        claims[reservation.address] = "reserved for it"
    return claims


def _told(stage: str, found: Answer, exchange: Exchange, claims: dict[IPv4Address, str]) -> BootAnswer:
    subnet = exchange.subnet.name if exchange.subnet is not None else ""
    reply = found.reply
    if reply is None:
        return BootAnswer(stage=stage, answered=False, reason=found.reason, why=found.why, subnet=subnet)
    address = None if reply.yiaddr.is_unspecified else reply.yiaddr
    refused = reply.message is MessageType.NAK
    how = "" if refused else "another DHCP server gives the address"
    if address is not None:
        how = claims.get(address, "the next free one")
    return BootAnswer(
        stage=stage,
        answered=True,
        reason="refused" if refused else str(found.events[-1].data.get("reason", "")),
        why=found.why,
        subnet=subnet,
        address=address,
        address_how=how,
        next_server=None if reply.siaddr.is_unspecified else reply.siaddr,
        bootfile=plain(reply.options.get(opt.BOOT_FILE, b"") or reply.file, 1024),
        options=tuple(_option(code, value) for code, value in reply.options.items() if code in _NAMES),
    )


def _option(code: int, value: bytes) -> BootOption:
    if code in _ADDRESSES:
        text = ", ".join(str(IPv4Address(value[at : at + 4])) for at in range(0, len(value) // 4 * 4, 4))
    elif code in _TEXTS:
        text = plain(value, 1024)
    elif code == opt.LEASE_TIME:
        text = f"{int.from_bytes(value, 'big')} s"
    else:
        text = _MENUS.get(value, value.hex())
    return BootOption(code=code, name=_NAMES[code], value=text)


_MENUS = {
    pxe.USE_THIS_FILE: "take the boot file of this message",
    pxe.LOCAL_BOOT: "a menu whose only item is the local disk",
    pxe.RASPBERRY_PI_OPTIONS: "a menu for Raspberry Pi firmware",
}


def kernel_arguments(script: str) -> str:
    """The kernel's command line in a boot script; empty where it loads no kernel. Variables are iPXE's to fill in."""
    found = _KERNEL.search(script) or _APPEND.search(script)
    if found is not None:
        return found[1]
    of_grub = _LINUX.search(script)
    return " ".join(shlex.split(of_grub[1])) if of_grub is not None else ""


def loader_path(bootfile: str) -> tuple[str, str]:
    """Protocol and path in the virtual tree of a boot file as DHCP names it."""
    scheme, slashes, rest = bootfile.partition("://")
    return (scheme, rest.partition("/")[2]) if slashes else ("tftp", bootfile)


def template_of(path: str) -> str:
    """The template that is the script of a machine whose firmware is given this file of the virtual tree."""
    if path.rpartition("/")[2] == MENU_FOLDER:
        return MENU_TEMPLATE
    return GRUB_TEMPLATE if leads_to_grub(path) else "boot"


def possible(architecture: str, firmware: str, named: Sequence[int] = ()) -> tuple[int, ...]:
    """The architecture types a machine of this processor and firmware could boot with; all we serve where unknown."""
    if named:
        return tuple(named)
    served = tuple(pxe.ARCHITECTURES[number] for number in FIRMWARES.values())
    return tuple(
        item.number
        for item in served
        if (not architecture or item.machine == architecture) and (not firmware or item.kind == firmware)
    ) or tuple(item.number for item in served)
