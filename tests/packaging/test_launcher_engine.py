"""The launcher starts, keeps and stops an engine, opens the interface as somebody else, and prepares the host."""

from __future__ import annotations

import json
import os
import pwd
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import netns
from tests.packaging.house import House, Terminal, built, until

pytestmark = pytest.mark.root

# linux/capability.h: CAP_NET_BIND_SERVICE 10, CAP_NET_RAW 13
ENGINE_CAPABILITIES = 1 << 10 | 1 << 13


@pytest.fixture(scope="module")
def installed() -> Iterator[House]:
    with built(stand_in=True) as made:
        done = made.call("setup")
        assert done.returncode == 0, done.stderr
        yield made


@pytest.fixture
def house(installed: House) -> Iterator[House]:
    yield installed
    done = installed.call("stop")
    assert done.returncode == 0, done.stderr
    (installed.data / "refuse").unlink(missing_ok=True)


@pytest.fixture
def segment() -> Iterator[str]:
    with netns.namespace("house", ipv6=False) as ns:
        netns.run(ns, ["ip", "link", "add", "lan0", "type", "bridge"])
        yield ns


def service_uid() -> int:
    return pwd.getpwnam("bootcart").pw_uid


def who(text: str) -> dict[str, Any]:
    """What the stand-in says of itself in a terminal's output."""
    return json.loads(text[text.index("{") : text.rindex("}") + 1])


def engine(house: House) -> dict[str, Any]:
    return json.loads((house.data / "who.json").read_text())


def supervised(house: House) -> dict[str, Any]:
    return json.loads((house.data / "supervisor.json").read_text())


def gone(pid: int) -> bool:
    """A process has ended; one that nobody has asked about its end yet counts."""
    try:
        return not Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_without_a_terminal_it_says_what_to_use(house: House) -> None:
    done = house.call()

    assert done.returncode == 2
    assert "needs a terminal, and this is redirected: standard input (<, |), standard output (>, |), s" in done.stderr
    assert not (house.run_dir / "api.sock").exists()


def test_the_engine_and_the_interface_run_as_others(house: House) -> None:
    terminal = Terminal([house.launcher], house.environment())
    terminal.wait_for("UI ")
    said = who(terminal.wait_for("plan directory writable:"))
    terminal.wait_for("True")

    # While the interface is open, of us nothing but this shell is root.
    children = Path(f"/proc/{terminal.pid}/task/{terminal.pid}/children").read_text().split()
    uids = [re.search(r"^Uid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE) for pid in children]
    terminal.line("0")

    assert terminal.end() == 0
    assert said["uid"] == service_uid()
    assert (said["caps"], said["nnp"]) == (0, "1")
    assert [uid and int(uid[1]) for uid in uids] == [service_uid()]
    kept = engine(house)
    assert (kept["uid"], kept["caps"], kept["nnp"]) == (service_uid(), ENGINE_CAPABILITIES, "1")
    # It outlives the interface, in a session of its own.
    state = supervised(house)
    assert state["state"] == "running"
    assert os.getsid(state["pid"]) == state["supervisor"]
    assert list(house.run_dir.glob("plan.*")) == []


def test_the_interface_of_who_called_sudo_is_theirs_and_of_the_operators_group(house: House) -> None:
    nobody = pwd.getpwnam("nobody")
    terminal = Terminal([house.launcher], house.environment(SUDO_UID=str(nobody.pw_uid), SUDO_USER="nobody"))
    terminal.wait_for("UI ")
    said = who(terminal.wait_for("plan directory writable:"))
    terminal.line("3")

    assert terminal.end() == 3
    assert said["uid"] == nobody.pw_uid
    # The engine lets the group in; sudo has vouched for this user.
    assert said["gid"] == pwd.getpwnam("bootcart").pw_gid
    assert said["home"] == nobody.pw_dir


def test_a_second_interface_attaches_to_the_same_engine(house: House) -> None:
    first = Terminal([house.launcher], house.environment())
    started = who(first.wait_for("plan directory"))["started"]
    first.wait_for("writable: True")
    pid = supervised(house)["pid"]

    second = Terminal([house.launcher], house.environment())
    output = second.wait_for("writable: True")
    # Only the one that the engine was started for asks before it leaves.
    assert (started, who(output)["started"]) == ("1", "")
    for terminal in (first, second):
        terminal.line("0")
        assert terminal.end() == 0

    assert "starting the engine" not in output
    assert supervised(house)["pid"] == pid


def test_a_killed_engine_is_started_again_and_stop_ends_it(house: House) -> None:
    terminal = Terminal([house.launcher], house.environment())
    terminal.wait_for("writable: True")
    terminal.line("0")
    assert terminal.end() == 0
    first = supervised(house)

    os.kill(first["pid"], 9)
    until(lambda: supervised(house)["pid"] not in (None, first["pid"]), 20, "a new engine")

    state = supervised(house)
    assert state["restarts"] == 1
    assert state["last_exit"]["reason"] == "killed by SIGKILL"
    done = house.call("stop")
    assert "the engine has stopped" in done.stderr
    assert supervised(house)["state"] == "stopped"
    assert gone(state["pid"])


def test_an_engine_whose_supervisor_was_killed_is_stopped_too(house: House) -> None:
    terminal = Terminal([house.launcher], house.environment())
    terminal.wait_for("writable: True")
    terminal.line("0")
    assert terminal.end() == 0
    state = supervised(house)
    os.kill(state["supervisor"], 9)
    until(lambda: gone(state["supervisor"]), 10, "its end")

    done = house.call("stop")

    assert "the engine has stopped" in done.stderr
    until(lambda: gone(state["pid"]), 10, "the engine's end")


def test_an_engine_that_refuses_its_configuration_is_quoted(house: House) -> None:
    house.data.mkdir(exist_ok=True)
    (house.data / "refuse").touch()

    terminal = Terminal([house.launcher], house.environment())
    output = terminal.wait_for("it has given up")

    assert terminal.end() == 6
    assert "the setting frobnicate is not known" in output
    assert supervised(house)["state"] == "failed"


def test_an_agreed_plan_is_applied_shown_and_put_back_on_stop(house: House, segment: str) -> None:
    plan = json.dumps({"interface": "lan0", "address": "10.7.0.1/24"})
    terminal = Terminal(["ip", "netns", "exec", segment, house.launcher], house.environment())
    terminal.wait_for("writable: True")
    terminal.line(f"75 {plan}")
    shown = terminal.wait_for("Enter runs these")
    terminal.line("")
    terminal.wait_for("UI ")
    terminal.wait_for("writable: True")
    during = netns.run(segment, ["ip", "address", "show", "lan0"]).stdout
    terminal.line("76")

    assert terminal.end() == 0
    assert "ip address add 10.7.0.1/24 brd + dev lan0" in shown
    assert "10.7.0.1/24" in during
    after = netns.run(segment, ["ip", "address", "show", "lan0"]).stdout
    assert "10.7.0.1/24" not in after
    assert "state DOWN" in after
    assert supervised(house)["state"] == "stopped"
    result = json.loads((house.state / "host-result.json").read_text())
    assert result["ok"] is True


def test_a_plan_with_commands_in_it_changes_nothing(house: House, segment: str) -> None:
    plan = json.dumps({"interface": "lan0", "commands": ["touch /tmp/owned"]})
    terminal = Terminal(["ip", "netns", "exec", segment, house.launcher], house.environment())
    terminal.wait_for("writable: True")
    terminal.line(f"75 {plan}")
    said = terminal.wait_for("press Enter to go back")
    terminal.line("")
    terminal.wait_for("writable: True")
    terminal.line("76")

    assert terminal.end() == 0
    assert "commands: Extra inputs are not permitted" in said
    assert not (house.state / "host-state.json").exists()


def test_who_holds_a_port_is_named_and_told_to_the_engine(house: House, segment: str) -> None:
    code = (
        "import socket, sys; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 69)); print(1, flush=True); "
        "sys.stdin.read()"
    )
    holder = netns.popen(segment, [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "1\n"
        terminal = Terminal(["ip", "netns", "exec", segment, house.launcher], house.environment())
        said = terminal.wait_for("writable: True")
        terminal.line("76")
        assert terminal.end() == 0
    finally:
        holder.communicate(timeout=10)

    match = re.search(r"udp port 69 \(TFTP\) is taken by (\S+) \(process (\d+)\)", said)
    assert match, said
    # `ip netns exec` becomes the program, so the process is the one we started.
    assert int(match[2]) == holder.pid
    assert engine(house)["owners"] == f"udp/69={match[1]} (process {match[2]})"


def test_serve_drops_and_makes_its_data_directory(house: House) -> None:
    data = house.base / "elsewhere"
    with subprocess.Popen(
        [house.launcher, "serve", "--data-dir", str(data)],
        env=house.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(data / "api.sock"))
        finally:
            process.terminate()

    assert process.returncode == 0
    said = json.loads((data / "who.json").read_text())
    assert (said["uid"], said["caps"]) == (service_uid(), ENGINE_CAPABILITIES)
    assert data.stat().st_uid == service_uid()


def test_serve_names_a_directory_its_user_cannot_write(house: House) -> None:
    closed = house.base / "roots"
    closed.mkdir(mode=0o700)

    done = house.call("serve", "--data-dir", str(closed))

    assert done.returncode == 1
    assert f"the user bootcart, who cannot write to {closed}" in done.stderr


def test_uninstall_ends_the_engine_and_keeps_the_data() -> None:
    with built(stand_in=True) as own:
        assert own.call("setup").returncode == 0
        terminal = Terminal([own.launcher], own.environment())
        terminal.wait_for("writable: True")
        terminal.line("0")
        assert terminal.end() == 0
        state = supervised(own)
        (own.run_dir / "lab").mkdir()

        done = own.call("uninstall")

        assert done.returncode == 0, done.stderr
        assert gone(state["pid"])
        assert sorted(path.name for path in own.state.iterdir() if not path.name.startswith(".")) == ["data", "log"]
        # A lab that is up is not ours to take down.
        assert [path.name for path in own.run_dir.iterdir()] == ["lab"]
