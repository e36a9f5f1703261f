"""Events: immutable, typed, with dotted kinds; everything an operator can be told is one of these."""

from __future__ import annotations

import uuid
from enum import StrEnum
from typing import Any

from pydantic import Field

from app.model.fields import Epoch, Model


class Level(StrEnum):
    """How much an event wants to be read."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Facts(dict[str, Any]):
    """The facts of an event that know their JSON: `text`, as the store keeps it."""

    __slots__ = ("text",)
    text: str


class EventDraft(Model):
    """An event before the store has given it a number."""

    time: Epoch
    kind: str
    message: str = Field(description="one line in plain words, already free of control characters")
    level: Level = Level.INFO
    mac: str = ""
    machine: uuid.UUID | None = None
    address: str = ""
    interface: str = ""
    actor: str = Field(default="", description="who did it, for audit.* events")
    data: dict[str, Any] = Field(default_factory=dict, description="the facts; keys listed in EVENT_KINDS")


class Event(EventDraft):
    """A stored event; `id` grows by one with each, so a stream can resume after any of them."""

    id: int


EVENT_KINDS: dict[str, str] = {
    "engine.started": "version, pid, after",
    "engine.ready": "seconds, degraded",
    "engine.stopping": "why",
    "engine.held": "until",
    "store.failed": "reason, hint",
    "store.recovered": "seconds",
    "store.doubt": "reason",
    "events.dropped": "count",
    "service.started": "service, listening",
    "service.failed": "service, reason, hint, owner",
    "service.stopped": "service",
    "interface.changed": "name, what, stops, hint",
    "dhcp.discover": "xid, stage, arch, arch_name, firmware, vendor_class, user_class, hostname, "
    "requested, relay, secs, guid",
    "dhcp.offer": "xid, stage, address, subnet, bootfile, next_server, why, reason, bootenv",
    "dhcp.request": "xid, stage, state, requested, server, ours",
    "dhcp.ack": "as dhcp.offer, and lease_time, state, path",
    "dhcp.nak": "xid, stage, why",
    "dhcp.silent": "xid, stage, reason, why, subnet",
    "dhcp.inform": "xid, stage, address",
    "dhcp.release": "xid, stage, address",
    "dhcp.decline": "xid, stage, address",
    "dhcp.option": "xid, stage, option, name, source, why",
    "dhcp.conflict": "xid, stage, address, subnet, device",
    "dhcp.exhausted": "xid, stage, subnet, size",
    "dhcp.foreign": "server, server_mac, offered, subnet",
    "dhcp.malformed": "count, why",
    "clock.set": "seconds, leases",
    "proxy.offer": "xid, stage, subnet, bootfile, next_server, why, reason, bootenv",
    "proxy.ack": "xid, stage, address, bootfile, next_server, why, reason, bootenv, path",
    "subnet.draining": "subnet, count, addresses, until",
    "subnet.held": "subnet, server, why",
    "tftp.started": "file, size, blksize, role",
    "tftp.sent": "file, bytes, seconds, blksize, windowsize, role",
    "tftp.aborted": "file, code, text, probe",
    "tftp.failed": "file, bytes, size, blksize, why, role",
    "tftp.lowered": "file, blksize, was",
    "tftp.missing": "file, asked, like",
    "tftp.refused": "file, why",
    "http.started": "path, size, role",
    "http.sent": "path, bytes, seconds, status, role, bootenv, boots, loads, times",
    "http.aborted": "path, bytes, size, role",
    "http.failed": "path, why, role",
    "http.missing": "path, like",
    "http.refused": "path, why, status, role, reason",
    "https.distrusted": "why, hint",
    "render.failed": "bootenv, template, line, why",
    "agent.started": "boot",
    "agent.registered": "new",
    "agent.inventory": "summary",
    "agent.failed": "step, output",
    "agent.rebooting": "",
    "agent.conflict": "why, hint",
    "diagnosis.found": "rule, severity, seen, means, do, command, since, events",
    "diagnosis.waiting": "rule, severity, seen, means, do, command, since, events",
    "diagnosis.cleared": "rule, seconds",
    "install.started": "bootenv, words",
    "install.finished": "bootenv, words",
    "install.failed": "bootenv, words",
    "machine.seen": "",
    "machine.address": "address, name, other, alive",
    "machine.loader": "refused, loader, evidence, tried, spent, card, before",
    "machine.assigned": "bootenv",
    "audit.create": "noun, key",
    "audit.update": "noun, key, changes",
    "audit.delete": "noun, key",
    "audit.undo": "noun, key, command",
    "audit.action": "noun, key, action",
    "api.refused": "uid, pid, path",
    "ui.failed": "id, screen, doing, error, trace",
}
"""Every kind and the keys of its `data`.

`stage` is rom, ipxe or os; `role` is loader, script, kernel, initrd, answer or file; `boots`, with a script, is the
BootKind it leads to or `installer`, and `loads` what it fetches next; `reason` is the code of a decision that gives no
boot file.
"""
