"""Who the engine and the machines run as: never root, and with no more rights than their work needs."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SERVICE_USER = "bootcart"
ENGINE_CAPABILITIES = ("net_bind_service", "net_raw")


@dataclass(frozen=True, slots=True)
class Account:
    """An unprivileged user; `groups` are its further groups."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/nonexistent"


def choose(environment: Mapping[str, str]) -> Account:
    """The service user where set-up has made it, else who called sudo, else nobody."""
    for key in (SERVICE_USER, environment.get("SUDO_UID", ""), "nobody"):
        try:
            entry = pwd.getpwuid(int(key)) if key.isdigit() else pwd.getpwnam(key)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, home=entry.pw_dir)
    return Account("nobody", 65534, 65534)


def drop(account: Account, capabilities: Sequence[str] = ()) -> list[str]:
    """The `setpriv` prefix that becomes `account`, keeping only `capabilities`, and dies with its parent."""
    groups = ["--groups", ",".join(str(gid) for gid in account.groups)] if account.groups else ["--clear-groups"]
    kept = ",".join(f"+{name}" for name in capabilities)
    caps = f"-all,{kept}" if kept else "-all"
    bound = [] if capabilities else ["--bounding-set", "-all"]
    return [
        "setpriv",
        *("--reuid", str(account.uid), "--regid", str(account.gid), *groups),
        *("--inh-caps", caps, "--ambient-caps", caps, *bound),
        *("--no-new-privs", "--pdeathsig", "KILL", "--"),
    ]


def kvm_group(device: Path = Path("/dev/kvm")) -> int | None:
    """The group whose members may use hardware virtualisation; 0: everybody may, None: only root may."""
    try:
        info = device.stat()
    except OSError:
        return None
    if info.st_mode & stat.S_IRWXO & 0o006 == 0o006:
        return 0
    return info.st_gid if info.st_gid != 0 and info.st_mode & 0o060 == 0o060 else None


def can_read(account: Account, paths: Sequence[Path]) -> bool:
    """The account gets at every one of these files."""
    test = " && ".join(f'test -r "${number}"' for number in range(1, len(paths) + 1))
    argv = [*drop(account), "sh", "-c", test, "sh", *map(os.fspath, paths)]
    done = subprocess.run(argv, capture_output=True, check=False)
    return done.returncode == 0
