"""Processes are known by pid and start time; signals reach only the one that was meant."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from app.services.lab import process
from app.services.lab.process import Process

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
# Says that it is ready, then will not hear SIGTERM.
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)",
]


def test_this_process_is_alive() -> None:
    me = process.myself()

    assert me.pid == os.getpid()
    assert process.alive(me)


def test_another_process_with_the_same_pid_is_not_ours() -> None:
    with subprocess.Popen(SLEEP) as child:
        found = process.identify(child.pid)
        assert found is not None
        stranger = Process(found.pid, found.started - 1)

        assert not process.alive(stranger)
        assert not process.send(stranger, signal.SIGKILL)
        assert process.end([stranger], 0.0) == 0
        assert child.poll() is None
        assert process.end([found], 5.0) == 1
        assert child.wait() == -signal.SIGTERM


def test_a_zombie_counts_as_gone() -> None:
    with subprocess.Popen(SLEEP) as child:
        found = process.identify(child.pid)
        assert found is not None
        child.kill()
        assert process.wait_gone([found], 5.0) == []
        assert process.identify(child.pid) is None


def test_one_that_will_not_go_is_killed() -> None:
    with subprocess.Popen(STUBBORN, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = process.identify(child.pid)
        assert found is not None
        assert process.end([found], 0.1) == 1
        assert child.wait() == -signal.SIGKILL


def test_a_name_with_parentheses_does_not_confuse() -> None:
    # The kernel shows the first 15 bytes of the command's name between parentheses.
    with subprocess.Popen(["sh", "-c", "exec -a ') S 1 (' sleep 60"], executable="/bin/bash") as child:
        assert process.start_time(child.pid) is not None
        child.kill()


def test_no_such_process() -> None:
    assert process.identify(2**22 + 1) is None
