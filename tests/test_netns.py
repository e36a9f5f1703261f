"""The namespace fixtures themselves: they join, they isolate, they leave nothing behind."""

from __future__ import annotations

import socket
import subprocess

import pytest

from tests import netns

pytestmark = pytest.mark.root


def _names() -> str:
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout


def test_segment_joins_server_and_clients() -> None:
    with netns.segment("10.7.0.1/24", clients=2) as lan:
        netns.run(lan.clients[0], ["ip", "address", "add", "10.7.0.2/24", "dev", "eth0"])

        assert netns.addresses(lan.server) == ["10.7.0.1/24"]
        assert netns.addresses(lan.clients[1]) == []
        netns.run(lan.clients[0], ["busybox", "ping", "-c1", "-W2", "10.7.0.1"])


def test_a_block_that_fails_leaves_no_namespace_and_no_process() -> None:
    seen: list[str] = []
    processes: list[subprocess.Popen[str]] = []

    def fail() -> None:
        with netns.segment("10.7.0.1/24") as lan:
            seen.extend((lan.switch, lan.server, *lan.clients))
            processes.append(netns.popen(lan.server, ["sleep", "1000"]))
            netns.until(lambda: netns.pids(lan.server), what="sleep runs in the namespace")
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert not any(name in _names() for name in seen)
    assert processes[0].wait(5) == -9
    netns.stop(processes[0])


def test_call_opens_sockets_inside_the_namespace() -> None:
    with netns.namespace("one") as one:

        def names() -> list[str]:
            return [name for _, name in socket.if_nameindex()]

        netns.bridge(one, "only-here")

        assert "only-here" in netns.call(one, names)
        assert "only-here" not in names()
