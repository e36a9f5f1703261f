"""The host's network interfaces, kept current from rtnetlink notifications; readable from any thread."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path
from typing import Any

from app.errors import BootcartError
from app.model.engine import Interface

log = logging.getLogger(__name__)

# rtnetlink(7): multicast groups for link, IPv4 address and IPv4 route changes.
_GROUPS = 0x1 | 0x10 | 0x40
# Changes come in bursts (link up, address, route): look once the burst is over.
_SETTLE = 0.05
# After a look that failed (seconds): an interface may have gone while it was read.
_FAILED = 2.0
_SYS = Path("/sys/class/net")
_INET6 = Path("/proc/net/if_inet6")
_DAD_FAILED, _TENTATIVE = 0x08, 0x40  # linux/if_addr.h


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        # sysfs answers EINVAL for `speed` and `carrier` of a link that is down.
        return ""


def _kind(link: dict[str, Any], sys: Path) -> str:
    info = str(link.get("linkinfo", {}).get("info_kind", ""))
    if link.get("link_type") == "loopback":
        return "loopback"
    if info == "tun":
        return "tap"
    if info:
        return info
    return "wireless" if (sys / link["ifname"] / "phy80211").exists() else "ethernet"


def parse(links: Sequence[dict[str, Any]], routes: Sequence[dict[str, Any]], sys: Path = _SYS) -> tuple[Interface, ...]:
    """`ip -j -d address` and `ip -j route show default` as Interfaces, in the kernel's order."""
    uplinks = {str(route.get("dev", "")) for route in routes}
    found: list[Interface] = []
    for link in links:
        name = str(link.get("ifname", ""))
        if not name:
            continue
        flags = link.get("flags", [])
        speed = _read(sys / name / "speed")
        driver = sys / name / "device" / "driver"
        mac = str(link.get("address", ""))
        found.append(
            Interface(
                name=name,
                index=int(link.get("ifindex", 0)),
                mac=mac if len(mac) == 17 and mac != "00:00:00:00:00:00" else None,
                addresses=tuple(
                    IPv4Interface(f"{a['local']}/{a['prefixlen']}")
                    for a in link.get("addr_info", [])
                    if a.get("family") == "inet"
                ),
                up="UP" in flags,
                link="LOWER_UP" in flags,
                speed=int(speed) if speed.isdigit() else 0,
                driver=driver.resolve().name if driver.exists() else "",
                kind=_kind(link, sys),
                uplink=name in uplinks,
            )
        )
    return tuple(found)


def holding6(address: IPv6Address, table: Path = _INET6) -> set[str]:
    """The interfaces that have an IPv6 address (proc(5), `/proc/net/if_inet6`).

    Several may have the same link-local one: the index in the address's scope, where there is one, tells which.
    """
    held: set[str] = set()
    for line in _read(table).splitlines():
        octets, index, _, _, _, name = line.split()
        if octets == address.packed.hex() and address.scope_id in (None, str(int(index, 16))):
            held.add(name)
    return held


def addresses6(table: Path = _INET6) -> dict[str, list[IPv6Interface]]:
    """The IPv6 addresses of each interface, those left out that are not proven to be its own yet (RFC 4862 5.4)."""
    found: dict[str, list[IPv6Interface]] = {}
    for line in _read(table).splitlines():
        octets, _, length, _, flags, name = line.split()
        if not int(flags, 16) & (_TENTATIVE | _DAD_FAILED):
            found.setdefault(name, []).append(IPv6Interface((int(octets, 16), int(length, 16))))
    return found


async def _ip(*arguments: str) -> list[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        "ip", "-j", "-d", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    if process.returncode != 0:
        raise BootcartError(
            f"`ip {' '.join(arguments)}` failed: {err.decode(errors='replace').strip()}", hint="is iproute2 installed?"
        )
    return json.loads(out or b"[]")


class InterfaceService:
    """Keeps `current()` true; `on_change(before, after)` is called in the loop after each change."""

    name = "interfaces"

    def __init__(self, on_change: Callable[[Sequence[Interface], Sequence[Interface]], None]) -> None:
        self._on_change = on_change
        self._current: tuple[Interface, ...] = ()
        self._socket: socket.socket | None = None
        self._refresh: asyncio.Task[None] | None = None
        # Something was told after the last look began.
        self._stale = False
        # One look at a time, so that none ends after one that began later.
        self._looking = asyncio.Lock()
        self.listening: tuple[str, ...] = ()
        self.counters: dict[str, int] = {"changes": 0}

    def current(self) -> tuple[Interface, ...]:
        """The newest known state; safe from any thread."""
        return self._current

    async def start(self) -> None:
        """Read the state once, then follow the kernel's notifications."""
        netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        netlink.bind((0, _GROUPS))
        self._socket = netlink
        self.listening = ("rtnetlink",)
        asyncio.get_running_loop().add_reader(netlink, self._notified, netlink)
        await self.refresh()

    async def stop(self) -> None:
        """Stop following."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        if self._refresh is not None:
            self._refresh.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._refresh
            self._refresh = None

    def _notified(self, netlink: socket.socket) -> None:
        try:
            while netlink.recv(65536):
                pass
        except BlockingIOError:
            pass
        except OSError as error:
            # ENOBUFS: the kernel dropped notifications; a full read below catches up with all of them.
            log.debug("rtnetlink: %s", error)
        self._stale = True
        if self._refresh is None or self._refresh.done():
            self._refresh = asyncio.get_running_loop().create_task(self._settled())

    async def _settled(self) -> None:
        while self._stale:
            await asyncio.sleep(_SETTLE)
            self._stale = False
            try:
                await self.refresh()
            except BootcartError as error:
                log.warning("cannot read the interfaces: %s", error)
                self._stale = True
                await asyncio.sleep(_FAILED)

    async def refresh(self) -> None:
        """Read the kernel's state now."""
        async with self._looking:
            links, routes = await asyncio.gather(_ip("address"), _ip("route", "show", "default"))
            before, self._current = self._current, parse(links, routes)
        if before != self._current:
            self.counters["changes"] += 1
            self._on_change(before, self._current)


def describe_changes(before: Sequence[Interface], after: Sequence[Interface]) -> list[tuple[str, str]]:
    """What changed between two states, as (interface, words)."""
    old, new = {i.name: i for i in before}, {i.name: i for i in after}
    renamed = renames(before, after)
    former = {now: name for name, now in renamed.items()}
    words: list[tuple[str, str]] = [
        (name, f"is now called {renamed[name]}" if name in renamed else "is gone") for name in old if name not in new
    ]
    for name, now in new.items():
        was = old.get(name)
        if was is None:
            words.append((name, f"was called {former[name]}" if name in former else "appeared"))
            continue
        if was.link != now.link:
            words.append((name, "has link" if now.link else "lost its link"))
        if was.addresses != now.addresses:
            gone = [str(a) for a in was.addresses if a not in now.addresses]
            came = [str(a) for a in now.addresses if a not in was.addresses]
            parts = ([f"lost {', '.join(gone)}"] if gone else []) + ([f"got {', '.join(came)}"] if came else [])
            if parts:
                words.append((name, " and ".join(parts)))
        if was.index != now.index:
            words.append((name, "was re-created"))
    return words


def renames(before: Sequence[Interface], after: Sequence[Interface]) -> dict[str, str]:
    """Interfaces that go by another name now: old name → new name. The kernel's index stays."""
    names = {interface.name for interface in after}
    by_index = {(interface.index, interface.mac): interface.name for interface in after}
    gone = [interface for interface in before if interface.name not in names]
    return {was.name: now for was in gone if (now := by_index.get((was.index, was.mac)))}
