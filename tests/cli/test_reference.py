"""The reference pages are what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "packaging" / "reference.py"


def test_the_committed_pages_are_current() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("api.md", ["### GET /api/v1/machines/{key}/timeline", "### Machine", "Last-Event-ID", "not-found"]),
        ("cli.md", ["bootcart machines assign KEY BOOTENV", "--lease-time SECONDS", "| 6 | unreachable |"]),
        ("events.md", ["`dhcp.discover`"]),
        ("settings.md", ["`BOOTCART_DATA_DIR`", "`unknown-bootenv`"]),
        ("keys.md", ["## On leases", "`Ctrl-L`", "| `reserve ADDRESS MAC` |"]),
    ],
)
def test_a_page_tells(page: str, words: list[str]) -> None:
    text = (ROOT / "docs" / "reference" / page).read_text().lower()

    assert [word for word in words if word.lower() not in text] == []
