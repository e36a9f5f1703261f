"""Interfaces: parsed from the kernel's answers, followed live in a namespace."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from ipaddress import IPv4Interface, IPv6Address
from pathlib import Path
from typing import Any

import pytest

from app.model.engine import Interface
from app.services.interfaces import InterfaceService, addresses6, describe_changes, holding6, parse
from tests import netns

LINKS = [
    {
        "ifindex": 1,
        "ifname": "lo",
        "flags": ["LOOPBACK", "UP", "LOWER_UP"],
        "link_type": "loopback",
        "address": "00:00:00:00:00:00",
    },
    {
        "ifindex": 2,
        "ifname": "eth1",
        "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
        "link_type": "ether",
        "address": "52:54:00:00:00:01",
        "addr_info": [
            {"family": "inet", "local": "10.7.0.1", "prefixlen": 24},
            {"family": "inet6", "local": "fe80::1", "prefixlen": 64},
        ],
    },
    {
        "ifindex": 3,
        "ifname": "br0",
        "flags": ["UP"],
        "link_type": "ether",
        "address": "52:54:00:00:00:02",
        "linkinfo": {"info_kind": "bridge"},
    },
    {
        "ifindex": 4,
        "ifname": "tap0",
        "flags": [],
        "link_type": "ether",
        "address": "52:54:00:00:00:03",
        "linkinfo": {"info_kind": "tun"},
    },
    {"ifindex": 5, "ifname": "wlp1s0", "flags": [], "link_type": "ether", "address": "52:54:00:00:00:04"},
    {},
]


def sysfs(tmp_path: Path) -> Path:
    (tmp_path / "eth1/device").mkdir(parents=True)
    (tmp_path / "eth1/speed").write_text("10000\n")
    (tmp_path / "drivers/ixgbe").mkdir(parents=True)
    (tmp_path / "eth1/device/driver").symlink_to(tmp_path / "drivers/ixgbe")
    (tmp_path / "wlp1s0/phy80211").mkdir(parents=True)
    (tmp_path / "br0").mkdir()
    (tmp_path / "br0/speed").write_text("-1\n")
    return tmp_path


def test_kinds_speed_driver_and_uplink(tmp_path: Path) -> None:
    lo, eth1, br0, tap0, wifi = parse(LINKS, [{"dst": "default", "dev": "eth1"}], sysfs(tmp_path))

    assert [i.kind for i in (lo, eth1, br0, tap0, wifi)] == ["loopback", "ethernet", "bridge", "tap", "wireless"]
    assert lo.mac is None
    assert (eth1.speed, eth1.driver, eth1.uplink, eth1.link) == (10000, "ixgbe", True, True)
    assert eth1.addresses == (IPv4Interface("10.7.0.1/24"),)
    assert (br0.speed, br0.up, br0.link, br0.uplink) == (0, True, False, False)


ETH = Interface(name="eth1", index=2, link=True, addresses=(IPv4Interface("10.7.0.1/24"),))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ([ETH], [ETH], []),
        ([ETH], [], [("eth1", "is gone")]),
        ([], [ETH], [("eth1", "appeared")]),
        ([ETH], [ETH.model_copy(update={"link": False})], [("eth1", "lost its link")]),
        ([ETH.model_copy(update={"link": False})], [ETH], [("eth1", "has link")]),
        ([ETH], [ETH.model_copy(update={"index": 9})], [("eth1", "was re-created")]),
        (
            [ETH],
            [ETH.model_copy(update={"addresses": (IPv4Interface("10.8.0.1/24"),)})],
            [("eth1", "lost 10.7.0.1/24 and got 10.8.0.1/24")],
        ),
    ],
)
def test_changes_in_words(before: list[Interface], after: list[Interface], words: list[tuple[str, str]]) -> None:
    assert describe_changes(before, after) == words


@pytest.mark.root
def test_the_kernels_changes_are_followed() -> None:
    async def follow(server: str, steps: Sequence[Sequence[str]]) -> list[str]:
        heard: list[str] = []
        changed = asyncio.Event()

        def note(before: Sequence[Interface], after: Sequence[Interface]) -> None:
            heard.extend(f"{name} {what}" for name, what in describe_changes(before, after))
            changed.set()

        service = InterfaceService(note)
        await service.start()
        assert {i.name for i in service.current()} >= {"lo", "eth0"}
        heard.clear()
        try:
            for step in steps:
                changed.clear()
                await asyncio.to_thread(netns.run, server, ["ip", *step])
                await asyncio.wait_for(changed.wait(), 20)
        finally:
            await service.stop()
        return heard

    with netns.segment("10.7.0.1/24") as lan:
        steps = (
            ["address", "add", "10.8.0.1/24", "dev", "eth0"],
            ["address", "del", "10.7.0.1/24", "dev", "eth0"],
            ["link", "delete", "eth0"],
        )
        heard = netns.call(lan.server, lambda: asyncio.run(follow(lan.server, steps)))

    assert heard[0] == "eth0 got 10.8.0.1/24"
    assert "eth0 lost 10.7.0.1/24" in heard
    assert heard[-1] == "eth0 is gone"


@pytest.mark.root
def test_f08_a_change_during_a_look_is_seen_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel tells while its state is being read, and never again: the link must not seem down for ever."""
    looks = itertools.count(1)
    reading, read_on = asyncio.Event(), asyncio.Event()

    async def slow(*words: str) -> list[dict[str, Any]]:
        if words[0] != "address":
            return []
        look = next(looks)
        if look == 2:
            reading.set()
            await read_on.wait()
        return [{"ifname": "eth0", "ifindex": 2, "flags": ["UP", "LOWER_UP"] if look > 2 else []}]

    async def follow(server: str) -> bool:
        up = asyncio.Event()
        service = InterfaceService(lambda _, after: up.set() if after[0].link else None)
        await service.start()
        try:
            await asyncio.to_thread(netns.run, server, ["ip", "address", "add", "10.8.0.1/24", "dev", "eth0"])
            await asyncio.wait_for(reading.wait(), 20)
            await asyncio.to_thread(netns.run, server, ["ip", "address", "add", "10.8.0.2/24", "dev", "eth0"])
            read_on.set()
            await asyncio.wait_for(up.wait(), 20)
        finally:
            await service.stop()
        return service.current()[0].link

    monkeypatch.setattr("app.services.interfaces._ip", slow)
    with netns.segment("10.7.0.1/24") as lan:
        assert netns.call(lan.server, lambda: asyncio.run(follow(lan.server)))


def test_who_holds_an_ipv6_address(tmp_path: Path) -> None:
    table = tmp_path / "if_inet6"
    table.write_text(
        "fd000007000000000000000000000001 02 40 00 80     eth0\n"
        "fe800000000000000000000000000001 02 40 20 80     eth0\n"
        "fe800000000000000000000000000001 0a 40 20 80     eth1\n"
    )

    assert holding6(IPv6Address("fd00:7::1"), table) == {"eth0"}
    assert holding6(IPv6Address("fe80::1%10"), table) == {"eth1"}
    assert holding6(IPv6Address("fe80::1"), table) == {"eth0", "eth1"}
    assert holding6(IPv6Address("fd00:7::2"), table) == set()
    assert holding6(IPv6Address("::1"), tmp_path / "none") == set()


def test_the_ipv6_addresses_of_each_interface(tmp_path: Path) -> None:
    table = tmp_path / "if_inet6"
    table.write_text(
        "fd000007000000000000000000000001 02 40 00 80     eth0\n"
        "fe800000000000000000000000000001 02 40 20 80     eth0\n"
        "fd000008000000000000000000000001 0a 40 00 40     eth1\n"
        "fd000009000000000000000000000001 0b 40 00 88     eth2\n"
    )

    found = addresses6(table)
    assert {name: [str(each) for each in held] for name, held in found.items()} == {
        "eth0": ["fd00:7::1/64", "fe80::1/64"]
    }, "what is not proven to be ours yet, or is another's, is left out"
    assert addresses6(tmp_path / "none") == {}
