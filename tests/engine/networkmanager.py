"""NetworkManager as a DHCP client in a namespace: its own client (n-dhcp4), on a message bus that nobody else sees.

Its package is unpacked, never installed: it would take over the host's interfaces.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import netns
from tests.engine.clients import Peer, Told

_CACHE = Path("/var/cache/bootcart/test-clients")
_BUS = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
<allow send_type="method_call"/></policy></busconfig>
"""
_CONF = """\
[main]
plugins=keyfile
dhcp=internal
dns=none
auth-polkit=false
no-auto-default=*
[keyfile]
path=/run/nm/connections
[logging]
level=DEBUG
domains=DHCP4,DEVICE
"""
_CONNECTION = """\
[connection]
id=eth0
uuid=5e0d4f0a-2c30-4a7e-9d5e-0b007ca27000
type=ethernet
interface-name=eth0
[ipv4]
method=auto
[ipv6]
method=disabled
"""


def unpacked() -> Path:
    """The tree of NetworkManager's packages, those of its needs that the host lacks among them. Skips without them."""
    root = _CACHE / "root"
    if (root / "usr/sbin/NetworkManager").exists():
        return root
    shutil.rmtree(_CACHE, ignore_errors=True)
    _CACHE.mkdir(parents=True)
    try:
        wanted = ["network-manager", "dbus-daemon"]
        planned = subprocess.run(
            ["apt-get", "--simulate", "--no-install-recommends", "install", *wanted],
            capture_output=True, text=True, timeout=60, check=True,
        ).stdout  # fmt: skip
        # With a version in brackets it is there and would only be a newer one.
        lacking = re.findall(r"^Inst (\S+) \(", planned, re.MULTILINE)
        subprocess.run(
            ["apt-get", "-q", "download", *lacking], cwd=_CACHE, capture_output=True, timeout=300, check=True
        )
        for package in _CACHE.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(root)], timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"NetworkManager's packages cannot be fetched: {error}")
    return root


class NetworkManager(Peer):
    """The hardware address with a type before it for its identifier; it gives no address back."""

    releases = False

    def prepare(self) -> None:
        self._root = unpacked()
        libraries = next(iter(self._root.glob("usr/lib/*-linux-gnu")), self._root / "usr/lib")
        self._environment = f"LD_LIBRARY_PATH={shlex.quote(str(libraries))}"
        run = self.folder / "run"
        for name in ("dbus", "nm/connections", "NetworkManager"):
            (run / name).mkdir(parents=True)
        (run / "bus.conf").write_text(_BUS)
        (run / "nm/nm.conf").write_text(_CONF)
        connection = run / "nm/connections/eth0.nmconnection"
        connection.write_text(_CONNECTION)
        connection.chmod(0o600)
        (self.folder / "state").mkdir()

    def argv(self) -> list[str]:
        program = self._root / "usr/sbin/NetworkManager"
        flags = "--no-daemon --config=/run/nm/nm.conf --config-dir=/run/nm/none --system-config-dir=/run/nm/none"
        state, place = (shlex.quote(str(self.folder / name)) for name in ("state", "run"))
        bus = shutil.which("dbus-daemon") or str(self._root / "usr/bin/dbus-daemon")
        steps = (
            f"mount --bind {place} /run && mount -o remount,ro /sys",
            f"mkdir -p /var/lib/NetworkManager && mount --bind {state} /var/lib/NetworkManager",
            f"rm -f /run/dbus/* && {self._environment} {bus} --config-file=/run/bus.conf --fork",
            f"exec env {self._environment} {program} {flags} --intern-config=/run/nm/i --state-file=/run/nm/s",
        )
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", " && ".join(steps)]

    def tell(self, *words: str) -> str:
        """What nmcli says."""
        assert self._process is not None
        nmcli = ["env", self._environment.replace("'", ""), str(self._root / "usr/bin/nmcli"), *words]
        inside = ["nsenter", "--target", str(self._process.pid), "--mount", "--net", *nmcli]
        return subprocess.run(inside, capture_output=True, text=True, timeout=30, check=False).stdout

    def words(self) -> dict[str, str]:
        if not netns.addresses(self.ns):
            return {}
        said = self.tell("-t", "-f", "DHCP4", "device", "show", "eth0")
        return dict(re.findall(r"^DHCP4\.OPTION\[\d+\]:(\w+) = (.*)$", said, re.MULTILINE))

    def read(self, words: dict[str, str]) -> Told:
        routes = words.get("rfc3442_classless_static_routes", "").split()
        return Told(
            words["ip_address"], words.get("domain_name", ""), words.get("ntp_servers", ""),
            words.get("interface_mtu", ""), tuple(map(" ".join, zip(routes[::2], routes[1::2], strict=True))),
        )  # fmt: skip
