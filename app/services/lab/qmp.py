"""The two or three things a lab asks of a running QEMU, over its QMP socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from app.errors import UnreachableError

_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Command:
    """A QMP command with its arguments."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


def ask(path: Path, *commands: str | Command) -> list[dict[str, Any]]:
    """Run QMP commands, one after the other; their answers. Raises UnreachableError."""
    asked = [one if isinstance(one, Command) else Command(one) for one in ("qmp_capabilities", *commands)]
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(_SECONDS)
            line.connect(str(path))
            with line.makefile("rwb") as stream:
                stream.readline()
                return [_one(stream, command) for command in asked][1:]
    except (OSError, ValueError) as error:
        hint = "is it running? see `bootcart lab list`; run this as root"
        raise UnreachableError(f"the machine's control socket {path} does not answer: {error}", hint=hint) from error


def _one(stream: Any, command: Command) -> dict[str, Any]:
    words = {"execute": command.name, "arguments": dict(command.arguments)}
    stream.write(json.dumps(words).encode() + b"\n")
    stream.flush()
    while line := stream.readline():
        answer = cast("dict[str, Any]", json.loads(line))
        if "return" in answer:
            found = answer["return"]
            return cast("dict[str, Any]", found) if isinstance(found, dict) else {"value": found}
        if "error" in answer:
            raise ValueError(f"{command.name}: {answer['error'].get('desc', answer['error'])}")
    raise ValueError(f"it hung up during {command.name}")


def set_boot_order(path: Path, order: Mapping[str, int]) -> None:
    """Change what the machine's firmware tries first, from its next start; `order` as `qemu.boot_order` has it."""

    def place(device: str, index: int) -> Command:
        return Command("qom-set", {"path": f"/machine/peripheral/{device}", "property": "bootindex", "value": index})

    # QEMU refuses a place that is taken, so all give theirs up first.
    ask(path, *(place(device, -1) for device in order), *(place(device, index) for device, index in order.items()))


def reset(path: Path) -> None:
    """Power-cycle the machine: it starts again in its firmware, also when it had powered itself off."""
    # After a guest's own power-off QEMU stands still; a reset alone would leave it standing.
    ask(path, "system_reset", "cont")


def status(path: Path) -> str:
    """QEMU's word for what the machine does: running, paused, shutdown, …"""
    return str(ask(path, "query-status")[0].get("status", "unknown"))
