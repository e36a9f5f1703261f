"""Every name shim and what it starts ask for, over TFTP and HTTP, as a machine of this segment is answered."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence

import pytest

from tests import netns
from tests.engine.card import card, pxe
from tests.engine.conftest import Rack, new_mac

pytestmark = pytest.mark.root

SIGNED = "signed-ipxe/amd64"
FILES = {
    "grubx64.efi": b"MZ grub x64" * 90,
    "grubaa64.efi": b"MZ grub arm64" * 90,
    "mmx64.efi": b"MZ MokManager x64" * 90,
    "mmaa64.efi": b"MZ MokManager arm64" * 90,
    f"{SIGNED}/ipxe-shimx64.efi": b"MZ shim of iPXE" * 90,
    f"{SIGNED}/ipxe.efi": b"MZ iPXE" * 90,
}
# What shim looks for before its second stage, and iPXE beside itself: none of it has to be there.
HOPED = ("revocations.efi", "revocations_sku.efi", "revocations_sbat.efi", "shim_certificate_0.efi", "autoexec.ipxe")
# Raw requests, as firmware makes them: no name is tidied up on the way.
CLIENT = """
import hashlib, json, socket, sys

own, names = sys.argv[1], json.loads(sys.argv[2])


def tftp(name):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((own, 0))
        sock.settimeout(10)
        sock.sendto(b"\\0\\1" + name.encode() + b"\\0octet\\0", ("10.7.0.1", 69))
        body = b""
        while True:
            packet, peer = sock.recvfrom(2048)
            if packet[:2] == b"\\0\\5":
                return packet[3]
            body += packet[4:]
            sock.sendto(b"\\0\\4" + packet[2:4], peer)
            if len(packet) < 516:
                return hashlib.sha256(body).hexdigest()


def http(name):
    with socket.create_connection(("10.7.0.1", 8090), 10, (own, 0)) as sock:
        head = "GET /%s HTTP/1.1\\r\\nHost: 10.7.0.1:8090\\r\\nConnection: close\\r\\n\\r\\n"
        sock.sendall((head % name.replace("\\\\", "%5C")).encode())
        said = b""
        while piece := sock.recv(65536):
            said += piece
    head, _, body = said.partition(b"\\r\\n\\r\\n")
    status = int(head.split()[1])
    return hashlib.sha256(body).hexdigest() if status == 200 else status


print(json.dumps([(tftp(name), http(name)) for name in names]))
"""
Said = tuple[str | int, str | int]


@pytest.fixture(scope="module")
def machine(_emptied: Rack) -> tuple[str, str]:
    """A client that its firmware has given an address, and the files: its namespace and its address."""
    for path, octets in FILES.items():
        file = _emptied.artefacts / (path if "/" in path else f"loaders/{path}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(octets)
    told = {name: {"size": len(FILES[f"{SIGNED}/{name}"])} for name in ("ipxe-shimx64.efi", "ipxe.efi")}
    (_emptied.artefacts / SIGNED / "manifest.json").write_text(json.dumps({"files": told}))
    ns = _emptied.segment.clients[1]
    with card(ns, new_mac(), pxe(7)) as firmware:
        address = firmware.boot().address
    return ns, address


def asked(machine: tuple[str, str], names: Sequence[str]) -> dict[str, Said]:
    """What each name gives over TFTP and over HTTP: the sum of a file, else the code of the refusal."""
    ns, address = machine
    said = netns.run(ns, [sys.executable, "-c", CLIENT, address, json.dumps(names)]).stdout
    return {name: (one, other) for name, (one, other) in zip(names, json.loads(said), strict=True)}


def test_f16_what_shim_starts_is_where_shim_was_however_its_slashes_fall(machine: tuple[str, str]) -> None:
    wanted: dict[str, str] = {}
    for path, octets in FILES.items():
        total = hashlib.sha256(octets).hexdigest()
        folder, _, name = path.rpartition("/")
        for asks in (path, f"/{path}", f"//{path}", f"./{path}", f"{folder}//{name}", path.replace("/", "\\")):
            wanted[asks] = total

    assert asked(machine, [*wanted]) == {name: (total, total) for name, total in wanted.items()}


def test_f17_what_need_not_be_there_is_refused_at_once_and_is_no_news(rack: Rack, machine: tuple[str, str]) -> None:
    before = rack.engine.newest()
    names = [folder + name for folder in ("", "/", f"{SIGNED}/", f"//{SIGNED}//") for name in HOPED]

    assert asked(machine, names) == dict.fromkeys(names, (1, 404))

    for kind in ("tftp.missing", "http.missing"):
        netns.until(lambda kind=kind: len(rack.engine.events(kind, after=before)) >= len(HOPED), what=kind)
        assert {event.level.value for event in rack.engine.events(kind, after=before)} == {"debug"}


def test_f18_no_name_at_all_is_refused_at_once(machine: tuple[str, str]) -> None:
    """Firmware that tells shim nothing of a second stage has it ask for nothing first, then for its own."""
    assert asked(machine, ["", "/", "//"]) == {"": (4, 404), "/": (1, 404), "//": (1, 404)}


def test_a_machine_that_takes_shim_is_sent_to_the_chosen_one(rack: Rack) -> None:
    engine, client, mac = rack.engine, rack.engine.client, new_mac()
    made = engine.ask(client.machines.create({"name": "signed", "macs": [mac]}))
    engine.ask(client.machines.assign(str(made.id), "discovery"))
    engine.ask(client.machines.set_loader(str(made.id), "shim"))
    try:
        for chain, shim in (("grub", "shimx64.efi"), ("ipxe", f"{SIGNED}/ipxe-shimx64.efi")):
            engine.ask(client.prefs.set("loader-signed", chain))
            with card(rack.segment.clients[0], mac, pxe(7)) as firmware:
                assert firmware.lease().boot == shim
            with card(rack.segment.clients[0], mac, pxe(16, "HTTPClient")) as firmware:
                assert firmware.lease().boot == f"http://10.7.0.1:8090/{shim}"
    finally:
        engine.ask(client.prefs.set("loader-signed", "grub"))
        engine.ask(client.machines.delete(str(made.id)))
