"""A whole engine records what it hears, and hands it out."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from app.client.protocol import Client
from app.model.event import Event
from app.netboot.wire.dhcp4 import MessageType
from tests.contract.conftest import engine
from tests.netboot.dhcpworld import MAC, pxe, request


async def _event(client: Client, kind: str) -> Event:
    async with asyncio.timeout(20):
        while not (found := (await client.events.list(kind=kind)).items):
            await asyncio.sleep(0.05)
    return found[-1]


async def _say(client: Client, *octets: bytes) -> None:
    """To port 67 of the engine, from a machine on its loopback."""
    (listening,) = (await client.services.show("dhcp")).listening
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as machine:
        for each in octets:
            machine.sendto(each, ("127.0.0.1", int(listening.split()[1].rpartition(":")[2])))


async def test_what_a_machine_said_can_be_read_and_captured(tmp_path: Path) -> None:
    from scapy.layers.dhcp import BOOTP, DHCP
    from scapy.layers.inet import UDP
    from scapy.utils import PcapNgReader

    async with engine() as client:
        await client.machines.create({"name": "node-07", "macs": [MAC]})
        await _say(client, request(options=pxe(7)).encode(), request(MessageType.RELEASE).encode())
        async with asyncio.timeout(20):
            while (packets := await client.packets.list("node-07")).total < 2:
                await asyncio.sleep(0.05)
        capture = await client.packets.capture("node-07")

    assert [packet.summary for packet in packets.items] == ["DISCOVER xid 11223344 rom", "RELEASE xid 11223344 os"]
    assert {packet.interface for packet in packets.items} == {"lo"}
    path = tmp_path / "node-07.pcapng"
    path.write_bytes(capture)
    with PcapNgReader(str(path)) as reader:
        options = [BOOTP(bytes(frame[UDP].payload))[DHCP].options for frame in reader]
    assert [kinds[0] for kinds in options] == [("message-type", 1), ("message-type", 7)]


async def test_the_reason_of_silence_and_of_refusal_is_beside_the_packet() -> None:
    async with engine() as client:
        await _say(client, request(options=pxe(7)).encode(), b"nonsense")
        silent = await client.packets.exchange((await _event(client, "dhcp.silent")).id)
        malformed = await client.packets.exchange((await _event(client, "dhcp.malformed")).id)

    assert silent.request is not None
    assert silent.reply is None
    assert silent.why == f"nothing was sent: {silent.event.data['why']}"
    assert "DHCP options" in silent.request.lines
    assert malformed.request is not None
    assert malformed.request.fault == "8 octets are too few for a DHCP message"
    assert malformed.request.dump == ("0000  6e 6f 6e 73 65 6e 73 65                           nonsense",)
