"""Events about scripts: one that cannot be made, and one that a loader could not carry out."""

from __future__ import annotations

from app.model.event import EventDraft, Level
from app.model.machine import Machine
from app.netboot.bootpath import FileRequest, Role
from app.netboot.render import RenderError
from app.netboot.words import plain


def broken(time: float, request: FileRequest, mac: str, machine: Machine, name: str, error: RenderError) -> EventDraft:
    """A machine cannot be given its boot environment `name`."""
    return EventDraft(
        time=time,
        kind="render.failed",
        message=f"{machine.name} cannot be given {name or 'a boot environment'}: {plain(str(error))}",
        level=Level.ERROR,
        mac=mac,
        machine=machine.id if machine.registered else None,
        address=str(request.peer),
        data={"bootenv": error.bootenv, "template": error.template, "line": error.line, "why": error.why},
    )


def reported(time: float, request: FileRequest, mac: str, name: str) -> EventDraft:
    """The loader of the machine called `name` tells that it could not load something."""
    what = plain(request.query["failed"], 32)
    role = what if what in (Role.KERNEL, Role.INITRD) else Role.FILE
    code = plain(request.query.get("errno", ""), 16).removeprefix("0x")
    attempt = plain(request.query.get("try", ""), 4)
    return EventDraft(
        time=time,
        kind="http.failed",
        message=f"{name} could not load its {what}: iPXE error {code}, attempt {attempt} (https://ipxe.org/{code})",
        level=Level.WARNING,
        mac=mac,
        address=str(request.peer),
        data={"path": request.path, "why": f"iPXE error {code}", "role": role},
    )
