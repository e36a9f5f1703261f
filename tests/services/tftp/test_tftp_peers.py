"""TFTP clients that are not ours fetch from the service: curl, busybox, tftp-hpa, atftp, tftpy."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
import tftpy

from app.netboot.wire import tftp
from app.services.tftp import transfer
from app.services.tftp.transfer import Transfer
from tests import netns
from tests.services.tftp.peer import Service, serving

PORT, OUT = "{port}", "{out}"
CLIENTS = {
    "curl": ["curl", "-sS", "-o", OUT, f"tftp://127.0.0.1:{PORT}/loader.efi"],
    "curl 1428": ["curl", "-sS", "--tftp-blksize", "1428", "-o", OUT, f"tftp://127.0.0.1:{PORT}/loader.efi"],
    "curl plain": ["curl", "-sS", "--tftp-no-options", "-o", OUT, f"tftp://127.0.0.1:{PORT}//loader.efi"],
    "busybox": ["busybox", "tftp", "-g", "-r", "loader.efi", "-l", OUT, "127.0.0.1", PORT],
    "busybox 1400": ["busybox", "tftp", "-g", "-b", "1400", "-r", "loader.efi", "-l", OUT, "127.0.0.1", PORT],
    "tftp-hpa": ["tftp", "-m", "binary", "127.0.0.1", PORT, "-c", "get", "loader.efi", OUT],
    "atftp": ["atftp", "-g", "-r", "loader.efi", "-l", OUT, "127.0.0.1", PORT],
    "atftp windows": [
        "atftp", "--option", "blksize 1428", "--option", "windowsize 16", "--option", "tsize 0",
        "-g", "-r", "loader.efi", "-l", OUT, "127.0.0.1", PORT,
    ],
}  # fmt: skip


async def _run(argv: list[str], service: Service, out: Path) -> tuple[int, bytes]:
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed")
    filled = [word.replace(PORT, str(service.port)).replace(OUT, str(out)) for word in argv]
    process = await asyncio.create_subprocess_exec(
        *filled, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, said


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_foreign_client_fetches_a_loader(service: Service, root: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "fetched"
    code, said = await _run(CLIENTS[name], service, out)
    assert code == 0, said
    assert out.read_bytes() == (root / "loader.efi").read_bytes()
    assert (await service.told("tftp.sent")).data["bytes"] == 996_864


async def test_curl_names_a_missing_file_as_missing(service: Service, tmp_path: Path) -> None:
    code, said = await _run(["curl", "-sS", f"tftp://127.0.0.1:{PORT}/nothing"], service, tmp_path / "x")
    assert code == 68, said  # CURLE_TFTP_NOTFOUND


@pytest.mark.parametrize("options", [{}, {"blksize": 1432, "tsize": 0}], ids=["plain", "options"])
async def test_tftpy_fetches_a_loader(service: Service, root: Path, tmp_path: Path, options: dict[str, int]) -> None:
    out = tmp_path / "fetched"
    client = tftpy.TftpClient("127.0.0.1", service.port, dict(options))
    await asyncio.to_thread(client.download, "loader.efi", str(out))
    assert out.read_bytes() == (root / "loader.efi").read_bytes()


def _serve_in(ns: str, root: Path, work: Callable[[Service], Coroutine[None, None, None]]) -> None:
    async def main() -> None:
        async with serving(root, "0.0.0.0") as service:
            await work(service)

    netns.call(ns, lambda: asyncio.run(main()))


@pytest.mark.parametrize("cut", [transfer._UDP_SEGMENT, 9999], ids=["cut by the kernel", "a kernel that does not cut"])
@pytest.mark.parametrize("size", [70_000, 14 * 1024, 5_000_001])
async def test_a_window_at_once_is_what_the_file_is(
    service: Service, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, cut: int
) -> None:
    monkeypatch.setattr(transfer, "_UDP_SEGMENT", cut)
    content = random.Random(size).randbytes(size)
    (root / "window.bin").write_bytes(content)
    out = tmp_path / "fetched"
    argv = ["atftp", "--option", "blksize 1024", "--option", "windowsize 16", "-g", "-r", "window.bin", "-l", OUT]
    code, said = await _run([*argv, "127.0.0.1", PORT], service, out)
    assert code == 0, said
    assert out.read_bytes() == content


@pytest.mark.parametrize("windowsize", ["1", "4", "16"])
async def test_f17_losses_delay_but_do_not_corrupt(
    service: Service, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, windowsize: str
) -> None:
    """Every eleventh packet in either direction is lost between the service and a foreign client."""
    rolls = random.Random(int(windowsize))
    send, take = Transfer._send, Transfer._packet

    def lossy_send(self: Transfer, packet: bytes, to: tuple[str, int] | None = None) -> bool:
        return True if rolls.random() < 1 / 11 else send(self, packet, to)

    def lossy_take(self: Transfer, packet: bytes) -> None:
        if rolls.random() >= 1 / 11:
            take(self, packet)

    def one_by_one(self: Transfer, payload: bytes, blocks: int) -> bool:
        size = self.terms.blksize
        for number in range(blocks):
            self._sent += 1
            self._send(tftp.data(self._sent, payload[number * size : (number + 1) * size]))
        return True

    monkeypatch.setattr(Transfer, "_send", lossy_send)
    monkeypatch.setattr(Transfer, "_send_blocks", one_by_one)
    monkeypatch.setattr(Transfer, "_packet", lossy_take)
    monkeypatch.setattr(transfer, "RESEND", (0.2,))
    out = tmp_path / "fetched"
    options = ["--option", "blksize 1024", "--option", f"windowsize {windowsize}"]
    argv = ["atftp", *options, "-g", "-r", "seventy.bin", "-l", OUT, "127.0.0.1", PORT]
    code, said = await _run(argv, service, out)
    assert code == 0, said
    assert out.read_bytes() == (root / "seventy.bin").read_bytes()
    assert service.tftp.counters["resent"] > 0
