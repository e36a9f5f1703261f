"""The order of system calls: no acknowledgement leaves before its commit was synchronised to the disk (F02)."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import os, pathlib, sys, threading
from app.clock import SystemClock
from app.store.store import open_store
from tests.store.stores import lease
store = open_store(pathlib.Path(sys.argv[1]), SystemClock())
os.write(1, b"BEGIN")
for number in range(100):
    answered = threading.Event()
    def done(error):
        os.write(1, b"FAILED" if error else b"ACK")
        answered.set()
    store.leases.commit([lease(number)], done)
    answered.wait()
os.write(1, b"END")
store.close()
"""


@pytest.mark.full
def test_every_acknowledgement_follows_a_sync(data_dir: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-e", "trace=write,pwrite64,fsync,fdatasync", "-o", str(trace)]
    subprocess.run([*command, sys.executable, "-c", _PROGRAM, str(data_dir)], check=True, stdout=subprocess.DEVNULL)

    acknowledged, synced, begun = 0, False, False
    for line in trace.read_text().splitlines():
        begun = begun or '"BEGIN"' in line
        if "pwrite64(" in line:
            synced = False
        elif re.search(r"(fsync|fdatasync)\b.*= 0$", line):
            synced = True
        elif '"ACK"' in line:
            assert begun
            assert synced, f"acknowledged before it was synchronised: {line}"
            acknowledged += 1
    assert acknowledged == 100
