"""Boot HTTPS of a running engine: who trusts it, what is served, what is declined, and handshakes that are none."""

from __future__ import annotations

import random
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.services.boothttp import tls
from tests import netns
from tests.conformance.tftpbench import READER, SERVER, SERVER6, lan
from tests.engine.card import card, pxe
from tests.engine.conftest import new_mac
from tests.engine.process import RACK, Engine, running

pytestmark = pytest.mark.root

PORT = 8443
SIZE = 20_000_000


@dataclass
class Secure:
    """An engine with boot HTTPS, a reader beside it, and the authority the reader trusts."""

    engine: Engine
    reader: str
    root: Path
    ca: Path

    def curl(self, path: str, *words: str, host: str = SERVER, port: int = PORT) -> str:
        """What curl writes; it trusts our authority and nobody else."""
        argv = ["curl", "-sS", "-g", "--max-time", "60", "--cacert", str(self.ca), *words]
        return netns.run(self.reader, [*argv, f"https://{host}:{port}/{path}"]).stdout

    def connect(self) -> socket.socket:
        """A plain connection to the secure port."""

        def made() -> socket.socket:
            return socket.create_connection((SERVER, PORT), timeout=60)

        return netns.call(self.reader, made)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    root = tmp_path_factory.mktemp("https")
    tree = root / "tree"
    (tree / "EFI").mkdir(parents=True)
    (tree / "large.bin").write_bytes(random.Random(5).randbytes(SIZE))
    (tree / ".treeinfo").write_bytes(b"[general]\n")
    with lan() as (server, reader):
        flags = ("--interface", "eth0", "--file-root", str(tree), "--https-port", str(PORT))
        with running(server, *flags) as engine:
            engine.up("https")
            ca = root / "ca.pem"
            engine.told("certificates", "export", str(ca))
            yield Secure(engine, reader, tree, ca)


@pytest.mark.parametrize("host", [SERVER, f"[{SERVER6}]"])
def test_files_whole_and_in_parts(secure: Secure, tmp_path: Path, host: str) -> None:
    out, content = tmp_path / "out", (secure.root / "large.bin").read_bytes()

    told = secure.curl("large.bin", "-o", str(out), "-w", "%{http_code} %{ssl_verify_result}", host=host)
    assert (told, out.read_bytes() == content) == ("200 0", True)
    secure.curl("large.bin", "-o", str(out), "-r", "5000000-15000000", host=host)
    assert out.read_bytes() == content[5_000_000:15_000_001]
    assert secure.curl("//.treeinfo", host=host) == "[general]\n"
    urls = ["-o", "/dev/null", f"https://{host}:{PORT}/large.bin", "-o", "/dev/null", "-w", "%{num_connects}"]
    assert secure.curl(".treeinfo", *urls, host=host) == "10"
    secure.engine.event("http.sent", match=lambda event: event.data["bytes"] == SIZE)


def test_old_and_new_firmware_find_something_to_agree_on(secure: Secure) -> None:
    for words in (
        ("--tlsv1.3",),
        ("--tlsv1.2", "--tls-max", "1.2"),
        # EDK2 without elliptic curves, iPXE before 2023.
        ("--tls-max", "1.2", "--ciphers", "AES128-SHA256"),
        ("--tls-max", "1.2", "--ciphers", "AES256-GCM-SHA384"),
    ):
        assert secure.curl(".treeinfo", *words) == "[general]\n", words
    argv = ["curl", "-sS", "--cacert", str(secure.ca), "--tls-max", "1.1", f"https://{SERVER}:{PORT}/.treeinfo"]
    assert netns.run(secure.reader, argv, check=False).returncode == 35  # CURLE_SSL_CONNECT_ERROR


def test_who_does_not_trust_us_is_told_of(secure: Secure) -> None:
    before = secure.engine.newest()
    argv = ["curl", "-sS", "--tls-max", "1.2", f"https://{SERVER}:{PORT}/.treeinfo"]
    assert netns.run(secure.reader, argv, check=False).returncode == 60  # CURLE_PEER_FAILED_VERIFICATION

    told = secure.engine.event("https.distrusted", after=before)
    assert (told.address, told.data["why"]) == (READER, "tlsv1_alert_unknown_ca")
    assert "bootcart certificates export" in told.message


def test_an_address_that_comes_is_in_the_certificate(secure: Secure) -> None:
    netns.run(secure.engine.ns, ["ip", "address", "add", "10.7.0.3/24", "dev", "eth0"])

    def names() -> bool:
        return "10.7.0.3" in secure.engine.told("certificates", "show", "server")

    netns.until(names, timeout=60, what="the certificate names the new address")
    assert secure.curl(".treeinfo", host="10.7.0.3") == "[general]\n"


# The silent one costs HANDSHAKE_SECONDS.
@pytest.mark.parametrize("silent", [False, pytest.param(True, marks=pytest.mark.full)])
def test_handshakes_that_are_none(secure: Secure, silent: bool) -> None:
    held = [secure.connect() for _ in range(60)]
    for number, sock in enumerate(held):
        # Plain HTTP, noise, a hello of another protocol; or nothing, and the beginning of a hello.
        said = (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            random.Random(number).randbytes(600),
            b"\x80\x2e\x01\x00\x02" * 40,
        )
        sock.sendall((b"", b"\x16\x03\x01\x02")[number % 2] if silent else said[number % 3])
    assert secure.curl(".treeinfo") == "[general]\n"

    def left() -> bool:
        there = netns.run(secure.engine.ns, ["ss", "-Htn", "state", "established", f"sport = :{PORT}"]).stdout
        return not there.strip()

    # Those that say nothing more are gone in time as well.
    netns.until(left, timeout=tls.HANDSHAKE_SECONDS + 40, what="no connection is left")
    for sock in held:
        sock.close()
    secure.engine.sound()


def test_readers_that_are_slow_or_vanish(secure: Secure) -> None:
    def asked(path: str) -> ssl.SSLSocket:
        def made() -> socket.socket:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            sock.settimeout(60)
            sock.connect((SERVER, PORT))
            return sock

        context = ssl.create_default_context(cafile=str(secure.ca))
        secured = context.wrap_socket(netns.call(secure.reader, made), server_hostname=SERVER)
        secured.sendall(f"GET /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return secured

    for number in range(12):
        reader = asked("large.bin")
        assert reader.recv(10 + 30_000 * (number % 3))
        if number % 2:
            # A reset instead of an end.
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes((1, 0, 0, 0)) + bytes(4))
        if number % 4 > 1:
            reader.close()
        else:
            # Noise where a record should be, or nothing.
            with socket.socket(fileno=reader.detach()) as plain:
                plain.send(b"noise" * (number % 5))
    with asked("large.bin") as reader:
        count = 0
        while octets := reader.recv(65536):
            count += len(octets)
    assert SIZE < count < SIZE + 1000

    def left() -> bool:
        return secure.engine.service("https").counters["connections"] == 0

    netns.until(left, timeout=60, what="nobody is left")
    secure.engine.sound()


def test_one_address_cannot_take_all_handshakes(secure: Secure) -> None:
    held = [secure.connect() for _ in range(80)]
    try:
        # What is beyond the share of one address is closed at once; another address is served.
        def closed() -> bool:
            count = 0
            for sock in held:
                sock.setblocking(False)
                try:
                    count += sock.recv(1) == b""
                except BlockingIOError:
                    pass
                except ConnectionError:
                    count += 1
            return count >= 16

        netns.until(closed, timeout=tls.HANDSHAKE_SECONDS - 5, what="sixteen of eighty are closed")
        netns.run(secure.reader, ["ip", "address", "replace", "10.7.0.10/24", "dev", "eth0"])
        assert secure.curl(".treeinfo", "--interface", "10.7.0.10") == "[general]\n"
    finally:
        for sock in held:
            sock.close()


def test_machines_that_trust_us_are_sent_here(secure: Secure) -> None:
    secure.engine.subnet()
    secure.engine.served()
    trusting, other = new_mac(), new_mac()
    secure.engine.told("machines", "create", "trusting", "--mac", trusting, "--https")
    for mac, url in ((trusting, f"https://{SERVER}:{PORT}/ipxe.efi"), (other, f"http://{SERVER}:8090/ipxe.efi")):
        with card(secure.reader, mac, pxe(16, "HTTPClient")) as firmware:
            assert firmware.discover().boot == url
    secure.engine.told("subnets", "update", RACK["name"], "--https")
    with card(secure.reader, other, pxe(19, "HTTPClient")) as firmware:
        assert firmware.discover().boot == f"https://{SERVER}:{PORT}/ipxe-arm64.efi"
    # PXE firmware cannot; it goes on by TFTP.
    with card(secure.reader, new_mac(), pxe(7)) as firmware:
        assert firmware.discover().boot == "ipxe.efi"


def test_without_https_nobody_falls_back_to_plain_http(tmp_path: Path) -> None:
    with netns.segment("10.7.0.1/24") as segment, running(segment.server, "--interface", "eth0") as engine:
        engine.subnet(https=True)
        engine.served()
        mac = new_mac()
        with card(segment.clients[0], mac, pxe(16, "HTTPClient")) as firmware:
            assert firmware.discover().boot == ""
        offer = engine.event("dhcp.offer", mac=mac)
        assert (offer.data["reason"], "--https-port" in offer.data["why"]) == ("no-https", True)
        assert engine.told("certificates", "list", "--quiet") == "ca\n"
        assert engine.cli("certificates", "show", "server").returncode == 3
        listed = tmp_path / "ca.esl"
        engine.told("certificates", "export", "--form", "esl", str(listed))
        assert listed.read_bytes()[:4] == b"\xa1\x59\xc0\xa5"
        assert engine.cli("certificates", "export", "--form", "esl", str(listed)).returncode == 4


def test_no_key_of_the_server_lies_on_a_disk(secure: Secure) -> None:
    with netns.call(secure.reader, lambda: socket.create_connection((SERVER, PORT), timeout=20)) as plain:
        context = ssl.create_default_context(cafile=str(secure.ca))
        with context.wrap_socket(plain, server_hostname=SERVER) as sock:
            shown = sock.getpeercert()
    assert shown is not None
    assert f"('IP Address', '{SERVER}')" in str(shown["subjectAltName"])
    keys = [
        path.name
        for path in secure.engine.data_dir.rglob("*")
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes()
    ]
    assert keys == ["ca.key"]
    assert b"ENCRYPTED" in (secure.engine.data_dir / "secrets" / "ca.key").read_bytes()
