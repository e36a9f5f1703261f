"""The command `bootcart`: one entrance, nothing imported that the form does not need."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from app import __main__ as entrance
from app import serve
from app.config import Settings
from app.version import VERSION

ROOT = Path(__file__).resolve().parent.parent


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == VERSION


def test_usage_and_version_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert entrance.main(["--help"]) == 0
    assert "bootcart serve" in capsys.readouterr().out
    assert entrance.main(["--version"]) == 0
    assert capsys.readouterr().out == f"bootcart {VERSION}\n"


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--version"], ["textual", "fastapi", "sqlalchemy", "scapy", "pydantic", "httpx"]),
        (["serve", "--help"], ["textual", "fastapi", "sqlalchemy", "scapy"]),
        (
            ["machines", "list", "--endpoint", "unix:/nonexistent/api.sock"],
            ["textual", "fastapi", "sqlalchemy", "scapy"],
        ),
        (["lab", "--help"], ["textual", "fastapi", "sqlalchemy", "scapy"]),
    ],
)
def test_a_form_imports_only_what_it_needs(arguments: list[str], heavy: list[str]) -> None:
    program = (
        "import sys\nfrom app.__main__ import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print('LOADED', *sorted(name for name in sys.modules if '.' not in name))"
    )
    argv = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=ROOT, check=True)
    loaded = done.stdout.rpartition("LOADED")[2].split()

    assert "app" in loaded
    assert not set(heavy) & set(loaded)


def test_every_setting_is_a_flag_of_the_engine() -> None:
    options = {option for action in serve.parser()._actions for option in action.option_strings}

    assert {serve.flag_of(setting) for setting in fields(Settings)} <= options


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--http-port", "99999"], "http_port: '99999' is not a port"),
        (["--data-dir", "/x" * 60], "longer than 107 bytes"),
        (["--config", "/nonexistent.toml"], "cannot read /nonexistent.toml"),
        (["--dhcp", "perhaps"], "'perhaps' is not known"),
    ],
)
def test_wrong_settings_are_one_line_and_not_worth_a_restart(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert serve.main(arguments) == serve.EXIT_CONFIGURATION
    told = capsys.readouterr().err

    assert words in told
    assert told.startswith("bootcart serve: ")
    assert told.count("\n") == 1
