"""iPXE's signed release: taken only with the sum that was told, put where shim finds it, never by halves."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from app import fetch
from app.errors import BootcartError, InvalidError, UnavailableError
from app.netboot.loaders import SHIMS
from app.services.bootfs import Files
from app.services.content import signed

BUILDS = {
    "ipxeboot/x86_64-sb/ipxe-shimx64.efi": b"MZ shim x64",
    "ipxeboot/x86_64-sb/ipxe.efi": b"MZ ipxe x64",
    "ipxeboot/x86_64-sb/snponly.efi": b"MZ snponly x64",
    "ipxeboot/arm64-sb/shimaa64.efi": b"MZ shim arm64",
    "ipxeboot/arm64-sb/ipxe.efi": b"MZ ipxe arm64",
    "ipxeboot/x86_64/ipxe.efi": b"MZ not signed",
    "ipxeboot/x86_64-sb/../../escape-sb.efi": b"MZ",
}
PLACED = {
    "amd64/ipxe-shimx64.efi": b"MZ shim x64",
    "amd64/ipxe.efi": b"MZ ipxe x64",
    "arm64/ipxe-shimaa64.efi": b"MZ shim arm64",
    "arm64/ipxe.efi": b"MZ ipxe arm64",
}


def archive(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, octets in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(octets)
            tar.addfile(member, io.BytesIO(octets))
    return made.getvalue()


def total(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def placed(artefacts: Path) -> dict[str, bytes]:
    folder = artefacts / "signed-ipxe"
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.efi")}


@pytest.fixture
def mirror() -> Iterator[str]:
    """A web server that has one release; its URL."""
    release = archive(BUILDS)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            there = self.path.startswith("/ipxeboot.tar.gz")
            self.send_response(200 if there else 404)
            self.send_header("Content-Length", str(len(release) if there else 0))
            self.end_headers()
            self.wfile.write((release[:100] if "half" in self.path else release) if there else b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in http.server
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/ipxeboot.tar.gz"
        server.shutdown()
        thread.join()


def test_a_release_of_the_told_sum_is_put_where_shim_and_the_tree_find_it(tmp_path: Path, mirror: str) -> None:
    assert fetch.main(["--signed-ipxe", mirror, "--sha256", total(archive(BUILDS)).upper(), "--to", str(tmp_path)]) == 0

    assert placed(tmp_path) == PLACED
    assert sorted(path.name for path in tmp_path.iterdir()) == ["signed-ipxe"]
    files = Files(tmp_path)
    for path, octets in PLACED.items():
        found = files.find(f"signed-ipxe/{path}")
        assert found is not None
        assert found.read_bytes() == octets
        assert files.facts(f"signed-ipxe/{path}") == (len(octets), total(octets))
    assert {path for path in SHIMS if path.startswith("signed-ipxe/")} <= {f"signed-ipxe/{path}" for path in PLACED}
    told = json.loads((tmp_path / "signed-ipxe/amd64/manifest.json").read_text())
    assert (told["source"], told["sha256"]) == (mirror, total(archive(BUILDS)))


def test_another_sum_changes_nothing(tmp_path: Path, mirror: str, capsys: pytest.CaptureFixture[str]) -> None:
    signed.bring(tmp_path, mirror, total(archive(BUILDS)), lambda _: None)
    assert fetch.main(["--signed-ipxe", mirror, "--sha256", "0" * 64, "--to", str(tmp_path)]) != 0

    said = capsys.readouterr().err
    assert f"has the SHA-256 {total(archive(BUILDS))}, not the one that was told; nothing was changed" in said
    assert placed(tmp_path) == PLACED
    assert sorted(path.name for path in tmp_path.iterdir()) == ["signed-ipxe"]


def test_a_file_will_do(tmp_path: Path) -> None:
    release = tmp_path / "ipxeboot.tar.gz"
    release.write_bytes(archive({name: octets for name, octets in BUILDS.items() if "arm64" not in name}))
    signed.bring(tmp_path / "cache", str(release), total(release.read_bytes()), lambda _: None)

    assert {*placed(tmp_path / "cache")} == {"amd64/ipxe-shimx64.efi", "amd64/ipxe.efi"}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"ipxeboot/x86_64/ipxe.efi": b"MZ"}, "has no folder x86_64-sb or arm64-sb"),
        ({"x86_64-sb/ipxe.efi": b"MZ"}, "x86_64-sb of the archive has no shim and ipxe.efi"),
        ({"x86_64-sb/ipxe-shimx64.efi": b"MZ"}, "has no shim and ipxe.efi"),
        ({"x86_64-sb/ipxe-shimx64.efi": b"MZ", "x86_64-sb/ipxe.efi": b"<html>"}, "is no UEFI program"),
    ],
)
def test_what_is_no_signed_release_is_refused(tmp_path: Path, files: dict[str, bytes], words: str) -> None:
    release = tmp_path / "x.tar.gz"
    release.write_bytes(archive(files))
    with pytest.raises(BootcartError, match=words):
        signed.bring(tmp_path / "cache", str(release), total(release.read_bytes()), lambda _: None)

    assert not (tmp_path / "cache/signed-ipxe").exists()


def test_bad_sums_bad_archives_and_lost_mirrors_are_told(tmp_path: Path, mirror: str) -> None:
    with pytest.raises(InvalidError, match="--sha256 is not a SHA-256"):
        signed.bring(tmp_path, mirror, "", lambda _: None)
    with pytest.raises(UnavailableError, match="could not be fetched: Not Found"):
        signed.bring(tmp_path, f"{mirror.rpartition('/')[0]}/gone", "0" * 64, lambda _: None)
    with pytest.raises(BootcartError, match=r"could not be fetched|not the one that was told"):
        signed.bring(tmp_path, f"{mirror}?half", total(archive(BUILDS)), lambda _: None)
    with pytest.raises(BootcartError, match="No such file"):
        signed.bring(tmp_path, str(tmp_path / "gone.tar"), "0" * 64, lambda _: None)
    text = tmp_path / "text"
    text.write_text("not an archive")
    with pytest.raises(BootcartError, match="text is no whole tar archive"):
        signed.bring(tmp_path, str(text), total(text.read_bytes()), lambda _: None)
