"""Rules of the house that no linter knows: sizes, names, what loads what, locks that match, versions that agree."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = sorted((ROOT / "app").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

PROGRAM_LINES = 400
TEST_LINES = 600


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_files_are_short() -> None:
    long = {
        named(path): lines
        for paths, limit in ((PROGRAM, PROGRAM_LINES), (TESTS, TEST_LINES))
        for path in paths
        if (lines := len(path.read_text().splitlines())) > limit
    }

    assert long == {}


def test_names_say_what_is_inside() -> None:
    vague = {"utils", "util", "helpers", "helper", "manager", "base", "common", "misc"}

    assert [named(path) for path in PROGRAM if path.stem in vague] == []


def test_every_module_says_its_purpose() -> None:
    silent = [named(path) for path in PROGRAM if not re.match(r'r?"""\S', path.read_text())]

    assert silent == []


def test_nothing_is_postponed() -> None:
    postponed = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError|raise NotImplemented\b")
    found = [named(path) for path in PROGRAM if postponed.search(path.read_text())]

    assert found == []


def loaded(statement: str) -> set[str]:
    """The top-level names of the modules a fresh interpreter has loaded after a statement."""
    code = f"import sys; before = set(sys.modules)\n{statement}\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


HEAVY = {"textual", "fastapi", "uvicorn", "sqlalchemy", "sqlmodel", "alembic"} | {
    "scapy",
    "tftpy",
    "pyghmi",
    "sushy",
    "aiohttp",
}

# What a part must not load, directly or through anything it imports.
BUDGETS: list[tuple[str, str, set[str]]] = [
    ("the entry", "import app.__main__", HEAVY | {"pydantic", "httpx", "typer", "jinja2"}),
    ("the supervisor", "import app.services.supervisor", HEAVY | {"pydantic", "asyncio", "subprocess", "logging"}),
    ("the host preparation", "import app.host", HEAVY | {"httpx", "jinja2", "asyncio"}),
    ("the model", "import app.model.machine, app.model.engine, app.model.subnet, app.model.event", HEAVY | {"httpx"}),
    ("the client", "import app.client.http", HEAVY),
    ("the command line", "import app.cli.main", HEAVY),
    (
        "the engine, before it answers machines",
        "import app.serve, app.engine.engine",
        {"fastapi", "uvicorn", "alembic", "scapy", "tftpy", "pyghmi", "sushy", "textual", "typer", "pycdlib"},
    ),
    ("the interface, before its first paint", "import app.screens.app", HEAVY - {"textual"} | {"pydantic", "httpx"}),
]


@pytest.mark.parametrize(("statement", "forbidden"), [row[1:] for row in BUDGETS], ids=[row[0] for row in BUDGETS])
def test_import_budget(statement: str, forbidden: set[str]) -> None:
    roots = {name.partition(".")[0] for name in loaded(statement)}

    assert roots & forbidden == set()


def locked(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", path.read_text(), re.MULTILINE))


def asked(requirements: list[str]) -> dict[str, str]:
    """Package names, normalised (PEP 503), with the versions asked for."""
    found: dict[str, str] = {}
    for requirement in requirements:
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*(.*)", requirement)
        assert match, requirement
        found[re.sub(r"[-_.]+", "-", match[1]).lower()] = match[2]
    return found


def test_the_lock_holds_what_the_project_asks_for() -> None:
    runtime = locked(ROOT / "requirements.lock")
    test = locked(ROOT / "packaging/requirements-test.lock")
    wanted = asked(PYPROJECT["project"]["dependencies"])

    assert wanted.keys() - runtime.keys() == set()
    assert asked(PYPROJECT["dependency-groups"]["test"]).keys() - test.keys() == set()
    for name, version in wanted.items():
        if version.startswith("=="):
            assert runtime[name] == version.removeprefix("==")


def test_tests_run_on_what_is_shipped() -> None:
    runtime = locked(ROOT / "requirements.lock")
    test = locked(ROOT / "packaging/requirements-test.lock")

    assert {name: test.get(name) for name in runtime} == runtime


@pytest.mark.parametrize("name", ["requirements.lock", "packaging/requirements-test.lock"])
def test_locks_have_hashes_and_no_addresses(name: str) -> None:
    text = (ROOT / name).read_text()
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text)

    assert [block.partition(" ")[0] for block in blocks if "==" in block and "--hash=sha256:" not in block] == []
    assert not re.search(r"https?://|--index|--find-links|--extra", text)


def test_one_version() -> None:
    found = re.search(r'^VERSION = "(.*)"$', (ROOT / "app/version.py").read_text(), re.MULTILINE)

    assert found
    assert found[1] == PYPROJECT["project"]["version"]


def test_what_is_run_is_executable() -> None:
    for name in ("bootcart", "packaging/test", "packaging/loaders", "packaging/discovery/build", ".ci/run"):
        assert (ROOT / name).stat().st_mode & 0o111, name
