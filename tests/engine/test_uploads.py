"""Files of the operator's in a running engine: machines find them whole or not at all, and a kill loses little."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import netns
from tests.engine.conftest import Rack
from tests.engine.process import Engine, folder

pytestmark = pytest.mark.root

HTTP = "http://10.7.0.1:8090"
SIZE = 300 << 20


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More than the engine may hold in memory, most of it a hole."""
    path = tmp_path_factory.mktemp("upload") / "large.iso"
    with path.open("wb") as out:
        out.truncate(SIZE)
        for at in range(0, SIZE, SIZE // 7):
            out.seek(at)
            out.write(random.Random(at).randbytes(4096))
    return path


def sum_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def resident(pid: int) -> int:
    """The most memory a process has had so far."""
    words = Path(f"/proc/{pid}/status").read_text().split()
    return int(words[words.index("VmHWM:") + 1]) << 10


def test_machines_find_an_upload_by_tftp_and_by_http(rack: Rack, tmp_path: Path) -> None:
    source = tmp_path / "vmlinuz"
    source.write_bytes(random.Random(3).randbytes(400_000))
    out, before = tmp_path / "out", rack.engine.newest()
    rack.engine.told("files", "upload", str(source), "Linux 6/.boot/vmlinuz")
    client = rack.segment.clients[0]
    netns.run(client, ["ip", "address", "replace", "10.7.0.90/24", "dev", "eth0"])

    netns.run(client, ["curl", "-sSf", "-o", str(out), f"{HTTP}//files/Linux%206/.boot//vmlinuz"])
    assert out.read_bytes() == source.read_bytes()
    out.unlink()
    netns.run(client, ["atftp", "-g", "-r", "files/Linux 6/.boot/vmlinuz", "-l", str(out), "10.7.0.1"])
    assert out.read_bytes() == source.read_bytes()
    for other in (
        "files/linux%206/.boot/vmlinuz",
        "files/",
        "files/..%2ftoken.key",
        "drafts/",
        "files/../secrets/token.key",
    ):
        done = netns.run(
            client, ["curl", "-sS", "-o", str(out), "-w", "%{http_code}", "--path-as-is", f"{HTTP}/{other}"]
        )
        assert done.stdout == "404", other

    created = rack.engine.event("audit.create", after=before)
    assert (created.data["key"], created.actor) == ("Linux 6/.boot/vmlinuz", "user:root")
    rack.engine.told("files", "delete", "Linux 6", "--recursive")
    done = netns.run(client, ["curl", "-sS", "-w", "%{http_code}", f"{HTTP}/files/Linux%206/.boot/vmlinuz"])
    assert done.stdout.endswith("404")


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine that is killed."""
    with netns.namespace("uploads") as ns, folder() as place:
        made = Engine(ns, place / "data", "--interface", "lo", "--dhcp", "off", "--disable", "probe")
        try:
            yield made.start()
        finally:
            made.close()


def begun(engine: Engine, image: Path) -> subprocess.Popen[str]:
    """An upload on its way, seen to move."""
    words = [*("python3", "-m", "app", "files", "upload", str(image)), "--endpoint", engine.endpoint]
    root = Path(__file__).parents[2]
    words[0] = str(root / ".venv" / "bin" / "python")
    sender = subprocess.Popen(words, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    drafts = engine.data_dir / "files" / "drafts"

    def moves() -> bool:
        assert sender.poll() is None, sender.communicate()
        return any(path.stat().st_size for path in drafts.glob("*.part"))

    netns.until(moves, timeout=60, what="some of the upload is here")
    return sender


def test_an_upload_outlives_engine_and_sender(engine: Engine, image: Path) -> None:
    tree = engine.data_dir / "files" / "tree"
    sender = begun(engine, image)
    os.kill(sender.pid, signal.SIGSTOP)
    engine.kill()
    assert not tree.exists()
    os.kill(sender.pid, signal.SIGCONT)
    engine.start()
    # The sender has waited for the engine, and goes on by itself.
    out, err = sender.communicate(timeout=120)
    assert (sender.returncode, out) == (0, f"file large.iso uploaded, SHA-256 {sum_of(image)}\n"), err
    assert sum_of(tree / "large.iso") == sum_of(image)
    assert engine.told("files", "unfinished") == ""
    engine.told("files", "delete", "large.iso")

    sender = begun(engine, image)
    sender.kill()
    sender.communicate(timeout=20)
    assert not list(tree.iterdir())
    kept = int(engine.told("files", "unfinished").split("\t")[1])
    assert 0 < kept < SIZE
    engine.told("files", "upload", str(image), "--quiet")
    assert sum_of(tree / "large.iso") == sum_of(image)
    assert resident(engine.process.pid) < 400 << 20


def test_memory_does_not_follow_the_size_of_files(engine: Engine, image: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.write_bytes(bytes(10 << 20))
    engine.told("files", "upload", str(small))
    engine.told("files", "download", "small", str(tmp_path / "out"))
    before = resident(engine.process.pid)

    engine.told("files", "upload", str(image), "--quiet")
    engine.told("files", "download", "large.iso", str(tmp_path / "back"), "--quiet")
    assert sum_of(tmp_path / "back") == sum_of(image)
    assert resident(engine.process.pid) - before < 40 << 20
