"""What operators are shown: a capture that others can read, packets taken apart, nothing secret in either."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from app.errors import NotFoundError
from app.model.event import Event
from app.netboot.token import KEY_BYTES, Claims, TokenKind, mint
from app.netboot.wire import options as opt
from app.netboot.wire import tftp
from app.netboot.wire.dhcp4 import MessageType
from app.services.recorder.reader import GONE
from tests.netboot.dhcpworld import MAC, OTHER, machine, pxe, request
from tests.services.recorder.wire import Wire

NODE = machine()


def booted() -> Wire:
    """A boot as far as its script."""
    wire = Wire()
    address = wire.dora()
    reader, port = (address, 2070), ("10.7.0.1", 49152)
    accepted = {"blksize": "1468"}
    for heard in (
        (True, b"\0\1ipxe.efi\0octet\0blksize\x001468\0", ("10.7.0.1", 69)),
        (False, tftp.oack(accepted), port),
    ):
        wire.recorder.heard("tftp", heard[0], heard[1], reader, heard[2])
    wire.recorder.heard("tftp", True, b"\0\4\2\xcb", reader, port, note="1.0 MB in 715 blocks, which are not kept")
    client, us = (address, 40000), ("10.7.0.1", 8090)
    wire.recorder.heard("http", True, b"GET /machines/x.ipxe HTTP/1.1\r\nHost: 10.7.0.1\r\n\r\n", client, us)
    wire.recorder.heard("http", False, b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", client, us, skipped=500)
    wire.recorder.heard("http", True, b"GET /vmlinuz HTTP/1.1\r\nHost: 10.7.0.1\r\n\r\n", client, us)
    return wire


def opened(octets: bytes, tmp_path: Path) -> list[Any]:
    """The frames of a capture, as scapy reads them."""
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.l2 import Ether
    from scapy.utils import PcapNgReader

    path = tmp_path / "node-07.pcapng"
    path.write_bytes(octets)
    with PcapNgReader(str(path)) as reader:
        found = list(reader)
    for frame in found:
        # scapy fills in what is taken away; the same must come out.
        again = Ether(bytes(frame))
        del again[IP].chksum, again[IP].len
        del again[TCP if TCP in again else UDP].chksum
        assert bytes(again) == bytes(frame)
    return found


def test_the_capture_of_a_boot_is_read_by_others(tmp_path: Path) -> None:
    from scapy.layers.dhcp import DHCP
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.l2 import Ether

    found = opened(booted().reader.capture(NODE), tmp_path)

    kinds = [dict(one for one in frame[DHCP].options if len(one) == 2)["message-type"] for frame in found[:4]]
    assert kinds == [1, 2, 3, 5]
    assert [(frame[Ether].src, frame[Ether].dst) for frame in found[:2]] == [
        (MAC, "ff:ff:ff:ff:ff:ff"),
        ("52:54:00:00:00:01", MAC),
    ]
    assert [(frame[IP].src, frame[UDP].sport, frame[IP].dst, frame[UDP].dport) for frame in found[4:6]] == [
        ("10.7.0.100", 2070, "10.7.0.1", 69),
        ("10.7.0.1", 49152, "10.7.0.100", 2070),
    ]
    assert bytes(found[6][UDP].payload) == b"\0\4\2\xcb"
    request_head, answer, next_head = found[7:]
    assert bytes(answer[TCP].payload).startswith(b"HTTP/1.1 200 OK")
    assert request_head[TCP].seq + len(request_head[TCP].payload) == answer[TCP].ack == next_head[TCP].seq
    # The body is not there, and a reader can see how much is missing.
    assert next_head[TCP].ack == answer[TCP].seq + len(answer[TCP].payload) + 500
    assert {frame.sniffed_on for frame in found} == {"eth0"}


def test_the_capture_says_what_was_decided(tmp_path: Path) -> None:
    wire = booted()
    found = opened(wire.reader.capture(NODE), tmp_path)

    comments = [b" ".join(getattr(frame, "comments", None) or []).decode() for frame in found]
    assert comments[0].startswith(wire.event("dhcp.discover").message)
    assert comments[1] == wire.event("dhcp.offer").message
    assert comments[3] == wire.event("dhcp.ack").message
    assert comments[6] == "1.0 MB in 715 blocks, which are not kept"
    assert comments[8] == "500 octets that followed are not kept"


def test_the_last_boots_alone(tmp_path: Path) -> None:
    wire = booted()
    wire.bench.now += 60
    wire.dora(xid=2)

    assert len(opened(wire.reader.capture(NODE, 1), tmp_path)) == 4
    assert len(opened(wire.reader.capture(NODE, 2), tmp_path)) == 14
    assert [packet.boot for packet in wire.reader.packets(NODE)] == [2] * 10 + [1] * 4


def test_a_machine_that_was_not_heard_has_none() -> None:
    with pytest.raises(NotFoundError) as raised:
        Wire().reader.capture(NODE)

    assert raised.value.hint


def test_packets_are_told_in_a_few_words() -> None:
    told = [packet.summary for packet in booted().reader.packets(NODE)]

    assert told[0] == "DISCOVER xid 11223344 rom"
    assert told[1].startswith("OFFER xid 11223344 10.7.0.100 file ")
    assert told[2] == "REQUEST xid 11223344 rom wants 10.7.0.100"
    assert told[4:7] == [
        "RRQ ipxe.efi octet blksize=1468",
        "OACK blksize=1468",
        "ACK 715; 1.0 MB in 715 blocks, which are not kept",
    ]
    assert told[7:9] == ["GET /machines/x.ipxe HTTP/1.1", "HTTP/1.1 200 OK"]


def test_nothing_secret_is_shown(tmp_path: Path) -> None:
    wire = Wire()
    address = wire.dora()
    token = mint(Claims(TokenKind.MACHINE, MAC, IPv4Address(address), 2e9), bytes(KEY_BYTES))
    head = f"GET /answers/{token}/preseed.cfg HTTP/1.1\r\nAuthorization: Bearer {token}\r\nCookie: sesam\r\n\r\n"
    wire.recorder.heard("http", True, head.encode(), (address, 40000), ("10.7.0.1", 8090))
    basic = b"GET / HTTP/1.1\r\nAUTHORIZATION: Basic c2VzYW0=\r\n\r\n"
    wire.recorder.heard("http", True, basic, (address, 40000), ("10.7.0.1", 8090))
    wire.recorder.heard("tftp", True, f"\0\1answers/{token}/x\0octet\0".encode(), (address, 2070), ("10.7.0.1", 69))
    capture = wire.reader.capture(NODE)
    listed = " ".join(packet.summary for packet in wire.reader.packets(NODE))

    for part in (*token.split("."), "sesam", "c2VzYW0="):
        assert part.encode() not in capture
        assert part not in listed
    frames = opened(capture, tmp_path)
    assert len(bytes(frames[4].lastlayer())) == len(head)
    assert b"/preseed.cfg HTTP/1.1" in capture


def exchange(wire: Wire, kind: str) -> Any:
    return wire.reader.exchange(wire.event(kind))


def test_an_exchange_is_taken_apart() -> None:
    wire = booted()
    found = exchange(wire, "dhcp.offer")

    assert found.why == ""
    asked, answered = ("\n".join(one.lines) for one in (found.request, found.reply))
    assert found.request.lines[:4] == (
        "Ethernet  52:54:00:00:00:07 > ff:ff:ff:ff:ff:ff",
        "IPv4      0.0.0.0 > 255.255.255.255",
        "UDP       68 > 67",
        "BOOTP",
    )
    assert "DHCP options" in found.reply.lines
    assert "53  dhcp-message-type       DISCOVER" in asked
    assert "93  " in asked
    assert "7 (UEFI x64)" in asked
    assert "  yiaddr    10.7.0.100" in answered
    assert "53  dhcp-message-type       OFFER" in answered
    assert "54  dhcp-server-identifier  10.7.0.1" in answered
    assert found.request.dump[0].startswith("0000  01 01 06 00 11 22 33 44")


def test_any_packet_is_taken_apart_by_its_number() -> None:
    wire = booted()
    asked, head = wire.reader.packet(NODE, 5), wire.reader.packet(NODE, 8)

    assert (asked.number, asked.summary) == (5, "RRQ ipxe.efi octet blksize=1468")
    assert "  blksize   1468" in asked.lines
    assert head.lines[-2:] == ("  GET /machines/x.ipxe HTTP/1.1", "  Host: 10.7.0.1")
    with pytest.raises(NotFoundError):
        wire.reader.packet(NODE, 99)


def test_silence_says_why() -> None:
    wire = Wire()
    wire.bench.world.nets.clear()
    wire.ask(request(options=pxe(7)))
    found = exchange(wire, "dhcp.silent")

    assert found.request is not None
    assert found.reply is None
    assert found.why == f"nothing was sent: {found.event.data['why']}"


def test_what_is_gone_is_said_to_be() -> None:
    wire = booted()
    event = wire.event("dhcp.offer").model_copy(update={"mac": OTHER})

    assert wire.reader.exchange(event).why == GONE


CUT = request().encode()[:240] + b"\x35\x01\x01\x37\xf0\x01"


@pytest.mark.parametrize(
    ("octets", "why", "line"),
    [
        (b"nonsense", "8 octets are too few for a DHCP message", "UDP       68 > 67"),
        (CUT, "option 55 runs 239 octets past the end", "  ! option 55 runs 239 octets past the end"),
        (b"\x01\x01\x06\0" + bytes(400), "no DHCP magic cookie", "BOOTP"),
        (b"\xff" * 1400, "no DHCP magic cookie", "UDP       68 > 67"),
    ],
    ids=["short", "cut", "bootp", "ones"],
)
def test_what_is_malformed_is_shown_with_the_reason(octets: bytes, why: str, line: str) -> None:
    wire = Wire()
    wire.hear(octets)
    event = Event(id=1, time=wire.now(), kind="dhcp.malformed", message="", data={"why": why})
    found = wire.reader.exchange(event)

    assert found.request is not None
    assert found.request.fault == why
    assert line in found.request.lines
    assert "".join(row[6:54].replace(" ", "") for row in found.request.dump) == octets.hex()


def test_options_in_other_fields_are_shown_there() -> None:
    wire = Wire()
    packet = bytearray(request().encode())
    packet[108:114] = b"\x0c\x04host"
    packet[114] = 255
    packet[240:247] = b"\x35\x01\x01\x34\x01\x01\xff"
    wire.hear(bytes(packet))
    event = Event(id=1, time=wire.now(), kind="dhcp.discover", message="", mac=MAC, data={"xid": "11223344"})
    found = wire.reader.exchange(event)

    assert found.request is not None
    at = found.request.lines.index("DHCP options in file")
    assert found.request.lines[at + 1] == "  12  host-name               host"


@pytest.mark.parametrize("kind", list(MessageType))
def test_every_kind_of_message_can_be_taken_apart(kind: MessageType) -> None:
    wire = Wire()
    wire.hear(request(kind, options={**pxe(0), opt.RELAY_AGENT: b"\x01\x03abc", 43: b"\x06\x01\x08\xff"}).encode())
    event = Event(id=1, time=wire.now(), kind="dhcp.silent", message="", mac=MAC, data={"xid": "11223344"})

    found = wire.reader.exchange(event)
    assert found.request is not None
    assert f"  53  dhcp-message-type       {kind.name}" in found.request.lines
