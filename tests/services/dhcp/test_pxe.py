"""Firmware over real sockets: beside dnsmasq as the segment's DHCP server, and on port 4011. The client is scapy's."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import netns
from tests.services.dhcp.lan import SUBNET, serving

pytestmark = pytest.mark.root

MAC = bytes.fromhex("525400000101")
GUID = bytes(1) + bytes(range(1, 17))
PROXY = {**SUBNET, "mode": "proxy", "ranges": []}
X64 = [("vendor_class_id", b"PXEClient:Arch:00007:UNDI:003016"), (93, b"\x00\x07")]
BIOS = [("vendor_class_id", b"PXEClient:Arch:00000:UNDI:002001"), (93, b"\x00\x00")]


@pytest.fixture
def lan() -> Iterator[netns.Segment]:
    with netns.segment("10.7.0.1/24", clients=2) as made:
        netns.run(made.clients[0], ["ip", "route", "add", "default", "dev", "eth0"])
        yield made


def message(kind: str, options: list[Any], **fields: Any) -> bytes:
    from scapy.layers.dhcp import BOOTP, DHCP

    known = {"op": 1, "xid": 0x1234, "chaddr": MAC, "flags": 0x8000, **fields}
    listed = [("message-type", kind), *options, (97, GUID), "end"]
    return bytes(BOOTP(**known) / DHCP(options=listed))


def options_of(octets: bytes) -> tuple[Any, dict[Any, Any]]:
    from scapy.layers.dhcp import BOOTP, DHCP

    reply = BOOTP(octets)
    return reply, {item[0]: item[1] for item in reply[DHCP].options if isinstance(item, tuple)}


def asking(octets: bytes, *, to: tuple[str, int], source: int, count: int) -> Callable[[], list[tuple[bytes, Any]]]:
    """Send from a port, collect `count` replies and wait half a second for one too many."""

    def ask() -> list[tuple[bytes, Any]]:
        found: list[tuple[bytes, Any]] = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
            udp.bind(("", source))
            udp.sendto(octets, to)
            udp.settimeout(10)
            while len(found) < count:
                found.append(udp.recvfrom(2000))
            udp.settimeout(0.5)
            with pytest.raises(TimeoutError):
                udp.recvfrom(2000)
        return found

    return ask


BROADCAST = ("255.255.255.255", 67)


@pytest.mark.parametrize(
    ("name", "options", "bootfile", "menu"),
    [
        ("X04 BIOS", BIOS, b"undionly.kpxe", bytes.fromhex("060108ff")),
        ("X10 UEFI x64", X64, b"ipxe.efi", None),
    ],
    ids=["bios", "uefi"],
)
def test_x01_boot_information_beside_another_server(
    lan: netns.Segment, tmp_path: Path, name: str, options: list[Any], bootfile: bytes, menu: bytes | None
) -> None:
    other = lan.clients[1]
    netns.run(other, ["ip", "address", "add", "10.7.0.2/24", "dev", "eth0"])
    argv = ["dnsmasq", "-d", "-C/dev/null", "-p0", "--no-ping", "--dhcp-leasefile=/dev/null"]
    with (
        netns.running(other, [*argv, "--dhcp-range=10.7.0.30,10.7.0.40"]),
        serving(lan.server, tmp_path, subnets=[PROXY]) as server,
    ):
        netns.until(lambda: "67" in netns.run(other, ["ss", "-lunH"]).stdout, what="dnsmasq listens")
        ask = asking(message("discover", options), to=BROADCAST, source=68, count=2)
        offers = {sender[0]: options_of(octets) for octets, sender in netns.call(lan.clients[0], ask)}
        assert sorted(offers) == ["10.7.0.1", "10.7.0.2"]
        ours, found = offers["10.7.0.1"]
        assert (ours.yiaddr, ours.siaddr, ours.xid, ours.file.rstrip(b"\0")) == (
            "0.0.0.0",
            "10.7.0.1",
            0x1234,
            bootfile,
        )
        assert found["message-type"] == 2
        assert found["server_id"] == "10.7.0.1"
        assert found["vendor_class_id"] == b"PXEClient"
        assert found.get("vendor_specific") == menu
        assert not {"lease_time", "subnet_mask", "router", "name_server", "renewal_time"} & set(found)
        assert server.wait("proxy.offer")["message"] == f"PXE OFFER file {bootfile.decode()}"

        # X06: the REQUEST for the other server's address is answered by that server alone; we remember whose it is.
        _, theirs = offers["10.7.0.2"]
        address = offers["10.7.0.2"][0].yiaddr
        taken = [*options, ("requested_addr", address), ("server_id", theirs["server_id"])]
        ask = asking(message("request", taken), to=BROADCAST, source=68, count=1)
        assert [sender[0] for _, sender in netns.call(lan.clients[0], ask)] == ["10.7.0.2"]
        assert server.wait("learned") == {"kind": "learned", "mac": "52:54:00:00:01:01", "address": address}


@pytest.mark.parametrize("source", [68, 4011])
def test_x07_x09_port_4011_answers_where_the_request_came_from(lan: netns.Segment, tmp_path: Path, source: int) -> None:
    netns.run(lan.clients[0], ["ip", "address", "add", "10.7.0.30/24", "dev", "eth0"])
    with serving(lan.server, tmp_path, subnets=[PROXY]) as server:
        asked = message("request", X64, ciaddr="10.7.0.30", flags=0)
        ask = asking(asked, to=("10.7.0.1", 4011), source=source, count=1)
        [(octets, sender)] = netns.call(lan.clients[0], ask)
        reply, found = options_of(octets)

        assert sender == ("10.7.0.1", 4011)
        assert (reply.yiaddr, reply.ciaddr, reply.file.rstrip(b"\0")) == ("0.0.0.0", "10.7.0.30", b"ipxe.efi")
        assert (found["message-type"], found["server_id"], found["vendor_class_id"]) == (5, "10.7.0.1", b"PXEClient")
        assert "lease_time" not in found
        ack = server.wait("proxy.ack")
        assert (ack["address"], ack["data"]["path"]) == ("10.7.0.30", "uefi-pxe")
        assert server.counters()["proxydhcp"]["acks"] == 1
