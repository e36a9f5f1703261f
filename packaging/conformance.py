"""Write docs/conformance.md: each requirement on the boot servers with the test that proves it.

python packaging/conformance.py           write the page
python packaging/conformance.py --check   exit with 1 when it is not current
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.conformance.item import Item  # noqa: E402 - found through the path set above
from tests.conformance.items import CHAPTERS  # noqa: E402

TESTS = ROOT / "tests" / "conformance"
# What needs no wire is shown by the protocol's own code.
UNITS = (
    *(ROOT / "tests" / "netboot" / name for name in ("test_checklist_units.py", "test_pxe_rules.py")),
    ROOT / "tests" / "engine" / "test_shim_names.py",
)
PAGE = ROOT / "docs" / "conformance.md"
HEAD = """\
# Conformance

<!-- Written by packaging/conformance.py from tests/conformance. -->

Each row is a requirement of a standard, or of the field, on servers that boot machines, and the test in
`tests/conformance` that proves it. The tests speak to the real services over real sockets, in network namespaces,
with a client that is not Bootcart's own code; those of the last two chapters need no wire and are in `tests/netboot`,
but for what shim asks for, in `tests/engine`.
Where a requirement and a real machine disagree, the machine wins, and a decision record in `docs/adr` says so.
"""


def proofs() -> dict[str, list[str]]:
    """The tests by the id in their names (`test_a01_…`), written `file::function`."""
    found: dict[str, list[str]] = {}
    for path in (*sorted(TESTS.glob("test_*.py")), *UNITS):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
                match := re.match(r"test_((?:[a-z]\d\d_)+)", node.name)
            ):
                for key in match[1].strip("_").upper().split("_"):
                    found.setdefault(key, []).append(f"{path.name}::{node.name}")
    return found


def _row(item: Item, proof: list[str]) -> str:
    cells = (item.id, item.source, item.level, item.text, ", ".join(f"`{name}`" for name in proof))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def page() -> str:
    """docs/conformance.md."""
    found = proofs()
    lines = [HEAD]
    for title, items in CHAPTERS.items():
        lines += [f"## {title}", "", "| id | source | level | what | test |", "|---|---|---|---|---|"]
        lines += [*(_row(item, found.get(item.id, [])) for item in items), ""]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Write the page, or check it."""
    text = page()
    if arguments == ["--check"]:
        current = PAGE.is_file() and PAGE.read_text() == text
        if not current:
            sys.stderr.write("docs/conformance.md is not current; run python packaging/conformance.py\n")
        return int(not current)
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
