"""The boot script of one machine: which boot environment it is for, and what its template is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from app.model.bootenv import BootEnv, BootKind
from app.model.machine import Machine, stranger
from app.netboot.bootpath import ANSWER_FOLDER, answer_path, report_path, script_path
from app.netboot.decide import bootenv_of
from app.netboot.grub import GRUB_TEMPLATE, failure_config, quoted
from app.netboot.menu import MENU_TEMPLATE, UNTOLD, failure_menu
from app.netboot.render import RenderError, architectures, failure_script, render
from app.netboot.token import MASK
from app.netboot.view import NetworkView

BOOT = "boot"
GRUB = GRUB_TEMPLATE
MENU = MENU_TEMPLATE
LANGUAGES = {BOOT: "iPXE", GRUB: "GRUB", MENU: "a menu of PXELINUX's kind"}
"""The templates that are a machine's script, and in whose words."""
ARGUMENTS = "arguments"


class Content(Protocol):
    """Boot environments and the text of their templates."""

    def bootenv(self, name: str) -> BootEnv | None: ...

    def bootenvs(self) -> tuple[BootEnv, ...]: ...

    def templates(self, name: str) -> Mapping[str, str]: ...


class Preferences(Protocol):
    """The parameters of templates."""

    def preference(self, name: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Choice:
    """What a machine boots and why: `local` and `reason` when it is kept from anything else."""

    name: str
    machine: Machine
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom a template is rendered: the MAC it boots with, its address, the base URL it reaches us at."""

    mac: str
    address: str
    base: str
    over_http: bool = False
    """It asks over HTTP; over TFTP the files that a script names are beside it."""


def machine_of(mac: str, view: NetworkView) -> Machine:
    """The machine with this MAC address, made up as far as it can be when nobody has named it."""
    return view.machine_by_mac(mac) or stranger(mac)


def choose(mac: str, view: NetworkView, architecture: str = "") -> Choice:
    """The boot environment of a machine; held machines and reservations that never boot get `local`.

    `architecture`: its processor, where its firmware tells it now.
    """
    machine = machine_of(mac, view)
    if architecture and architecture != UNTOLD:
        machine = machine.model_copy(update={"architecture": architecture})
    reservation = next((each for each in view.reservations_for(mac) if each.never_boot), None)
    if machine.held:
        return Choice("local", machine, "it is held")
    if reservation is not None:
        return Choice("local", machine, f"the reservation of {reservation.address} says never to boot it")
    return Choice(bootenv_of(mac, view)[0], machine)


def _machine(machine: Machine) -> dict[str, Any]:
    """What a template may know of a machine, as plain values."""
    return {
        "id": str(machine.id),
        "name": machine.name,
        "macs": list(machine.macs),
        "architecture": machine.architecture,
        "firmware": machine.firmware,
        "bootenv": machine.bootenv,
        "registered": machine.registered,
        "description": machine.description,
    }


def _boot_file(bootenv: BootEnv, machine: Machine) -> Callable[..., str]:
    def boot_file(kind: str, architecture: str = "") -> str:
        wanted = architecture or machine.architecture
        files = bootenv.architectures.get(wanted) or next(iter(bootenv.architectures.values()), None)
        if files is None:
            raise LookupError(f"{bootenv.name} has no files")
        if kind == "kernel":
            return files.kernel
        if kind == "initrd" and files.initrds:
            return files.initrds[0]
        raise LookupError(f"{bootenv.name} has no {kind}")

    return boot_file


def _param(view: Preferences) -> Callable[[str], str]:
    def param(name: str) -> str:
        try:
            return view.preference(name)
        except KeyError:
            raise LookupError(f"there is no parameter {name!r}") from None

    return param


def _answer_url(bootenv: BootEnv, base: str, token: Callable[[], str]) -> Callable[[str], str]:
    def answer_url(name: str) -> str:
        if all(template.path != name for template in bootenv.templates):
            raise LookupError(f"{bootenv.name} has no template whose path is {name!r}")
        return f"{base}/{answer_path(token(), name)}"

    return answer_url


def _report_url(base: str, token: Callable[[], str]) -> Callable[[str], str]:
    def report_url(step: str) -> str:
        return f"{base}/{report_path(token(), step)}"

    return report_url


def _fail(why: str) -> str:
    """For a template that cannot be what is wanted: the machine's screen and an event say why."""
    raise LookupError(why)


def rendered(
    bootenv: BootEnv,
    templates: Mapping[str, str],
    choice: Choice,
    asker: Asker,
    view: Preferences,
    token: Callable[[], str],
    template: str = BOOT,
) -> str:
    """A template of `bootenv` for one machine. Raises RenderError."""
    context: dict[str, Any] = {
        "machine": _machine(choice.machine),
        "env": {
            "name": bootenv.name,
            "title": bootenv.title,
            "architectures": architectures(bootenv.architectures),
            "facts": dict(bootenv.facts),
        },
        "mac": asker.mac,
        "address": asker.address,
        "reason": choice.reason,
        "provisioner_url": asker.base,
        "script_path": script_path(asker.mac),
        "file_base": f"{asker.base}/" if asker.over_http else "",
        "boot_file": _boot_file(bootenv, choice.machine),
        "param": _param(view),
        "token": token,
        "answer_url": _answer_url(bootenv, asker.base, token),
        "report_url": _report_url(asker.base, token),
        "fail": _fail,
        "grub": quoted,
        "menu": _one_line,
    }
    if ARGUMENTS in templates:
        # One line, whatever the definition's YAML made of it: it becomes a kernel command line.
        context[ARGUMENTS] = " ".join(render(bootenv.name, ARGUMENTS, templates, context).split())
    else:
        context[ARGUMENTS] = ""
    return render(bootenv.name, template, templates, context)


def _one_line(text: str) -> str:
    """Words of a menu: an entry ends with its line."""
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Given:
    """What a machine that asks for its script is given; `error` is why `text` only says that it failed."""

    choice: Choice
    bootenv: BootEnv | None
    text: str = ""
    error: RenderError | None = None
    left_alone: bool = False
    """Nothing is given: it is told that there is no such file."""


def given(
    choice: Choice,
    content: Content,
    asker: Asker,
    view: NetworkView,
    token: Callable[[], str],
    attempt: int = 0,
    template: str = BOOT,
) -> Given:
    """The boot script of a machine, or the one that says on its screen why there is none; `template`: for whom."""
    bootenv = content.bootenv(choice.name)
    if bootenv is not None and bootenv.kind is BootKind.IGNORE:
        return Given(choice, bootenv, left_alone=True)
    try:
        if bootenv is None or bootenv.errors:
            why = "; ".join(bootenv.errors) if bootenv else "there is no boot environment of this name"
            hint = "assign another one, or bring what is missing: the machine asks again by itself"
            raise RenderError(choice.name, "", 0, why, hint)
        templates = content.templates(bootenv.name)
        if template != BOOT and template not in templates:
            why = f"it has no template named {template}, so it has no script for {LANGUAGES[template]}"
            raise RenderError(choice.name, "", 0, why, "assign another one, or have the machine take another loader")
        text = rendered(bootenv, templates, choice, asker, view, token, template)
    except RenderError as error:
        place = f"{error.template} line {error.line}" if error.line else ""
        again = f"{asker.base}/{script_path(asker.mac)}"
        title = f"{choice.machine.name} cannot boot {choice.name} now"
        if template == GRUB:
            return Given(choice, bootenv, failure_config(title, (place, error.why)), error)
        if template == MENU:
            return Given(choice, bootenv, failure_menu(title, (place, error.why)), error)
        return Given(choice, bootenv, failure_script(title, (place, error.why), again, attempt), error)
    return Given(choice, bootenv, text)


@dataclass(frozen=True, slots=True)
class AnswerFile:
    """An answer file a script leads to; `error` is why it cannot be given."""

    path: str
    size: int | None = None
    error: RenderError | None = None


def answer_files(found: Given, content: Content, asker: Asker, view: NetworkView) -> tuple[AnswerFile, ...]:
    """The answer files that a script with masked tokens leads to. Only a registered machine is given them."""
    bootenv = found.bootenv
    if bootenv is None or found.error is not None or not bootenv.installs:
        return ()
    files: list[AnswerFile] = []
    texts = content.templates(bootenv.name)
    for template in bootenv.templates:
        if template.name in LANGUAGES or answer_path(MASK, template.path) not in found.text:
            continue
        path = f"{ANSWER_FOLDER}/{template.path}"
        try:
            text = rendered(bootenv, texts, found.choice, asker, view, lambda: MASK, template.name)
        except RenderError as error:
            files.append(AnswerFile(path, error=error))
        else:
            files.append(AnswerFile(path, len(text.encode()) if found.choice.machine.registered else None))
    return tuple(files)
