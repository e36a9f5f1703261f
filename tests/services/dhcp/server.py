"""A DHCP server for tests, run as a program of its own in a namespace: the real services, the real lease journal.

`python -m tests.services.dhcp.server DATA_DIR WORLD_JSON`; says `ready`, then each event as a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.clock import SystemClock
from app.errors import BootcartError
from app.model.engine import Interface
from app.model.event import EventDraft
from app.model.machine import Machine
from app.model.subnet import Reservation, Subnet
from app.netboot.exchange import Policy
from app.services.dhcp import DhcpService, ProxyDhcpService
from app.services.interfaces import parse
from app.store.database import Database
from app.store.directory import Directory
from app.store.leases import LeaseJournal
from tests.netboot.dhcpworld import World


def _ip(*words: str) -> list[dict[str, Any]]:
    return json.loads(subprocess.run(["ip", "-j", "-d", *words], capture_output=True, text=True, check=True).stdout)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Interfaces:
    """The namespace's interfaces, read at most every half second by a thread of its own."""

    def __init__(self) -> None:
        self._known: tuple[Interface, ...] = parse(_ip("address"), [])
        self._stop = threading.Event()
        threading.Thread(target=self._follow, daemon=True).start()

    def current(self) -> Sequence[Interface]:
        return self._known

    def _follow(self) -> None:
        while not self._stop.wait(0.5):
            found = parse(_ip("address"), [])
            if found != self._known:
                self._known = found


async def serve(data_dir: Path, told: dict[str, Any]) -> int:
    clock = SystemClock()
    database = Database.open(data_dir)
    directory = Directory(database, clock)
    journal = LeaseJournal(database, directory)
    world = World(
        nets=[Subnet.model_validate(item) for item in told.get("subnets", [])],
        reserved=[Reservation.model_validate(item) for item in told.get("reservations", [])],
        machines=[Machine.model_validate(item) for item in told.get("machines", [])],
        prefs=told.get("prefs", {}),
    )
    interfaces = Interfaces()

    def emit(event: EventDraft) -> None:
        _say(event.model_dump_json())

    policy = Policy(ceiling=told.get("ceiling", "authoritative"))
    allowed = tuple(told.get("allowed", ()))
    dhcp = DhcpService(
        view=world,
        journal=journal,
        leases=journal.load,
        interfaces=interfaces.current,
        emit=emit,
        clock=clock,
        policy=policy,
        allowed=allowed,
        probe_seconds=told.get("probe_seconds", 0),
        on_learned=lambda mac, address: _say(json.dumps({"kind": "learned", "mac": mac, "address": str(address)})),
    )
    boot = ProxyDhcpService(
        view=world, interfaces=interfaces.current, emit=emit, clock=clock, policy=policy, allowed=allowed
    )
    try:
        await dhcp.start()
        await boot.start()
    except BootcartError as error:
        _say(json.dumps({"kind": "failed", "message": error.message, "hint": error.hint}))
        return 1
    _say(json.dumps({"kind": "ready", "listening": [*dhcp.listening, *boot.listening]}))
    # Ends when standard input does; a line asks for the counters.
    while line := await asyncio.to_thread(sys.stdin.readline):
        del line
        _say(json.dumps({"kind": "counters", "dhcp": dhcp.counters, "proxydhcp": boot.counters}))
    await boot.stop()
    await dhcp.stop()
    database.close()
    return 0


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr)
    sys.exit(asyncio.run(serve(Path(sys.argv[1]), json.loads(sys.argv[2]))))
