"""`python -m app.host`: changes to this host that an operator agreed to, made and taken back as root by the launcher.

It reads a plan, never commands; what it may do is the closed list in `app.services.host.changes`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from app.errors import BootcartError, InvalidError
from app.model.hostplan import HostPlan
from app.services.host import carry_out, facts, planning
from app.services.host.journal import Journal, read_private


def state_file() -> Path:
    """Where changes are recorded."""
    return Path(os.environ.get("BOOTCART_STATE_ROOT") or "/var/lib/bootcart") / "host-state.json"


def result_file() -> Path:
    """Where the interface reads what came of its plan."""
    return state_file().with_name("host-result.json")


def load(path: Path, owner: int) -> HostPlan:
    """Read and validate a plan that user `owner` wrote. Raises InvalidError or ForbiddenError."""
    raw = read_private(path, owner)
    if raw is None:
        raise InvalidError(f"there is no plan at {path}", hint="agree to one in the wizard first")
    try:
        return HostPlan.model_validate_json(raw, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidError(first["msg"], hint="nothing was changed", field=field) from error


def say(line: str) -> None:
    """One line for the operator."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _result(ok: bool, lines: Sequence[str], error: BootcartError | None = None) -> None:
    body = {
        "ok": ok,
        "commands": list(lines),
        "message": error.message if error else "",
        "hint": error.hint if error else "",
    }
    fresh = result_file().with_suffix(".new")
    fresh.write_text(json.dumps(body) + "\n")
    fresh.chmod(0o644)
    os.replace(fresh, result_file())


def _agreed() -> bool:
    """The operator saw the exact commands; without a terminal the agreement given in the interface stands."""
    if not sys.stdin.isatty():
        return True
    sys.stderr.write("Enter runs these, n leaves the host as it is: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() not in ("n", "no", "q")


def apply(path: Path, owner: int) -> int:
    """Apply a plan; 0 done, 1 failed and taken back, 5 the operator declined."""
    lines: tuple[str, ...] = ()
    try:
        plan = load(path, owner)
        journal = Journal(state_file())
        names = [name for name in (plan.interface, plan.nat_uplink) if name]
        prepared = planning.prepare(plan, facts.gather(names), journal.changes())
        lines = prepared.lines()
        say(f"To prepare {plan.interface}, as root; taken back when the engine stops:")
        for line in lines or ("nothing: the host is as it should be",):
            say("  " + line)
        for warning in prepared.warnings:
            say(f"  warning: {warning}")
        if lines and not _agreed():
            say("nothing was changed")
            _result(False, lines, BootcartError("declined", hint="nothing was changed"))
            return 5
        carry_out.Executor(journal, say).apply(prepared)
    except BootcartError as error:
        say(f"bootcart: {error}")
        _result(False, lines, error)
        return error.exit_code
    _result(True, lines)
    return 0


def revert() -> int:
    """Take back everything on record; 0 when the host is as it was."""
    try:
        journal = Journal(state_file())
        if journal.changes():
            say("Putting the host back as it was:")
        carry_out.Executor(journal, say).revert()
    except BootcartError as error:
        say(f"bootcart: {error}")
        return error.exit_code
    return 0


def main(arguments: Sequence[str]) -> int:
    """`apply PLAN [--owner UID]`, `show PLAN [--owner UID]` or `revert`."""
    parser = argparse.ArgumentParser(prog="python -m app.host", description=(__doc__ or "").partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    doing = verbs.add_parser("apply", help="prepare the host as a plan says")
    doing.add_argument("plan", type=Path)
    doing.add_argument("--owner", type=int, default=os.geteuid(), help="the user who wrote the plan")
    verbs.add_parser("revert", help="take back every change on record")
    options = parser.parse_args(list(arguments))
    if os.geteuid() != 0:
        say("bootcart: preparing the host needs root (sudo bootcart)")
        return 5
    return apply(options.plan, options.owner) if options.verb == "apply" else revert()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
