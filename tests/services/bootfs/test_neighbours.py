"""Readers over IPv6: whose card an address is on, and what they are given."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address

import pytest

from app.model.subnet6 import Lease6
from app.netboot.bootpath import FileRequest, Refusal, Served
from app.netboot.token import Claims, TokenKind, TokenRefusedError, mint, verify
from app.services.bootfs.neighbours import ndisc, parse_neighbours
from tests import netns
from tests.services.bootfs.world import ID, KEY, MAC, OTHER, World

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


def test_what_is_made_for_one_machine_is_not_given_by_tftp_over_ipv6(world: World) -> None:
    for path in ("boot/52-54-00-00-00-07.ipxe", "answers/secret-token/preseed.cfg", "reports/secret-token/done"):
        found = world.tree.shared(path)
        assert isinstance(found, Refusal)
        assert found.why == "over IPv6 it is given by HTTP alone"
        assert "secret-token" not in found.path
    assert world.tree.shared("autoexec.ipxe") is None
    assert world.tree.shared("nothing.here") is None


def test_files_are_given_to_anybody(world: World) -> None:
    found = world.tree.shared("ipxe.efi")
    assert isinstance(found, Served)
    assert found.file == world.artefacts / "loaders" / "ipxe.efi"


HERE6, OUR6 = IPv6Address("fd00:7::100"), IPv6Address("fd00:7::1")


def _leased(mac: str, *, proven: bool) -> Lease6:
    return Lease6(address=HERE6, mac=mac, client_id="0004", proven=proven, since=1000.0, expires=9000.0, subnet="six")


SCRIPTS: list[tuple[str, dict[IPv6Address, str], Lease6 | None, bool]] = [
    ("its neighbour entry", {HERE6: MAC}, None, True),
    ("another's neighbour entry", {HERE6: OTHER}, _leased(MAC, proven=True), False),
    ("behind a router, by its relay", {}, _leased(MAC, proven=True), True),
    ("behind a router, by its own word", {}, _leased(MAC, proven=False), False),
    ("behind a router, another's lease", {}, _leased(OTHER, proven=True), False),
    ("a stranger", {}, None, False),
]


@pytest.mark.parametrize(("why", "table", "lease", "given"), SCRIPTS, ids=[each[0] for each in SCRIPTS])
def test_n25_over_ipv6_a_script_goes_to_the_card_it_is_for(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    why: str,
    table: dict[IPv6Address, str],
    lease: Lease6 | None,
    given: bool,
) -> None:
    monkeypatch.setattr(world.tree, "_ndisc", lambda: table)
    if lease is not None:
        world.view.leases6[HERE6] = lease
    found = world.tree.resolve(FileRequest("boot/52-54-00-00-00-07.ipxe", HERE6, OUR6))
    assert isinstance(found, Served if given else Refusal)
    if isinstance(found, Served):
        assert found.body is not None
        assert b"http://[fd00:7::1]:8090/discovery/amd64/vmlinuz" in found.body
    assert world.tree.resolve(FileRequest("autoexec.ipxe", HERE6, OUR6)) is None
    assert world.tree.mac_of(HERE6) == (table.get(HERE6) or (lease.mac if lease is not None else ""))


def test_a_token_given_over_ipv6_is_good_for_that_address_and_lease(world: World) -> None:
    world.view.leases6[HERE6] = _leased(MAC, proven=True)
    claims = Claims(TokenKind.MACHINE, MAC, HERE6, 5000.0, since=1000.0, machine=str(ID))
    token = mint(claims, KEY)
    lease = world.view.holder_of(HERE6)
    assert verify(token, KEY, now=2000.0, address=HERE6, lease=lease) == claims
    for address, held in ((OUR6, lease), (HERE6, None), (HERE6, _leased(OTHER, proven=True))):
        with pytest.raises(TokenRefusedError):
            verify(token, KEY, now=2000.0, address=address, lease=held)
