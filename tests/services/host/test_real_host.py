"""A real host in miniature, a network namespace: prepared, put back, and put back after being killed at every point."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import netns

pytestmark = pytest.mark.root

ROOT = Path(__file__).resolve().parents[3]
PLAN = {"interface": "lan0", "address": "10.7.0.1/24", "firewall_ports": True, "nat_uplink": "up0"}

# link, address, 2 × 2 rules by nft, 2 by iptables, 2 switches, the table
COMMANDS = 11

# What a firewall of the operator's own looks like: one by nft, one by iptables (as Docker leaves it).
FIREWALL = """
table inet filter {
    chain input { type filter hook input priority 0; policy drop; ct state established accept; }
    chain forward { type filter hook forward priority 0; policy drop; }
}
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[str]:
    with netns.namespace("host", ipv6=False) as ns:
        for name in ("lan0", "up0"):
            netns.run(ns, ["ip", "link", "add", name, "type", "bridge"])
        netns.run(ns, ["ip", "link", "set", "up0", "up"])
        netns.run(ns, ["ip", "address", "add", "192.0.2.9/24", "dev", "up0"])
        netns.run(ns, ["sysctl", "-qw", "net.ipv4.ip_forward=0"])
        netns.run(ns, ["nft", "-f", "-"], data=FIREWALL)
        netns.run(ns, ["iptables", "-P", "FORWARD", "DROP"])
        yield ns


def looks(ns: str) -> dict[str, Any]:
    """All of a host that preparing it may touch, without what counts up or moves by itself."""
    links = json.loads(netns.run(ns, ["ip", "-j", "address"]).stdout)
    for link in links:
        # What the kernel keeps of an interface's first time up: a queue, and what it learnt of its carrier.
        for learnt in ("operstate", "qdisc"):
            link.pop(learnt, None)
        link["flags"] = [flag for flag in link["flags"] if flag not in ("NO-CARRIER", "LOWER_UP")]
    rules = netns.run(ns, ["nft", "list", "ruleset"]).stdout
    return {
        "links": links,
        "rules": re.sub(r"packets \d+ bytes \d+", "packets bytes", rules),
        "sysctl": netns.run(ns, ["sysctl", "-a", "--pattern", r"^net\.ipv4\.(conf|ip_forward)"]).stdout,
    }


def command(ns: str, *arguments: str) -> list[str]:
    return ["ip", "netns", "exec", ns, sys.executable, "-P", "-m", "app.host", *arguments]


def environment(state: Path, **other: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "BOOTCART_STATE_ROOT": str(state), **other}


def app_host(ns: str, state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(ns, *arguments),
        env=environment(state),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def write_plan(folder: Path, **other: Any) -> Path:
    path = folder / "plan.json"
    path.write_text(json.dumps({**PLAN, **other}))
    path.chmod(0o600)
    return path


def test_applied_and_reverted_the_host_is_as_it_was(host: str, tmp_path: Path) -> None:
    before = looks(host)

    done = app_host(host, tmp_path, "apply", str(write_plan(tmp_path)))

    assert done.returncode == 0, done.stderr
    during = looks(host)
    assert "10.7.0.1" in json.dumps(during["links"])
    assert 'iifname "lan0" udp dport { 67, 69, 4011 } accept' in during["rules"]
    assert "masquerade" in during["rules"]
    assert "net.ipv4.conf.lan0.forwarding = 1" in during["sysctl"]
    assert "net.ipv4.ip_forward = 0" in during["sysctl"]
    listed = netns.run(host, ["iptables", "-S", "FORWARD"]).stdout
    assert "-A FORWARD -i lan0 -o up0 -m comment --comment bootcart -j ACCEPT" in listed
    assert json.loads((tmp_path / "host-result.json").read_text())["ok"] is True

    back = app_host(host, tmp_path, "revert")

    assert back.returncode == 0, back.stderr
    assert looks(host) == before
    assert not (tmp_path / "host-state.json").exists()


def test_a_second_apply_changes_nothing(host: str, tmp_path: Path) -> None:
    assert app_host(host, tmp_path, "apply", str(write_plan(tmp_path))).returncode == 0
    during = looks(host)

    again = app_host(host, tmp_path, "apply", str(write_plan(tmp_path)))

    assert again.returncode == 0, again.stderr
    assert looks(host) == during


@pytest.mark.parametrize("number", range(1, COMMANDS + 1))
def test_killed_at_the_nth_command_it_is_still_put_back(host: str, tmp_path: Path, number: int) -> None:
    before = looks(host)
    listed: list[str] = []
    running = 0
    with subprocess.Popen(
        command(host, "apply", str(write_plan(tmp_path))),
        env=environment(tmp_path, PYTHONUNBUFFERED="1"),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            # All commands are listed first; each is shown once more, on record already, as it is about to run.
            if not line.startswith("  "):
                continue
            if not running and line not in listed:
                listed.append(line)
                continue
            running += 1
            if running == number:
                process.kill()
                break
    assert (len(listed), running) == (COMMANDS, number)

    back = app_host(host, tmp_path, "revert")

    assert back.returncode == 0, back.stderr
    assert looks(host) == before


def test_a_step_that_fails_takes_back_the_ones_before(host: str, tmp_path: Path) -> None:
    before = looks(host)
    plan = write_plan(tmp_path)
    broken = tmp_path / "bin"
    broken.mkdir()
    (broken / "nft").write_text(
        '#!/bin/sh\ncase $* in *masquerade*) echo "no such hook" >&2; exit 1;; esac\nexec /usr/sbin/nft "$@"\n'
    )
    (broken / "nft").chmod(0o755)

    done = subprocess.run(
        command(host, "apply", str(plan)),
        env=environment(tmp_path, PATH=f"{broken}:{os.environ['PATH']}"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "no such hook" in done.stderr
    assert looks(host) == before
    assert json.loads((tmp_path / "host-result.json").read_text())["ok"] is False
