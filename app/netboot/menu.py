"""PXELINUX's menus, which U-Boot and petitboot read too: their names, and one that says why nothing can be booted."""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.model.fields import normal_mac
from app.netboot.words import plain

MENU_TEMPLATE = "pxelinux"
"""The template of a boot environment that is its menu."""
MENU_FOLDER = "pxelinux.cfg"
MENU_DEFAULT = f"{MENU_FOLDER}/default"
UNTOLD = "untold"
"""Stands for the processor of firmware that does not tell it when it asks for an address."""
_PLACE = re.compile(r"^menus/([a-z0-9]{2,16})/(.+)$")
# U-Boot's last names for a menu tell its processor in its own words; `arm` is 32 bits or 64.
_WORDS = {"riscv": "riscv64", "x86": "amd64"}
_TELLS = re.compile(rf"^{re.escape(MENU_FOLDER)}/default-({'|'.join(_WORDS)})(?:-|$)")
_ETHERNET = r"01-([0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5})"
_MENU = re.compile(rf"^(?:.*/)?{re.escape(MENU_FOLDER)}(?:/(?:{_ETHERNET}|default(?:-[a-z0-9_.]+)*))?$")


def menu_of(path: str) -> str | None:
    """The MAC address a path of a menu names, empty where it names none; None: it is another path.

    What walks asks for a UUID, then for `01-MAC`, for the beginnings of its address in hexadecimal, at last for
    `default`, U-Boot for that with its processor and board first (its doc/README.pxe). The folder's own name is the
    boot file that is given: where it is, menus are looked for, and what they name.
    """
    found = _MENU.match(path)
    if found is None:
        return None
    try:
        return normal_mac(found[1]) if found[1] else ""
    except ValueError:
        return None


def menu_file(architecture: str) -> str:
    """The boot file for firmware that takes a menu: what it looks for beside it tells of which processor it is."""
    return f"menus/{architecture or UNTOLD}/{MENU_FOLDER}"


def menu_path(mac: str, architecture: str) -> str:
    """Where a machine's own menu is."""
    folder = menu_file(architecture)
    return f"{folder}/01-{mac.replace(':', '-')}" if mac else f"{folder}/default"


def menu_place(path: str) -> tuple[str, str]:
    """The processor that a path tells of, empty where it does not, and the path as it is in the tree."""
    found = _PLACE.match(path)
    if found is None:
        return "", path
    tells = _TELLS.match(found[2]) if found[1] == UNTOLD else None
    return _WORDS[tells[1]] if tells is not None else found[1], found[2]


def failure_menu(title: str, lines: Sequence[str]) -> str:
    """A menu without an entry: it says what is wrong, and the firmware goes on in its boot order."""
    shown = [f"SAY {plain(line, 400)}" for line in lines if line.strip()]
    return "\n".join((f"MENU TITLE {plain(f'Bootcart: {title}', 200)}", *shown, ""))
