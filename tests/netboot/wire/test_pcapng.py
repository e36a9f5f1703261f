"""Captures read back by scapy, which knows nothing of this program: frames, times, checksums."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from app.netboot.wire import segments
from app.netboot.wire.pcapng import Frame, capture
from app.netboot.wire.segments import End

MACHINE, US = "52:54:00:00:00:07", "52:54:00:00:00:01"


def ends(one: str, other: str, port: int = 67) -> tuple[End, End]:
    return End(MACHINE, ip_address(one), 68), End(US, ip_address(other), port)


def read(path: Path, *frames: Frame, **about: str) -> list[Any]:
    from scapy.utils import PcapNgReader

    path.write_bytes(capture(frames, **about))
    with PcapNgReader(str(path)) as reader:
        return list(reader)


def test_frames_come_back_with_their_times_interfaces_and_comments(tmp_path: Path) -> None:
    machine, us = ends("0.0.0.0", "255.255.255.255")
    request, reply = segments.udp(machine, us, b"asked"), segments.udp(us, machine, b"answered")

    first, second = read(
        tmp_path / "two.pcapng",
        Frame(1_700_000_000.25, "eth1", True, request, "DISCOVER"),
        Frame(1_700_000_000.251, "eth1.7", False, reply, "no answer: giaddr 10.9.0.1 is unknown"),
        application="Bootcart",
        comment="node-07",
    )

    assert [bytes(one) for one in (first, second)] == [request, reply]
    assert (float(first.time), float(second.time)) == pytest.approx((1_700_000_000.25, 1_700_000_000.251), abs=1e-6)
    assert (first.sniffed_on, second.sniffed_on) == ("eth1", "eth1.7")
    assert (first.direction, second.direction) == (1, 2)
    assert second.comments == [b"no answer: giaddr 10.9.0.1 is unknown"]


def test_an_empty_capture_is_a_file_all_the_same(tmp_path: Path) -> None:
    assert read(tmp_path / "none.pcapng") == []


@pytest.mark.parametrize(("one", "other"), [("10.7.0.107", "10.7.0.1"), ("fd00::7", "fd00::1")], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("payload", [b"", b"x", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 1401], ids=len)
def test_checksums_and_lengths_are_right(one: str, other: str, payload: bytes) -> None:
    from scapy.compat import raw
    from scapy.layers.inet import TCP, UDP
    from scapy.layers.l2 import Ether

    machine, us = ends(one, other, 8090)
    for frame, kind in (
        (segments.udp(machine, us, payload), UDP),
        (segments.tcp(machine, us, 2**32 + 5, 7, payload), TCP),
    ):
        found = Ether(frame)
        told = found[kind].chksum
        # scapy computes what is missing.
        for layer in (found.payload, found[kind]):
            for field in ("chksum", "len", "plen"):
                if field in layer.fields:
                    del layer.fields[field]
        again = Ether(raw(found))

        assert raw(again) == frame
        assert again[kind].chksum == told
        assert (found.src, found.dst) == (MACHINE, US)
        assert raw(found[kind].payload) == payload
    assert (found[TCP].seq, found[TCP].ack, str(found[TCP].flags)) == (5, 7, "PA")
