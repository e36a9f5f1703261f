"""What must survive: kill -9, a dry pool, a taken port, rubbish, few privileges, another server's segment."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import netns
from tests.services.dhcp.lan import SUBNET, Dhclient, Server, Udhcpc, serving

pytestmark = pytest.mark.root


@pytest.fixture
def lan() -> Iterator[netns.Segment]:
    with netns.segment("10.7.0.1/24", clients=2) as made:
        yield made


def test_l02_a_lease_survives_kill_9(lan: netns.Segment, tmp_path: Path) -> None:
    client, intruder = Dhclient(lan.clients[0], tmp_path / "client"), Udhcpc(lan.clients[1], tmp_path / "intruder")
    first = Server(lan.server, tmp_path, {"subnets": [SUBNET]})
    first.wait("ready")
    assert client.bind() == "10.7.0.100"
    first.kill()
    client.stop()

    with serving(lan.server, tmp_path) as server:
        assert intruder.once("-r", "10.7.0.100") == "10.7.0.101"
        assert client.bind() == "10.7.0.100"
        server.wait("dhcp.ack")
        assert server.wait("dhcp.ack")["data"]["state"] == "init-reboot"
    client.stop()


def test_l03_a_full_28_runs_dry_and_recovers_on_release(tmp_path: Path) -> None:
    net = {**SUBNET, "name": "tiny", "cidr": "10.7.0.0/28", "ranges": ["10.7.0.1-10.7.0.14"]}
    with netns.segment("10.7.0.1/28") as lan, serving(lan.server, tmp_path, subnets=[net]) as server:
        client = Udhcpc(lan.clients[0], tmp_path / "client")
        given: dict[str, str] = {}
        for number in range(2, 15):
            mac = f"52:54:00:00:03:{number:02x}"
            client.mac(mac)
            given[mac] = client.once()
        assert sorted(given.values()) == sorted(f"10.7.0.{last}" for last in range(2, 15))

        client.mac("52:54:00:00:03:ff")
        assert client.once(tries=2) == ""
        dry = server.wait("dhcp.exhausted")
        assert (dry["level"], dry["data"]["subnet"], dry["data"]["size"]) == ("warning", "tiny", 14)
        assert dry["message"].startswith("subnet tiny has no free address left of 14; ")
        assert server.wait("dhcp.silent")["data"]["reason"] == "pool-exhausted"
        client.mac("52:54:00:00:03:05")
        with netns.running(lan.clients[0], client.argv("-R")):
            server.wait("dhcp.ack", lambda event: event["mac"] == "52:54:00:00:03:05")
            netns.until(lambda: netns.addresses(lan.clients[0]), what="the address is configured")
        assert server.wait("dhcp.release")["address"] == given["52:54:00:00:03:05"]
        assert [event["kind"] for event in server.events].count("dhcp.exhausted") == 1

        client.mac("52:54:00:00:03:ff")
        assert client.once() == given["52:54:00:00:03:05"]


def test_f07_a_taken_port_is_named(lan: netns.Segment, tmp_path: Path) -> None:
    other = ["dnsmasq", "-d", "-C/dev/null", "-p0", "--dhcp-range=10.7.0.10,10.7.0.20", "--dhcp-leasefile=/dev/null"]
    with netns.running(lan.server, other) as process:
        assert process.stdout is not None
        netns.until(lambda: "67" in netns.run(lan.server, ["ss", "-lunH"]).stdout, what="dnsmasq listens")
        server = Server(lan.server, tmp_path, {"subnets": [SUBNET]})
        failed = server.wait("failed")
        assert failed["message"] == "UDP port 67 is taken by another program"
        assert "ss -lunp" in failed["hint"]
        assert server.process.wait(10) == 1
        server.close()


def test_v10_rubbish_is_counted_and_told_once(lan: netns.Segment, tmp_path: Path) -> None:
    def rubbish() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("", 68))
            for length in (0, 1, 43, 235, 240, 1400):
                for value in (0, 1, 255):
                    udp.sendto(bytes((value,)) * length, ("10.7.0.1", 67))

    netns.run(lan.clients[0], ["ip", "address", "add", "10.7.0.9/24", "dev", "eth0"])
    with serving(lan.server, tmp_path) as server:
        netns.call(lan.clients[0], rubbish)
        told = server.wait("dhcp.malformed")
        assert told["data"]["count"] == 1
        assert netns.until(lambda: server.counters()["dhcp"]["received"] == 18, what="all of it was received")
        counters = server.counters()["dhcp"]
        assert (counters["malformed"], counters["errors"], counters["sent"]) == (18, 0, 0)
        assert [event["kind"] for event in server.events].count("dhcp.malformed") == 1
        assert Udhcpc(lan.clients[1], tmp_path / "client").once() == "10.7.0.100"


@contextlib.contextmanager
def owned_by_nobody(folder: Path) -> Iterator[None]:
    os.chown(folder, 65534, 65534)
    yield


def _unprivileged(*capabilities: str) -> tuple[str, ...]:
    listed = ",".join(("-all", *(f"+{name}" for name in capabilities)))
    return (
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--no-new-privs",
        f"--inh-caps={listed}",
        f"--ambient-caps={listed}",
        f"--bounding-set={listed}",
    )


@pytest.mark.parametrize(
    ("capabilities", "frames", "fallback"),
    [(("net_bind_service", "net_raw"), 2, 0), (("net_bind_service",), 0, 2)],
    ids=["raw frames", "broadcast instead"],
)
def test_v15_runs_without_root(
    lan: netns.Segment, tmp_path: Path, capabilities: tuple[str, ...], frames: int, fallback: int
) -> None:
    # Only where nobody may read the program; a clone under a private home is installed elsewhere before it runs.
    readable = netns.run(lan.server, [*_unprivileged(), "test", "-r", str(Path(__file__))], check=False).returncode == 0
    if not readable:
        pytest.skip("the checkout is not readable without root")
    with (
        tempfile.TemporaryDirectory() as data,  # pytest's own folders are root's alone
        owned_by_nobody(Path(data)),
        serving(lan.server, Path(data), prefix=_unprivileged(*capabilities)) as server,
    ):
        assert Udhcpc(lan.clients[0], tmp_path / "client").once() == "10.7.0.100"
        counters = server.counters()["dhcp"]
        assert (counters["frame"], counters["frame_fallback"]) == (frames, fallback)
