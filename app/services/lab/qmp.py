"""The two or three things a lab asks of a running QEMU, over its QMP socket."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, cast

from app.errors import UnreachableError

_SECONDS = 5.0


def ask(path: Path, *commands: str) -> list[dict[str, Any]]:
    """Run QMP commands without arguments, one after the other; their answers. Raises UnreachableError."""
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(_SECONDS)
            line.connect(str(path))
            with line.makefile("rwb") as stream:
                stream.readline()
                return [_one(stream, command) for command in ("qmp_capabilities", *commands)][1:]
    except (OSError, ValueError) as error:
        hint = "is it running? see `bootcart lab list`; run this as root"
        raise UnreachableError(f"the machine's control socket {path} does not answer: {error}", hint=hint) from error


def _one(stream: Any, command: str) -> dict[str, Any]:
    stream.write(json.dumps({"execute": command}).encode() + b"\n")
    stream.flush()
    while line := stream.readline():
        answer = cast("dict[str, Any]", json.loads(line))
        if "return" in answer:
            found = answer["return"]
            return cast("dict[str, Any]", found) if isinstance(found, dict) else {"value": found}
        if "error" in answer:
            raise ValueError(f"{command}: {answer['error'].get('desc', answer['error'])}")
    raise ValueError(f"it hung up during {command}")


def reset(path: Path) -> None:
    """Power-cycle the machine: it starts again in its firmware, also when it had powered itself off."""
    # After a guest's own power-off QEMU stands still; a reset alone would leave it standing.
    ask(path, "system_reset", "cont")


def status(path: Path) -> str:
    """QEMU's word for what the machine does: running, paused, shutdown, …"""
    return str(ask(path, "query-status")[0].get("status", "unknown"))
