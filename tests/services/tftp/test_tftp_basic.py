"""RFC 1350 as readers meet it; the names carry the item of the checklist they prove."""

from __future__ import annotations

import asyncio
import os
import struct
from pathlib import Path

import pytest

from app.services.tftp import transfer
from tests.services.tftp.peer import MAC, Peer, Service, request


@pytest.mark.parametrize(
    "name", ["s513.bin", "s512.bin", "s1024.bin", "empty.bin", "loader.efi"], ids=["T01", "T03", "T03b", "T04", "big"]
)
async def test_files_arrive_whole(service: Service, root: Path, name: str) -> None:
    with Peer(service.port) as peer:
        assert await peer.read(name.encode()) == (root / name).read_bytes()
    sent = await service.told("tftp.sent")
    assert sent.data["bytes"] == (root / name).stat().st_size
    assert sent.mac == MAC
    assert sent.address == "127.0.0.1"
    assert service.kinds() == ["tftp.started", "tftp.sent"]


async def test_what_is_at_hand_and_in_memory_takes_no_thread(service: Service, root: Path) -> None:
    service.folder.near.add("loader.efi")
    for looked in (1, 1):
        with Peer(service.port) as peer:
            assert await peer.read(b"loader.efi") == (root / "loader.efi").read_bytes()
        # The first reads it from the disk.
        assert len(service.folder.asked) == looked
    with Peer(service.port) as peer:
        peer.ask(request(1, b"loader.efi", b"netascii"))
        assert struct.unpack_from("!HH", await peer.hear()) == (3, 1)
    assert len(service.folder.asked) == 2
    assert service.kinds()[:4] == ["tftp.started", "tftp.sent"] * 2


async def test_t05_missing_file_is_error_1(service: Service) -> None:
    with Peer(service.port) as peer:
        assert await peer.read(b"nothing.here") is None
        assert peer.error is not None
        assert peer.error[0] == 1
        assert peer.error[1].endswith(b"\0")
    missing = await service.told("tftp.missing")
    assert missing.data["file"] == "nothing.here"
    assert missing.mac == MAC


async def test_a_missing_file_is_told_as_it_was_asked_for_with_what_is_like_it(service: Service) -> None:
    with Peer(service.port) as peer:
        assert await peer.read(b"\\boot\\ipxe.EFI") is None
    missing = await service.told("tftp.missing")

    assert (missing.data["asked"], missing.data["file"]) == ("\\boot\\ipxe.EFI", "boot/ipxe.EFI")
    assert tuple(missing.data["like"]) == ("ipxe.efi",)


async def test_t14_writing_is_refused(service: Service, root: Path) -> None:
    before = sorted(os.listdir(root))
    with Peer(service.port) as peer:
        peer.ask(request(2, b"new.bin"))
        assert struct.unpack_from("!HH", await peer.hear()) == (5, 2)
    assert sorted(os.listdir(root)) == before
    assert "never written" in (await service.told("tftp.refused")).message


async def test_t29_size_probe_ends_at_once_and_is_no_failure(service: Service) -> None:
    with Peer(service.port) as peer:
        peer.ask(request(1, b"loader.efi", options={"tsize": "0"}))
        assert await peer.hear() == b"\0\6tsize\0" + b"996864\0"
        peer.say(b"\0\5\0\x08User aborted\0")
        aborted = await service.told("tftp.aborted")
        assert aborted.data["probe"] is True
        assert aborted.data["role"] == "loader"
        assert await peer.silent()
    assert service.tftp.counters["probes"] == 1
    assert service.tftp.counters["failed"] == 0


async def test_t30_client_error_stops_the_transfer(service: Service) -> None:
    with Peer(service.port) as peer:
        peer.ask(request(1, b"loader.efi"))
        await peer.hear()
        peer.ack(1)
        await peer.hear()
        peer.say(b"\0\5\0\3disk full\0")
        aborted = await service.told("tftp.aborted")
        assert (aborted.data["probe"], aborted.data["code"], aborted.data["text"]) == (False, 3, "disk full")
        assert await peer.silent(1.5)


async def test_f17_a_copy_of_a_request_that_comes_late_ends_no_transfer(service: Service, root: Path) -> None:
    """The network doubled it, and other packets overtook the copy. Who falls silent and asks again begins anew."""
    content, asked = (root / "seventy.bin").read_bytes(), request(1, b"seventy.bin", options={"blksize": "1399"})
    with Peer(service.port) as peer:
        peer.ask(asked)
        assert (await peer.hear())[:2] == b"\0\6"
        peer.ack(0)
        got = (await peer.hear())[4:]
        peer.ask(asked)
        while len(got) % 1399 == 0:
            peer.ack(len(got) // 1399)
            packet = await peer.hear()
            assert struct.unpack_from("!HH", packet) == (3, len(got) // 1399 + 1)
            got += packet[4:]
        assert got == content
        assert service.kinds() == ["tftp.started"]
        peer.ack(len(content) // 1399 + 1)
        await service.told("tftp.sent")

        peer.tid = None
        peer.ask(asked)
        await peer.hear()
        peer.ack(0)
        await peer.hear()
        [running] = service.tftp._running.values()
        running.transfer.heard -= 2
        peer.tid = None
        peer.ask(asked)
        assert (await peer.hear())[:2] == b"\0\6"
    assert "the same port" in (await service.told("tftp.failed")).message


async def test_repeated_request_starts_no_second_transfer(service: Service) -> None:
    with Peer(service.port) as peer:
        peer.ask(request(1, b"s513.bin"))
        first = await peer.hear()
        peer.ask(request(1, b"s513.bin"))
        assert await peer.hear() == first
    assert service.kinds() == ["tftp.started"]


async def test_a_machine_that_vanished_is_given_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "GIVE_UP", 0.3)
    monkeypatch.setattr(transfer, "RESEND", (0.1,))
    with Peer(service.port) as peer:
        peer.ask(request(1, b"seventy.bin"))
        await peer.hear()
        peer.ack(1)
        failed = await service.told("tftp.failed")
        assert failed.data["bytes"] == 512
        assert "stopped answering" in failed.message
    assert service.tftp.counters["failed"] == 1


async def test_a_closed_port_ends_the_transfer_at_once(service: Service) -> None:
    with Peer(service.port) as peer:
        peer.ask(request(1, b"seventy.bin"))
        await peer.hear()
    failed = await service.told("tftp.failed", 4)
    assert "closed its port" in failed.message


async def test_hold_answers_no_one(service: Service) -> None:
    service.folder.held = True
    with Peer(service.port) as peer:
        peer.ask(request(1, b"s513.bin"))
        assert await peer.silent()
    assert service.events == []


async def test_refusal_looks_like_a_missing_file(service: Service) -> None:
    with Peer(service.port) as peer:
        assert await peer.read(b"secret.ipxe") is None
        refused = peer.error
    with Peer(service.port) as peer:
        assert await peer.read(b"missing.ipxe") is None
        assert peer.error == refused
    told = await service.told("tftp.refused")
    # As the tree shows it: what was asked for may hold a token.
    assert (told.data["file"], told.data["why"]) == ("secret", "it is another machine's")


async def test_a_tree_that_fails_is_an_error_not_a_dead_service(service: Service) -> None:
    with Peer(service.port) as peer:
        assert await peer.read(b"broken") is None
    with Peer(service.port) as peer:
        assert await peer.read(b"memory.ipxe") == b"#!ipxe\necho one\r\n"
    assert (await service.told("tftp.sent")).data["bootenv"] == "x"


async def test_a_file_that_shrinks_while_it_is_sent_is_an_error(service: Service, root: Path) -> None:
    file = root / "large.bin"
    with file.open("wb") as large:
        large.truncate(6 << 20)
    with Peer(service.port) as peer:
        peer.ask(request(1, b"large.bin", options={"blksize": "1400"}))
        await peer.hear()
        with file.open("r+b") as large:
            large.truncate(100_000)
        block = 0
        while True:
            peer.ack(block)
            packet = await peer.hear()
            if packet[:2] == b"\0\5":
                break
            block += 1
    assert "shorter" in (await service.told("tftp.failed")).message


async def test_two_services_cannot_have_one_port(service: Service) -> None:
    other = Service(service.folder)
    other.tftp.port = service.port
    with pytest.raises(Exception, match="is taken by another program") as caught:
        await other.tftp.start()
    assert "ss -lunp" in str(caught.value)
    await asyncio.sleep(0)
