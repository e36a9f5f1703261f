"""The console profile: chosen by itself, ASCII and CP437 only, sixteen colours, nothing a VT would print or ring at."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from rich.cells import cell_len

from app.model.event import Level
from app.model.machine import machine_id_for
from app.screens.profile import ADVICE, ConsoleProfile, detect, obstacle
from app.screens.registry import AREAS
from app.screens.run import run
from app.screens.words import CP437, console_text, safe
from tests.fakes.client import FakeClient
from tests.fakes.world import mac
from tests.screens.scenes import event
from tests.screens.stage import CONSOLE, VT, Stage, opened

ROOT = Path(__file__).parents[2]
ALLOWED = CP437 | {chr(code) for code in range(32, 127)}


@pytest.mark.parametrize(
    ("term", "tty", "forced", "console"),
    [
        ("xterm-256color", "/dev/pts/3", None, False),
        ("xterm-256color", "/dev/tty1", None, True),
        ("xterm-256color", "/dev/ttyS0", None, True),
        ("xterm", "/dev/hvc0", None, True),
        ("linux", "/dev/pts/3", None, True),
        ("vt100", None, None, True),
        ("vt102", None, None, True),
        ("vt220", "/dev/pts/0", None, True),
        ("ansi", None, None, True),
        ("vt220-am", None, None, True),
        ("linux", "/dev/tty1", False, False),
        ("xterm-256color", "/dev/pts/3", True, True),
        ("screen", "/dev/pts/3", None, False),
        ("tmux-256color", "/dev/pts/3", None, False),
    ],
)
def test_ux14_profile_is_chosen_and_can_be_overridden(
    term: str, tty: str | None, forced: bool | None, console: bool
) -> None:
    profile = detect({"TERM": term}, tty, forced)
    assert profile.console is console
    assert profile.mouse is not console
    assert profile.environment()["TEXTUAL_ANIMATIONS"] == "none"


@pytest.mark.parametrize("term", ["dumb", "", "unknown"])
def test_dumb_terminals_get_advice(
    term: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "isatty", lambda stream: True)
    assert obstacle({"TERM": term}) == ADVICE
    assert run([], {"TERM": term}) == 2
    assert capsys.readouterr().err == ADVICE + "\n"
    assert "bootcart machines list" in ADVICE


@pytest.mark.parametrize(
    ("redirection", "told"),
    [
        ("2>{file}", ["  standard error goes to {file}", "Start it without `2>`;"]),
        (">{file}", ["  standard output goes to {file}", "Start it without `>` and without a pipe behind it;"]),
        ("2>&1 | cat", ["  standard output goes to a pipe", "  standard error goes to a pipe", "`>`", "`2>`"]),
        ("</dev/null", ["  standard input comes from /dev/null", "Start it without `<`"]),
        ("2>&-", ["  standard error goes to nowhere: it is closed"]),
    ],
)
def test_a_redirected_stream_is_named_and_what_to_do(redirection: str, told: list[str], tmp_path: Path) -> None:
    file, said_in = tmp_path / "told", tmp_path / "said"
    ask = "from app.screens.profile import obstacle; told = obstacle({'TERM': 'xterm'})"
    command = f"{sys.executable} -c \"{ask}; open('{said_in}', 'w').write(told)\" {redirection.format(file=file)}"
    master, terminal = pty.openpty()
    try:
        argv = ["sh", "-c", command]
        subprocess.run(argv, stdin=terminal, stdout=terminal, stderr=terminal, check=True, timeout=60, cwd=ROOT)
    finally:
        os.close(terminal)
        os.close(master)
    said = said_in.read_text()

    assert all(each.format(file=file) in said for each in told)
    assert said.count("  standard ") == len([each for each in told if each.startswith("  ")])
    assert "bootcart machines list" in said


def test_no_terminal_ends_with_two(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "isatty", lambda stream: stream != 1)
    assert run([], {"TERM": "xterm"}) == 2
    assert "standard output goes to" in capsys.readouterr().err


@pytest.mark.parametrize(
    "raw", ["ä…●╭▁é", "日本 host", "🔎 find", "emoji 👩‍👩‍👧", "─│ kept", "ﬁ ligature", "→ kept", "e\u0301"]
)
def test_ux14_any_text_is_mapped_cell_for_cell(raw: str) -> None:
    mapped = console_text(raw)
    assert set(mapped) <= ALLOWED, mapped
    assert cell_len(mapped) == cell_len(raw)


@pytest.mark.parametrize("raw", ["\x1b[31mred", "a\x00b", "bidi \u202e", "line\nbreak", "\x9b2J", "tab\t"])
def test_control_characters_do_not_pass(raw: str) -> None:
    assert safe(raw).isprintable()


async def screens(stage: Stage) -> list[str]:
    """Every screen and dialog, as text."""
    seen: list[str] = []

    async def keep(*keys: str) -> None:
        await stage.press(*keys)
        await asyncio.sleep(0.3)
        await stage.settle()
        seen.append(stage.text)

    for key, _, _ in AREAS:
        await keep(key)
    await keep("question_mark")
    await keep("escape", "slash", "n", "o")
    await keep("escape", "colon", "m", "tab")
    await keep("escape", "1")
    stage.app.open_machine(str(machine_id_for(mac(3))))
    for key in ("t", "i", "v", "s", "l", "y"):
        await keep(key)
    await keep("escape", "b")
    await keep("d", "enter")
    await keep("escape", "e")
    await keep("escape", "2", "a")
    await keep("escape", "d")
    await keep("escape", "H")
    await keep("escape", "Q")
    await keep("escape", "W")
    await keep("enter")
    await keep("shift+tab", "enter")
    await keep("escape")
    await keep("escape", "escape")
    stage.app.fail(RuntimeError("größer … ● ╭"), "testing")
    await keep("1")
    stage.app.failures.clear()
    return seen


async def test_ux14_every_screen_is_ascii_or_cp437_on_a_console() -> None:
    client = FakeClient()
    await client.machines.update("node-07", {"description": "Größe … ● 日本"})
    await client.prefs.set("debian-mirror", "http://mirror…/●")
    async with opened(client, profile=CONSOLE) as stage:
        client.push(event("dhcp.discover", "naïve ● host… 日本", level=Level.WARNING))
        for text in await screens(stage):
            strange = {char for char in text if char != "\n" and char not in ALLOWED}
            assert not strange, f"{strange} in\n{text}"
            assert max(len(row) for row in text.splitlines()) <= 80
        assert stage.app.theme == "bootcart-console"


async def test_ux14_borders_and_rules_are_ascii_on_a_console() -> None:
    async with opened(profile=CONSOLE) as stage:
        await stage.press("H")
        await stage.see("answer no one?")
        assert stage.text.isascii(), set(stage.text)
        assert "+----" in stage.text


async def test_ux12_console_colours_are_of_the_sixteen() -> None:
    async with opened(profile=CONSOLE) as stage:
        for strip in stage.app.screen._compositor.render_strips():
            for segment in strip:
                for colour in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                    assert colour is None or colour.is_default or (colour.number is not None and colour.number < 16)


def test_ux1_console_profile_needs_no_mouse() -> None:
    assert not ConsoleProfile(True).mouse


LEAVING = ((b"node-11", b"Q"), (b"Detach", b"d"))
"""What is waited for on the screen, and what is typed then."""


def on_a_pty(
    term: str, seconds: float, *flags: str, told: tuple[int, int] = (24, 80), real: tuple[int, int] = (24, 80)
) -> tuple[int, bytes]:
    """Open the interface on the fake in a terminal of its own and leave it; its exit code, and all it wrote.

    `told` is the size the system knows (0, 0: none, as on a serial line), `real` what the terminal answers when it is
    asked where its last cell is.
    """
    pid, master = pty.fork()
    if pid == 0:
        environment = {**os.environ, "TERM": term, "COLUMNS": "", "LINES": ""}
        os.chdir(ROOT)
        os.execve(  # noqa: S606 - a fork of ours becomes the program
            sys.executable, [sys.executable, "tests/screens/run_fake.py", *flags], environment
        )
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", *told, 0, 0))
    out = bytearray()
    deadline = time.monotonic() + seconds
    script = list(LEAVING)
    answered = 0
    os.set_blocking(master, False)
    try:
        while time.monotonic() < deadline:
            try:
                out += os.read(master, 65536)
            except BlockingIOError:
                time.sleep(0.02)
            except OSError:
                break
            if out.count(b"\x1b[6n") > answered:
                answered += 1
                os.write(master, b"\x1b[%d;%dR" % real)
            if script and script[0][0] in out:
                os.write(master, script.pop(0)[1])
        else:
            os.kill(pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), bytes(out)
    finally:
        os.close(master)


def test_ux14_what_is_sent_to_a_linux_console() -> None:
    code, out = on_a_pty("linux", 40)
    assert code == 0
    text = out.decode()
    assert not re.findall(r"\x1b\]22", text), "a VT220 rings at the pointer shape"
    assert "\x1b[?1000h" not in text, "no mouse"
    assert "\x1b[38;2" not in text, "no true colour"
    assert "\x1b[38;5" not in text, "no 256 colours"
    drawn = re.sub(r"\x1b\[[0-9;?<>=]*[ -/]*[@-~]", "", text)
    strange = {char for char in drawn if char not in ALLOWED and char not in "\r\n"}
    assert not strange


def test_ux21_a_serial_line_that_tells_no_size_is_measured_at_the_start() -> None:
    code, out = on_a_pty("vt220", 40, told=(0, 0), real=(30, 100))
    assert code == 0
    assert b"\x1b[999;999H\x1b[6n" in out
    # Rows are addressed from one; nothing is drawn below the last.
    rows = {int(row) for row in re.findall(rb"\x1b\[(\d+);\d+H", out)} - {999}
    assert max(rows) == 30
    known = on_a_pty("vt220", 40)[1]
    assert b"\x1b[6n" not in known, "who knows is not asked"


def test_interface_leaves_the_terminal_as_it_was() -> None:
    code, out = on_a_pty("xterm-256color", 40)
    assert code == 0
    assert b"\x1b[?1049l" in out


FORBIDDEN = ("httpx", "scapy", "sqlalchemy", "sqlmodel", "fastapi", "tftpy", "app.services", "app.store", "app.api")


def test_first_paint_imports_no_client_and_no_engine() -> None:
    script = "import sys, app.screens.app, app.screens.areas.machines; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "app.screens.app" in loaded
    assert [name for name in loaded if name.startswith((*FORBIDDEN, "app.netboot", "app.client.http"))] == []


def test_size_of_a_vt_is_what_tests_use() -> None:
    assert VT == (80, 24)
