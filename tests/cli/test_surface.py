"""Words that make no sense, text that would steer a terminal, pipes, start-up, completion."""

from __future__ import annotations

import importlib
import io
import json
import os
import pkgutil
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import app.model
from app import __main__ as entrance
from app.cli import completion
from app.cli.forms import Noun
from app.cli.main import main
from app.cli.nouns import COMPLETION, ENGINE_VERBS, NOUNS, SHELLS
from app.cli.outputs import Output, Progress, cell, shown
from app.model.fields import Model
from tests.cli.conftest import Running

ROOT = Path(__file__).parents[2]
RUN = (sys.executable, "-c", "import sys; from app.cli.main import main; sys.exit(main(sys.argv[1:]))")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["bogus", "list"], "no noun 'bogus'"),
        (["machines"], "what about machines?"),
        (["machines", "fry"], "machines cannot 'fry'"),
        (["machines", "show"], "the following arguments are required: KEY"),
        (["machines", "list", "--lim", "3"], "unrecognized arguments: --lim 3"),
        (["machines", "list", "--limit", "x"], "invalid number value: 'x'"),
        (["machines", "list", "--limit", "-1"], "out of range"),
        (["machines", "list", "--limit"], "expected one argument"),
        (["machines", "list", "--limit", "nan"], "out of range"),
        (["machines", "list", "--json", "--yaml"], "--json and --yaml exclude each other"),
        (["subnets", "create", "x", "--mode", "sometimes"], "invalid choice: 'sometimes'"),
        (["subnets", "create"], "what subnet?"),
        (["machines", "update", "x"], "no field to change"),
        (["machines", "show", "x", "--endpoint", "nowhere"], "'nowhere' is not an endpoint"),
        (["subnets", "create", "x", "y.json"], "no file y.json"),
        (["completion", "tcsh"], "invalid choice: 'tcsh'"),
    ],
)
def test_words_without_sense_are_one_line_with_a_hint(
    capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    code = main(words)
    out, err = capsys.readouterr()

    assert code == (3 if "y.json" in words else 2)
    assert told in err
    assert err.count("\n") == 1
    assert json.loads(err)["hint"] if "--json" in words else "(" in err
    assert out == ""


@pytest.mark.parametrize(
    "words",
    [
        ["{at}", "machines", "show", "node-03", "--json"],
        ["machines", "{at}", "show", "node-03", "--json"],
        ["machines", "show", "{at}", "node-03", "--json"],
        ["--json", "{at}", "machines", "show", "node-03"],
        ["machines", "--json", "{at}", "show", "node-03"],
        ["--endpoint={at=}", "--json", "machines", "show", "node-03"],
        ["--endpoint", "unix:/nonexistent/api.sock", "machines", "show", "node-03", "--json", "{at}"],
    ],
)
def test_common_options_stand_before_or_after_the_noun(
    bootcart: Running, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    argv: list[str] = []
    for word in words:
        argv += ["--endpoint", bootcart.endpoint] if word == "{at}" else [word.replace("{at=}", bootcart.endpoint)]

    assert entrance.main(argv) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "node-03"


def test_a_verb_of_the_engine_takes_common_options_before_it(
    bootcart: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entrance.main(["--json", "--endpoint", bootcart.endpoint, "info"]) == 0
    assert json.loads(capsys.readouterr().out)["version"]


@pytest.mark.parametrize("own", ["serve", "attach", "lab", "fetch"])
def test_what_has_options_of_its_own_says_where_they_stand(capsys: pytest.CaptureFixture[str], own: str) -> None:
    assert entrance.main(["--data-dir", "/nonexistent", own]) == 2
    assert capsys.readouterr().err == f"bootcart: options of {own} follow it (see: bootcart {own} --help)\n"


def test_no_engine_exits_with_six(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["machines", "list", "--data-dir", str(tmp_path)]) == 6
    assert "bootcart serve" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--help"], ["machines", "--help"], ["machines", "create", "--help"]])
def test_help(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == 0
    assert "bootcart" in capsys.readouterr().out


def test_every_verb_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for noun in NOUNS:
        for verb in noun.verbs:
            assert main([noun.name, verb.name, "--help"]) == 0
            out = capsys.readouterr().out
            assert all(option.flag in out for option in verb.options)
    for verb in (*ENGINE_VERBS, COMPLETION):
        assert main([verb.name, "--help"]) == 0


def test_text_from_the_wire_cannot_steer_a_terminal(bootcart: Running) -> None:
    evil = "a\x1b[2J\x9b31m\u202egnp\r\nb\x07"
    bootcart.world.subnets.items["rack7"] = bootcart.world.subnets.items["rack7"].model_copy(
        update={"description": evil}
    )
    for words in (("show", "rack7"), ("show", "rack7", "--json"), ("show", "rack7", "--yaml"), ("list",)):
        out = bootcart("subnets", *words).out
        assert not set(out) & {"\x1b", "\x9b", "\u202e", "\r", "\x07"}, words
    assert bootcart("subnets", "show", "rack7", "--json").json["description"] == evil


class Screen(io.StringIO):
    """A terminal that remembers what was written to it."""

    def isatty(self) -> bool:
        return True


NOUN = Noun("things", "", (), columns=("name", "macs", "status.state"))
ITEMS: list[dict[str, Any]] = [
    {"name": "a", "macs": ["52:54:00:00:00:01", "52:54:00:00:00:02"], "status": {"state": "new"}},
    {"name": "日本", "macs": [], "status": None},
]


def test_a_table_on_a_terminal_is_aligned_and_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    screen = Screen()
    Output("text", screen).listing(NOUN, ITEMS)

    assert screen.getvalue().splitlines() == [
        "NAME  MACS                   ~",
        "a     52:54:00:00:00:01,52:54~",
        "日本",
    ]


def test_a_table_in_a_pipe_is_bare() -> None:
    pipe = io.StringIO()
    Output("text", pipe).listing(NOUN, ITEMS)

    assert pipe.getvalue() == "a\t52:54:00:00:00:01,52:54:00:00:00:02\tnew\n日本\t\t\n"


def test_progress_renews_a_line_on_a_terminal_and_repeats_none_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "vt100")
    screen, pipe = Screen(), io.StringIO()
    for stream in (screen, pipe):
        progress = Progress(Output("text", io.StringIO(), stream))
        for text in ("one", "one", "two"):
            progress.show(text)
        progress.end()

    assert pipe.getvalue() == "one\ntwo\n"
    assert screen.getvalue().count("\r") == 4
    assert "\n" not in screen.getvalue()


@pytest.mark.parametrize("text", ["plain", "ünïcödé", "日本", "🚀"])
def test_what_is_harmless_is_shown_as_it_is(text: str) -> None:
    assert shown(text) == text


def test_a_reader_that_leaves_is_no_error(bootcart: Running) -> None:
    command = (*RUN, "events", "watch", "--after", "0", "--endpoint", bootcart.endpoint)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline()
        child.stdout.close()
        deadline = time.monotonic() + 20
        while child.poll() is None and time.monotonic() < deadline:
            bootcart.engine.push(bootcart.world.events.ring[0])
            time.sleep(0.05)
        assert child.poll() == 0
        assert child.stderr.read() == b""


def test_an_interrupt_ends_a_watch_quietly(bootcart: Running) -> None:
    command = (*RUN, "events", "watch", "--after", "0", "--endpoint", bootcart.endpoint)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 130
        assert child.stderr.read() == b""


def test_on_a_real_terminal(bootcart: Running) -> None:
    parent, child = pty.openpty()
    command = (*RUN, "machines", "list", "--limit", "2", "--endpoint", bootcart.endpoint)
    subprocess.run(command, cwd=ROOT, stdout=child, check=True, env={**os.environ, "COLUMNS": "100"})
    os.close(child)
    text = os.read(parent, 65536).decode()
    os.close(parent)

    assert text.startswith("NAME ")
    assert "\x1b" not in text


def test_start_up_loads_little_and_is_quick(bootcart: Running) -> None:
    script = (
        "import sys; from app.cli.main import main; code = main(sys.argv[1:]);"
        "print(*sorted(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    command = (sys.executable, "-c", script, "machines", "list", "--endpoint", bootcart.endpoint)
    heavy = {
        "fastapi",
        "starlette",
        "uvicorn",
        "sqlmodel",
        "sqlalchemy",
        "scapy",
        "textual",
        "typer",
        "click",
        "rich",
        "yaml",
    }
    took: list[float] = []
    for _ in range(3):
        began = time.process_time(), os.times().children_user + os.times().children_system
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        took.append(os.times().children_user + os.times().children_system - began[1])
        assert heavy & {name.partition(".")[0] for name in done.stderr.split()} == set()

    # Processor seconds, so that neighbours do not count.
    assert min(took) < 1.0


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["mach"], ["machines"]),
        (["machines", "sh"], ["show"]),
        (["machines", "assign", "node-0"], [f"node-0{n}" for n in range(3, 10)]),
        (["machines", "assign", "node-03", "debian"], ["debian-12", "debian-13"]),
        (["machines", "assign", "--reboot", "node-03", "local"], ["local"]),
        (["subnets", "create", "x", "--mode", "p"], ["proxy"]),
        (["subnets", "create", "x", "--lease"], ["--lease-time"]),
        (["subnets", "create", "x", "--interface", "eth"], ["eth0", "eth1", "eth2"]),
        (["subnets", "delete", "rack7", "rack"], ["rack7", "rack8"]),
        (["completion", ""], sorted(SHELLS)),
        (["nothing", ""], []),
        (["--endp"], ["--endpoint"]),
        (["--endpoint", ""], []),
        (["--json", "mach"], ["machines"]),
        (["--endpoint", "{at}", "machines", "sh"], ["show"]),
        (["machines", "--endpoint", "{at}", "sh"], ["show"]),
        (["--json", "machines", "show", "node-03", ""], []),
        (["--endpoint", "{at}", "subnets", "delete", "rack"], ["rack7", "rack8"]),
        (["machines", "show", "node-03", ""], []),
    ],
)
def test_completion(bootcart: Running, monkeypatch: pytest.MonkeyPatch, words: list[str], wanted: list[str]) -> None:
    named = [word.replace("{at}", bootcart.endpoint) for word in words]
    monkeypatch.setenv("BOOTCART_ENDPOINT", "unix:/nonexistent" if named != words else bootcart.endpoint)

    assert completion.candidates(named) == wanted


def test_completion_without_an_engine_is_silent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BOOTCART_ENDPOINT", f"unix:{tmp_path}/none")

    assert completion.candidates(["machines", "show", ""]) == []


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_scripts_are_sound(capsys: pytest.CaptureFixture[str], tmp_path: Path, shell: str) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out

    assert "completion words" in script
    if shell != "bash":
        return
    (tmp_path / "bootcart").write_text(f'#!/bin/sh\ncd {ROOT}\nexec {sys.executable} -m app "$@"\n')
    (tmp_path / "bootcart").chmod(0o755)
    ask = f"""{script}
COMP_WORDS=({tmp_path}/bootcart machines li); COMP_CWORD=2; _bootcart; echo "${{COMPREPLY[@]}}"
COMP_WORDS=({tmp_path}/bootcart subnets create x --mode ""); COMP_CWORD=5; _bootcart; echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout == "list\nauthoritative off proxy unmanaged\n"


def test_every_time_in_a_record_is_shown_as_one() -> None:
    names: set[str] = set()
    for module in pkgutil.iter_modules(app.model.__path__):
        loaded = importlib.import_module(f"app.model.{module.name}")
        for kind in vars(loaded).values():
            if isinstance(kind, type) and issubclass(kind, Model):
                names |= {name for name, said in kind.__annotations__.items() if str(said).startswith("Epoch")}
    assert {name for name in names if not cell(name, 1_700_000_000.0).startswith("2023-11-1")} == set()


def test_every_way_to_start_is_completed() -> None:
    assert set(entrance.WITH_OPTIONS_OF_THEIR_OWN) <= set(completion.OTHERS)
