"""GRUB's configuration: the names GRUB asks for it by, its quoting, and one that says why nothing can be booted."""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.model.fields import normal_mac
from app.netboot.words import plain

GRUB_TEMPLATE = "grub"
"""The template of a boot environment that is its script for GRUB."""
CONFIG = "grub.cfg"
_CONFIG = re.compile(rf"^(?:.*/)?{re.escape(CONFIG)}(?:-01-([0-9A-Fa-f]{{2}}(?:-[0-9A-Fa-f]{{2}}){{5}}))?$")


def config_of(path: str) -> str | None:
    """The MAC address a path of GRUB's configuration names, empty where it names none; None: it is another path.

    From the network GRUB asks for `grub.cfg-01-MAC`, then for the beginnings of its address in hexadecimal, then for
    `grub.cfg`, all below the folder its maker chose (GRUB manual, section 6.4).
    """
    found = _CONFIG.match(path)
    if found is None:
        return None
    try:
        return normal_mac(found[1]) if found[1] else ""
    except ValueError:
        return None


def quoted(text: str) -> str:
    """`text` as words of GRUB's script language, each literal: nothing in them is a variable or ends the command."""
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in text.split())


def failure_config(title: str, lines: Sequence[str]) -> str:
    """A configuration that boots nothing: it says what is wrong, waits, and has the machine start over."""
    shown = [f"echo {quoted(plain(line, 400))}" for line in lines if line.strip()]
    return "\n".join(
        (
            "echo",
            f"echo {quoted(plain(f'Bootcart: {title}', 400))}",
            *shown,
            "echo 'Starting over in 30 seconds. Escape: now.'",
            "sleep --interruptible 30",
            "reboot",
            "",
        )
    )
