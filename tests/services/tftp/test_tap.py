"""What a recorder hears of TFTP: what was asked, agreed and refused, and how it ended; never what is in a file."""

from __future__ import annotations

import asyncio
from typing import Any

from app.netboot.wire import tftp
from tests.services.tftp.peer import Peer, Service, request


def listen(service: Service) -> list[tuple[bool, bytes, dict[str, Any]]]:
    heard: list[tuple[bool, bytes, dict[str, Any]]] = []

    def tap(
        protocol: str, incoming: bool, octets: bytes, machine: tuple[str, int], our: tuple[str, int], **more: Any
    ) -> None:
        assert protocol == "tftp"
        assert machine[0] == our[0] == "127.0.0.1"
        assert (our[1] == service.port) == (octets[:2] == b"\0\1")
        heard.append((incoming, octets, more))

    service.tftp.tap = tap
    return heard


async def test_a_transfer_is_its_request_what_was_agreed_and_its_last_ack(service: Service) -> None:
    heard = listen(service)
    with Peer(service.port) as peer:
        await peer.read(b"loader.efi", options={"blksize": "1024", "tsize": "0"})
        await service.told("tftp.sent")

    asked = request(1, b"loader.efi", options={"blksize": "1024", "tsize": "0"})
    assert [(incoming, octets) for incoming, octets, _ in heard] == [
        (True, asked),
        (False, tftp.oack({"blksize": "1024", "tsize": "996864"})),
        (True, b"\0\4" + (974).to_bytes(2, "big")),
    ]
    assert heard[-1][2]["note"] == "974 blocks with 997 kB before it are not kept"


async def test_without_options_the_first_block_stands_for_what_was_agreed(service: Service) -> None:
    heard = listen(service)
    with Peer(service.port) as peer:
        await peer.read(b"s513.bin")
        await service.told("tftp.sent")

    assert [octets for _, octets, _ in heard[1:]] == [b"\0\3\0\1", b"\0\4\0\2"]
    assert heard[1][2]["skipped"] == 512


async def test_refusals_and_broken_off_transfers(service: Service) -> None:
    heard = listen(service)
    with Peer(service.port) as peer:
        await peer.read(b"nothing.here")
    with Peer(service.port) as peer:
        peer.ask(request(1, b"loader.efi", options={"tsize": "0"}))
        while (await peer.hear())[:2] != b"\0\6":
            pass
        peer.say(b"\0\5\0\x08no thanks\0")
        await service.told("tftp.aborted")

    assert [(incoming, octets[:4]) for incoming, octets, _ in heard] == [
        (True, b"\0\1no"),
        (False, b"\0\5\0\1"),
        (True, b"\0\1lo"),
        (False, b"\0\6ts"),
        (True, b"\0\5\0\x08"),
    ]
    assert heard[-1][1] == b"\0\5\0\x08no thanks\0"


async def test_what_is_no_request_is_heard_all_the_same(service: Service) -> None:
    heard: list[bytes] = []
    service.tftp.tap = lambda protocol, incoming, octets, *_, **__: heard.append(octets)
    with Peer(service.port) as peer:
        peer.ask(b"\0\1cut")
        async with asyncio.timeout(10):
            assert (await peer.hear())[:4] == b"\0\5\0\4"

    assert heard[0] == b"\0\1cut"
    assert len(heard) == 2
