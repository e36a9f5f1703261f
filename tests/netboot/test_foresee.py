"""The dry run: it says what a real DISCOVER and REQUEST get right after, and leaves everything as it was."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.model.bootview import BootAnswer
from app.model.subnet import Range, Reservation, SubnetMode
from app.netboot.answer import Arrival, Policy
from app.netboot.firmware import IPXE, ROM
from app.netboot.foresee import Asked, Foreseen, foresee, kernel_arguments, loader_arch, loader_path, possible
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import DhcpPacket, MessageType
from tests.netboot.dhcpworld import (
    MAC,
    OTHER,
    SERVER,
    THIRD,
    Bench,
    World,
    ipxe,
    machine,
    pxe,
    request,
    selecting,
    subnet,
)

ARRIVAL = Arrival("eth0", (IPv4Interface("10.7.0.1/24"),), frozenset({SERVER}))
FIRST = IPv4Address("10.7.0.100")
ARCHES = (0, 7, 9, 16, 11, 19, 6, 10)
MACS = (MAC, OTHER, THIRD, "b8:27:eb:00:00:01")


def foreseen(bench: Bench, mac: str, arch: int, stage: str) -> Foreseen:
    return foresee(mac, Asked(arch), stage, ARRIVAL, bench.world, bench.table, bench.policy, bench.now)


def real(bench: Bench, mac: str, arch: int, stage: str) -> Any:
    """What the wire gets: the last reply of DISCOVER and REQUEST, or the silence."""
    kind = "HTTPClient" if arch in (16, 19) else "PXEClient"
    words = pxe(arch, kind=kind) if stage == ROM else ipxe(loader_arch(arch))
    words |= {opt.PARAMETERS: bytes((1, 3, 6, 15, 28, 43, 54, 60, 66, 67, 97))}
    found = bench.ask(request(mac=mac, options=words))
    if found.reply is not None and not found.reply.yiaddr.is_unspecified:
        found = bench.ask(selecting(found.reply, mac, words))
    return found


def same(told: BootAnswer, found: Any) -> None:
    reply: DhcpPacket | None = found.reply
    assert told.answered == (reply is not None), (told, found)
    assert told.why == found.why
    if reply is None:
        assert told.reason == found.reason
        return
    assert told.address == (None if reply.yiaddr.is_unspecified else reply.yiaddr)
    assert told.next_server == (None if reply.siaddr.is_unspecified else reply.siaddr)
    assert told.bootfile == reply.options.get(opt.BOOT_FILE, b"").decode()
    # Its own UUID is all that a request made up cannot send back.
    assert {option.code for option in told.options} <= reply.options.keys()
    assert (reply.message is MessageType.NAK) == (told.reason == "refused")


@dataclass
class Case:
    bench: Bench
    mac: str
    arch: int
    stage: str


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A world with some past, and a machine that boots next."""
    pick = draw
    last = FIRST + pick(st.integers(0, 4))
    net = subnet(
        mode=pick(st.sampled_from([*SubnetMode, *[SubnetMode.AUTHORITATIVE] * 4])),
        ranges=(Range(start=FIRST, end=last),) if pick(st.integers(0, 9)) else (),
        enabled=bool(pick(st.integers(0, 9))),
        hold=pick(st.sampled_from(["", "", "", "", "another DHCP server answers"])),
        reservations_only=not pick(st.integers(0, 5)),
        next_server=pick(st.sampled_from([None, None, IPv4Address("10.7.0.2")])),
    )
    reserved = [
        Reservation(address=pick(st.sampled_from([IPv4Address("10.7.0.50"), FIRST, last])), mac=one, never_boot=never)
        for one in pick(st.lists(st.sampled_from(MACS), max_size=1))
        for never in [pick(st.booleans())]
    ]
    envs = st.sampled_from(["", "debian-12", "local", "ignore", "gone"])
    known = [
        machine(one, name=f"m{one[-2:]}", bootenv=pick(envs), held=not pick(st.integers(0, 4)))
        for one in pick(st.lists(st.sampled_from(MACS), unique=True, max_size=3))
    ]
    world = World(
        nets=[net] if pick(st.integers(0, 9)) else [],
        reserved=reserved,
        machines=known,
        prefs={"unknown-bootenv": pick(st.sampled_from(["discovery", "local", ""]))},
        hold=not pick(st.integers(0, 9)),
    )
    ceiling = pick(st.sampled_from(["authoritative", "authoritative", "authoritative", "proxy", "off"]))
    bench = Bench(world, policy=Policy(ceiling))
    for one, arch, store, wait in pick(
        st.lists(
            st.tuples(
                st.sampled_from((*MACS, "52:54:00:00:00:99")),
                st.sampled_from(ARCHES),
                st.booleans(),
                st.sampled_from([0.0, 1.0, 61.0, 4000.0]),
            ),
            max_size=6,
        )
    ):
        offered = bench.ask(request(mac=one, options=pxe(arch))).reply
        if offered is not None and store and not offered.yiaddr.is_unspecified:
            bench.ask(selecting(offered, one, pxe(arch)))
        bench.now += wait
    return Case(bench, pick(st.sampled_from(MACS)), pick(st.sampled_from(ARCHES)), pick(st.sampled_from([ROM, IPXE])))


def state(bench: Bench) -> object:
    """All a table knows, apart from it."""

    def told(thing: object) -> object:
        if isinstance(thing, dict):
            return [(told(key), told(value)) for key, value in thing.items()]
        if isinstance(thing, (list, tuple, set, frozenset)):
            return [told(item) for item in thing]
        names = [*getattr(thing, "__dict__", {})] if type(thing).__module__.startswith("app.netboot") else []
        return {name: told(getattr(thing, name)) for name in names} or repr(thing)

    return copy.deepcopy(told(bench.table))


@settings(max_examples=200, deadline=None)
@given(cases())
def test_it_says_what_the_wire_gets_right_after_and_changes_nothing(case: Case) -> None:
    bench = case.bench
    before = state(bench)
    events = list(bench.events)
    told = foreseen(bench, case.mac, case.arch, case.stage).told
    assert state(bench) == before
    assert bench.events == events

    same(told, real(bench, case.mac, case.arch, case.stage))


def test_the_state_that_is_compared_would_show_an_offer() -> None:
    bench = Bench()
    before = state(bench)
    bench.offer()
    assert state(bench) != before


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"nets": []}, "no-subnet", "no subnet is defined for interface eth0"),
        ({"hold": True}, "holding", "the engine is on hold and answers no one"),
        ({"nets": [subnet(hold="another DHCP server answers")]}, "subnet-held", "subnet rack7 is held"),
        ({"nets": [subnet(mode=SubnetMode.OFF)]}, "off", "DHCP is off on subnet rack7"),
        ({"nets": [subnet(ranges=())]}, "pool-exhausted", "subnet rack7 has no range"),
        ({"machines": [machine(bootenv="local")]}, "local", "boot its own disk: local is assigned to node-07"),
        ({"machines": [machine(held=True)]}, "held", "node-07 is held"),
        (
            {"reserved": [Reservation(address=FIRST, mac=MAC, never_boot=True)]},
            "never-boot",
            "the reservation of 10.7.0.100 says never to boot it",
        ),
        ({"machines": [machine(bootenv="ignore")]}, "ignore", "leave it alone"),
        ({"prefs": {"unknown-bootenv": ""}}, "no-bootenv", "a machine nobody has named boots nothing"),
    ],
)
def test_why_not_is_said_in_words(changes: dict[str, Any], reason: str, words: str) -> None:
    told = foreseen(Bench(World(**changes)), MAC, 7, ROM).told
    assert (told.bootfile, told.reason) == ("", reason)
    assert told.why.startswith(words), told.why


def test_firmware_without_a_loader_is_told() -> None:
    told = foreseen(Bench(), MAC, 6, ROM).told
    assert (told.address, told.bootfile, told.reason) == (FIRST, "", "unsupported-arch")
    assert told.why.startswith("there is no boot loader for UEFI IA32: none comes with Bootcart")


def test_why_this_address() -> None:
    bench = Bench(World(reserved=[Reservation(address=IPv4Address("10.7.0.50"), mac=OTHER)]))
    assert foreseen(bench, MAC, 7, ROM).told.address_how == "the next free one"
    assert foreseen(bench, OTHER, 7, ROM).told.address_how == "reserved for it"
    bench.offer()
    assert foreseen(bench, MAC, 7, ROM).told.address_how == "it was offered this a moment ago"
    bench.bind()
    assert foreseen(bench, MAC, 7, IPXE).told.address_how == "its lease"
    bench.now += 4000
    assert foreseen(bench, MAC, 7, IPXE).told.address_how == "it had this before"


def test_beside_another_server_the_address_is_the_others() -> None:
    told = foreseen(Bench(World(nets=[subnet(mode=SubnetMode.PROXY)])), MAC, 0, ROM).told
    assert (told.address, told.bootfile) == (None, "undionly.kpxe")
    assert told.address_how == "another DHCP server gives the address"
    assert {option.name: option.value for option in told.options}[
        "vendor options"
    ] == "take the boot file of this message"


def test_a_kernel_command_line_is_what_stands_between_file_and_fallback() -> None:
    script = "#!ipxe\nset kernel vmlinuz\nkernel --name vmlinuz ${base}/${kernel} a=1 b c=${tty} || goto failed\nboot\n"
    assert kernel_arguments(script) == "a=1 b c=${tty}"
    assert kernel_arguments("#!ipxe\nkernel http://10.7.0.1/vmlinuz quiet\n") == "quiet"
    assert kernel_arguments("#!ipxe\nexit\n") == ""


def test_paths_of_loaders() -> None:
    assert loader_path("ipxe.efi") == ("tftp", "ipxe.efi")
    assert loader_path("http://10.7.0.1:8090/ipxe.efi") == ("http", "ipxe.efi")


def test_what_firmware_a_machine_could_have() -> None:
    assert possible("", "") == (0, 7, 16, 11, 19)
    assert possible("amd64", "uefi") == (7, 16)
    assert possible("amd64", "bios") == (0,)
    assert possible("arm64", "") == (11, 19)
    assert possible("riscv64", "") == (0, 7, 16, 11, 19)
