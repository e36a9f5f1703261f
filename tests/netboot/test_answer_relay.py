"""Relayed clients: the checklist's items R and N14-N16 (RFC 2131 section 4.1, 3011, 3046, 3527, 5107, 8357)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from app.model.subnet import Range
from app.netboot.exchange import Via
from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import BROADCAST_FLAG, DhcpPacket, MessageType, decode
from tests.netboot.dhcpworld import MAC, SERVER, Bench, World, extending, rebooting, request, selecting, subnet

RELAY = IPv4Address("10.8.0.1")
FIRST = IPv4Address("10.8.0.100")
RELAYED: dict[str, Any] = {"source": RELAY, "port": 67, "destination": SERVER}
CIRCUIT = b"\x01\x04eth7\x02\x03abc\xdc\x02\x01\x02"


def remote(name: str = "behind", third: int = 8, **changes: Any) -> Any:
    base = IPv4Address(f"10.{third}.0.0")
    return subnet(
        name=name,
        cidr=IPv4Network(f"{base}/24"),
        ranges=(Range(start=base + 100, end=base + 109),),
        router=base + 1,
        **changes,
    )


def bench() -> Bench:
    return Bench(World(nets=[subnet(), remote(), remote("third", 9)]))


def relayed(options: dict[int, bytes] | None = None, **fields: Any) -> DhcpPacket:
    return request(options={opt.RELAY_AGENT: CIRCUIT, **(options or {})}, giaddr=RELAY, hops=1, **fields)


@pytest.mark.parametrize("flags", [0, BROADCAST_FLAG])
def test_r01_r02_r04_an_offer_through_a_relay(flags: int) -> None:
    found = bench().ask(relayed(flags=flags), **RELAYED)
    assert found.reply is not None
    assert found.destination is not None

    assert (found.reply.giaddr, found.reply.flags, found.reply.mac, found.reply.hops) == (RELAY, flags, MAC, 0)
    assert found.reply.yiaddr == FIRST
    assert (found.destination.via, found.destination.address, found.destination.port) == (Via.RELAY, RELAY, 67)
    assert found.reply.address(opt.SERVER_ID) == SERVER
    assert opt.split(found.octets()[240:])[-1] == (opt.RELAY_AGENT, CIRCUIT)


def test_r03_r12_the_circuit_comes_back_in_every_kind_of_reply() -> None:
    place = bench()
    offered = place.ask(relayed(), **RELAYED).reply
    assert offered is not None
    ack = place.ask(selecting(offered, options={opt.RELAY_AGENT: CIRCUIT}, giaddr=RELAY), **RELAYED).reply
    nak = place.ask(
        request(
            MessageType.REQUEST,
            options={opt.RELAY_AGENT: CIRCUIT, opt.REQUESTED_ADDRESS: IPv4Address("10.7.0.100").packed},
            giaddr=RELAY,
        ),
        **RELAYED,
    ).reply
    assert ack is not None
    assert nak is not None

    assert [item.message for item in (offered, ack, nak)] == [MessageType.OFFER, MessageType.ACK, MessageType.NAK]
    assert {item.options[opt.RELAY_AGENT] for item in (offered, ack, nak)} == {CIRCUIT}
    # R12, R05: it renews by unicast, without its relay; no option 82 is made up.
    renewed = place.ask(extending("10.8.0.100"), source=FIRST, destination=SERVER)
    assert renewed.reply is not None
    assert renewed.destination is not None
    assert renewed.reply.message is MessageType.ACK
    assert opt.RELAY_AGENT not in renewed.reply.options
    assert (renewed.destination.via, renewed.destination.address) == (Via.UNICAST, FIRST)


def test_r06_r08_a_nak_through_a_relay() -> None:
    found = bench().ask(rebooting("10.7.0.100", giaddr=RELAY), **RELAYED)
    assert found.reply is not None
    assert found.destination is not None

    assert found.reply.message is MessageType.NAK
    assert found.reply.flags & BROADCAST_FLAG
    assert found.reply.giaddr == RELAY
    assert (found.destination.via, found.destination.address, found.destination.port) == (Via.RELAY, RELAY, 67)


def test_r07_an_unknown_relay() -> None:
    place = bench()
    found = place.ask(request(giaddr=IPv4Address("10.99.0.1")), **RELAYED)

    assert (found.reply, found.reason) == (None, "no-subnet")
    assert place.last("dhcp.silent").data["why"] == "no subnet is defined for relay 10.99.0.1"
    assert place.last("dhcp.discover").data["relay"] == "10.99.0.1"


@pytest.mark.parametrize("address", ["127.0.0.1", "255.255.255.255", "224.0.0.1", "10.7.0.1", "0.0.0.9", "240.0.0.1"])
def test_m13_what_cannot_be_a_relay(address: str) -> None:
    found = bench().ask(request(giaddr=IPv4Address(address)), **RELAYED)

    assert (found.reply, found.reason) == (None, "bad-relay")


def test_r09_link_selection() -> None:
    chosen = opt.pack_suboptions({5: IPv4Address("10.9.0.1").packed})
    found = bench().ask(relayed({opt.RELAY_AGENT: chosen}), **RELAYED)
    assert found.reply is not None
    assert found.destination is not None

    assert found.reply.yiaddr == IPv4Address("10.9.0.100")
    assert (found.reply.giaddr, found.destination.address) == (RELAY, RELAY)


def test_r10_server_identifier_override() -> None:
    place, override = bench(), opt.pack_suboptions({11: RELAY.packed})
    offered = place.ask(relayed({opt.RELAY_AGENT: override}), **RELAYED).reply
    assert offered is not None

    assert offered.address(opt.SERVER_ID) == RELAY
    taken = place.ask(selecting(offered, options={opt.RELAY_AGENT: override}, giaddr=RELAY), **RELAYED)
    assert taken.lease_changes[0].address == FIRST
    # Without the relay's word the same identifier is another server's.
    assert place.ask(selecting(offered, giaddr=RELAY), **RELAYED).reason == "other-server"


def test_r11_subnet_selection() -> None:
    found = bench().ask(
        request(options={opt.SUBNET_SELECTION: IPv4Address("10.9.0.0").packed}, giaddr=RELAY), **RELAYED
    )
    assert found.reply is not None

    assert found.reply.yiaddr == IPv4Address("10.9.0.100")
    assert found.reply.address(opt.SUBNET_SELECTION) == IPv4Address("10.9.0.0")


def test_r09_before_r11() -> None:
    both = {
        opt.SUBNET_SELECTION: IPv4Address("10.9.0.0").packed,
        opt.RELAY_AGENT: opt.pack_suboptions({5: IPv4Address("10.7.0.0").packed}),
    }
    found = bench().ask(request(options=both, giaddr=RELAY), **RELAYED)
    assert found.reply is not None

    assert found.reply.yiaddr == IPv4Address("10.7.0.100")


def test_n15_a_relay_with_a_port_of_its_own() -> None:
    found = bench().ask(relayed({opt.RELAY_AGENT: b"\x13\x00" + CIRCUIT}), **{**RELAYED, "port": 4067})
    assert found.destination is not None

    assert found.destination.port == 4067


@pytest.mark.parametrize("broken", [b"\x01", b"\x01\x09ab", b"\x05\x02ab", b"\x0b\x00", b"\xff" * 7])
def test_m08_a_broken_circuit_is_echoed_and_means_nothing(broken: bytes) -> None:
    found = bench().ask(relayed({opt.RELAY_AGENT: broken}), **RELAYED)
    assert found.reply is not None

    assert found.reply.yiaddr == FIRST
    assert decode(found.octets()).options[opt.RELAY_AGENT] == broken
