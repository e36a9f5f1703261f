"""Network namespaces for tests: created under unique names, joined by veth pairs or a bridge, always removed.

Everything here needs root; mark the tests `@pytest.mark.root`. Interfaces are born inside their namespaces, so their
names (`eth0`, `lan`) need to be unique only there.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
PREFIX = "bctest"
_CLONE_NEWNET = 0x40000000
_MACS = itertools.count(1)


def new_mac() -> str:
    """A MAC no other test uses: events stay on record when what they are about is gone."""
    # Four octets of its own, for those that need machines by the hundred thousand.
    return ":".join(("52", "54", *(f"{octet:02x}" for octet in (0x00E2_0000 + next(_MACS)).to_bytes(4, "big"))))


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


@contextlib.contextmanager
def namespace(name: str, *, ipv6: bool = True) -> Iterator[str]:
    """A network namespace with loopback up; yields its full, unique name. Processes left in it are killed."""
    full = f"{PREFIX}-{os.getpid()}-{uuid.uuid4().hex[:6]}-{name}"
    _ip("netns", "add", full)
    try:
        _ip("-n", full, "link", "set", "lo", "up")
        if not ipv6:
            run(full, ["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"])
        yield full
    finally:
        for pid in pids(full):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _ip("netns", "delete", full)


def pids(ns: str) -> list[int]:
    """The processes that run in a namespace."""
    return [int(line) for line in _ip("netns", "pids", ns).split()]


def run(
    ns: str,
    argv: Sequence[str],
    *,
    check: bool = True,
    timeout: float = 60,
    env: Mapping[str, str] | None = None,
    data: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program in a namespace to its end; output captured. Raises AssertionError with it when it fails."""
    done = subprocess.run(
        ["ip", "netns", "exec", ns, *argv],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=env,
        input=data,
        check=False,
    )
    if check and done.returncode:
        raise AssertionError(f"{' '.join(argv)} exited {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def popen(ns: str, argv: Sequence[str], **extra: Any) -> subprocess.Popen[str]:
    """Start a program in a namespace. `ip netns exec` replaces itself, so the process's pid is the program's own."""
    extra.setdefault("stdout", subprocess.PIPE)
    extra.setdefault("stderr", subprocess.STDOUT)
    extra.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(["ip", "netns", "exec", ns, *argv], text=True, **extra)


@contextlib.contextmanager
def running(ns: str, argv: Sequence[str], **extra: Any) -> Iterator[subprocess.Popen[str]]:
    """A program that runs in a namespace for the length of the block, then is terminated (killed after 5 s)."""
    process = popen(ns, argv, **extra)
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """Terminate a process we started, kill it after 5 s, reap it and close its pipes."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
    for pipe in (process.stdout, process.stderr, process.stdin):
        if pipe is not None:
            pipe.close()


def link(
    ns: str,
    name: str,
    peer_ns: str,
    peer_name: str,
    *,
    mac: str = "",
    peer_mac: str = "",
    address: str = "",
    peer_address: str = "",
) -> None:
    """Join two namespaces with a veth pair, both ends up; addresses are written `10.7.0.1/24`."""
    ours = ["address", mac] if mac else []
    theirs = ["address", peer_mac] if peer_mac else []
    _ip("-n", ns, "link", "add", name, *ours, "type", "veth", "peer", "name", peer_name, *theirs, "netns", peer_ns)
    for where, interface, inside in ((ns, name, address), (peer_ns, peer_name, peer_address)):
        if inside:
            _ip("-n", where, "address", "add", inside, "dev", interface)
        _ip("-n", where, "link", "set", interface, "up")


def bridge(ns: str, name: str, *, address: str = "") -> None:
    """A bridge in a namespace, without spanning tree, up."""
    _ip("-n", ns, "link", "add", name, "type", "bridge", "stp_state", "0", "forward_delay", "0")
    if address:
        _ip("-n", ns, "address", "add", address, "dev", name)
    _ip("-n", ns, "link", "set", name, "up")


def attach(bridge_ns: str, bridge_name: str, ns: str, name: str, *, mac: str = "", address: str = "") -> None:
    """Plug an interface of another namespace into a bridge."""
    port = f"p{uuid.uuid4().hex[:10]}"
    link(bridge_ns, port, ns, name, peer_mac=mac, peer_address=address)
    _ip("-n", bridge_ns, "link", "set", port, "master", bridge_name)


@dataclass(frozen=True, slots=True)
class Segment:
    """A switch with one server and some clients, each in a namespace of its own, on interface `eth0`."""

    switch: str
    server: str
    clients: tuple[str, ...]


@contextlib.contextmanager
def segment(server_address: str, *, clients: int = 1, ipv6: bool = False) -> Iterator[Segment]:
    """A server (interface `eth0`, the given address) and `clients` namespaces on one bridge.

    Client number n (from 1) has the MAC address 52:54:00:00:01:0n and no IPv4 address.
    """
    with contextlib.ExitStack() as stack:
        switch = stack.enter_context(namespace("switch", ipv6=False))
        server = stack.enter_context(namespace("server", ipv6=ipv6))
        bridge(switch, "br0")
        attach(switch, "br0", server, "eth0", mac="52:54:00:00:00:01", address=server_address)
        names: list[str] = []
        for number in range(1, clients + 1):
            client = stack.enter_context(namespace(f"client{number}", ipv6=ipv6))
            attach(switch, "br0", client, "eth0", mac=f"52:54:00:00:01:{number:02x}")
            names.append(client)
        yield Segment(switch, server, tuple(names))


def addresses(ns: str, interface: str = "eth0") -> list[str]:
    """The IPv4 addresses of an interface, written `10.7.0.101/24`."""
    lines = _ip("-n", ns, "-4", "-o", "address", "show", "dev", interface).splitlines()
    return [line.split()[3] for line in lines]


def call(ns: str, function: Callable[[], T]) -> T:
    """Call a function inside a namespace, on a thread of its own; sockets it opens stay in that namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        handle = os.open(Path("/run/netns") / ns, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if libc.setns(handle, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns {ns}")
            results.append(function())
        except BaseException as error:
            errors.append(error)
        finally:
            os.close(handle)

    thread = threading.Thread(target=work, name=f"in {ns}")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def until(condition: Callable[[], T | None], *, timeout: float = 20, what: str = "") -> T:
    """Poll until `condition()` is true and return its value; AssertionError naming `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what or condition}")
        pause.wait(0.05)
