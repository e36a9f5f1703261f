"""The codec against scapy's, an implementation we did not write."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.netboot.wire import options as opt
from app.netboot.wire.dhcp4 import DhcpPacket, MessageType, decode

scapy_dhcp = pytest.importorskip("scapy.layers.dhcp")


def _scapy_options(packet: Any) -> dict[str, Any]:
    return {item[0]: item[1] for item in packet[scapy_dhcp.DHCP].options if isinstance(item, tuple)}


@settings(max_examples=25, deadline=None)
@given(
    xid=st.integers(0, 0xFFFFFFFF),
    chaddr=st.binary(min_size=6, max_size=6),
    yiaddr=st.integers(0, 0xFFFFFFFF),
    hostname=st.from_regex(r"[a-z][a-z0-9-]{0,40}", fullmatch=True),
    flags=st.integers(0, 0xFFFF),
)
def test_scapy_reads_what_we_write(xid: int, chaddr: bytes, yiaddr: int, hostname: str, flags: int) -> None:
    packet = DhcpPacket(
        op=2,
        xid=xid,
        chaddr=chaddr,
        flags=flags,
        yiaddr=IPv4Address(yiaddr),
        file=b"undionly.kpxe",
        options={
            opt.MESSAGE_TYPE: b"\x05",
            opt.SERVER_ID: bytes((10, 7, 0, 1)),
            opt.LEASE_TIME: opt.seconds(3600),
            opt.SUBNET_MASK: bytes((255, 255, 255, 0)),
            opt.HOST_NAME: hostname.encode(),
        },
    )
    read: Any = scapy_dhcp.BOOTP(packet.encode())
    found = _scapy_options(read)

    assert (read.op, read.xid, int(read.flags), read.yiaddr) == (2, xid, flags, str(IPv4Address(yiaddr)))
    assert read.chaddr[:6] == chaddr
    assert read.file.rstrip(b"\0") == b"undionly.kpxe"
    assert found["message-type"] == MessageType.ACK
    assert found["server_id"] == "10.7.0.1"
    assert found["lease_time"] == 3600
    assert found["subnet_mask"] == "255.255.255.0"
    assert found["hostname"] == hostname.encode()


@settings(max_examples=25, deadline=None)
@given(
    xid=st.integers(0, 0xFFFFFFFF),
    secs=st.integers(0, 0xFFFF),
    vendor=st.binary(min_size=1, max_size=40),
    requested=st.integers(0, 0xFFFFFFFF),
)
def test_we_read_what_scapy_writes(xid: int, secs: int, vendor: bytes, requested: int) -> None:
    written: Any = scapy_dhcp.BOOTP(
        op=1, xid=xid, secs=secs, chaddr=bytes(range(1, 7)), flags=0x8000
    ) / scapy_dhcp.DHCP(
        options=[
            ("message-type", "discover"),
            ("vendor_class_id", vendor),
            ("requested_addr", str(IPv4Address(requested))),
            ("param_req_list", [1, 3, 6, 67]),
            "pad",
            "end",
        ]
    )
    packet = decode(bytes(written))

    assert (packet.op, packet.xid, packet.secs, packet.broadcast) == (1, xid, secs, True)
    assert packet.message is MessageType.DISCOVER
    assert packet.options[opt.VENDOR_CLASS] == vendor
    assert packet.address(opt.REQUESTED_ADDRESS) == IPv4Address(requested)
    assert packet.options[opt.PARAMETERS] == bytes((1, 3, 6, 67))
