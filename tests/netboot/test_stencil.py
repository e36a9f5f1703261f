"""Stencils against the policy they are taken from: whatever comes, in whatever order, both answer the same."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.model.bootenv import BootEnv
from app.model.machine import LoaderChoice
from app.model.subnet import Range, Reservation, SubnetMode
from app.netboot.allocate import LeaseTable
from app.netboot.answer import Answer, Arrival, Policy, answer
from app.netboot.stencil import Stencils, read
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import DhcpPacket, MessageType, decode
from tests.netboot.dhcpworld import SERVER, World, ipxe, machine, pxe, request, subnet

RELAY = IPv4Address("10.7.0.2")
DIRECT = Arrival("eth0", (IPv4Interface("10.7.0.1/24"),), frozenset({SERVER}))
RELAYED = replace(DIRECT, source=RELAY, port=67, destination=SERVER)
GUIDS = [b"", bytes(17), bytes(1) + b"\xff" * 16, bytes(range(17)), b"\1" + bytes(range(16)), b"short"]


def _asks(*codes: int) -> dict[int, bytes]:
    return {opt.PARAMETERS: bytes(codes)}


FIRMWARE: list[dict[int, bytes]] = [
    {**pxe(7), **_asks(1, 3, 6, 43, 60, 66, 67, 97), opt.MAX_SIZE: b"\5\xc0"},
    {**pxe(0), **_asks(1, 3, 6, 12, 43, 54, 60, 67, 128, 129)},
    {**pxe(16, kind="HTTPClient"), **_asks(1, 3, 6, 60, 67)},
    {**ipxe(7), **_asks(1, 3, 6, 12, 17, 43, 60, 66, 67, 119, 175)},
    {**ipxe(7, features=b""), **_asks(1, 3, 6, 67)},
    {**pxe(6), **_asks(1, 3)},
    {opt.VENDOR_CLASS: b"udhcp 1.30.1", **_asks(1, 3, 6, 12, 15, 28, 42, 121)},
    {opt.LEASE_TIME: b"\0\0\0\x78", **_asks(1, 3, 6)},
    {**pxe(41), opt.VENDOR_CLASS: b"PXEClient:Arch:00000:UNDI:002001"},
]


class Twins:
    """The policy, and stencils taken from it, with tables of their own in one world."""

    def __init__(self, **changes: Any) -> None:
        net = subnet(ranges=(Range(start=IPv4Address("10.7.0.100"), end=IPv4Address("10.7.0.108")),), **changes)
        self.world = World(nets=[net])
        self.policy = Policy(loader=lambda mac, _: LoaderChoice.IPXE if mac.endswith("05") else LoaderChoice.AUTO)
        self.plain, self.table = LeaseTable(offers_max=6), LeaseTable(offers_max=6)
        self.stencils = Stencils(self.world, self.policy)
        self.now = 1_000_000.0
        self.cut = 0
        self.offered: dict[str, IPv4Address] = {}

    def ask(self, packet: DhcpPacket, arrival: Arrival = DIRECT) -> Answer:
        """One message to both. Returns what both say."""
        octets = packet.encode(limit=9000)
        wanted = answer(decode(octets), arrival, self.world, self.plain, self.policy, self.now)
        found = self._stencilled(octets, arrival)
        assert found.speaks == wanted.speaks
        if wanted.speaks:
            assert found.octets() == wanted.octets()
        assert found.destination == wanted.destination
        assert [event.model_dump() for event in found.events] == [event.model_dump() for event in wanted.events]
        assert found.lease_changes == wanted.lease_changes
        self.plain.commit(wanted.lease_changes)
        self.table.commit(found.lease_changes)
        if wanted.reply is not None and wanted.reply.message is MessageType.OFFER:
            self.offered[packet.mac] = wanted.reply.yiaddr
        return wanted

    def _stencilled(self, octets: bytes, arrival: Arrival) -> Answer:
        said = read(octets)
        if said is None:
            return answer(decode(octets), arrival, self.world, self.table, self.policy, self.now)
        way = (arrival.interface, arrival.source, arrival.port, arrival.destination)
        found = self.stencils.cut(said, way, self.table, self.now, lambda _: False)
        if found is not None:
            self.cut += 1
            return found
        return self.stencils.take(said, way, decode(octets), arrival, self.table, self.now)


def _mac(number: int) -> str:
    return f"52:54:00:00:00:{number:02x}"


def _message(twins: Twins, number: int, kind: int, firmware: int, guid: int, extra: int) -> DhcpPacket:
    options = dict(FIRMWARE[firmware])
    if opt.MACHINE_GUID in options or guid > 1:
        options[opt.MACHINE_GUID] = GUIDS[guid] or options.get(opt.MACHINE_GUID, b"")
    if not options.get(opt.MACHINE_GUID, b"x"):
        del options[opt.MACHINE_GUID]
    if extra & 1:
        options[opt.CLIENT_ID] = b"\1" + bytes.fromhex(_mac(number).replace(":", ""))
    if extra & 2:
        options[opt.HOST_NAME] = b"host-%d" % number
    fields: dict[str, Any] = {"xid": 7 * number + extra, "secs": extra, "flags": 0x8000 if extra & 4 else 0}
    if extra & 8:
        fields |= {"giaddr": RELAY, "hops": 1}
    message = MessageType.DISCOVER
    if kind:
        message = MessageType.REQUEST
        options[opt.REQUESTED_ADDRESS] = twins.offered.get(_mac(number), IPv4Address("10.7.0.103")).packed
        options[opt.SERVER_ID] = SERVER.packed if kind < 4 else IPv4Address("10.7.0.9").packed
        if kind == 3:
            del options[opt.SERVER_ID]
    elif extra & 16:
        options[opt.REQUESTED_ADDRESS] = IPv4Address("10.7.0.104").packed
    return request(message, _mac(number), options, **fields)


def _change(twins: Twins, what: int, number: int) -> None:
    world = twins.world
    net = world.nets[0]
    if what == 0:
        world.prefs["unknown-bootenv"] = ["debian-12", "discovery", "local", "ignore", "", "gone"][number % 6]
    elif what == 1:
        world.machines = [machine(_mac(number), name=f"n{number}", registered=bool(number % 2))]
    elif what == 2:
        world.reserved = [Reservation(address=IPv4Address("10.7.0.103"), mac=_mac(number))]
    elif what == 3:
        world.nets = [net.model_copy(update={"options": {"domain-name": f"d{number}.example"}})]
    elif what == 4:
        world.nets = [net.model_copy(update={"options": {"host-name": "h-{{ mac[-2:] }}"}})]
    elif what == 5:
        world.hold = bool(number % 2)
    elif what == 6:
        world.nets = [net.model_copy(update={"mode": SubnetMode.PROXY if number % 3 == 1 else SubnetMode.UNMANAGED})]
    elif what == 7:
        world.nets = [net.model_copy(update={"mode": SubnetMode.AUTHORITATIVE, "options": {}})]
    elif what == 8:
        twins.now += [1, 61, 1900, 3700][number % 4]
    elif what == 9:
        world.envs["discovery"] = BootEnv(name="discovery", description=str(number))
    elif what == 10:
        bootfile = f"file-{_mac(number).replace(':', '-')}%s"
        world.nets = [net.model_copy(update={"options": {"boot-file-name": bootfile}})]
    else:
        world.prefs["dhcp-options"] = f"ntp-servers=10.7.0.{number + 1}"


steps = st.one_of(
    st.tuples(
        st.just("say"), st.integers(0, 7), st.sampled_from([0, 0, 0, 1, 1, 2, 3, 4]),
        st.integers(0, len(FIRMWARE) - 1), st.integers(0, len(GUIDS) - 1), st.integers(0, 31),
    ),
    st.tuples(st.just("rack"), st.integers(0, 4), st.integers(0, len(FIRMWARE) - 1), st.sampled_from([0, 4, 8, 1, 9])),
    st.tuples(st.just("change"), st.integers(0, 11), st.integers(0, 7)),
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, max_size=30))
def test_a_stencil_says_what_the_policy_says(script: list[tuple[Any, ...]]) -> None:
    twins = Twins()
    for what, *told in script:
        if what == "change":
            _change(twins, *told)
        elif what == "rack":
            first, firmware, extra = told
            for number in range(first, first + 3):
                for kind in (0, 1):
                    packet = _message(twins, number, kind, firmware, 3, extra)
                    twins.ask(packet, RELAYED if extra & 8 else DIRECT)
        else:
            number, kind, firmware, guid, extra = told
            twins.ask(_message(twins, number, kind, firmware, guid, extra), RELAYED if extra & 8 else DIRECT)


@pytest.mark.parametrize("firmware", range(len(FIRMWARE)))
def test_the_second_machine_of_a_kind_is_cut(firmware: int) -> None:
    twins = Twins()
    for number in (1, 2, 3):
        twins.ask(_message(twins, number, 0, firmware, 3, 0))
        twins.ask(_message(twins, number, 1, firmware, 3, 0))

    # Who it is may have been said in the DISCOVER alone, where a REQUEST names no class.
    assert twins.cut == (4 if opt.VENDOR_CLASS in FIRMWARE[firmware] else 2)


@pytest.mark.parametrize("what", [0, 3, 5, 6, 9, 10, 11])
def test_no_stencil_outlives_a_change(what: int) -> None:
    twins = Twins()
    twins.ask(_message(twins, 1, 0, 0, 3, 0))
    twins.ask(_message(twins, 2, 0, 0, 3, 0))
    assert twins.cut == 1
    _change(twins, what, 3)
    twins.ask(_message(twins, 3, 0, 0, 3, 0))

    assert twins.cut == 1


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        bytes(300),
        request(options=pxe(7)).encode()[:250],
        request(options={**pxe(7), opt.HOST_NAME: b"a"}).encode(),
        request(mac="53:54:00:00:00:01", options=pxe(7)).encode(),
        request(mac="00:00:00:00:00:00", options=pxe(7)).encode(),
        request(options=pxe(7), ciaddr=IPv4Address("10.7.0.3")).encode(),
        request(options=pxe(7), file=b"x").encode(),
        request(options={**pxe(7), opt.REQUESTED_ADDRESS: b"\1\2\3"}).encode(),
    ],
)
def test_what_is_unusual_is_the_policys(broken: bytes) -> None:
    assert read(broken) is None
