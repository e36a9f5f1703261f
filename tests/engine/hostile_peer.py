"""A stranger who says hostile strings at every door the engine has: DHCP, TFTP, boot HTTP and the agent's API."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote_from_bytes

from tests import netns
from tests.engine.card import card, pxe
from tests.engine.test_agent import Booted, boot
from tests.hostile import STRINGS

SERVER = "10.7.0.1"


def text_of(raw: bytes) -> str:
    """As an agent's JSON can say it."""
    return raw.decode("utf-8", "replace")


def over_dhcp(ns: str, macs: Iterable[str]) -> None:
    """Each string as host name, class, user class and client identifier, of a system and of firmware."""
    for mac, raw in zip(macs, STRINGS.values(), strict=False):
        said: list[Any] = [(12, raw), (60, raw), (77, raw), (61, raw)]
        with card(ns, mac, said) as system:
            system.lease()
        classes = {"vendor_class_id": b"PXEClient:Arch:00007:" + raw[:200]}
        firmware = [(name, classes.get(name, value)) for name, value in pxe(7)]
        with card(ns, mac, [*firmware, (12, raw), (77, raw)]) as rom:
            rom.say("discover", new=True)
            rom.hear()


def over_tftp(ns: str) -> None:
    """Each string as a file, a mode, an option, and as the reason why a transfer is given up."""

    def work() -> None:
        for raw in STRINGS.values():
            word = raw.replace(b"\0", b"")
            for asked in (
                b"\0\1" + word + b"\0octet\0",
                b"\0\1ipxe.efi\0" + word + b"\0",
                b"\0\1ipxe.efi\0octet\0" + word + b"\0" + word + b"\0",
            ):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                    udp.settimeout(5)
                    udp.sendto(asked, (SERVER, 69))
                    _, peer = udp.recvfrom(2000)
                    udp.sendto(b"\0\5\0\0" + word + b"\0", peer)

    netns.call(ns, work)


def over_http(ns: str) -> None:
    """Each string as a path, a query, a header and a method."""

    def ask(request: bytes) -> None:
        with socket.create_connection((SERVER, 8090), 10) as tcp, contextlib.suppress(ConnectionError):
            tcp.sendall(request)
            while tcp.recv(65536):
                pass

    def work() -> None:
        end = b"\r\nHost: x\r\nConnection: close\r\n\r\n"
        for raw in STRINGS.values():
            line = raw.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")
            quoted = quote_from_bytes(raw, safe="").encode()
            ask(b"GET /" + quoted + b" HTTP/1.1" + end)
            ask(b"GET /" + line.replace(b" ", b"") + b" HTTP/1.1" + end)
            ask(b"GET /x?" + quoted + b"=" + quoted + b" HTTP/1.1" + end)
            ask(b"GET /y HTTP/1.1\r\nUser-Agent: " + line + b"\r\nX-" + line + b": " + line + end)
            ask(line.replace(b" ", b"")[:40] + b" /z HTTP/1.1" + end)

    netns.call(ns, work)


def inventory() -> dict[str, Any]:
    """A report in which every text is hostile."""
    every = [text_of(raw) for raw in STRINGS.values()]
    one = iter(every * 4)
    neighbour = [
        dict.fromkeys(("switch", "chassis", "port", "port_description", "description", "address"), text)
        for text in every
    ]
    names = [
        "manufacturer",
        "product",
        "serial",
        "uuid",
        "board",
        "chassis",
        "bios_vendor",
        "bios_version",
        "bios_date",
    ]
    return {
        "system": {name: next(one) for name in names},
        "cpu": {"model": next(one), "architecture": next(one), "flags": every},
        "memory": {"total": 1 << 30, "modules": every},
        "disks": [
            {"name": text, "size": 10**9, "model": text, "serial": text, "transport": text, "wwn": text,
             "health": {"status": text}}
            for text in every
        ],
        "nics": [
            {"name": text, "mac": text, "driver": text, "address": text, "pci": text, "neighbour": beside}
            for text, beside in zip(every, neighbour, strict=True)
        ],
        "bmc": dict.fromkeys(("address", "mac", "source", "gateway", "version"), next(one)),
        "boot_entries": [{"number": text, "name": text, "path": text} for text in every],
        "firmware": next(one),
        "secure_boot": next(one),
        "kernel": next(one),
        "agent": next(one),
    }  # fmt: skip


def over_agent(ns: str, mac: str) -> Booted:
    """Each string in what an agent reports; failures of its boot too."""
    booted = boot(ns, mac)
    path = f"/boot/{mac.replace(':', '-')}.ipxe"
    for raw in STRINGS.values():
        said = quote_from_bytes(raw, safe="")
        booted.call("GET", f"{path}?failed={said}&errno={said}&try={said}")
    booted.register()
    status, told = booted.call("PUT", booted.machine("/inventory"), inventory())
    assert status == 204, told
    for raw in STRINGS.values():
        text = text_of(raw)
        body = {"kind": "failed", "step": text, "output": f"{text}\n{text}"}
        status, told = booted.call("POST", booted.machine("/events"), body)
        assert status == 204, told
        booted.call("POST", booted.machine("/events"), {"kind": text})
    return booted
