"""A running engine gives files over IPv6 on the interfaces it serves, and nothing on others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import netns
from tests.conformance.httpbench import link_local
from tests.conformance.tftpbench import READER6, SERVER6, lan
from tests.engine.process import running

pytestmark = pytest.mark.root


def _curl(ns: str, host: str, protocol: str = "http") -> str:
    port = ":8090" if protocol == "http" else ""
    argv = ["curl", "-s", "-g", "--max-time", "20", f"{protocol}://[{host}]{port}/hello.txt"]
    return netns.run(ns, argv, check=False).stdout


def test_files_over_ipv6(tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_text("hello\n")
    with lan() as (server, reader):
        netns.link(server, "eth1", reader, "eth1", address="fd00:8::1/64", peer_address="fd00:8::9/64")
        with running(server, "--interface", "eth0", "--file-root", str(tmp_path)) as engine:
            listening = engine.up("http").listening
            assert listening == ("tcp 0.0.0.0:8090", "tcp [::]:8090")
            for host in (SERVER6, f"{link_local(server)}%eth0"):
                assert _curl(reader, host) == "hello\n"
                assert _curl(reader, host, "tftp") == "hello\n"
            sent = engine.event("http.sent", match=lambda event: event.address == READER6)
            assert sent.mac == netns.run(reader, ["cat", "/sys/class/net/eth0/address"]).stdout.strip()
            assert _curl(reader, "fd00:8::1") == ""
            assert _curl(reader, f"{link_local(server, 'eth1')}%eth1") == ""
