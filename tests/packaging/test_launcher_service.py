"""`bootcart install` makes a service of the engine, and `uninstall` leaves nothing of it on the host."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.house import House, Terminal, built

pytestmark = pytest.mark.root

# Writes down what it is asked, and knows what was masked.
SYSTEMCTL = """#!/bin/sh
case $1 in
is-enabled) if [ -e "$TOLD.masked-$2" ]; then echo masked; else echo enabled; fi; exit 0 ;;
esac
echo "$*" >>"$TOLD"
case $* in
*"mask --now "*) : >"$TOLD.masked-${4}" ;;
*"unmask "*) rm -f "$TOLD.masked-${3}" ;;
esac
[ ! -e "$TOLD.broken" ]
"""


class Host:
    """A house on a host with a systemd that only listens."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.root = house.base / "host"
        (self.root / "run/systemd/system").mkdir(parents=True)
        self.units = self.root / "etc/systemd/system"
        self.command = self.root / "usr/local/bin/bootcart"
        self.told = house.base / "systemctl.log"
        tools = house.base / "tools"
        tools.mkdir()
        (tools / "systemctl").write_text(SYSTEMCTL)
        (tools / "systemctl").chmod(0o755)
        house.extra |= {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "TOLD": str(self.told),
            "BOOTCART_HOST_ROOT": str(self.root),
        }

    def files(self) -> set[str]:
        """Every file and link below the host's root."""
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*") if not path.is_dir()}

    def asked(self) -> list[str]:
        """What systemd was asked since the last look."""
        lines = self.told.read_text().splitlines() if self.told.exists() else []
        self.told.unlink(missing_ok=True)
        return lines

    def call(self, *words: str) -> str:
        """A call that succeeds; what it says."""
        done = self.house.call(*words)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def run(self, function: str, *words: str, code: int = 0) -> str:
        """What a function of `service.sh` says, without the rest of the launcher; a set-up takes many seconds."""
        self.house.state.mkdir(exist_ok=True)
        clone = str(self.house.clone)
        sources = 'for part in setup service; do . "$HERE/packaging/$part.sh"; done; supervisor_runs() { false; }; "$@"'
        done = subprocess.run(
            ["sh", "-uc", sources, "bootcart", function, *words],
            env=self.house.environment(HERE=clone, APP=clone, STATE=str(self.house.state)),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stderr


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with built(stand_in=True) as made:
        yield Host(made)


def test_install_and_uninstall_are_each_others_opposite(host: Host) -> None:
    before = host.files()

    said = host.call("install", "--console", "tty1", "--console=/dev/ttyS0")

    assert "journalctl -u bootcart" in said
    assert "whoever sits there operates this engine" in said
    placed = host.files() - before
    units = {f"etc/systemd/system/{name}" for name in ("bootcart.service", "bootcart-tui@.service")}
    assert placed == {*units, "usr/local/bin/bootcart"}
    # The units run what was set up, wherever that is.
    state = host.house.state
    assert f"<{state}/current" in (host.units / "bootcart.service").read_text()
    assert "/var/lib/bootcart" not in (host.units / "bootcart-tui@.service").read_text()
    assert host.command.resolve() == Path(host.house.launcher)
    assert host.asked() == [
        "daemon-reload",
        "--quiet enable bootcart.service",
        "restart bootcart.service",
        "--quiet mask --now getty@tty1.service",
        "--quiet enable bootcart-tui@tty1.service",
        "restart bootcart-tui@tty1.service",
        "--quiet mask --now serial-getty@ttyS0.service",
        "--quiet enable bootcart-tui@ttyS0.service",
        "restart bootcart-tui@ttyS0.service",
    ]

    # Again, as after a new version: what is there is no obstacle.
    host.call("install", "--console", "tty1")
    assert "--quiet mask --now getty@tty1.service" not in host.asked()

    # A start by hand is systemd's, too; here it starts nothing, which is said.
    terminal = Terminal([host.house.launcher], host.house.environment())
    terminal.wait_for("systemctl status bootcart")
    assert terminal.end() == 6
    assert host.asked() == ["start bootcart.service"]

    host.call("uninstall")
    assert host.files() == before
    assert host.asked() == [
        "--quiet disable --now bootcart-tui@ttyS0.service",
        "--quiet unmask serial-getty@ttyS0.service",
        "--no-block start serial-getty@ttyS0.service",
        "--quiet disable --now bootcart-tui@tty1.service",
        "--quiet unmask getty@tty1.service",
        "--no-block start getty@tty1.service",
        "--quiet disable --now bootcart.service",
        "daemon-reload",
    ]
    assert not (state / "installed").exists()
    assert not (state / "app").exists()


def test_what_cannot_be_taken_back_stays_on_record(host: Host) -> None:
    host.run("install_service", "--console", "tty2")
    host.asked()
    # Everything fails, also `cat`: a unit that is gone needs no disabling, but a console must get its prompt back.
    broken = host.told.with_name(host.told.name + ".broken")
    broken.touch()
    host.run("remove_service", code=1)
    broken.unlink()
    assert (host.house.state / "installed").read_text() == "masked getty@tty2.service\n"
    host.asked()
    host.run("remove_service")
    assert host.asked()[0] == "--quiet unmask getty@tty2.service"
    assert not (host.house.state / "installed").exists()
    assert host.files() == set()


def test_what_others_made_is_left_alone(host: Host) -> None:
    host.units.mkdir(parents=True, exist_ok=True)
    (host.units / "bootcart.service").write_text("[Service]\nExecStart=/opt/mine\n")
    assert "was not made by this command" in host.run("install_service", code=1)
    host.run("remove_service")
    assert "/opt/mine" in (host.units / "bootcart.service").read_text()
    (host.units / "bootcart.service").unlink()

    host.command.parent.mkdir(parents=True, exist_ok=True)
    host.command.write_text("mine")
    assert "is something else and stays" in host.run("install_service")
    host.run("remove_service")
    assert host.command.read_text() == "mine"
    host.command.unlink()


def test_a_login_prompt_that_was_masked_before_stays_masked(host: Host) -> None:
    masked = host.told.with_name(host.told.name + ".masked-getty@tty3.service")
    masked.touch()
    host.run("install_service", "--console", "tty3")
    host.run("remove_service")

    assert not [line for line in host.asked() if "mask" in line]


@pytest.mark.parametrize("console", ["/etc/passwd", "tty", "tty1;reboot", "../tty1", "pts/0", ""])
def test_a_console_is_a_terminal_of_the_host(host: Host, console: str) -> None:
    assert "is not a console" in host.run("install_service", "--console", console, code=1)
    assert host.files() == set()


def test_without_systemd_it_says_what_to_use(host: Host) -> None:
    running = host.root / "run/systemd/system"
    running.rmdir()
    said = host.run("install_service", code=1)
    running.mkdir()

    assert "does not run systemd" in said
    assert host.files() == set()


def test_install_wants_root(host: Host) -> None:
    open_clone = host.house.base / "open"
    subprocess.run(["cp", "-a", str(host.house.clone), str(open_clone)], check=True)
    done = House(open_clone, host.house.base).call(
        "install", prefix=["setpriv", "--reuid", "61234", "--regid", "61234", "--clear-groups", "--"]
    )

    assert done.returncode == 1
    assert "needs root" in done.stderr
