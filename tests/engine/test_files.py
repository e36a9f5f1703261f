"""The engine's files fetched by other people's programs: five TFTP clients, curl with ranges."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from tests import netns
from tests.engine.card import card, pxe
from tests.engine.conftest import LOADERS, Rack, new_mac
from tests.engine.download import begin

pytestmark = pytest.mark.root

SERVER = "10.7.0.1"
HTTP = f"http://{SERVER}:8090"
OUT = "{out}"
FETCH = "import sys, tftpy; tftpy.TftpClient(sys.argv[1], 69, {}).download(sys.argv[2], sys.argv[3])"
TFTP: dict[str, list[str]] = {
    "curl": ["curl", "-sS", "-o", OUT, f"tftp://{SERVER}/ipxe.efi"],
    "curl, large blocks": ["curl", "-sS", "--tftp-blksize", "1468", "-o", OUT, f"tftp://{SERVER}//ipxe.efi"],
    "busybox": ["busybox", "tftp", "-g", "-r", "ipxe.efi", "-l", OUT, SERVER],
    "tftp-hpa": ["tftp", "-m", "binary", SERVER, "-c", "get", "ipxe.efi", OUT],
    "atftp": ["atftp", "-g", "-r", "ipxe.efi", "-l", OUT, SERVER],
    "atftp, windows": [
        "atftp", "--option", "blksize 1428", "--option", "windowsize 16", "-g", "-r", "ipxe.efi", "-l", OUT, SERVER,
    ],
    "tftpy": [sys.executable, "-c", FETCH, SERVER, "ipxe.efi", OUT],
}  # fmt: skip


@pytest.fixture(scope="module")
def peer() -> dict[str, str]:
    """What is known of the machine all of these tests are: filled by the first."""
    return {}


@pytest.fixture
def machine(rack: Rack, peer: dict[str, str]) -> str:
    """A client with an address of its own; returns its namespace."""
    ns = rack.segment.clients[2]
    if not peer:
        mac = new_mac()
        netns.run(ns, ["ip", "-4", "address", "flush", "dev", "eth0"])
        with card(ns, mac, pxe(7)) as firmware:
            peer.update(mac=mac, address=firmware.boot().address)
    return ns


@pytest.mark.parametrize("name", TFTP)
def test_tftp(rack: Rack, machine: str, peer: dict[str, str], tmp_path: Path, name: str) -> None:
    out, before = tmp_path / "fetched", rack.engine.newest()
    netns.run(machine, [word.replace(OUT, str(out)) for word in TFTP[name]])
    assert out.read_bytes() == (rack.artefacts / "loaders" / "ipxe.efi").read_bytes()
    sent = rack.engine.event("tftp.sent", after=before, mac=peer["mac"])
    assert (sent.data["bytes"], sent.address) == (LOADERS["ipxe.efi"], peer["address"])


def test_tftp_says_that_a_file_is_missing(rack: Rack, machine: str, tmp_path: Path) -> None:
    argv = ["curl", "-sS", "-o", str(tmp_path / "x"), f"tftp://{SERVER}/nothing.efi"]
    before = rack.engine.newest()
    assert netns.run(machine, argv, check=False).returncode == 68  # CURLE_TFTP_NOTFOUND
    assert rack.engine.event("tftp.missing", after=before).data["file"] == "nothing.efi"


def test_tftp_does_not_leave_the_tree(rack: Rack, machine: str, tmp_path: Path) -> None:
    out = tmp_path / "x"
    for path in ("//../../../../etc/passwd", "/..//loaders/manifest.json", "/../../secrets"):
        argv = ["tftp", "-m", "binary", SERVER, "-c", "get", path, str(out)]
        said = netns.run(machine, argv, check=False)
        assert "Error code" in said.stdout + said.stderr
    assert not out.exists() or out.stat().st_size == 0


def curl(ns: str, url: str, out: Path, *words: str) -> dict[str, str]:
    """The status, and the headers in lower case."""
    head = out.with_name("head")
    netns.run(ns, ["curl", "-sS", "-D", str(head), "-o", str(out), *words, url])
    status, *lines = head.read_text().strip().splitlines()
    found = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return {"status": status.split()[1], **found}


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("0-0", 0, 0), ("0-511", 0, 511), ("4096-8191", 4096, 8191), ("4999999-", 4_999_999, 5_000_000),
     ("-1000", 4_999_001, 5_000_000), ("100-99999999", 100, 5_000_000)],
)  # fmt: skip
def test_http_ranges(rack: Rack, machine: str, tmp_path: Path, asked: str, first: int, last: int) -> None:
    out = tmp_path / "part"
    told = curl(machine, f"{HTTP}/discovery/amd64/initrd.img", out, "-r", asked)
    whole = (rack.artefacts / "discovery" / "amd64" / "initrd.img").read_bytes()
    assert (told["status"], told["content-range"]) == ("206", f"bytes {first}-{last}/{len(whole)}")
    assert told["content-length"] == str(last - first + 1)
    assert out.read_bytes() == whole[first : last + 1]


def test_http_range_beyond_the_end(machine: str, tmp_path: Path) -> None:
    told = curl(machine, f"{HTTP}/discovery/amd64/initrd.img", tmp_path / "x", "-r", "6000000-")
    assert (told["status"], told["content-range"]) == ("416", "bytes */5000001")


def test_http_resumes_a_broken_download(rack: Rack, machine: str, tmp_path: Path) -> None:
    out, path = tmp_path / "initrd", "/discovery/amd64/initrd.img"
    whole = (rack.artefacts / "discovery" / "amd64" / "initrd.img").read_bytes()
    before = rack.engine.newest()
    broken = begin(machine, SERVER, path)
    with broken.stream:
        out.write_bytes(broken.take(100_000))
    assert 0 < out.stat().st_size < len(whole)
    aborted = rack.engine.event("http.aborted", after=before)
    assert (aborted.data["role"], aborted.data["size"]) == ("initrd", len(whole))
    told = curl(machine, f"{HTTP}{path}", out, "-C", "-")
    assert told["status"] == "206"
    assert out.read_bytes() == whole


def test_http_heads_and_times(machine: str, tmp_path: Path) -> None:
    url = f"{HTTP}/ipxe.efi"
    told = curl(machine, url, tmp_path / "x", "-I")
    assert (told["status"], told["content-length"]) == ("200", str(LOADERS["ipxe.efi"]))
    again = curl(machine, url, tmp_path / "y", "-H", f"If-Modified-Since: {told['last-modified']}")
    assert again["status"] == "304"
    assert curl(machine, url, tmp_path / "z", "-X", "PUT", "-d", "x")["status"] == "405"
    for path in ("/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd", "/loaders/manifest.json", "/"):
        assert curl(machine, f"{HTTP}{path}", tmp_path / "no", "--path-as-is")["status"] == "404", path


def test_an_operators_own_tree_lies_under_ours(rack: Rack, machine: str, tmp_path: Path) -> None:
    out = tmp_path / "fetched"
    for url in (f"tftp://{SERVER}/shim/shimx64.efi", f"{HTTP}/shim//shimx64.efi", f"{HTTP}/SHIM%5Cshimx64.efi"):
        there = "SHIM" not in url
        netns.run(machine, ["curl", "-sSf", "-o", str(out), url], check=there)
        assert out.exists() is there
        if there:
            assert out.read_bytes() == (rack.artefacts / "tree" / "shim" / "shimx64.efi").read_bytes()
            out.unlink()
    assert curl(machine, f"{HTTP}/out", out)["status"] == "404"
    assert curl(machine, f"{HTTP}/ipxe.efi", out)["content-length"] == str(LOADERS["ipxe.efi"])


def test_many_at_once_do_not_wait_for_each_other(
    rack: Rack, machine: str, peer: dict[str, str], tmp_path: Path
) -> None:
    """A slow reader of each kind, and eight quick ones that are done before it."""

    def stalled() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((peer["address"], 0))
        made.settimeout(10)
        made.sendto(b"\0\1ipxe.efi\0octet\0", (SERVER, 69))
        return made

    walking = begin(machine, SERVER, "/discovery/amd64/initrd.img")
    with walking.stream, netns.call(machine, stalled) as waiting:
        first, transfer = waiting.recvfrom(600)
        quick = [
            netns.popen(machine, ["curl", "-sS", "-o", str(tmp_path / f"{number}"), url])
            for number, url in enumerate([f"tftp://{SERVER}/undionly.kpxe", f"{HTTP}/undionly.kpxe"] * 4)
        ]
        ended = [process.wait(30) for process in quick]
        for process in quick:
            netns.stop(process)
        assert ended == [0] * 8
        content = (rack.artefacts / "loaders" / "undionly.kpxe").read_bytes()
        assert all((tmp_path / f"{number}").read_bytes() == content for number in range(8))
        # The slow one was open all the while, and gets the rest.
        assert len(walking.content) < walking.size
        assert walking.drain() == walking.size
        # The one that stalled goes on where it was.
        waiting.sendto(b"\0\4\0\1", transfer)
        loader = (rack.artefacts / "loaders" / "ipxe.efi").read_bytes()
        assert first == b"\0\3\0\1" + loader[:512]
        netns.until(lambda: waiting.recv(600) == b"\0\3\0\2" + loader[512:1024], what="the second block")
        waiting.sendto(b"\0\5\0\0enough\0", transfer)
