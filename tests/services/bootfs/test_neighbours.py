"""Readers over IPv6: whose card an address is on, and what they are given."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address

import pytest

from app.netboot.bootpath import Refusal, Served
from app.services.bootfs.neighbours import ndisc, parse_neighbours
from tests import netns
from tests.services.bootfs.world import World

CARD = "52:54:00:00:00:07"
# RTM_NEWNEIGH of fd00:7::9 (NDA_DST, NDA_LLADDR, reachable), as `ip -6 neigh` is told on a little-endian host.
TOLD = bytes.fromhex(
    "3c0000001c00020001000000000000000a0000000200000002000001"
    "14000100fd000007000000000000000000000009"
    "0a000200525400000007"
    "0000"
)
DONE = bytes.fromhex("1400000003000200010000000000000000000000")


def test_the_kernels_words_are_read() -> None:
    assert parse_neighbours(TOLD + DONE) == ({IPv6Address("fd00:7::9"): CARD}, True)
    assert parse_neighbours(TOLD)[1] is False
    failed = TOLD[:24] + b"\x20" + TOLD[25:]
    assert parse_neighbours(failed + DONE) == ({}, True)


@pytest.mark.parametrize("octets", [b"", b"\0" * 16, TOLD[:30], b"\xff" * 60], ids=["none", "zero", "cut", "ones"])
def test_odd_octets_are_survived(octets: bytes) -> None:
    assert parse_neighbours(octets)[0] == {}


@pytest.mark.root
def test_the_kernel_is_asked() -> None:
    with netns.namespace("a") as a, netns.namespace("b") as b:
        for ns in (a, b):
            netns.run(ns, ["sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0"])
        netns.link(a, "eth0", b, "eth0", peer_mac=CARD, address="fd00:7::1/64", peer_address="fd00:7::9/64")
        netns.call(b, _speak)

        def known() -> str | None:
            return netns.call(a, ndisc).get(IPv6Address("fd00:7::9"))

        assert netns.until(known, what="the neighbour is known") == CARD


def _speak() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", ("fd00:7::1", 9))


def test_what_is_made_for_one_machine_takes_ipv4(world: World) -> None:
    for path in ("boot/52-54-00-00-00-07.ipxe", "answers/secret-token/preseed.cfg", "reports/secret-token/done"):
        found = world.tree.shared(path)
        assert isinstance(found, Refusal)
        assert "IPv4" in found.why
        assert "secret-token" not in found.path
    assert world.tree.shared("autoexec.ipxe") is None
    assert world.tree.shared("nothing.here") is None


def test_files_are_given_to_anybody(world: World) -> None:
    found = world.tree.shared("ipxe.efi")
    assert isinstance(found, Served)
    assert found.file == world.artefacts / "loaders" / "ipxe.efi"
