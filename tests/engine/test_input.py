"""Input that cannot be, through the command line to the whole engine: what is said, which code, nothing saved."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli.main import main
from tests import netns
from tests.engine.process import ROOT, Engine, environment, folder, running

# What cannot be parsed or breaks a rule: 2; what is not there: 3; what is in the way: 4 (app.errors).
INVALID, MISSING, CONFLICT = 2, 3, 4
FORBIDDEN = 5
DATAGRAM = socket.SOCK_DGRAM

NINE = ("subnets", "create", "nine", "--cidr", "10.9.0.0/24")
TABLE: list[tuple[tuple[str, ...], int, str]] = [
    # Subnets: overlapping, impossible, twice.
    (("subnets", "create", "other", "--cidr", "10.7.0.128/25", "--range", "10.7.0.130-10.7.0.140"), CONFLICT,
     "cidr: 10.7.0.128/25 overlaps subnet rack7 (10.7.0.0/24) (choose another network"),
    (("subnets", "create", "RACK7", "--cidr", "10.9.0.0/24", "--range", "10.9.0.10-10.9.0.20"), CONFLICT,
     "name: there is already a subnet rack7 (choose another name)"),
    (NINE, INVALID, "ranges: an authoritative subnet needs a range of addresses to give out (for example 10.9.0."),
    ((*NINE, "--range", "10.9.0.20-10.9.0.10"), INVALID, "the range ends (10.9.0.10) before it starts (10.9.0.20)"),
    ((*NINE, "--range", "10.9.0.10-10.9.1.10"), INVALID, "ranges.0.end: 10.9.1.10 is not in 10.9.0.0/24"),
    ((*NINE, "--range", "10.9.0.1-10.9.0.255"), INVALID, "10.9.0.255 is the network or broadcast address"),
    ((*NINE, "--range", "10.9.0.10"), INVALID, "is not a range; write it like 10.7.0.100-10.7.0.200"),
    ((*NINE, "--range", "10.9.0.10-10.9.0.20", "--range", "10.9.0.15-10.9.0.30"), INVALID, "ranges.1"),
    ((*NINE, "--range", "10.9.0.10-10.9.0.20", "--router", "10.9.0.15"), INVALID, "ranges.0: the router 10.9.0.15"),
    ((*NINE, "--range", "10.9.0.10-10.9.0.20", "--router", "10.8.0.1"), INVALID, "router: 10.8.0.1 is not in"),
    ((*NINE, "--range", "10.9.0.10-10.9.0.20", "--lease-time", "5"), INVALID, "lease_time"),
    ((*NINE, "--range", "10.9.0.10-10.9.0.20", "--mode", "both"), INVALID, "(choose from 'authoritative'"),
    (("subnets", "create", "nine", "--cidr", "10.9.0.5/24", "--mode", "proxy"), INVALID, "write 10.9.0.0/24"),
    (("subnets", "create", "nine", "--cidr", "10.9.0.0/33", "--mode", "proxy"), INVALID, "not an IPv4 network"),
    (("subnets", "create", "nine", "--cidr", "224.0.0.0/8", "--mode", "proxy"), INVALID, "cidr: "),
    (("subnets", "create", "nine", "--cidr", "10.9.0.0/31", "--mode", "proxy"), INVALID, "no room for a machine"),
    (("subnets", "create", "no name!", "--cidr", "10.9.0.0/24", "--mode", "proxy"), INVALID, "name: "),
    (("subnets", "update", "rack7", "--cidr", "10.8.0.0/24"), INVALID, "ranges.0.start: 10.7.0.100 is not in"),
    (("subnets", "update", "rack8", "--lease-time", "600"), MISSING, "no subnet 'rack8'"),
    (("subnets", "delete", "rack7"), CONFLICT, "subnet rack7 is in use by the reservation 10.7.0.50"),
    # Reservations: an address or a MAC twice, an address nobody can have.
    (("reservations", "create", "10.7.0.50", "--mac", "52:54:00:00:00:77"), CONFLICT,
     "address: 10.7.0.50 is already reserved for 52:54:00:00:00:50 (change or delete that one)"),
    (("reservations", "create", "10.7.0.51", "--mac", "5254.0000.0050"), CONFLICT,
     "mac: 52:54:00:00:00:50 already has the reservation 10.7.0.50"),
    (("reservations", "create", "10.7.0.255", "--mac", "52:54:00:00:00:77"), INVALID, "is the broadcast address"),
    (("reservations", "create", "10.7.0.1", "--mac", "52:54:00:00:00:77"), INVALID, "is the router of subnet rack7"),
    (("reservations", "create", "10.7.0.300", "--mac", "52:54:00:00:00:77"), INVALID, "address"),
    (("reservations", "create", "10.7.0.51", "--mac", "ff:ff:ff:ff:ff:ff"), INVALID, "mac: "),
    (("reservations", "create", "10.7.0.51", "--mac", "52:54"), INVALID, "write it like 52:54:00:00:00:07"),
    (("reservations", "create", "10.7.0.51", "--mac", "52:54:00:00:00:77", "--hostname", "-x"), INVALID, "hostname"),
    (("reservations", "delete", "10.7.0.99"), MISSING, "10.7.0.99"),
    # Machines: names and MACs are theirs alone; boot environments exist and suit.
    (("machines", "create", "NODE-1", "--mac", "52:54:00:00:00:77"), CONFLICT, "name: the name NODE-1 is taken by"),
    (("machines", "create", "node-2", "--mac", "52-54-00-00-00-50"), CONFLICT,
     "macs: 52:54:00:00:00:50 belongs to machine node-1 (take it from node-1 first, or delete node-1)"),
    (("machines", "create", "node-2", "--mac", "01:00:5e:00:00:01"), INVALID, "macs"),
    (("machines", "create", "node 2"), INVALID, "name"),
    (("machines", "assign", "node-1", "debian-99"), INVALID,
     "bootenv: there is no boot environment 'debian-99' (did you mean debian-13? known are debian-12, "),
    (("machines", "assign", "node-1", "locl"), INVALID, "did you mean local?"),
    (("machines", "assign", "node-9", "local"), MISSING, "node-9"),
    (("machines", "set", "node-1", "inventory", "{}"), INVALID, "inventory"),
    (("machines", "set", "node-1", "colour", "red"), INVALID, "colour: there is no field"),
    (("machines", "show", "Mac:52:54:00:00:00:99"), MISSING, "52:54:00:00:00:99"),
    (("machines", "reboot", "node-1"), CONFLICT, "power-cycle the machine"),
    # The rest.
    (("prefs", "set", "unknown-bootenv", "windows"), INVALID, "value: there is no boot environment 'windows'"),
    (("prefs", "set", "loader-uefi", "grub.efi"), INVALID, "value: loader-uefi cannot be 'grub.efi' (one of ipxe.efi"),
    (("prefs", "set", "unknown-token-timeout", "1"), INVALID, "seconds, from 30 to 86400"),
    (("prefs", "set", "unknown-bootenw", "local"), MISSING, "did you mean unknown-bootenv?"),
    (("services", "restart", "coffee"), MISSING, "no service 'coffee'"),
    (("interfaces", "probe", "eth77"), MISSING, "no interface 'eth77'"),
    (("leases", "delete", "10.7.0.77"), MISSING, "10.7.0.77"),
    (("commands", "undo", "999999"), MISSING, "999999"),
    (("events", "list", "--machine", "nobody"), MISSING, "nobody"),
    (("machines", "list", "--sort", "shoe-size"), INVALID, "sort: no field 'shoe-size'"),
    (("bootenvs", "render", "local", "--machine", "nobody"), MISSING, "nobody"),
    (("bootenvs", "render", "nothing", "--machine", "node-1"), MISSING, "nothing"),
]  # fmt: skip


@pytest.fixture(scope="module")
def _kept(artefacts: Path) -> Iterator[Engine]:
    # Nothing here is about the wire: no segment, and no service on it.
    with (
        netns.namespace("input", ipv6=False) as ns,
        folder() as home,
        socket.socket(socket.AF_UNIX, DATAGRAM) as manager,
    ):
        manager.bind(str(home / "notify"))
        manager.settimeout(10)
        flags = [
            word for name in ("dhcp", "proxydhcp", "tftp", "http", "probe", "router") for word in ("--disable", name)
        ]
        with running(
            ns,
            "--interface",
            "lo",
            "--artefacts",
            str(artefacts),
            *flags,
            extra={"NOTIFY_SOCKET": str(home / "notify")},
        ) as engine:
            assert re.fullmatch(rb"READY=1\nSTATUS=\d services up", told(manager))
            engine.subnet()
            client = engine.client
            engine.ask(client.reservations.create({"address": "10.7.0.50", "mac": "52:54:00:00:00:50"}))
            engine.ask(client.machines.create({"name": "node-1", "macs": ["52:54:00:00:00:50"]}))
            yield engine
        assert told(manager) == b"STOPPING=1"


def told(manager: socket.socket) -> bytes:
    """The next word to the service manager that is no mere status: those come as services do."""
    while (word := manager.recv(1000)).startswith((b"STATUS=", b"WATCHDOG=")):
        pass
    return word


@pytest.fixture
def kept(_kept: Engine) -> Iterator[Engine]:
    """An engine with a subnet, a reservation and a machine, whose command log must not grow."""
    before = state(_kept)
    yield _kept
    assert state(_kept) == before
    _kept.sound()


def state(engine: Engine) -> list[Any]:
    """Everything that is saved."""
    client = engine.client
    doors = (client.subnets, client.reservations, client.machines, client.prefs, client.commands)

    async def read() -> list[Any]:
        return [(await door.list()).items for door in doors]

    return engine.ask(read())


@pytest.mark.root
@pytest.mark.parametrize(("words", "code", "said"), TABLE, ids=[" ".join(words)[:60] for words, _, _ in TABLE])
def test_what_cannot_be(
    kept: Engine, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
) -> None:
    """In this process: the whole way but the start of an interpreter."""
    assert main([*words, "--endpoint", kept.endpoint]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("bootcart: ")
    assert err.count("\n") == 1
    assert said in err
    # A remedy: every such error has its hint in brackets at the end, or says in its words how it is written.
    assert err.rstrip().endswith(")") or "write it like" in err or ";" in err


@pytest.mark.root
def test_as_a_program(kept: Engine) -> None:
    """The exit code and the streams of a real call; JSON where a program asks."""
    words = ("machines", "assign", "node-1", "debian-99")
    done = kept.cli(*words)
    assert (done.returncode, done.stdout) == (INVALID, "")
    assert done.stderr.startswith("bootcart: bootenv: there is no boot environment 'debian-99' (did you mean ")
    told = json.loads(kept.cli(*words, "--json").stderr)
    assert (told["code"], told["field"]) == ("invalid", "bootenv")
    assert told["hint"].startswith("did you mean debian-13? known are ")


@pytest.mark.root
def test_somebody_else_is_kept_out(kept: Engine) -> None:
    """A user who is neither root nor the engine's may not even reach the socket."""
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    argv = [*nobody, sys.executable, "-m", "app", "machines", "list", "--endpoint", kept.endpoint]
    done = subprocess.run(argv, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (FORBIDDEN, "")
    path = kept.endpoint.removeprefix("unix:")
    assert done.stderr == (
        f"bootcart: this user may not reach {path} (use sudo, or join the group bootcart and log in again)\n"
    )


@pytest.mark.root
def test_two_who_want_the_same_get_one_of_it(_kept: Engine) -> None:  # noqa: PT019 - its command log grows here
    """Eight creations of one subnet at once: one is made, seven hear that it is there."""
    client = _kept.client

    async def race() -> list[Any]:
        body = {"name": "nine", "cidr": "10.9.0.0/24", "ranges": ["10.9.0.10-10.9.0.20"]}
        found = await asyncio.gather(*(client.subnets.create(body) for _ in range(8)), return_exceptions=True)
        await client.subnets.delete("nine")
        return found

    before = len(state(_kept)[4])
    found = _kept.ask(race())
    assert sorted(type(each).__name__ for each in found) == ["ConflictError"] * 7 + ["Subnet"]
    assert len(state(_kept)[4]) == before + 2
