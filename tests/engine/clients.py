"""DHCP clients of operating systems, each a process in a namespace: they share no code with Bootcart or each other."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests import netns

# What dhclient and udhcpc leave to a script: the address and the routes. Each then writes down what it was told.
_DHCLIENT_SCRIPT = """\
#!/bin/sh
case "$reason" in
BOUND|RENEW|REBIND|REBOOT)
    ip -4 address flush dev $interface
    ip address add "$new_ip_address/$new_subnet_mask" dev $interface
    set -- $new_classless_routes
    while [ $# -ge 5 ]; do
        bits=$1; shift
        case $bits in
        0) net=0.0.0.0 ;;
        16) net=$1.$2.0.0; shift 2 ;;
        esac
        ip route replace "$net/$bits" via "$1.$2.$3.$4" dev $interface
        shift 4
    done
    env > {told}.new && mv {told}.new {told} ;;
RELEASE|EXPIRE|FAIL|STOP) ip -4 address flush dev $interface ;;
PREINIT) ip link set $interface up ;;
esac
"""
_DHCLIENT_CONF = """\
option classless-routes code 121 = array of unsigned integer 8;
request subnet-mask, routers, domain-name, ntp-servers, interface-mtu, classless-routes;
timeout 20; retry 2; initial-interval 1; reboot 5;
"""
_UDHCPC_SCRIPT = """\
#!/bin/sh
case "$1" in
bound|renew)
    ip -4 address flush dev $interface
    ip address add "$ip/$mask" dev $interface
    set -- $staticroutes
    while [ $# -ge 2 ]; do ip route replace "$1" via "$2" dev $interface; shift 2; done
    env > {told}.new && mv {told}.new {told} ;;
deconfig) ip -4 address flush dev $interface; ip link set $interface up ;;
esac
"""
# dhcpcd sets addresses and routes itself.
_DHCPCD_SCRIPT = """\
#!/bin/sh
case "$reason" in
BOUND|RENEW|REBIND|REBOOT) env > {told}.new && mv {told}.new {told};;
esac
"""
# Ten seconds of asking who has its address before it uses it are left out.
_DHCPCD_CONF = """\
ipv4only
noarp
noipv4ll
option domain_name, ntp_servers, interface_mtu, classless_static_routes
"""
_NETWORKD_CONF = """\
[Match]
Name=eth0
[Network]
DHCP=ipv4
LinkLocalAddressing=no
LLDP=no
[DHCPv4]
UseMTU=yes
UseDomains=yes
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What a client says it was told; routes are written `10.99.0.0/16 10.7.0.3`."""

    address: str
    domain: str
    ntp: str
    mtu: str
    routes: tuple[str, ...]


class Peer(ABC):
    """A client of one kind on a namespace's `eth0`; its files are in a folder of its own."""

    releases = True
    """It gives its address back where it is told to."""

    def __init__(self, ns: str, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.ns = ns
        self.folder = folder
        self._told = folder / "told"
        self._log = folder / "log"
        self._process: subprocess.Popen[str] | None = None
        self.prepare()

    def prepare(self) -> None:
        """Write what the client reads; most need nothing."""
        return

    @abstractmethod
    def argv(self) -> Sequence[str]:
        """The command line of the client, which stays in the foreground."""

    @abstractmethod
    def read(self, words: dict[str, str]) -> Told:
        """What it says, by its own names for it."""

    def words(self) -> dict[str, str]:
        """What it says once it has an address: the variables its script was given. Empty before."""
        text = self._told.read_text() if self._told.exists() else ""
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def told(self) -> Told | None:
        """What it was told, once it has an address."""
        words = self.words()
        return self.read(words) if words else None

    @abstractmethod
    def release(self) -> None:
        """Have it give the address back, and end it."""

    def start(self) -> Told:
        """Start it and wait for its address."""
        self._told.unlink(missing_ok=True)
        with self._log.open("a") as log:
            self._process = netns.popen(self.ns, self.argv(), stdout=log, stderr=log)
        return netns.until(self.told, timeout=60, what=f"an address: {self._log.read_text()}")

    def cut(self) -> None:
        """Its power is cut: nothing is released, and the address is gone."""
        for pid in netns.pids(self.ns):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._ended()
        netns.run(self.ns, ["ip", "-4", "address", "flush", "dev", "eth0"])

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._ended()

    def _ended(self) -> None:
        if self._process is not None:
            self._process.wait(20)
        netns.until(lambda: not netns.pids(self.ns), what=f"nothing runs in {self.ns}")

    def _script(self, text: str) -> Path:
        path = self.folder / "script"
        path.write_text(text.format(told=shlex.quote(str(self._told))))
        path.chmod(0o755)
        return path

    def _file(self, name: str, text: str = "") -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)


def _pairs(words: str) -> tuple[str, ...]:
    split = words.split()
    return tuple(f"{net} {via}" for net, via in zip(split[::2], split[1::2], strict=True))


class Dhclient(Peer):
    """ISC's, as Debian installs it."""

    def prepare(self) -> None:
        self._files = [
            "-cf", self._file("conf", _DHCLIENT_CONF), "-lf", self._file("leases"), "-pf", str(self.folder / "pid"),
            "-sf", str(self._script(_DHCLIENT_SCRIPT)),
        ]  # fmt: skip

    def argv(self) -> Sequence[str]:
        return ["dhclient", "-4", "-d", *self._files, "eth0"]

    def read(self, words: dict[str, str]) -> Told:
        octets = words.get("new_classless_routes", "").split()
        routes: list[str] = []
        while octets:
            length = (int(octets[0]) + 7) // 8
            net = [*octets[1 : 1 + length], "0", "0", "0", "0"][:4]
            routes.append(f"{'.'.join(net)}/{octets[0]} {'.'.join(octets[1 + length : 5 + length])}")
            octets = octets[5 + length :]
        return Told(
            words["new_ip_address"], words.get("new_domain_name", ""), words.get("new_ntp_servers", ""),
            words.get("new_interface_mtu", ""), tuple(routes),
        )  # fmt: skip

    def release(self) -> None:
        # The one that runs is ended by this one, which its file of the process number tells.
        netns.run(self.ns, ["dhclient", "-4", "-r", *self._files, "eth0"])
        self._ended()


class Udhcpc(Peer):
    """Busybox's, which installers and discovery images run."""

    def prepare(self) -> None:
        self._path = self._script(_UDHCPC_SCRIPT)

    def argv(self) -> Sequence[str]:
        asked = [word for name in ("ntpsrv", "mtu", "staticroutes") for word in ("-O", name)]
        return ["busybox", "udhcpc", "-f", "-R", "-T", "1", "-A", "1", "-i", "eth0", "-s", str(self._path), *asked]

    def read(self, words: dict[str, str]) -> Told:
        return Told(
            words["ip"], words.get("domain", ""), words.get("ntpsrv", ""), words.get("mtu", ""),
            _pairs(words.get("staticroutes", "")),
        )  # fmt: skip

    def release(self) -> None:
        self._signal(signal.SIGTERM)


class Dhcpcd(Peer):
    """Roy Marples's: a DUID for its identifier, addresses and routes set by itself."""

    def prepare(self) -> None:
        (self.folder / "state").mkdir()
        self._conf = self._file("conf", _DHCPCD_CONF)
        self._path = self._script(_DHCPCD_SCRIPT)

    def argv(self) -> Sequence[str]:
        # Its sockets and leases are at places of its own choosing: in a mount namespace these are this folder's.
        places = f"mount -t tmpfs tmpfs /run && mount --bind {shlex.quote(str(self.folder / 'state'))} /var/lib/dhcpcd"
        run = shlex.join(["dhcpcd", "-4", "-B", "-d", "-f", self._conf, "-c", str(self._path), "eth0"])
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", f"{places} && exec {run}"]

    def read(self, words: dict[str, str]) -> Told:
        return Told(
            words["new_ip_address"], words.get("new_domain_name", ""), words.get("new_ntp_servers", ""),
            words.get("new_interface_mtu", ""), _pairs(words.get("new_classless_static_routes", "")),
        )  # fmt: skip

    def release(self) -> None:
        self._signal(signal.SIGALRM)


class Networkd(Peer):
    """systemd's, without systemd: a DUID of the machine for its identifier, and no lease on its disk."""

    def prepare(self) -> None:
        place = self.folder / "run"
        for name in ("systemd/network", "systemd/netif"):
            (place / name).mkdir(parents=True)
        place.chmod(0o755)
        (place / "systemd/network/10-eth0.network").write_text(_NETWORKD_CONF)
        self._leases = place / "systemd/netif/leases"

    def argv(self) -> Sequence[str]:
        # A /sys that cannot be written tells it that there is no udev to wait for. The host's own files are not read.
        steps = (
            f"mount --bind {shlex.quote(str(self.folder / 'run'))} /run",
            "mount -o remount,ro /sys",
            "if [ -d /etc/systemd/network ]; then mount -t tmpfs tmpfs /etc/systemd/network; fi",
            "rm -rf /run/systemd/netif && install -d -o systemd-network -g systemd-network /run/systemd/netif",
            "exec env SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console /lib/systemd/systemd-networkd",
        )
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", " && ".join(steps)]

    def words(self) -> dict[str, str]:
        if not netns.addresses(self.ns):
            return {}
        found = [path.read_text() for path in self._leases.glob("*")] if self._leases.exists() else [""]
        return dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", "".join(found), re.MULTILINE))

    def read(self, words: dict[str, str]) -> Told:
        return Told(
            words["ADDRESS"], words.get("DOMAINNAME", ""), words.get("NTP", ""), words.get("MTU", ""),
            tuple(each.replace(",", " ") for each in words.get("CLASSLESS_ROUTES", "").split()),
        )  # fmt: skip

    def release(self) -> None:
        self._signal(signal.SIGTERM)


KINDS: tuple[Callable[[str, Path], Peer], ...] = (Dhclient, Udhcpc, Dhcpcd, Networkd)


@contextlib.contextmanager
def peer(kind: Callable[[str, Path], Peer], ns: str, folder: Path) -> Iterator[Peer]:
    """A client of a kind, for the length of the block; nothing of it is left behind."""
    made = kind(ns, folder)
    try:
        yield made
    finally:
        made.cut()
