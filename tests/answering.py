"""What answers machines, without sockets: the services' own way from octets to octets."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any
from urllib.parse import parse_qsl

from app.model.engine import Interface
from app.model.event import EventDraft
from app.model.subnet import Lease, Range, Reservation, SubnetMode
from app.netboot.bootpath import BadPathError, normalise
from app.netboot.exchange import BROADCAST, Policy
from app.netboot.wire import tftp
from app.services.boothttp.ranges import choose
from app.services.dhcp import DhcpService, ProxyDhcpService
from app.services.dhcp.sockets import Datagram
from app.services.tftp.telling import shown
from tests import mutants
from tests.netboot.dhcpworld import World, machine, subnet

SERVER = IPv4Address("10.7.0.1")
RELAY = IPv4Address("10.8.0.1")
GOOD = "02:ab:cd:ef:10:20"
"""A machine on record, whose address is kept for it: it is answered whatever the others send."""
GOOD_ADDRESS = IPv4Address("10.7.0.50")
GOOD_EVERY = 1000
_KINDS = ("dhcp", "dhcp", "dhcp", "dhcp", "proxy", "tftp", "http")
_INTERFACES = tuple(
    Interface(
        name=name, index=index, mac=f"52:54:00:00:00:0{index}", addresses=(IPv4Interface(at),), up=True, link=True
    )
    for name, index, at in (("eth1", 2, "10.7.0.1/24"), ("eth2", 3, "10.9.0.1/24"))
)


def _world() -> World:
    far = IPv4Network("10.8.0.0/24")
    return World(
        nets=[
            subnet(),
            subnet(name="far", cidr=far, ranges=(Range(start=far[20], end=far[29]),), router=RELAY),
            subnet(name="beside", cidr=IPv4Network("10.9.0.0/24"), mode=SubnetMode.PROXY, ranges=(), router=None),
        ],
        machines=[machine(GOOD, registered=True)],
        reserved=[Reservation(address=GOOD_ADDRESS, mac=GOOD)],
    )


class _Clock:
    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


class _Kept:
    """A journal that has stored everything at once, and a sender that keeps what left last."""

    def __init__(self) -> None:
        self.sent = b""

    def commit(self, leases: Sequence[Lease], done: Callable[[BaseException | None], None]) -> None:
        del leases
        done(None)

    def send(self, octets: bytes, where: object, interfaces: object) -> bool:
        del where, interfaces
        self.sent = octets
        return True


class _Dhcp(DhcpService):
    def post(self, function: Callable[..., None], *arguments: object) -> None:
        function(*arguments)

    def later(self, seconds: float, function: Callable[[], object]) -> None:
        del seconds, function


@dataclass(slots=True)
class Told:
    """What became of a run."""

    packets: dict[str, int] = field(default_factory=dict[str, int])
    faults: list[str] = field(default_factory=list[str])
    """Exceptions that got out, the first few, with the packet that did it."""
    asked: int = 0
    """Exchanges of the good machine that were begun."""
    answered: int = 0
    growth: float = 0.0
    """MB that the process grew by after its first tenth."""


class Answering:
    """Everything that answers one segment's machines and a relay's, and a clock that goes on with the packets."""

    def __init__(self) -> None:
        self._kept, self._clock = _Kept(), _Clock()
        world, policy = _world(), Policy()
        words: dict[str, Any] = {
            "view": world,
            "interfaces": lambda: _INTERFACES,
            "emit": _drop,
            "clock": self._clock,
            "policy": policy,
        }
        self._dhcp = _Dhcp(journal=self._kept, leases=list[Lease], probe_seconds=0, **words)
        self._proxy = ProxyDhcpService(**words)
        for each in (self._dhcp, self._proxy):
            each._look_at_interfaces()
            each._sender = self._kept  # pyright: ignore[reportAttributeAccessIssue]
        self._way = random.Random(5)

    def dhcp(self, packet: bytes) -> None:
        """To port 67: a broadcast on either segment, from a relay, or to the server alone."""
        self._clock.at += 0.01
        way = self._way.randrange(8)
        if way < 5:
            datagram = Datagram(packet, IPv4Address(0), 68, 2 + (way == 4), BROADCAST)
        elif way < 7:
            datagram = Datagram(packet, RELAY, 67, 2, SERVER)
        else:
            datagram = Datagram(packet, IPv4Address("10.7.0.101"), 68, 2, SERVER)
        self._dhcp._received(datagram)

    def sweep(self) -> None:
        """What happens every few seconds."""
        self._dhcp._sweep()

    def proxy(self, packet: bytes) -> None:
        """To port 4011."""
        self._proxy._received(Datagram(packet, IPv4Address("10.9.0.77"), 68, 3, IPv4Address("10.9.0.1")))

    def tftp(self, packet: bytes) -> None:
        """To port 69, as far as no file is opened."""
        try:
            asked = tftp.decode(packet)
        except tftp.TftpError as error:
            tftp.error(tftp.Code.ILLEGAL, str(error))
            return
        if isinstance(asked, tftp.Request):
            terms = tftp.negotiate(asked.options, 70_000, blksize_max=1468, windowsize_max=64, timeout_max=8)
            tftp.oack(terms.accepted)
            shown(asked.filename)
            try:
                normalise(asked.filename)
            except BadPathError as error:
                tftp.error(tftp.Code.ACCESS, str(error))

    def http(self, packet: bytes) -> None:
        """A request head, read as a machine's is once aiohttp has taken it apart."""
        head, *lines = packet.partition(b"\r\n\r\n")[0].split(b"\r\n")
        target = head.split(b" ")[1].decode("utf-8", "surrogateescape") if head.count(b" ") > 1 else "/"
        path, _, query = target.partition("?")
        headers = dict(line.decode("latin-1").split(": ", 1) for line in lines if b": " in line)
        try:
            normalise(path, percent=True)
            dict(parse_qsl(query, keep_blank_values=True))
        except (BadPathError, ValueError):
            pass
        choose(headers, 70_000, 1_800_000_000_000_000_000)

    def good(self) -> bool:
        """A whole exchange of the good machine comes to its lease."""
        xid = self._way.getrandbits(32)
        server, address = SERVER.packed, GOOD_ADDRESS.packed
        for kind, area, reply in (
            (mutants.DISCOVER, mutants.firmware(7), mutants.OFFER),
            (mutants.REQUEST, mutants.firmware(7) + mutants.options((50, address), (54, server)), mutants.ACK),
        ):
            self._kept.sent = b""
            packet = mutants.message(kind, GOOD, area, xid=xid)
            self._dhcp._received(Datagram(packet, IPv4Address(0), 68, 2, BROADCAST))
            sent = self._kept.sent
            if sent[4:8] != packet[4:8] or sent[16:20] != address or bytes((53, 1, reply)) not in sent[236:]:
                return False
        return True


def _drop(draft: EventDraft) -> None:
    del draft


def resident() -> float:
    """MB of memory of this process that are its own."""
    with open("/proc/self/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(("Private_", "Swap:"))) / 1024


def run(seed: int, packets: int, kinds: Sequence[str] = _KINDS) -> Told:
    """Give `packets` mutants of each kind in turn to what answers, with the good machine between."""
    made = {
        "dhcp": mutants.Mutants(mutants.dhcp(str(SERVER), "10.7.0.101", str(RELAY)), seed),
        "proxy": mutants.Mutants(mutants.proxy("10.9.0.1", "10.9.0.77"), seed),
        "tftp": mutants.Mutants(mutants.tftp(("ipxe.efi", "autoexec.ipxe", "pxelinux.cfg/default")), seed),
        "http": mutants.Mutants(mutants.http(("ipxe.efi", "boot/52:54:00:f0:00:07/script.ipxe", "agent/task")), seed),
    }
    place, told = Answering(), Told(packets=dict.fromkeys(made, 0))
    order = [(kind, made[kind], getattr(place, kind)) for kind in kinds]
    before = 0.0
    for number in range(packets):
        kind, mutant, take = order[number % len(order)]
        packet = mutant()
        told.packets[kind] += 1
        try:
            take(packet)
        except Exception as error:
            if len(told.faults) < 20:
                told.faults.append(f"{kind} {type(error).__name__}: {error}: {packet.hex()}")
        if number % GOOD_EVERY == 0:
            place.sweep()
            told.asked += 1
            told.answered += place.good()
        if number == packets // 10:
            gc.collect()
            before = resident()
    gc.collect()
    told.growth = resident() - before
    return told
