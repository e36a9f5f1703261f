"""Boot scripts that are at hand: rendered ahead for all machines alike, and kept for one that asks again at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from app.model.bootenv import BootEnv, BootKind
from app.model.machine import Machine
from app.model.subnet import Lease
from app.netboot.bootpath import Role, Served, script_path
from app.netboot.printed import Printed, mark, only_prints, printed
from app.netboot.timeline import INSTALLER
from app.services.bootfs.scripts import ARGUMENTS, BOOT, Asker, Choice, Content, Preferences, rendered

AHEAD_MAX = 256
AGAIN_MAX = 1024
AGAIN_SECONDS = 5.0
"""For so long a machine that asks again gets the same script: the token in it lasts a hundred times as long."""
IPXE_TYPE = "text/plain; charset=utf-8"
# As long as a MAC address and with its colons, so that paths which are made of it are found again.
_MAC, _DASHED = "mac:mac:mac:mac", "mac-mac-mac-mac"
_STAND_INS = {"mac": mark(_MAC), "address": mark("address"), "name": mark("name"), "id": mark("id")}

_Kind = tuple[str, str, str, str, str, str, bool]


@dataclass(slots=True)
class _Ahead:
    """A script with gaps, and all that it was made of."""

    bootenv: BootEnv
    templates: Mapping[str, str]
    asked: Mapping[str, str]
    """The parameters that were asked for, and what they were."""
    printed: Printed
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Again:
    """A finished script, for whom and until when (epoch seconds) it holds."""

    served: Served
    ahead: _Ahead
    machine: Machine
    reason: str
    lease: Lease
    until: float


class _Asked:
    """The parameters, remembering which were asked for."""

    def __init__(self, view: Preferences) -> None:
        self._view = view
        self.asked: dict[str, str] = {}

    def preference(self, name: str) -> str:
        found = self.asked[name] = self._view.preference(name)
        return found


def facts_of(bootenv: BootEnv) -> dict[str, str]:
    """What an event about the script of a boot environment tells of the boot that follows."""
    facts = {"bootenv": bootenv.name, "boots": INSTALLER if bootenv.installs else bootenv.kind.value}
    if bootenv.architectures:
        initrds = any(files.initrds for files in bootenv.architectures.values())
        facts["loads"] = "kernel initrd" if initrds else "kernel"
    return facts


def script_text(path: str, text: str, role: Role, facts: Mapping[str, str] | None = None) -> Served:
    """A script as it is served."""
    return Served(path, role, body=text.encode("utf-8"), content_type=IPXE_TYPE, facts=facts or {})


class Scripts:
    """Scripts for iPXE that take no rendering. Thread-safe; `at_hand` takes some ten microseconds and no lock."""

    def __init__(self, view: Preferences, content: Content) -> None:
        self._view = view
        self._content = content
        self._ahead: dict[_Kind, _Ahead] = {}
        self._again: dict[tuple[str, str, str], _Again] = {}

    def at_hand(
        self, choice: Choice, asker: Asker, lease: Lease | None, now: float, token: Callable[[], str]
    ) -> Served | None:
        """The script of a machine, to be had over HTTP; None: it has to be rendered.

        `lease` is the one its address is held by, `token` makes its token, `now` is in epoch seconds.
        """
        machine = choice.machine
        ahead = self._ahead.get(_kind(choice, asker))
        if ahead is None or len(asker.mac) != len(_STAND_INS["mac"]) or not self._holds(ahead):
            return None
        key = (asker.mac, asker.address, asker.base)
        again = self._again.get(key)
        if (
            again is not None
            and again.ahead is ahead
            and again.lease is lease
            and now < again.until
            and again.machine is machine
            and again.reason == choice.reason
        ):
            return again.served
        path = script_path(asker.mac)
        dashed = asker.mac.replace(":", "-")
        values = {_MAC: asker.mac, _DASHED: dashed, "address": asker.address, "name": machine.name}
        if "id" in ahead.printed.names:
            values["id"] = str(machine.id)
        if "token" in ahead.printed.names:
            values["token"] = token()
        served = script_text(path, ahead.printed.filled(values), Role.SCRIPT, ahead.facts)
        if lease is not None:
            if len(self._again) >= AGAIN_MAX:
                self._again.clear()
            self._again[key] = _Again(served, ahead, machine, choice.reason, lease, now + AGAIN_SECONDS)
        return served

    def prepare(self, choice: Choice, asker: Asker) -> None:
        """Render ahead what a machine was just given, where its template only prints what differs. Raises RenderError.

        Called from worker threads: it takes as long as a rendering.
        """
        bootenv = self._content.bootenv(choice.name)
        kind = _kind(choice, asker)
        ahead = self._ahead.get(kind)
        if bootenv is None or bootenv.errors or bootenv.kind is BootKind.IGNORE:
            return
        if ahead is not None and self._holds(ahead):
            return
        templates = self._content.templates(bootenv.name)
        if not all(only_prints(templates[name]) for name in (BOOT, ARGUMENTS) if name in templates):
            return
        nobody = choice.machine.model_copy(update={"name": _STAND_INS["name"], "id": _STAND_INS["id"]})
        view = _Asked(self._view)
        stand_in = replace(asker, mac=_STAND_INS["mac"], address=_STAND_INS["address"])
        text = rendered(bootenv, templates, replace(choice, machine=nobody), stand_in, view, lambda: mark("token"))
        if len(self._ahead) >= AHEAD_MAX:
            self._ahead.clear()
        self._ahead[kind] = _Ahead(bootenv, templates, view.asked, printed(text), facts_of(bootenv))

    def _holds(self, ahead: _Ahead) -> bool:
        """What it was made of is as it was."""
        bootenv = self._content.bootenv(ahead.bootenv.name)
        if bootenv is None:
            return False
        if bootenv is not ahead.bootenv:
            # It is read again every few seconds, and the same nearly always.
            if bootenv != ahead.bootenv:
                return False
            ahead.bootenv = bootenv
        if self._content.templates(bootenv.name) is not ahead.templates:
            return False
        return all(self._view.preference(name) == value for name, value in ahead.asked.items())


def _kind(choice: Choice, asker: Asker) -> _Kind:
    """What a script depends on beside what it prints."""
    machine = choice.machine
    return (
        choice.name,
        asker.base,
        choice.reason,
        machine.architecture,
        machine.firmware,
        machine.bootenv,
        machine.registered,
    )
