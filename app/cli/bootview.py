"""A dry run of a boot in words: `bootcart machines boot`."""

from __future__ import annotations

from collections.abc import Iterable

from app.cli.outputs import Output, shown
from app.model.bootview import BootAnswer, BootFirmware, BootView

SCRIPTS = {"grub": "script for GRUB", "pxelinux": "menu"}
STAGES = {"rom": "firmware", "ipxe": "iPXE"}


def write(view: BootView, output: Output) -> None:
    """The whole of it, a section for each firmware; empty facts are left out."""
    where = f"{view.interface} ({view.interface_why})" if view.interface else ""
    fault = view.fault
    place = ""
    if fault is not None:
        at = f" line {fault.line}" if fault.line else ""
        place = f"{fault.bootenv}/{fault.template}{at}: {fault.why}" if fault.template else fault.why
    head = {
        "machine": f"{view.machine} {view.mac}" + ("" if view.registered else " (not registered)"),
        "interface": where,
        "relay": view.relay or "",
        "reservation": view.reservation or "",
        "boots": f"{view.bootenv}: {view.bootenv_why}" if view.bootenv else view.bootenv_why,
        "template failed": place,
        "arguments": view.arguments,
    }
    _facts(output, head.items())
    for warning in view.warnings:
        output.line(f"! {shown(warning)}")
    for firmware in view.firmware:
        _firmware(firmware, view.firmware_why, output)
    if view.script:
        output.line("")
        output.line(SCRIPTS.get(view.template, "script"))
        output.text(view.script)


def _firmware(firmware: BootFirmware, why: str, output: Output) -> None:
    output.line("")
    output.line(f"{firmware.name}: {shown(firmware.title)} ({shown(why)})")
    for answer in firmware.answers:
        _answer(answer, output)
    if firmware.files:
        rows = [
            [
                f"{one.protocol} {shown(one.path)}",
                one.role,
                "missing" if not one.present else "" if one.size is None else str(one.size),
                one.sha256,
            ]
            for one in firmware.files
        ]
        output.table(("file", "role", "size", "sha256"), rows)


def _answer(answer: BootAnswer, output: Output) -> None:
    stage = STAGES.get(answer.stage, answer.stage)
    if not answer.answered:
        output.line(f"{stage}: no answer: {shown(answer.why)}")
        return
    output.line(f"{stage}: " + (f"boot file {shown(answer.bootfile)}" if answer.bootfile else "no boot file"))
    address = f"{answer.address} ({answer.address_how})" if answer.address is not None else answer.address_how
    options = (f"{option.code} {option.name} {option.value}" for option in answer.options)
    facts = {
        "address": address,
        "subnet": answer.subnet,
        "next server": answer.next_server or "",
        "why": answer.why,
        "options": "; ".join(options),
    }
    _facts(output, facts.items(), "  ")


def _facts(output: Output, pairs: Iterable[tuple[str, object]], indent: str = "") -> None:
    for name, value in pairs:
        if text := shown(value):
            output.line(f"{indent}{name}\t{text}" if not output.terminal else f"{indent}{name:<16}{text}")
