"""A server under test and Debian's DHCP clients, each in a namespace."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests import netns

SUBNET: dict[str, Any] = {
    "name": "rack7",
    "cidr": "10.7.0.0/24",
    "ranges": ["10.7.0.100-10.7.0.200"],
    "router": "10.7.0.1",
    "dns": ["10.7.0.1"],
}

ROOT = Path(__file__).parents[3]


class Server:
    """The test server as a process; its events as they come."""

    def __init__(self, ns: str, data_dir: Path, world: dict[str, Any], prefix: tuple[str, ...] = ()) -> None:
        self.events: list[dict[str, Any]] = []
        self._new: queue.Queue[dict[str, Any]] = queue.Queue()
        self._errors = (data_dir / "stderr").open("a+")
        argv = [*prefix, sys.executable, "-m", "tests.services.dhcp.server", str(data_dir), json.dumps(world)]
        self.process = netns.popen(
            ns,
            argv,
            stdin=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._new.put(json.loads(line))

    def wait(self, kind: str, match: Callable[[dict[str, Any]], bool] = lambda _: True, timeout: float = 30) -> Any:
        """The next event of a kind for which `match` is true, of those not yet passed by."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                event = self._new.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(
                    f"no {kind} within {timeout:g} s; seen: {self.events[-12:]}; {self.stderr()}"
                ) from None
            self.events.append(event)
            if event["kind"] == kind and match(event):
                return event

    def counters(self) -> dict[str, dict[str, int]]:
        """The services' counters now."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.wait("counters")

    def stderr(self) -> str:
        """What it wrote to standard error; a traceback there fails the test that looks."""
        self._errors.flush()
        self._errors.seek(0)
        return self._errors.read()

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self.close()

    def close(self) -> None:
        """End it, if it still runs."""
        if self.process.poll() is None and self.process.stdin is not None:
            self.process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        netns.stop(self.process)
        self._reader.join(5)
        if not self._errors.closed:
            text = self.stderr()
            self._errors.close()
            assert "Traceback" not in text, text


@contextlib.contextmanager
def serving(ns: str, data_dir: Path, *, prefix: tuple[str, ...] = (), **world: Any) -> Iterator[Server]:
    """A server that answers, for the length of the block."""
    world.setdefault("subnets", [SUBNET])
    server = Server(ns, data_dir, world, prefix)
    try:
        server.wait("ready")
        yield server
    finally:
        server.close()


class Udhcpc:
    """busybox's DHCP client in a namespace; `mac` is put on the interface first."""

    def __init__(self, ns: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ns = ns
        self._script = folder / "udhcpc-script"
        self._script.write_text(
            "#!/bin/sh\n"
            'case "$1" in\n'
            "bound|renew) ip -4 address flush dev $interface; ip address add $ip/$mask dev $interface;"
            ' [ -z "$router" ] || ip route replace default via $router dev $interface;'
            ' echo "$1 $ip boot=$boot_file next=$siaddr lease=$lease";;\n'
            "deconfig) ip -4 address flush dev $interface; ip link set $interface up;;\n"
            "esac\n"
        )
        self._script.chmod(0o755)

    def argv(self, *words: str) -> list[str]:
        """The command line."""
        return ["busybox", "udhcpc", "-f", "-i", "eth0", "-s", str(self._script), "-T", "1", *words]

    def mac(self, mac: str) -> None:
        """Be another card."""
        netns.run(self.ns, ["ip", "link", "set", "eth0", "down"])
        netns.run(self.ns, ["ip", "link", "set", "eth0", "address", mac])
        netns.run(self.ns, ["ip", "link", "set", "eth0", "up"])

    def once(self, *words: str, tries: int = 5) -> str:
        """Get an address and exit; empty when none was given."""
        done = netns.run(self.ns, self.argv("-q", "-n", "-t", str(tries), *words), check=False)
        found = re.search(r"^bound (\S+)", done.stdout, re.MULTILINE)
        return found[1] if found else ""


class Dhclient:
    """ISC dhclient in a namespace, with files of its own; it changes nothing in /etc."""

    def __init__(self, ns: str, folder: Path, *arguments: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ns = ns
        self.leases = folder / "leases"
        self.leases.touch()
        self._script = folder / "script"
        # What matters of Debian's dhclient-script: the address, and no resolv.conf.
        self._script.write_text(
            "#!/bin/sh\n"
            'case "$reason" in\n'
            "BOUND|RENEW|REBIND|REBOOT) ip -4 address flush dev $interface; "
            "ip address add $new_ip_address/$new_subnet_mask dev $interface;;\n"
            "RELEASE|EXPIRE|FAIL|STOP) ip -4 address flush dev $interface;;\n"
            "PREINIT) ip link set $interface up;;\n"
            "esac\n"
        )
        self._script.chmod(0o755)
        self._conf = folder / "conf"
        self._conf.write_text("timeout 20;\nretry 2;\ninitial-interval 1;\nreboot 5;\n")
        self._pid = folder / "pid"
        self._running = False
        self._arguments = arguments

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = ["dhclient", "-v", *words, "-cf", self._conf, "-lf", self.leases, "-pf", self._pid, "-sf", self._script]
        return netns.run(self.ns, [str(word) for word in (*argv, *self._arguments, "eth0")], timeout=60)

    def bind(self) -> str:
        """Get an address (or the same again); returns it."""
        done = self._run("-1")
        found = re.search(r"bound to (\S+)", done.stderr + done.stdout)
        assert found, done.stderr
        self._running = True
        return found[1]

    def stop(self) -> None:
        """End the daemon without a RELEASE, as a power cut would."""
        if self._running:
            # The daemon writes its pid after the command has ended.
            pid = int(netns.until(lambda: self._pid.exists() and self._pid.read_text().strip(), what="dhclient's pid"))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            netns.until(lambda: pid not in netns.pids(self.ns), what="dhclient ends")
            self._pid.unlink()
            self._running = False

    def release(self) -> None:
        """Give the address back."""
        self._run("-r")
        self._pid.unlink(missing_ok=True)
        self._running = False
