"""docs/reference/architectures.md: what each processor architecture type is served, or why nothing is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from app.model.engine import PREFERENCES
from app.netboot.firmware import ZERO_TOUCH
from app.netboot.loaders import GRUB_CHAIN, IPXE_CHAIN, LOADERS, SIGNED_PREFERENCE, signed_loader
from app.netboot.menu import menu_path
from app.netboot.wire.pxe import ARCHITECTURES

Table = Callable[[Iterable[str], Iterable[Iterable[str]]], Iterator[str]]
PETITBOOT = 14
RASPBERRY_PI = 41
CHAINS = (GRUB_CHAIN, IPXE_CHAIN)
SIGNED = (7, 11)


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
        "Firmware that starts only what is signed (Secure Boot) is given another file of its type, as the preference "
        f"`{SIGNED_PREFERENCE}` says: what lies beside it is asked for by shim itself.",
        "",
        *table(("firmware", *(f"`{chain}`" for chain in CHAINS)), (_signed(number) for number in SIGNED)),
        "Installers of switches are told apart by their class (option 60). They are given an address and the options "
        "that are set for them, no loader: 67 or 114 for a file's name or URL, 66 or 150 for a server, 43 for theirs.",
        "",
        *table(("class begins with", "called"), ((f"`{begins.decode()}`", words) for begins, words in ZERO_TOUCH)),
    ]
    return "\n".join(lines)


def _row(number: int) -> tuple[str, ...]:
    known = ARCHITECTURES[number]
    return (f"{number} (0x{number:02x})", known.name, known.machine, known.transport.upper(), _given(number))


def _signed(number: int) -> tuple[str, ...]:
    return (ARCHITECTURES[number].name, *(f"`{signed_loader(number, chain)}`" for chain in CHAINS))


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
