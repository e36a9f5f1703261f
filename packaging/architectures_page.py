"""docs/reference/architectures.md: what each processor architecture type is served, or why nothing is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from app.model.engine import PREFERENCES
from app.netboot.loaders import LOADERS
from app.netboot.menu import menu_path
from app.netboot.wire.pxe import ARCHITECTURES

Table = Callable[[Iterable[str], Iterable[Iterable[str]]], Iterator[str]]
PETITBOOT = 14
RASPBERRY_PI = 41


def architectures_page(note: str, table: Table) -> str:
    """The page; `note` says who wrote it, `table` makes a Markdown table."""
    lines = [
        "# Architectures",
        "",
        note,
        "",
        "Firmware names the type of its processor in DHCP option 93 (RFC 4578; IANA registry). What it is given "
        "follows from that, unless option 67 is set for the machine, its reservation or its subnet. A type without a "
        "boot file still gets an address; the event of the OFFER and the machine's page say why it gets no more.",
        "",
        *table(("type", "firmware", "processor", "fetches by", "is given"), (_row(number) for number in LOADERS)),
    ]
    return "\n".join(lines)


def _row(number: int) -> tuple[str, ...]:
    known = ARCHITECTURES[number]
    return (f"{number} (0x{number:02x})", known.name, known.machine, known.transport.upper(), _given(number))


def _given(number: int) -> str:
    loader = LOADERS[number]
    if loader.menu:
        menu = menu_path("MAC", ARCHITECTURES[number].machine)
        return f"a menu, `{menu}`" + (", also as options 209 and 210" if number == PETITBOOT else "")
    if number == RASPBERRY_PI:
        return "`bootcode.bin` and option 43 `Raspberry Pi Boot`, as type 0 from a Raspberry Pi's card"
    default = next((one.default for one in PREFERENCES if one.name == loader.preference), "")
    if default:
        return f"`{default}` (preference `{loader.preference}`)"
    return f"nothing: {loader.why}"
